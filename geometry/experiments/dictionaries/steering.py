"""Steering by features, codes and means at equal KL: effects on words that made no vector, and what else changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from geometry.concepts import short_name
from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.experiments.dictionaries.classes import SteeredClass
from geometry.experiments.dictionaries.said import said, written
from geometry.experiments.dictionaries.setup import Bench
from geometry.experiments.dictionaries.vectors import (
    CAA,
    CODES,
    EVERY,
    FEATURES,
    MEAN,
    NATS,
    RANDOM_FEATURES,
    SINGLE,
    ClassVectors,
)
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.study import Step
from geometry.intervals import interval_of, mean_of, summarise
from geometry.layers import EqualKL
from geometry.layers.equal_kl import off_target_kl
from geometry.steering import TextCost, probability

Array = NDArray[np.float64]
_TEXTS = 2
_SMALLEST = 1e-12  # of a probability in log-odds


@dataclass(frozen=True, eq=False)
class SteeringPart(Part):
    """Effects on c classes, by every method (m) at each of `NATS` (q); nan where there is no vector or no such KL.

    Attributes:
        classes, families: of each class its name and its family's number.
        effects: change of log-odds of held-out words in nats, mean over prompts, shape (m, q, c).
        off_target: KL outside the class's words in nats, shape (m, q, c).
        perplexity: of neutral texts over the unsteered, at the largest of `NATS`, shape (m, c).
        coefficients: × residual norm, shape (m, q, c).
        features: class → how many features differ, the share of the difference that they keep, cosine with the mean's.
        left_out: what could not be steered to, and why.
        n_prompts: after which.
        site: where.
    """

    classes: tuple[str, ...]
    families: NDArray[np.int64]
    effects: Array
    off_target: Array
    perplexity: Array
    coefficients: Array
    features: Mapping[str, tuple[int, float, float]]
    left_out: Mapping[str, str]
    n_prompts: int
    site: str

    __repr__ = short_repr

    def of(self, values: Array, method: str, nats: int) -> Array:
        """Of each class, shape (c,)."""
        return np.asarray(values[EVERY.index(method), nats])

    def difference(self, method: str, other: str, nats: int) -> Array:
        """Effect less that of another method, of each class, shape (c,)."""
        return self.of(self.effects, method, nats) - self.of(self.effects, other, nats)

    def said(self, values: Array, form: str = "+.2f") -> str:
        """A mean with its interval over families of classes."""
        return said(values, self.families, form)

    def cost(self, method: str, over: str = "") -> tuple[float, tuple[float, float]]:
        """Perplexity of neutral texts over the unsteered's, geometric mean over classes with its interval.

        Over that of another method: paired, of the classes that both have a vector for.
        """
        logs = np.log(self.perplexity[EVERY.index(method)])
        if over:
            logs = logs - np.log(self.perplexity[EVERY.index(over)])
        low, high = np.exp(interval_of(logs, self.families))
        return float(np.exp(mean_of(logs))), (float(low), float(high))

    def summary(self) -> list[str]:
        """Each method beside CAA; features beside random ones; how many classes have any."""
        lines = []
        for q, nats in enumerate(NATS):
            gains = "; ".join(
                f"{name} {self.said(self.of(self.effects, name, q))}, less CAA"
                f" {self.said(self.difference(name, CAA, q))}, less class means"
                f" {self.said(self.difference(name, MEAN, q))}"
                for name in (FEATURES, CODES, SINGLE)
            )
            lines.append(
                f"At {nats:g} nats of KL the log-odds of held-out words rise by"
                f" {self.said(self.of(self.effects, CAA, q))} with CAA and"
                f" {self.said(self.of(self.effects, MEAN, q))} with class means less the grand mean; paired by class:"
                f" {gains} ({len(self.classes)} classes, {self.n_prompts} prompts)."
            )
        beside = {name: written(*self.cost(name, MEAN)) for name in (FEATURES, CODES, RANDOM_FEATURES)}
        lines.append(
            f"At {NATS[-1]:g} nats neutral texts have {written(*self.cost(MEAN))} times their perplexity under class"
            f" means; paired, under feature differences {beside[FEATURES]} times as much as that, under codes"
            f" {beside[CODES]}, under a random dictionary's features {beside[RANDOM_FEATURES]}."
        )
        missing = [name for name in self.classes if name not in self.features]
        random = self.of(self.effects, RANDOM_FEATURES, 0)
        lines.append(
            f"Features differ beyond permuted labels for {len(self.features)} of {len(self.classes)} classes"
            + (f" (not for {', '.join(map(short_name, missing))})" if missing else "")
            + f"; their vector's effect less that of a random dictionary's at {NATS[0]:g} nats:"
            f" {self.said(self.difference(FEATURES, RANDOM_FEATURES, 0))}; a random dictionary's own:"
            f" {self.said(random)} for {int(np.isfinite(random).sum())} classes."
        )
        return [*lines, *(f"Not steered to: {name}, {why}." for name, why in self.left_out.items())]

    def figures(self) -> list[FigureSpec]:
        """The methods; and class by class beside CAA."""
        from geometry.experiments.dictionaries.steering_figures import by_class, methods

        return [methods(self), by_class(self)]

    def tables(self) -> list[TableSpec]:
        """Codebooks, features and CAA in one table."""
        rows = []
        for name in EVERY:
            cells = [name, str(int(np.isfinite(self.of(self.effects, name, 0)).sum()))]
            for q in range(len(NATS)):
                apart = ["–" if name == other else self.said(self.difference(name, other, q)) for other in (CAA, MEAN)]
                cells += [self.said(self.of(self.effects, name, q)), *apart]
                cells.append(self.said(self.of(self.off_target, name, q), ".3f"))
            costs = [self.cost(name), self.cost(name, MEAN)]
            rows.append([*cells, *(written(*cost) for cost in costs)])
        heads = [
            f"{head}, {nats:g} nats"
            for nats in NATS
            for head in ("effect", "less CAA", "less class means", "off-target KL")
        ]
        heads += [f"perplexity ×, {NATS[-1]:g} nats", "over class means'"]
        caption = (
            f"Change of log-odds of held-out words (nats) after {self.n_prompts} neutral prompts, vectors at"
            f" {self.site} at equal KL; paired differences; perplexity of neutral texts, geometric mean over classes;"
            " 95% intervals over families of classes. Classes: those with a vector."
        )
        return [
            TableSpec("Codebooks, feature steering and CAA", ("", "classes", *heads), rows, caption),
            self._features(),
        ]

    def _features(self) -> TableSpec:
        rows = [
            [short_name(name), str(count), f"{kept:.2f}", f"{cosine:.2f}"]
            for name, (count, kept, cosine) in self.features.items()
        ]
        head = ("class", "features that differ", "share kept", "cosine with the mean difference")
        return TableSpec("What feature differences are made of", head, rows)

    def to_dict(self) -> dict[str, Any]:
        """The numbers."""
        found: dict[str, Any] = {}
        for name in EVERY:
            found[name] = {
                f"{nats:g} nats": {
                    "effect": summarise(self.of(self.effects, name, q)),
                    "interval": list(interval_of(self.of(self.effects, name, q), self.families)),
                    "less_caa": summarise(self.difference(name, CAA, q)),
                    "less_caa_interval": list(interval_of(self.difference(name, CAA, q), self.families)),
                    "less_class_mean": summarise(self.difference(name, MEAN, q)),
                    "less_class_mean_interval": list(interval_of(self.difference(name, MEAN, q), self.families)),
                    "off_target_kl": summarise(self.of(self.off_target, name, q)),
                    "coefficient": summarise(self.of(self.coefficients, name, q)),
                }
                for q, nats in enumerate(NATS)
            }
            found[name]["perplexity_ratio"] = summarise(self.perplexity[EVERY.index(name)])
        return {"site": self.site, "classes": list(self.classes), "methods": found, "left_out": dict(self.left_out)}

    def arrays(self) -> dict[str, ArrayLike]:
        """By method, nats and class."""
        return {
            "effects": self.effects, "off_target": self.off_target, "perplexity": self.perplexity,
            "coefficients": self.coefficients,
        }  # fmt: skip


def measure_steering(
    bench: Bench, classes: list[SteeredClass], made: list[ClassVectors], left_out: Mapping[str, str], step: Step
) -> SteeringPart:
    """Every vector at every KL divergence, at the last token of neutral prompts."""
    shape = (len(EVERY), len(NATS), len(classes))
    effects, off_target, coefficients = (np.full(shape, np.nan) for _ in range(3))
    perplexity = np.full((len(EVERY), len(classes)), np.nan)
    jobs = [(m, c) for c, each in enumerate(made) for m, name in enumerate(EVERY) if name in each.vectors]
    if not jobs:
        raise SteeringError(next(iter(made[0].why_not.values())))
    vectors = [made[c].vectors[EVERY[m]] for m, c in jobs]
    cost = TextCost(bench.model, bench.tokenizer, bench.prompts.texts[:_TEXTS])
    for q, nats in enumerate(NATS):
        equal = EqualKL(bench.model, bench.tokenizer, bench.beginnings, nats)
        before = {c: _log_odds(equal.unsteered, each.judged) for c, each in enumerate(classes)}
        for done, at in enumerate(equal.find(vectors)):
            if done % 20 == 0:
                step(f"steering at {nats:g} nats: {done} of {len(vectors)} vectors")
            m, c = jobs[at.index]
            if at.log_probabilities is None:
                continue
            law = at.log_probabilities
            effects[m, q, c] = float((_log_odds(law, classes[c].judged) - before[c]).mean())
            off_target[m, q, c] = float(off_target_kl(law, equal.unsteered, classes[c].tokens).mean())
            coefficients[m, q, c] = at.coefficient
            if nats == NATS[-1]:  # where most is broken; of less strength the off-target KL tells as much
                perplexity[m, c] = cost.ratio(at.coefficient * vectors[at.index])
    features = {
        each.name: (len(each.difference.features), each.difference.kept, each.difference.cosine)
        for each in made
        if each.difference is not None
    }
    families = np.unique([each.family for each in classes], return_inverse=True)[1]
    return SteeringPart(
        tuple(each.name for each in classes), families, effects, off_target, perplexity, coefficients, features,
        left_out, len(bench.beginnings), str(bench.site),
    )  # fmt: skip


def _log_odds(law: torch.Tensor, tokens: NDArray[np.int64]) -> Array:
    """Of a set of tokens after each prompt, in nats, shape (n,)."""
    p = np.clip(probability(law, tokens), _SMALLEST, 1 - _SMALLEST)
    return np.asarray(np.log(p) - np.log1p(-p))
