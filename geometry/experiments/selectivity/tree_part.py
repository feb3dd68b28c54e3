"""Effects along the tree by every method, beside permuted lemmas and random directions: numbers and sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.concepts import ConceptHierarchy
from geometry.display import short_repr
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.selectivity.growth import by_distance, growth
from geometry.experiments.selectivity.methods import ADDITION, NATS, PERMUTED, RANDOM
from geometry.intervals import mean_of, summarise
from geometry.selectivity import ASIDE, RELATIONS, ClosenessTest, TreeEffects
from geometry.selectivity.relations import Relation

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class TreePart(Part):
    """What steering does to other concepts.

    Attributes:
        hierarchy: of all concepts.
        effects: of every method, of addition at each of `NATS` first; random directions among them.
        null: of each permutation the effects at each of `NATS`.
        how: method → how its vectors or prompts were made.
    """

    hierarchy: ConceptHierarchy
    effects: Sequence[TreeEffects]
    null: Sequence[Sequence[TreeEffects]]
    how: Mapping[str, str]
    seed: int

    __repr__ = short_repr

    def at(self, method: str, nats: float | None) -> TreeEffects | None:
        """The effects of a method, if it was measured at that KL divergence."""
        return next((each for each in self.effects if (each.method, each.nats) == (method, nats)), None)

    @cached_property
    def addition(self) -> tuple[TreeEffects, ...]:
        """At each of `NATS`."""
        return tuple(each for each in self.effects if each.method == ADDITION)

    @cached_property
    def tests(self) -> tuple[ClosenessTest, ...]:
        """Do side effects of addition grow with closeness: both statistics at each of `NATS`."""
        return tuple(
            ClosenessTest.of(statistic, effects, [draw[index] for draw in self.null])
            for statistic in ("sibling_excess", "closeness")
            for index, effects in enumerate(self.addition)
        )

    def null_means(self, index: int, relation: Relation) -> Array:
        """Mean change over targets and prompts of each permutation at `NATS[index]`, shape (m,)."""
        return np.array([mean_of(draw[index].change(relation)) for draw in self.null])

    def null_by_distance(self, index: int) -> Array:
        """Mean off-target change at each tree distance of each permutation, shape (m, 12)."""
        return np.array([by_distance(draw[index]) for draw in self.null])

    def beside_addition(self, effects: TreeEffects) -> dict[Relation, dict[str, Any]] | None:
        """Relation → a method's change less that of addition at the same KL divergence, on the method's own targets."""
        added = self.at(ADDITION, effects.nats)
        if added is None or effects is added:
            return None
        rows = [added.targets.index(name) for name in effects.targets]
        return {name: summarise(effects.change(name) - added.change(name)[rows]) for name in RELATIONS}

    def summary(self) -> list[str]:
        """What addition does, whether it grows with closeness, and how the methods compare."""
        said = []
        for index, effects in enumerate(self.addition):
            excess, rho = self.tests[index], self.tests[index + len(NATS)]
            own, parts = effects.summary(), ("sibling", "cousin", "unrelated")
            aside = ", ".join(f"{name} {_signed(own[name])}" for name in parts)
            said.append(
                f"At {effects.nats:g} nats addition raises the log-odds of its concept by {_signed(own['self'])} and of"
                f" those below it by {_signed(own['child'])}; among words outside the target, {aside}."
            )
            said.append(
                f"Side effects {growth(excess, rho)} with closeness in the tree at {effects.nats:g} nats: siblings less"
                f" unrelated {excess.value:+.2f} [{excess.interval[0]:.2f}, {excess.interval[1]:.2f}] nats (permuted"
                f" lemmas {mean_of(excess.null):+.2f}, p = {excess.p:.3g}), ρ = {rho.value:.2f} (permuted"
                f" {mean_of(rho.null):.2f}, p = {rho.p:.3g})."
            )
        others = [each for each in self.effects if each.nats == NATS[0] and each.method not in (ADDITION, RANDOM)]
        if others:
            listed = "; ".join(
                f"{each.method} self {_signed(less['self'])}, siblings {_signed(less['sibling'])}"
                for each in others
                if (less := self.beside_addition(each)) is not None
            )
            said.append(f"Less addition to the same targets at {NATS[0]:g} nats: {listed}.")
        for each in self.effects:
            if each.nats is not None and not (reached := np.isfinite(each.kl)).all():
                said.append(
                    f"{each.method[0].upper()}{each.method[1:]} reaches {each.nats:g} nats on {reached.mean():.0%} of"
                    f" concepts and prompts; the others are left out of its means."
                )
        return said

    def to_dict(self) -> dict[str, Any]:
        """Every method at every KL divergence, the tests, and what was not reached."""
        return {
            "how": dict(self.how),
            "seed": self.seed,
            "effects": [
                {
                    "method": each.method,
                    "nats": each.nats,
                    "targets": len(each.targets),
                    "prompts": each.kl.shape[1],
                    "kl": summarise(each.kl),
                    "share_reached": float(np.isfinite(each.kl).mean()),
                    "drawn": each.summary(),
                    "raw": each.summary("raw"),
                    "off_target": {name: summarise(each.change(name, "off_target")) for name in ASIDE},
                    "less_addition": self.beside_addition(each),
                    "sibling_excess": summarise(each.sibling_excess),
                    "closeness": summarise(each.closeness[None]),
                    "not_reached": dict(each.why_not),
                }
                for each in self.effects
            ],
            "tests": [test.to_dict() for test in self.tests],
            "null": {
                f"{nats:g}": {name: summarise(self.null_means(index, name)[:, None]) for name in RELATIONS}
                for index, nats in enumerate(NATS)
            },
        }

    def figures(self) -> list[FigureSpec]:
        """By relation, by distance, concept × concept."""
        from geometry.experiments.selectivity import tree_figures

        return [tree_figures.by_relation(self), tree_figures.by_distance(self), tree_figures.matrices(self)]

    def tables(self) -> list[TableSpec]:
        """Method × relation, means with intervals."""
        rows = []
        for each in self.effects:
            own = each.summary()
            at = "own" if each.nats is None else f"{each.nats:g}"
            rows.append([f"{each.method}", at, str(len(each.targets)), *(cell(own[name]) for name in RELATIONS)])
        for index, nats in enumerate(NATS):
            means = [summarise(self.null_means(index, name)[:, None]) for name in RELATIONS]
            rows.append([PERMUTED, f"{nats:g}", str(len(self.addition[index].targets)), *map(cell, means)])
        return [
            TableSpec(
                "Change of log-odds (nats) by relation to the target, mean [95%]",
                ["method", "KL", "targets", *RELATIONS],
                rows,
                "Self and child: raw log-odds. Others: log-odds among the words outside the target, renormalised, so"
                f" that mass which the target takes from all alike does not count. Intervals over prompts; of"
                f" {PERMUTED} the central 95% of {len(self.null)} permutations, seed {self.seed}.",
            ),
            TableSpec(
                "The same, less addition of concept vectors to the same targets at the same KL",
                ["method", "KL", "targets", *RELATIONS],
                [
                    [each.method, f"{each.nats:g}", str(len(each.targets)), *(cell(less[name]) for name in RELATIONS)]
                    for each in self.effects
                    if (less := self.beside_addition(each)) is not None
                ],
                "Paired by target and prompt. Additions have one coefficient a concept, at that KL on average over"
                " prompts; the dual step and addition along its β have each prompt at that KL.",
            ),
            TableSpec(
                "The same, raw log-odds",
                ["method", "KL", "targets", *RELATIONS],
                [
                    [
                        each.method,
                        "own" if each.nats is None else f"{each.nats:g}",
                        str(len(each.targets)),
                        *(cell(each.summary("raw")[name]) for name in RELATIONS),
                    ]
                    for each in self.effects
                ],
                "Words of a concept outside the target's subtree without those of the target.",
            ),
        ]

    def arrays(self) -> dict[str, ArrayLike]:
        """Matrices, by relation and by distance, of every method."""
        arrays: dict[str, ArrayLike] = {}
        for each in self.effects:
            name = f"{each.method}/{'own' if each.nats is None else f'{each.nats:g}'}"
            arrays |= {f"{name}/raw": each.raw, f"{name}/off_target": each.off_target, f"{name}/kl": each.kl}
            arrays |= {f"{name}/by_relation/{key}": values for key, values in each.by_relation.items()}
            arrays[f"{name}/by_distance"] = each.by_distance
        for index, nats in enumerate(NATS):
            arrays[f"{PERMUTED}/{nats:g}/by_distance"] = self.null_by_distance(index)
        return arrays


def cell(summary: Mapping[str, Any]) -> str:
    """A mean and its interval in a table."""
    if summary["mean"] is None:
        return "–"
    low, high = summary["interval"]
    return f"{summary['mean']:+.2f} [{low:+.2f}, {high:+.2f}]"


def _signed(summary: Mapping[str, Any]) -> str:
    return "–" if summary["mean"] is None else f"{summary['mean']:+.2f}"
