"""What moving along a parent contrast does to log-odds: those of the parents should change, their children's not.

Adding δ = Σ^(-1/2) v to a final hidden state adds vᵀg(y) to the logit of every token y, in any context. So the change
of a log-odds is a difference of projections (Park et al., arXiv 2406.01506, table 1).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections
from geometry.structure.statistics.statistic import FEWEST, Statistic

__all__ = ["LogitChanges", "logit_changes", "logit_selectivity"]

# Positions (w1, w0, z1, z0): siblings, and two children of w1.
Quadruple = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class LogitChanges:
    """Changes of log-odds per unit step along ℓ_w1 − ℓ_w0, for every usable (w1, w0, z1, z0).

    Attributes
    ----------
    labels : "w0 → w1: z0, z1".
    parent, child : shape (m, 2), mean and standard deviation over word pairs of the change of
        log P(y1)/P(y0), in nats: y1, y0 unseen words of w1, w0 ("parent") and of z1, z0 ("child").
    """

    labels: tuple[str, ...]
    parent: NDArray[np.float64]
    child: NDArray[np.float64]

    @property
    def selectivity(self) -> NDArray[np.float64]:
        """(p − |c|)/(|p| + |c|) of the mean changes, shape (m,): 1 if only the parents' odds move, 0 if both alike."""
        return _selectivity(self.parent[:, 0], self.child[:, 0])


def logit_changes(directions: ConceptDirections) -> LogitChanges:
    """Changes on held-out words, for all siblings (w1, w0) and all pairs of children of w1.

    Words that both concepts of a pair hold are left out. nan where a concept has fewer than 3 others.
    """
    plan = _plan(directions.hierarchy, directions.train.tobytes())
    parent, child = _mean_changes(directions, plan)
    spread = np.full((2, len(plan.quadruples)), np.nan)
    unseen = np.flatnonzero(~directions.train)
    place = np.cumsum(~directions.train) - 1
    points = directions.cloud.points[torch.from_numpy(unseen)]
    runs = np.flatnonzero(np.any(np.diff(plan.quadruples[:, :2], axis=0, prepend=-1), axis=1))
    for start, stop in pairwise((*runs.tolist(), len(plan.quadruples))):
        w1, w0 = plan.quadruples[start, :2]
        contrast = directions.vectors[w1] - directions.vectors[w0]
        scores = (points @ (contrast / torch.linalg.vector_norm(contrast))).cpu().numpy()
        variance = {
            index: scores[place[plan.words[index]]].var()
            for index in np.unique(plan.sets[start:stop]).tolist()
            if len(plan.words[index]) >= FEWEST
        }
        for row in range(start, stop):
            one, other, third, fourth = (variance.get(index, np.nan) for index in plan.sets[row].tolist())
            spread[:, row] = np.sqrt(one + other), np.sqrt(third + fourth)
    parents, children = (np.stack(pair, axis=1) for pair in zip((parent, child), spread, strict=True))
    return LogitChanges(_labels(directions), parents, children)


def logit_selectivity() -> Statistic:
    """`LogitChanges.selectivity` after a lemma split; about −½ on noise, where p is negative as often as not."""

    def evaluate(directions: ConceptDirections) -> NDArray[np.float64]:
        plan = _plan(directions.hierarchy, directions.train.tobytes())
        return _selectivity(*_mean_changes(directions, plan))

    return Statistic("logit-selectivity/lemma", "lemma", -0.5, evaluate, _labels)


def _labels(directions: ConceptDirections) -> tuple[str, ...]:
    names = directions.hierarchy.names
    quadruples = _quadruples(directions.hierarchy)
    return tuple(f"{names[w0]} → {names[w1]}: {names[z0]}, {names[z1]}" for w1, w0, z1, z0 in quadruples)


def _selectivity(parent: NDArray[np.float64], child: NDArray[np.float64]) -> NDArray[np.float64]:
    leaked = np.abs(child)
    with np.errstate(invalid="ignore"):
        found: NDArray[np.float64] = (parent - leaked) / (np.abs(parent) + leaked)
    return found


@dataclass(frozen=True, eq=False)
class _Plan:
    """What to compare, for one hierarchy and split.

    Attributes
    ----------
    quadruples : (w1, w0, z1, z0), shape (m, 4).
    sets : of unseen words of w1 but not w0, of w0 but not w1, and likewise of z1 and z0: rows of `mean`.
    words : the sets, as positions of tokens.
    mean : sparse, shape (sets, T); takes points to the mean of each set.
    """

    quadruples: NDArray[np.int64]
    sets: NDArray[np.int64]
    words: list[NDArray[np.int64]]
    mean: csr_array


# The row nulls share hierarchy and split with the model.
@lru_cache(maxsize=4)
def _plan(hierarchy: ConceptHierarchy, train: bytes) -> _Plan:
    mask = np.frombuffer(train, dtype=bool)
    unseen = [members[~mask[members]] for members in hierarchy.members]
    quadruples = np.array(list(_quadruples(hierarchy)), dtype=np.int64).reshape(-1, 4)
    w1, w0, z1, z0 = quadruples.T
    pairs = np.stack([w1, w0, w0, w1, z1, z0, z0, z1], axis=1).reshape(-1, 2)
    unique, sets = np.unique(pairs, axis=0, return_inverse=True)
    words = [np.setdiff1d(unseen[one], hierarchy.members[other], assume_unique=True) for one, other in unique]
    counts = np.array([len(some) for some in words], dtype=np.int64)
    weights = 1 / np.maximum(counts, 1)
    ends = np.concatenate([[0], np.cumsum(counts)])
    columns = np.concatenate([*words, np.empty(0, dtype=np.int64)])
    mean = csr_array((np.repeat(weights, counts), columns, ends), shape=(len(words), len(mask)))
    return _Plan(quadruples, sets.reshape(-1, 4), words, mean)


def _mean_changes(directions: ConceptDirections, plan: _Plan) -> NDArray[np.float64]:
    """Mean changes of parent and child log-odds, shape (2, m)."""
    device = directions.vectors.device
    means = torch.from_numpy(plan.mean @ directions.cloud.points.cpu().numpy()).to(device)
    means[torch.from_numpy(np.diff(plan.mean.indptr) < FEWEST)] = torch.nan
    w1, w0 = torch.from_numpy(plan.quadruples[:, :2].T.copy())
    units = torch.nn.functional.normalize(directions.vectors[w1] - directions.vectors[w0], dim=1)
    p1, p0, c1, c0 = torch.from_numpy(plan.sets.T.copy())
    changes = [((means[one] - means[other]) * units).sum(dim=1) for one, other in ((p1, p0), (c1, c0))]
    return torch.stack(changes).cpu().numpy().astype(np.float64)


def _quadruples(hierarchy: ConceptHierarchy) -> Iterator[Quadruple]:
    below = hierarchy.reported_families
    for siblings in hierarchy.families.values():
        for first, second in combinations(siblings, 2):
            for upper, lower in ((first, second), (second, first)):
                for z0, z1 in combinations(below.get(upper, ()), 2):
                    yield upper, lower, z1, z0
