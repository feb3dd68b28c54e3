"""What else goes: every other concept after an erasure, by its place in the tree."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.display import short_repr
from geometry.experiments.erasure.methods import ERASURE, METHODS, PERMUTED, RANDOM
from geometry.experiments.erasure.removal import cell
from geometry.experiments.erasure.setup import Target
from geometry.experiments.erasure.sweep import Sweep
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.intervals import mean_of, summarise
from geometry.selectivity import RELATIONS, TreeRelations
from geometry.selectivity.relations import Relation

Array = NDArray[np.float64]
WHITENED = (ERASURE, PERMUTED)  # which take away shares of a whitened contrast; orthogonal projections may add to it


@dataclass(frozen=True, eq=False, kw_only=True)
class TreePart(Part):
    """Changes of all concepts by what they are to the one that was erased.

    Attributes:
        targets: what was erased. relations: of the concepts that were looked for.
        sweep: these after each erasure.
    """

    targets: Sequence[Target]
    relations: TreeRelations
    sweep: Sweep

    __repr__ = short_repr

    def places(self, target: Target, relation: Relation) -> NDArray[np.int64]:
        """Concepts of a relation to a target; all that is erased with it is the target itself."""
        if relation == "self":
            return target.columns
        codes = self.relations.codes[target.columns[0]]
        return np.setdiff1d(np.flatnonzero(codes == RELATIONS.index(relation)), target.columns)

    def change(self, method: str, relation: Relation, *, subtrees: bool = False) -> Array:
        """Change of AUC, mean over the concepts of a relation, of each target that has any; shape (targets,)."""
        return self._mean(self.sweep.linear[method] - self.sweep.before, relation, subtrees)

    def contrast(self, method: str, relation: Relation, *, subtrees: bool = False) -> Array:
        """The share of the whitened contrast that is gone, the same way."""
        return self._mean(self.sweep.contrast[method], relation, subtrees)

    def _mean(self, values: Array, relation: Relation, subtrees: bool) -> Array:
        found = [
            mean_of(row[self.places(target, relation)])
            for target, row in zip(self.targets, values, strict=True)
            if target.subtree == subtrees
        ]
        return np.array([value for value in found if np.isfinite(value)])

    @property
    def kinds(self) -> list[bool]:
        """Whether concepts, and whether subtrees, were erased."""
        return [kind for kind in (False, True) if any(target.subtree == kind for target in self.targets)]

    def summary(self) -> list[str]:
        """Who loses how much."""
        said = []
        for kind in self.kinds:
            parts = []
            for relation in RELATIONS:
                if len(values := self.change(ERASURE, relation, subtrees=kind)):
                    control = mean_of(self.change(PERMUTED, relation, subtrees=kind))
                    parts.append(f"{relation} {cell(summarise(values), '+.3f')} ({PERMUTED} {control:+.3f})")
            what = "subtrees at once" if kind else "one concept"
            said.append(f"Erasing {what} changes the AUC of linear probes by: {'; '.join(parts)}.")
        shares = []
        for relation in RELATIONS:
            if len(values := self.contrast(ERASURE, relation)):
                shares.append(f"{relation} {cell(summarise(values), '.0%')}")
        said.append(
            f"Of their contrasts with all other words, whitened and freed of noise, are gone: {'; '.join(shares)}."
        )
        return said

    def to_dict(self) -> dict[str, Any]:
        """Method × relation, with intervals over what was erased."""
        return {
            "subtrees" if kind else "concepts": {
                "auc": {
                    method: {name: _summed(self.change(method, name, subtrees=kind)) for name in RELATIONS}
                    for method in METHODS
                },
                "contrast_removed": {
                    method: {name: _summed(self.contrast(method, name, subtrees=kind)) for name in RELATIONS}
                    for method in WHITENED
                },
            }
            for kind in self.kinds
        }

    def figures(self) -> list[FigureSpec]:
        """By relation."""
        from geometry.experiments.erasure import figures

        return [figures.tree(self)]

    def tables(self) -> list[TableSpec]:
        """Method × relation."""
        rows = [
            [f"{method}{', subtrees' if kind else ''}"]
            + [cell(_summed(self.change(method, name, subtrees=kind)), "+.3f") for name in RELATIONS]
            for kind in self.kinds
            for method in METHODS
        ]
        return [
            TableSpec(
                "Change of the AUC of linear probes after erasing, by relation to what was erased, mean [95%]",
                ["erased by", *RELATIONS],
                rows,
                f"Probes fitted anew, on words that were not erased by; intervals over what was erased. {RANDOM} and"
                f" {PERMUTED} are controls of the same rank.",
            )
        ]

    def arrays(self) -> dict[str, ArrayLike]:
        """Shares of contrasts by target and concept; AUCs are the removal's."""
        return {f"contrast/{method}": self.sweep.contrast[method] for method in WHITENED}


def _summed(values: Array) -> dict[str, Any]:
    return summarise(values) if len(values) else {"mean": None, "sd": None, "n": 0, "interval": None}
