"""How much signal there is: squared lengths of concepts' means and contrasts, freed of noise, beside the noise."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.directions import TokenCloud
from geometry.display import short_repr
from geometry.evidence.splits import lemma_folds
from geometry.gram import RowGram
from geometry.randomness import generator

_SPLITS = 4

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SignalStrength:
    """What concepts add to their words, from folds of the words that share none. All by means, in units of the space.

    Attributes:
        edges: shape (E, 2), (parent, child) positions; a root of several hangs on all the words: parent −1.
        contrast: shape (E,), |m_child − m_rest|² of the child's words and the parent's others; may come out negative,
            and is nan where no division leaves words of both in either fold, as with a single lemma.
        mean: shape (k,), |m|² of each concept, nan likewise.
        noise: variance of words around their smallest concept's mean, per axis of the space.
    """

    edges: NDArray[np.int64]
    contrast: Values
    mean: Values
    noise: float

    __repr__ = short_repr

    @classmethod
    def of(cls, cloud: TokenCloud, *, seed: int = 0) -> "SignalStrength":
        """Of a cloud, averaged over 4 divisions of its lemmas into two folds."""
        hierarchy = cloud.hierarchy
        everything = np.arange(len(hierarchy.tokens))
        roots = [
            (-1, index)
            for index, name in enumerate(hierarchy.names)
            if not hierarchy.parents[name] and len(hierarchy.members[index]) < len(everything)
        ]
        edges = np.array([*hierarchy.edges, *roots], dtype=np.int64).reshape(-1, 2)
        rests = [
            np.setdiff1d(everything if parent < 0 else hierarchy.members[parent], hierarchy.members[child])
            for parent, child in edges
        ]
        sets = [*hierarchy.members, *rests]
        gram = RowGram(cloud.points, kept=False)
        k = len(hierarchy)
        contrast, mean = np.empty((_SPLITS, len(edges))), np.empty((_SPLITS, k))
        for number in range(_SPLITS):
            fold = lemma_folds(hierarchy, 2, generator(seed, "strength", number))
            one, other = (gram.means([members[fold[members] == part] for members in sets]) for part in (0, 1))
            contrast[number] = _inner(one[edges[:, 1]] - one[k:], other[edges[:, 1]] - other[k:])
            mean[number] = _inner(one[:k], other[:k])
        return cls(edges, mean_of_finite(contrast), mean_of_finite(mean), _noise(cloud, gram))

    def contrast_share(self) -> float:
        """Share of variance along a contrast that tells its two groups apart, |c|²/(|c|² + 4σ²), pooled over edges.

        Of equally many words on either side; 0 without signal. An effect d = |c|/σ of 0.2, 0.5 or 0.8 has a share of
        0.01, 0.06 or 0.14 (Cohen, Statistical Power Analysis, 1988).
        """
        return _share(self.contrast, self.noise)

    def mean_share(self) -> float:
        """The same of words of a concept against others, whose mean is the space's origin."""
        return _share(self.mean, self.noise)


def mean_of_finite(values: Values) -> Values:
    """Of each column, from the divisions in which every fold had words; nan where none had."""
    finite = np.isfinite(values)
    counts = finite.sum(axis=0)
    return np.where(counts > 0, np.where(finite, values, 0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def _share(squared: Values, noise: float) -> float:
    finite = squared[np.isfinite(squared)]
    signal = max(0.0, float(finite.mean())) if len(finite) else float("nan")
    return signal / (signal + 4 * noise) if signal + noise > 0 else float("nan")


def _inner(one: torch.Tensor, other: torch.Tensor) -> Values:
    return (one * other).sum(dim=1).cpu().double().numpy()


def _noise(cloud: TokenCloud, gram: RowGram) -> float:
    members = cloud.hierarchy.members
    smallest = np.zeros(len(cloud.points), dtype=np.int64)
    for index in sorted(range(len(members)), key=lambda index: -len(members[index])):
        smallest[members[index]] = index
    groups = [np.flatnonzero(smallest == index) for index in np.unique(smallest)]
    degrees = len(cloud.points) - len(groups)
    if degrees < 1:
        return float("nan")
    between = np.array([len(group) for group in groups]) @ gram.means(groups).square().sum(dim=1).cpu().double().numpy()
    total = float(cloud.points.double().square().sum())
    return float((total - between) / degrees / cloud.points.shape[1])
