"""What steering to each of some concepts does to every concept of a hierarchy, by how they are related."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr

from geometry.arguments import checked
from geometry.display import html_table, short_repr
from geometry.errors import SteeringError
from geometry.intervals import means_of, summarise
from geometry.selectivity.concept_odds import ConceptOdds, Odds
from geometry.selectivity.relations import ASIDE, RELATIONS, Relation
from geometry.selectivity.tilt import tilts_at_kl
from geometry.steering.output_law import divergence

if TYPE_CHECKING:
    from pandas import DataFrame

Array = NDArray[np.float64]
FARTHEST = 12  # steps in the tree; concepts further away are counted with these
_ASIDE = [RELATIONS.index(relation) for relation in ASIDE]


@dataclass(frozen=True, eq=False, kw_only=True)
class TreeEffects:
    """Changes of log-odds, steered less unsteered, of a method at one KL divergence; a targets, k concepts, n prompts.

    Attributes:
        method: its name.
        nats: the KL divergence that was asked for; None of a method that has no strength to set.
        targets, concepts: names.
        codes, distance: of each target (row) and concept, as in `TreeRelations`, shape (a, k).
        raw, off_target: means over prompts of the two changes of `Odds`, shape (a, k); nan rows where the divergence
            was not reached.
        by_relation: "raw" or "off_target" → mean over the concepts of each of `RELATIONS`, shape (a, 6, n).
        by_distance: mean of the off-target change over the concepts outside the target's subtree at each tree distance
            from 1 to 12 or more, shape (a, 12, n).
        kl: KL(steered ‖ unsteered) after every prompt, shape (a, n).
        coefficients: of additions, shape (a,); nan elsewhere.
        why_not: target → what was reached instead of `nats`.
    """

    method: str
    nats: float | None
    targets: tuple[str, ...]
    concepts: tuple[str, ...]
    codes: NDArray[np.int8]
    distance: Array
    raw: Array
    off_target: Array
    by_relation: dict[str, Array]
    by_distance: Array
    kl: Array
    coefficients: Array
    why_not: dict[str, str] = field(default_factory=dict)

    __repr__ = short_repr

    def change(self, relation: Relation, measure: str = "") -> Array:
        """Mean change over the concepts of one relation, shape (a, n); nan where a target has none.

        By default raw of the target itself and its children, off target of all others, which is what figures show.
        """
        measure = measure or ("off_target" if relation in ASIDE else "raw")
        return self.by_relation[measure][:, RELATIONS.index(relation)]

    def summary(self, measure: str = "") -> dict[str, dict[str, Any]]:
        """Relation → mean with its 95% interval by bootstrap over prompts, targets averaged."""
        return {relation: summarise(self.change(relation, measure)) for relation in RELATIONS}

    @cached_property
    def sibling_excess(self) -> Array:
        """Off-target change of siblings less that of unrelated concepts, shape (a, n)."""
        return self.change("sibling") - self.change("unrelated")

    @cached_property
    def closeness(self) -> Array:
        """Spearman's ρ of the mean off-target change with closeness in the tree, shape (a,).

        Over the concepts outside the target and what is below it; nan where they are fewer than three.
        """
        found = np.full(len(self.targets), np.nan)
        for row, changes in enumerate(self.off_target):
            counted = np.isin(self.codes[row], _ASIDE) & np.isfinite(changes) & np.isfinite(self.distance[row])
            if counted.sum() > 2 and np.ptp(self.distance[row][counted]) and np.ptp(changes[counted]):
                found[row] = spearmanr(changes[counted], -self.distance[row][counted]).statistic
        return found

    def to_frame(self) -> "DataFrame":
        """A row for every target and concept: relation, distance, and both changes, averaged over prompts."""
        from pandas import DataFrame

        shape = self.raw.shape
        return DataFrame(
            {
                "target": np.repeat(self.targets, shape[1]),
                "concept": np.tile(self.concepts, shape[0]),
                "relation": np.array(RELATIONS)[self.codes.ravel()],
                "distance": self.distance.ravel(),
                "raw": self.raw.ravel(),
                "off_target": self.off_target.ravel(),
            }
        )

    def _repr_html_(self) -> str:
        rows = [(name, one["mean"], str(one["interval"])) for name, one in self.summary().items()]
        at = "at its own KL" if self.nats is None else f"at {self.nats:g} nats"
        return html_table(("concepts", "change of log-odds", "95% interval"), rows, f"{self.method} {at}")


class OutputSelectivity:
    """The effects of laws, or of directions at a KL divergence, on a hierarchy's concepts, target by target.

    Example::

        odds = geo.selectivity.ConceptOdds.of(hierarchy)
        unsteered = np.exp(next_token.unsteered.double().numpy())
        selectivity = OutputSelectivity(odds, ["bird.n.01", "food.n.01"], unsteered)
        effects = selectivity.tilted("addition", vectors @ gamma.T, nats=0.5)
        effects.summary()["sibling"]["interval"]

    Parameters:
        odds: the concepts and their words.
        targets: names of concepts that are steered to, in the order of the directions or laws.
        unsteered: p_0 after each of n prompts over the model's vocabulary, shape (n, V).

    Raises HierarchyError: an unknown name.
    Raises SteeringError: no targets, laws that do not add up to 1 or do not hold the concepts' tokens.
    """

    @checked
    def __init__(self, odds: ConceptOdds, targets: Sequence[str], unsteered: ArrayLike) -> None:
        self.odds, self.targets = odds, tuple(targets)
        if not self.targets:
            raise SteeringError("there are no targets; name concepts of the hierarchy")
        self.indices = [odds.hierarchy.index(name) for name in self.targets]
        self.unsteered = np.asarray(unsteered, dtype=np.float64)
        if self.unsteered.ndim != 2 or self.unsteered.shape[1] <= int(odds.tokens.max()):
            raise SteeringError(
                f"unsteered laws have shape (n, V) with V above {int(odds.tokens.max())}, the last token of the"
                f" concepts, not {self.unsteered.shape}"
            )
        if not np.allclose(self.unsteered.sum(axis=1), 1, atol=1e-3):
            raise SteeringError("unsteered laws do not add up to 1; give probabilities, not their logarithms")
        own = self.unsteered[:, odds.tokens].T
        self._own = own
        self._before = [odds.at(own, index) for index in self.indices]

    def tilted(self, method: str, shifts: ArrayLike, nats: float) -> TreeEffects:
        """Of directions that shift logits by δᵀγ(y), shape (a, V), each at the coefficient of a KL divergence.

        Raises SteeringError: see `tilts_at_kl`.
        """
        shifts = np.asarray(shifts)
        if len(shifts) != len(self.targets):
            raise SteeringError(f"{len(self.targets)} targets need as many directions, not {len(shifts)}")
        collected, why_not = _Collected(self, method, nats), {}
        tokens = self.odds.tokens
        for row, tilted in enumerate(tilts_at_kl(self.unsteered, shifts, nats)):
            if tilted.why_not:
                why_not[self.targets[row]] = tilted.why_not
                continue
            collected.add(row, self._own * tilted.weights[tokens][:, None] / tilted.normaliser, tilted.kl)
            collected.coefficients[row] = tilted.coefficient
        return collected.effects(why_not)

    def measured(self, method: str, laws: Iterable[Array | str], nats: float | None = None) -> TreeEffects:
        """Of steered laws (n, V), one a target in their order, or a sentence where there is none and why.

        A row of nan is a prompt after which the divergence is not reached; it is left out.

        Raises SteeringError: another number of laws, or of another shape.
        """
        collected, why_not, count = _Collected(self, method, nats), {}, 0
        for row, law in enumerate(laws):
            count += 1
            if row >= len(self.targets):
                break
            if isinstance(law, str):
                why_not[self.targets[row]] = law
                continue
            if law.shape != self.unsteered.shape:
                raise SteeringError(f"{self.targets[row]}: laws have shape {self.unsteered.shape}, not {law.shape}")
            collected.add(row, law[:, self.odds.tokens].T.astype(np.float64), divergence(law, self.unsteered))
        if count != len(self.targets):
            raise SteeringError(f"{len(self.targets)} targets need as many laws, not {count} or more")
        return collected.effects(why_not)


class _Collected:
    """Means over prompts and over relations, as laws come."""

    def __init__(self, of: OutputSelectivity, method: str, nats: float | None) -> None:
        self._of, self._method, self._nats = of, method, nats
        relations = of.odds.relations
        self._codes, self._distance = relations.codes[of.indices], relations.distance[of.indices]
        self._steps = np.minimum(self._distance, FARTHEST)
        a, k, n = len(of.targets), len(relations.names), len(of.unsteered)
        self._raw, self._off_target = np.full((a, k), np.nan), np.full((a, k), np.nan)
        self._by_relation = {name: np.full((a, len(RELATIONS), n), np.nan) for name in ("raw", "off_target")}
        self._by_distance = np.full((a, FARTHEST, n), np.nan)
        self._kl = np.full((a, n), np.nan)
        self.coefficients = np.full(a, np.nan)

    def add(self, row: int, probabilities: Array, kl: Array) -> None:
        change: Odds = self._of.odds.at(probabilities, self._of.indices[row]) - self._of._before[row]
        self._raw[row], self._off_target[row] = means_of(change.raw), means_of(change.off_target)
        self._kl[row] = kl
        for name, values in (("raw", change.raw), ("off_target", change.off_target)):
            self._by_relation[name][row] = _grouped(values, self._codes[row], len(RELATIONS))
        aside = np.where(np.isin(self._codes[row], _ASIDE) & np.isfinite(self._steps[row]), self._steps[row], 0)
        self._by_distance[row] = _grouped(change.off_target, aside.astype(np.int64) - 1, FARTHEST)

    def effects(self, why_not: dict[str, str]) -> TreeEffects:
        return TreeEffects(
            method=self._method,
            nats=self._nats,
            targets=self._of.targets,
            concepts=self._of.odds.relations.names,
            codes=self._codes,
            distance=self._distance,
            raw=self._raw,
            off_target=self._off_target,
            by_relation=self._by_relation,
            by_distance=self._by_distance,
            kl=self._kl,
            coefficients=self.coefficients,
            why_not=why_not,
        )


def _grouped(values: Array, groups: NDArray[Any], count: int) -> Array:
    """Mean over the finite of the rows (k, n) of each group from 0 on, shape (count, n); nan where there is none."""
    kept = groups >= 0
    member = np.zeros((count, len(values)))
    member[groups[kept], np.flatnonzero(kept)] = 1
    finite = np.isfinite(values)
    sums, sizes = member @ np.where(finite, values, 0.0), member @ finite
    return np.asarray(np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan))
