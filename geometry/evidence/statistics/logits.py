"""What moving along a parent contrast does to log-odds: those of the parents should change, their children's not.

Adding δ = Σ^(-1/2) v to a final hidden state adds vᵀg(y) to the logit of every token y, in any context. So the change
of a log-odds is a difference of projections (Park et al., arXiv 2406.01506, table 1).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections
from geometry.evidence.statistics.statistic import FEWEST, Statistic


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
    means, variances = _moments(directions)
    parents, children = (
        np.stack([means[:, first] - means[:, second], np.sqrt(variances[:, first] + variances[:, second])], axis=1)
        for first, second in ((0, 1), (2, 3))
    )
    return LogitChanges(_labels(directions), parents, children)


def logit_selectivity() -> Statistic:
    """`LogitChanges.selectivity` after a lemma split; about −½ on noise, where p is negative as often as not."""

    def evaluate(directions: ConceptDirections) -> NDArray[np.float64]:
        means, _ = _moments(directions)
        return _selectivity(means[:, 0] - means[:, 1], means[:, 2] - means[:, 3])

    return Statistic("logit_selectivity", "lemma", -0.5, evaluate, _labels)


def _labels(directions: ConceptDirections) -> tuple[str, ...]:
    names, quadruples = directions.hierarchy.names, _quadruples(directions.hierarchy)
    return tuple(f"{names[w0]} → {names[w1]}: {names[z0]}, {names[z1]}" for w1, w0, z1, z0 in quadruples)


def _selectivity(parent: NDArray[np.float64], child: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        return (parent - np.abs(child)) / (np.abs(parent) + np.abs(child))


@dataclass(frozen=True, eq=False)
class _Plan:
    """What to project on what, for one hierarchy and split.

    Attributes:
        contrasts: the (w1, w0), shape (c, 2).
        sets: of each quadruple: held-out words of w1 but not w0, of w0 but not w1, and likewise of z1 and z0, as places
            in the list of all (contrast, set); shape (m, 4).
        starts, counts: of each (contrast, set) in the two lists below; sets of too few words count none.
        contrast, word: of every projection a set's mean is taken over, as places in `contrasts` and among held-out
            words.
    """

    contrasts: NDArray[np.int64]
    sets: NDArray[np.int64]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    contrast: NDArray[np.int64]
    word: NDArray[np.int64]


# The row nulls share hierarchy and split with the model.
@lru_cache(maxsize=4)
def _plan(hierarchy: ConceptHierarchy, train: bytes) -> _Plan:
    mask = np.frombuffer(train, dtype=bool)
    index = np.cumsum(~mask) - 1
    held_out = [members[~mask[members]] for members in hierarchy.members]
    quadruples = np.array(list(_quadruples(hierarchy)), dtype=np.int64).reshape(-1, 4)
    contrasts, of = np.unique(quadruples[:, :2], axis=0, return_inverse=True)
    w1, w0, z1, z0 = quadruples.T
    wanted = np.stack([of.ravel(), w1, w0, of.ravel(), w0, w1, of.ravel(), z1, z0, of.ravel(), z0, z1], axis=1)
    unique, sets = np.unique(wanted.reshape(-1, 3), axis=0, return_inverse=True)
    words = [
        index[np.setdiff1d(held_out[first], hierarchy.members[second], assume_unique=True)]
        for _, first, second in unique
    ]
    words = [subset if len(subset) >= FEWEST else subset[:0] for subset in words]
    counts = np.array([len(subset) for subset in words], dtype=np.int64)
    word, starts = np.concatenate([*words, np.empty(0, dtype=np.int64)]), np.cumsum(counts) - counts
    return _Plan(contrasts, sets.reshape(-1, 4), starts, counts, np.repeat(unique[:, 0], counts), word)


def _moments(directions: ConceptDirections) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance of the projections of each quadruple's four sets of words, shape (m, 4) each."""
    plan = _plan(directions.hierarchy, directions.train.tobytes())
    w1, w0 = torch.from_numpy(plan.contrasts.T.copy())
    units = torch.nn.functional.normalize(directions.vectors[w1] - directions.vectors[w0], dim=1)
    points = directions.cloud.points[torch.from_numpy(~directions.train)]
    projections = (points @ units.T).double().cpu().numpy()[plan.word, plan.contrast]
    means, variances = np.full((2, len(plan.counts)), np.nan)
    if len(plan.word):
        used = plan.counts > 0
        starts, counts = plan.starts[used], plan.counts[used]
        means[used] = np.add.reduceat(projections, starts) / counts
        squares = (projections - np.repeat(means, plan.counts)) ** 2
        variances[used] = np.add.reduceat(squares, starts) / counts
    return means[plan.sets], variances[plan.sets]


def _quadruples(hierarchy: ConceptHierarchy) -> Iterator[tuple[int, int, int, int]]:
    """Positions (w1, w0, z1, z0): siblings, and two children of w1."""
    below = hierarchy.reported_families
    for siblings in hierarchy.families.values():
        for first, second in combinations(siblings, 2):
            for upper, lower in ((first, second), (second, first)):
                for z0, z1 in combinations(below.get(upper, ()), 2):
                    yield upper, lower, z1, z0
