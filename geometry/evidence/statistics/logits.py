"""What moving along a parent contrast does to log-odds: those of the parents should change, their children's not.

Adding δ = Σ^(-1/2) v to a final hidden state adds vᵀg(y) to the logit of every token y, in any context. So the change
of a log-odds is a difference of projections (Park et al., arXiv 2406.01506, table 1).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections, held_out_columns
from geometry.display import short_repr
from geometry.evidence.requirements import FEWEST, Requirement, others
from geometry.evidence.statistics.family_scores import family_scores
from geometry.evidence.statistics.statistic import Statistic

if TYPE_CHECKING:
    from geometry.evidence.statistics.score_kernels import Sets


@dataclass(frozen=True, eq=False)
class LogitChanges:
    """Changes of log-odds per unit step along ℓ_w1 − ℓ_w0, for every usable (w1, w0, z1, z0).

    Attributes:
        labels: "w0 → w1: z0, z1".
        parent, child: shape (m, 2), mean and standard deviation over word pairs of the change of log P(y1)/P(y0), in
            nats: y1, y0 held-out words of w1, w0 ("parent") and of z1, z0 ("child").
    """

    labels: tuple[str, ...]
    parent: NDArray[np.float64]
    child: NDArray[np.float64]

    __repr__ = short_repr

    @property
    def selectivity(self) -> NDArray[np.float64]:
        """(p − |c|)/(|p| + |c|) of the mean changes, shape (m,): 1 if only the parents' odds move, 0 if both alike."""
        return _selectivity(self.parent[:, 0], self.child[:, 0])

    def means(self) -> dict[str, Any]:
        """Means over all usable pairs, as in a row of table 1 of arXiv 2406.01506."""
        usable = np.isfinite(self.selectivity)
        parent, child = self.parent[usable], self.child[usable]
        return {
            "pairs": int(usable.sum()),
            "parent": {"mean": parent[:, 0].mean(), "sd_over_words": parent[:, 1].mean()},
            "child": {
                "mean": child[:, 0].mean(),
                "mean_absolute": np.abs(child[:, 0]).mean(),
                "sd_over_words": child[:, 1].mean(),
            },
        }


def logit_changes(directions: ConceptDirections) -> LogitChanges:
    """Changes on held-out words, for all siblings (w1, w0) and all pairs of children of w1.

    Words that both concepts of a pair hold are left out. nan where a concept has fewer than 3 others.
    """
    means, variances = _means(directions), _variances(directions)
    parents, children = (
        np.stack([means[:, first] - means[:, second], np.sqrt(variances[:, first] + variances[:, second])], axis=1)
        for first, second in ((0, 1), (2, 3))
    )
    return LogitChanges(_labels(directions), parents, children)


def logit_selectivity() -> Statistic:
    """`LogitChanges.selectivity` after a lemma split; about −½ on noise, where p is negative as often as not."""
    what = f"concept with a sibling and two children, of {FEWEST} words that the other lacks on either side"
    requires = (Requirement(what, 1, _count),)
    return Statistic("logit_selectivity", "lemma", -0.5, _selectivities, _labels, clusters=_families, requires=requires)


def _count(hierarchy: ConceptHierarchy) -> int:
    @cache
    def apart(first: int, second: int) -> bool:
        return min(others(hierarchy, first, second), others(hierarchy, second, first)) >= FEWEST

    return int(any(apart(w1, w0) and apart(z1, z0) for w1, w0, z1, z0 in _quadruples(hierarchy)))


def _selectivities(directions: ConceptDirections) -> NDArray[np.float64]:
    means = _means(directions)
    return _selectivity(means[:, 0] - means[:, 1], means[:, 2] - means[:, 3])


def _labels(directions: ConceptDirections) -> tuple[str, ...]:
    names, quadruples = directions.hierarchy.labels, _quadruples(directions.hierarchy)
    return tuple(f"{names[w0]} → {names[w1]}: {names[z0]}, {names[z1]}" for w1, w0, z1, z0 in quadruples)


def _families(directions: ConceptDirections) -> NDArray[np.int64]:
    """Quadruples by w1, whose children z1 and z0 are."""
    return np.array([w1 for w1, _, _, _ in _quadruples(directions.hierarchy)], dtype=np.int64)


def _selectivity(parent: NDArray[np.float64], child: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        return (parent - np.abs(child)) / (np.abs(parent) + np.abs(child))


@dataclass(frozen=True, eq=False)
class _Plan:
    """What to project on what, for one hierarchy and split.

    Attributes:
        contrasts: the (w1, w0), shape (c, 2).
        words: sets of held-out words, as columns of the scores; those of too few are empty.
        projected: shape (n, 2), a contrast and a set of words that is projected on it.
        quadruples: the places in `projected` of w1 but not w0, w0 but not w1, and likewise z1 and z0, shape (m, 4).
    """

    contrasts: NDArray[np.int64]
    words: tuple[NDArray[np.int64], ...]
    projected: NDArray[np.int64]
    quadruples: NDArray[np.int64]

    @cached_property
    def sets(self) -> "Sets":
        """The words, for compiled loops."""
        from geometry.evidence.statistics.score_kernels import Sets

        return Sets.of(self.words)


# The row nulls share hierarchy and split with the model.
@lru_cache(maxsize=4)
def _plan(hierarchy: ConceptHierarchy, train: bytes) -> _Plan:
    columns = held_out_columns(hierarchy, train)
    quadruples = np.array(list(_quadruples(hierarchy)), dtype=np.int64).reshape(-1, 4)
    contrasts, of = np.unique(quadruples[:, :2], axis=0, return_inverse=True)
    w1, w0, z1, z0 = quadruples.T
    pairs, sets = np.unique(
        np.stack([w1, w0, w0, w1, z1, z0, z0, z1], axis=1).reshape(-1, 2), axis=0, return_inverse=True
    )
    words = [np.setdiff1d(columns[first], columns[second], assume_unique=True) for first, second in pairs]
    wanted = np.stack([np.repeat(of.ravel(), 4), sets.ravel()], axis=1)
    projected, places = np.unique(wanted, axis=0, return_inverse=True)
    enough = tuple(own if len(own) >= FEWEST else own[:0] for own in words)
    return _Plan(contrasts, enough, projected, places.reshape(-1, 4))


def _lengths(directions: ConceptDirections, plan: _Plan) -> NDArray[np.float64]:
    """Of each contrast."""
    w1, w0 = torch.from_numpy(plan.contrasts.T.copy())
    lengths = torch.linalg.vector_norm(directions.vectors[w1] - directions.vectors[w0], dim=1)
    return lengths.cpu().double().numpy()


def _means(directions: ConceptDirections) -> NDArray[np.float64]:
    """Mean of the projections on unit contrasts of each quadruple's four sets of words, shape (m, 4)."""
    from geometry.evidence.statistics.score_kernels import means  # numba takes a second to import

    plan = _plan(directions.hierarchy, directions.train.tobytes())
    contrast, words = plan.projected.T
    ends = np.zeros((2, len(words)))
    for result, concepts in zip(ends, plan.contrasts[contrast].T, strict=True):
        means(family_scores(directions), concepts, words, plan.sets, result)
    return ((ends[0] - ends[1]) / _lengths(directions, plan)[contrast])[plan.quadruples]


def _variances(directions: ConceptDirections) -> NDArray[np.float64]:
    """Variance of the same."""
    plan = _plan(directions.hierarchy, directions.train.tobytes())
    values = np.full(len(plan.projected), np.nan)
    for place, (contrast, words) in enumerate(plan.projected):
        w1, w0 = family_scores(directions)[np.ix_(plan.contrasts[contrast], plan.words[words])]
        if len(w1):
            values[place] = np.subtract(w1, w0, dtype=np.float64).var()
    return (values / _lengths(directions, plan)[plan.projected[:, 0]] ** 2)[plan.quadruples]


def _quadruples(hierarchy: ConceptHierarchy) -> Iterator[tuple[int, int, int, int]]:
    """Positions (w1, w0, z1, z0): siblings, and two children of w1."""
    below = hierarchy.reported_families
    for siblings in hierarchy.families.values():
        for first, second in combinations(siblings, 2):
            for upper, lower in ((first, second), (second, first)):
                for z0, z1 in combinations(below.get(upper, ()), 2):
                    yield upper, lower, z1, z0
