"""What the steering study gives: effects and costs of every condition, and what follows from them in sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.concepts import short_name
from geometry.display import short_repr
from geometry.experiments.evaluator import BOUND, Strength, cell, times
from geometry.experiments.result import FigureSpec, StudyResult, TableSpec
from geometry.results import TestResult
from geometry.steering import Effect

if TYPE_CHECKING:
    from geometry.experiments.steering.study import SteeringStudy

Arrays = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Chosen:
    """What was chosen on a third of the prompts: by cost, and for `block_strongest` without regard to it."""

    coefficient: Strength
    block: int
    strength: Strength
    block_strongest: int
    strength_strongest: float

    __repr__ = short_repr


@dataclass(frozen=True, eq=False, kw_only=True)
class SteeringResult(StudyResult):
    """The numbers of a `SteeringStudy`.

    Attributes:
        effects: condition → effect on the prompts to report; of random vectors that of all of them together.
        perplexity_ratios: condition → perplexity of neutral texts over the unsteered; of one random vector.
        tests, random_token_control: "composition" and "held_out_words"; see `measure.random_tokens`.
        curves: condition → measure → mean at each of `coefficients`.
        blocks: measure → map, shape (depth, strengths); nan where nothing was measured.
        vectors, generations: condition → provenance; prompt → condition → text.
        words: see `setup.Bench`; marked: words of the parent, for the page.
        grandparents: ancestors of the parent, from the root.
        n_choosing: how many prompts settings were chosen on.
    """

    controls: ClassVar = ("unsteered", "parent_norm_matched", "other_parent_child", "random", "random_residual")

    study: "SteeringStudy"
    chosen: Chosen
    effects: Mapping[str, Effect]
    perplexity_ratios: Mapping[str, float]
    unsteered_perplexity: float
    tests: Mapping[str, TestResult]
    random_token_control: Arrays
    curves: Mapping[str, Arrays]
    coefficients: NDArray[np.float64]
    blocks: Arrays
    strengths: NDArray[np.float64]
    vectors: Mapping[str, str]
    generations: Mapping[str, Mapping[str, str]]
    words: Mapping[str, NDArray[np.int64]]
    marked: Sequence[str]
    grandparents: Sequence[str]
    n_choosing: int

    __repr__ = short_repr

    @property
    def parent(self) -> str:
        """The parent as a reader says it."""
        return short_name(self.study.parent)

    @property
    def child(self) -> str:
        """The child as a reader says it."""
        return short_name(self.study.child)

    @property
    def labels(self) -> dict[str, str]:
        """What figures, tables and pages call the conditions."""
        parent, child, chosen = self.parent, self.child, self.chosen
        return {
            "unsteered": "unsteered",
            "parent": parent,
            "parent_norm_matched": f"{parent}, norm-matched",
            "child": f"({child} − {parent})",
            "parent_child": f"{parent} + ({child} − {parent})",
            "before_norm": "… before the final norm",
            "block": f"… after block {chosen.block}, {chosen.strength.value:g} ×",
            "block_strongest": f"… after block {chosen.block_strongest}, {chosen.strength_strongest:g} ×, at any cost",
            "direct": f"{child}, direct concept vector",
            "grandparent_parent_child": " + ".join(
                [*map(short_name, self.grandparents[-1:]), "…", f"({child} − {parent})"]
            ),
            "other_parent_child": f"{short_name(self.study.beside[1])} + ({child} − {parent})",
            "random": "random direction",
            "random_residual": "random residual vector",
        }

    @property
    def conditions(self) -> list[str]:
        """Names of the conditions in the order of figures and tables."""
        return [name for name in self.labels if name in self.effects]

    def probability(self, condition: str, concept: str | None = None, kind: str = "") -> float:
        """Mean probability of a concept's words, by default the child's; kind: "published", "fitted", "held_out"."""
        name = f"{concept or self.study.child} {kind}".strip()
        return float(self.effects[condition].probability[name].mean())

    def top1_rate(self, condition: str) -> float:
        """The fraction of prompts after which a word of the child is the most probable."""
        return self.effects[condition].top1_rate(self.words[self.study.child])

    def excess_kl(self, condition: str) -> float:
        """Mean nats of KL divergence beyond what the change of the child's probability takes."""
        return float(self.effects[condition].excess_kl[self.study.child].mean())

    def costs(self, condition: str) -> list[str]:
        """Top-1 rate, excess KL and perplexity ratio, as figures and tables write them."""
        ratio = cell(self.perplexity_ratios[condition])
        return [f"{self.top1_rate(condition):.0%}", f"{self.excess_kl(condition):.1f}", ratio]

    @property
    def steers(self) -> bool:
        """Whether composing raises the child above random vectors of both kinds (p ≤ 0.05; 19 at least decide)."""
        test = self.tests["composition"]
        return all(test.p_against(null) <= 0.05 for null in test.nulls)

    @property
    def generalises(self) -> bool:
        """Whether held-out words rise well beyond those of random tokens."""
        test = self.tests["held_out_words"]
        return test.value > max(0.05, 2 * test.nulls["random_token_control"].mean)

    @property
    def against_direct(self) -> str:
        """How composing compares with the direct vector of the same norm."""
        gain = self.probability("parent_child") - self.probability("direct")
        return "no better than" if abs(gain) <= 0.05 else "better than" if gain > 0 else "worse than"

    @property
    def early(self) -> float:
        """The highest probability of the child from a block of the first half, at any strength; nan: none swept."""
        half = self.blocks["child"][: len(self.blocks["child"]) // 2]
        return float(np.nanmax(half)) if np.isfinite(half).any() else float("nan")

    def summary(self) -> list[str]:
        """What was found, the main finding first."""
        child, chosen, test = self.child, self.chosen, self.tests["composition"]
        strength = chosen.strength
        held_out = [self.probability(name, kind="held_out") for name in ("unsteered", "parent_child")]
        control = self.tests["held_out_words"].nulls["random_token_control"].mean
        worst = self.curves["parent_child"]["perplexity_ratio"][-1]
        cost = times(chosen.coefficient.ratio) + " the unsteered perplexity"
        cost += "" if chosen.coefficient.within else f", above the bound of {BOUND:g}"
        lines = [
            f"{'' if self.steers else 'No evidence that composing steers: '}{self.labels['parent_child']} makes a"
            f" {child} word the most probable after {self.top1_rate('parent_child'):.0%} of prompts, with P({child}) ="
            f" {self.probability('parent_child'):.2f} (unsteered {self.probability('unsteered'):.3f}, random directions"
            f" {test.nulls['random'].mean:.3f}, p = {test.p_value:.2g}), at {cost}.",
            f"It is {self.against_direct} the direct {child} vector of the same norm, whose P({child}) is"
            f" {self.probability('direct'):.2f}.",
            f"Held-out words {'rise too' if self.generalises else 'hardly rise'}, from {held_out[0]:.3f} to"
            f" {held_out[1]:.2f}; those of random tokens change by {control:+.3f}.",
            f"After block {chosen.block}, at {strength.value:g} × residual norm and {times(strength.ratio)} the"
            f" perplexity, P({child}) is {self.probability('block'):.2f}; without regard to cost block"
            f" {chosen.block_strongest} reaches {self.probability('block_strongest'):.2f}, at"
            f" {times(self.perplexity_ratios['block_strongest'])} the perplexity.",
            f"Large coefficients destroy the text: {self.coefficients[-1]:g} gives {times(worst)} the perplexity.",
        ]
        if not strength.within:
            lines.append(f"No strength tried after block {chosen.block} keeps perplexity within {BOUND:g} times.")
        if np.isfinite(self.early):
            lines.append(f"Blocks of the first half reach P({child}) = {self.early:.2f} at most, at any strength.")
        return lines

    def tables(self) -> list[TableSpec]:
        """Conditions, and the tests."""
        study, child = self.study, self.child
        head = ["condition", f"P({self.parent})", f"P({child})", f"P({child}), held-out words", "top-1 rate"]
        head += ["excess KL", "perplexity ×"]
        rows = [
            [
                self.labels[name] + (" (control)" if name in self.controls else ""),
                f"{self.probability(name, study.parent):.3f}",
                f"{self.probability(name):.3f}",
                f"{self.probability(name, kind='held_out'):.3f}",
                *self.costs(name),
            ]
            for name in self.conditions
        ]
        tested = [
            [test.title, null.label, f"{test.value:.3f}", f"{null.mean:.3f}", f"{test.p_against(name):.2g}"]
            for test in self.tests.values()
            for name, null in test.nulls.items()
        ]
        caption = (
            f"Means over {len(self.tests['composition'].labels)} prompts; parent {study.parent}, child {study.child}."
            " Top-1 rate: prompts after which a word of the child is the most probable. Excess KL: nats beyond what the"
            f" change of P({child}) takes. Perplexity: of neutral texts steered at every token but the first, over the"
            f" unsteered ({self.unsteered_perplexity:.1f}). ×: residual norm."
        )
        nulls = (
            f"{study.n_random} vectors of each null. Random directions have the composed vector's norm in the unified"
            " space, random residual vectors in the residual stream."
        )
        return [
            TableSpec("What each condition does, and what it costs", head, rows, caption),
            TableSpec("Tests", ["claim", "null", "value", "null mean", "p"], tested, nulls),
        ]

    def to_dict(self) -> dict[str, Any]:
        """Quantity → condition → its mean over prompts, what was chosen, tests, provenance, generations."""
        chosen, test = self.chosen, self.tests["composition"]

        def probabilities(kind: str = "") -> dict[str, dict[str, float]]:
            return {
                name: {concept: self.probability(name, concept, kind) for concept in self.study.concepts}
                for name in self.effects
            }

        return {
            "chosen": {
                "coefficient": chosen.coefficient.value,
                "block": [chosen.block, chosen.strength.value],
                "block_strongest": [chosen.block_strongest, chosen.strength_strongest],
                "bound": BOUND,
                "within_bound": {"coefficient": chosen.coefficient.within, "block": chosen.strength.within},
            },
            "probability": probabilities(),
            **{f"probability_{kind}": probabilities(kind) for kind in ("published", "fitted", "held_out")},
            "top1_rate": {name: self.top1_rate(name) for name in self.effects},
            "kl": {name: float(effect.kl.mean()) for name, effect in self.effects.items()},
            "excess_kl": {name: self.excess_kl(name) for name in self.effects},
            "perplexity": {name: ratio * self.unsteered_perplexity for name, ratio in self.perplexity_ratios.items()},
            "perplexity_ratio": dict(self.perplexity_ratios),
            "p_value": {null: test.p_against(null) for null in test.nulls},
            "tests": {name: test.to_dict() for name, test in self.tests.items()},
            "random_token_control": {name: float(values.mean()) for name, values in self.random_token_control.items()},
            "prompts": {"choosing": self.n_choosing, "reported": len(test.labels)},
            "words": {name: len(tokens) for name, tokens in self.words.items()},
            "vectors": dict(self.vectors),
            "generations": {prompt: dict(texts) for prompt, texts in self.generations.items()},
        }

    def arrays(self) -> dict[str, ArrayLike]:
        """What the figures are drawn from."""
        arrays: dict[str, ArrayLike] = {"coefficients": self.coefficients, "strengths": self.strengths}
        for name, effect in self.effects.items():
            arrays[f"kl/{name}"] = effect.kl
            arrays |= {f"probability/{name}/{concept}": values for concept, values in effect.probability.items()}
        grouped = {f"curves/{name}": curve for name, curve in self.curves.items()}
        grouped |= {"blocks": self.blocks, "random_token_control": self.random_token_control}
        return arrays | {f"{group}/{name}": values for group, maps in grouped.items() for name, values in maps.items()}

    def figures(self) -> list[FigureSpec]:
        """Conditions, words, coefficients, blocks."""
        from geometry.experiments.steering.figures import blocks, coefficients, conditions, words

        return [conditions(self), words(self), coefficients(self), blocks(self)]

    def pages(self) -> dict[str, tuple[str, str]]:
        """What the model writes under each condition."""
        from geometry.experiments.steering.figures import generations_page

        return {"generations.html": ("generations under steering", generations_page(self))}
