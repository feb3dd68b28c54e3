"""Linear probes for the tree: a concept's depth, and the distance of two, from their vectors in held-out families."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import rankdata

from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections
from geometry.evidence.requirements import FEWEST, Requirement, halvable
from geometry.evidence.statistics.statistic import Statistic
from geometry.evidence.statistics.tree import shared_words

_FOLDS = 5
_FEWEST_FAMILIES = 2 * _FOLDS
_DIMENSIONS, _EQUAL = 32, 1e-8
# Drawn concepts hang where they were not drawn for, and have no depth of their own.
_NOT_BESIDE = ("random_subset", "random_parent")
Array = NDArray[np.float64]


def depth_probe() -> Statistic:
    """Spearman's ρ of the depth that a ridge probe reads off held-out families' vectors with their depth in the tree.

    >>> results = geo.test_against_nulls(space, hierarchy, [depth_probe()])  # doctest: +SKIP
    >>> results["depth_probe"].value, results["depth_probe"].nulls["permuted"].mean  # doctest: +SKIP
    (0.42, 0.08)

    The probe is fitted to the vectors ℓ (LDA or means, as the run's) of one half of the lemmas in four fifths of the
    families (concepts with the same first parent), and read on the vectors of the other half of the lemmas in the last
    fifth: no lemma and no family is on both sides. β = Xᵀ(XXᵀ + λI)⁻¹(y − ȳ) for training rows X less their mean and
    depths y, λ = ‖X‖²_F/n, their mean squared length. One number a fold, of both halves in turn; 0 for noise, and nan
    of a fold of one depth. Ties keep it below 1.

    What it leaves open: concepts that lie deep are small, which a probe may see in their vectors' lengths; permuted
    lemmas keep the sizes. The theory promises no such direction: in a regular tree of orthogonal steps held-out
    families give ρ < 0, in SmolLM2's exact theory twins 0.4, as in the model; so it is read beside twins too.

    Source: H-probes, Dawes et al., arXiv 2605.00847, of hidden states; ridge regression in closed form and the division
    are the package's own.
    """
    return Statistic("depth_probe", "halves", 0.0, _depths, _labels, _NOT_BESIDE, requires=_REQUIRES)


def distance_probe() -> Statistic:
    """Spearman's ρ of probed squared distances with tree distances, over pairs in held-out families.

    >>> results = geo.test_against_nulls(space, hierarchy, [distance_probe()])  # doctest: +SKIP
    >>> results["distance_probe"].value, results["distance_probe"].nulls["permuted"].mean  # doctest: +SKIP
    (0.55, 0.06)

    A structural probe in closed form: a linear map B of low rank by which ‖B(ℓ_w − ℓ_z)‖² approximates the number of
    edges between w and z. Squared Euclidean distances can be those of any tree, so classical scaling of the training
    concepts' tree distances D, −½JDJ = ZZᵀ, gives the coordinates that B should map to; B is the ridge regression of
    the leading 32 (and those equal to the last) on the training vectors, with the halves, folds and λ of `depth_probe`.
    Held-out distances are cross-validated, ⟨B(ℓ_w − ℓ_z), B(ℓ'_w − ℓ'_z)⟩ for ℓ' of the half that B was not fitted to
    and ℓ of the half that it was: lemmas of ℓ may be in the training vectors, none of ℓ' is, so that ρ is 0 for noise.
    Squared lengths alone would find the vectors of small concepts, which lie deep, far apart, a ρ of 0.3 to 0.4 for
    random rows. Pairs with a common word do not count. One number a fold, of both halves in turn. Trees of a forest
    count as joined at a root above theirs. Permuted lemmas keep sizes and shares of frequent words, which a model may
    encode: their ρ need not be 0.

    Source: Hewitt and Manning, NAACL 2019, who fit B by gradient descent; H-probes, Dawes et al., arXiv 2605.00847;
    cross-validated distances, Diedrichsen et al., arXiv 1607.01371.
    """
    return Statistic("distance_probe", "halves", 0.0, _distances, _labels, _NOT_BESIDE, requires=_REQUIRES)


class _Fold(NamedTuple):
    train: NDArray[np.int64]  # concepts
    test: NDArray[np.int64]
    targets: Array  # (n, 1 + c) of training concepts: centred depth, and coordinates of the tree
    depths: Array  # centred ranks, of test concepts
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]]  # of test concepts, without a common word
    distances: Array  # centred ranks, of these pairs


# Row nulls share the model's hierarchy, so these are worked out once for all of their permutations.
@lru_cache(maxsize=8)
def _folds(hierarchy: ConceptHierarchy, fitted: bytes) -> tuple[_Fold, ...]:
    """Families in turn to the folds, so that every fold has shallow and deep ones; none if they are too few."""
    concepts = np.flatnonzero(np.frombuffer(fitted, dtype=bool))
    families, family = np.unique(hierarchy.above[concepts], return_inverse=True)
    if len(families) < _FEWEST_FAMILIES:
        return ()
    distance, shared = _tree_distances(hierarchy), shared_words(hierarchy)
    folds = []
    for fold in range(_FOLDS):
        held_out = family % _FOLDS == fold
        train, test = concepts[~held_out], concepts[held_out]
        depths = hierarchy.depths[train] - hierarchy.depths[train].mean()
        first, second = np.triu_indices(len(test), 1)
        apart = shared[test[first], test[second]] == 0
        first, second = first[apart], second[apart]
        folds.append(
            _Fold(
                train,
                test,
                np.column_stack([depths, _coordinates(distance[np.ix_(train, train)])]),
                _centred_ranks(hierarchy.depths[test].astype(np.float64)),
                (first, second),
                _centred_ranks(distance[test[first], test[second]]),
            )
        )
    return tuple(folds)


def _tree_distances(hierarchy: ConceptHierarchy) -> Array:
    distance = hierarchy.tree_distance()
    over_a_root = hierarchy.depths[:, None] + hierarchy.depths[None] + 2.0
    return np.where(np.isfinite(distance), distance, over_a_root)


def _coordinates(distance: Array) -> Array:
    """Classical scaling: points whose squared distances are nearest the given ones, along about 32 axes."""
    centred = distance - distance.mean(axis=0) - distance.mean(axis=1)[:, None] + distance.mean()
    values, vectors = np.linalg.eigh(-centred / 2)
    # Of equal ones all or none: which of them comes first is a matter of rounding.
    last = values[::-1][:_DIMENSIONS][-1] * (1 - _EQUAL)
    kept = values >= max(last, _EQUAL * values[-1])
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))


def _depths(*halves: ConceptDirections) -> Array:
    return _probed(_of_depths, *halves)


def _distances(*halves: ConceptDirections) -> Array:
    return _probed(_of_distances, *halves)


def _probed(score: Callable[[_Fold, Array, Array], float], *halves: ConceptDirections) -> Array:
    """Of every fold the mean score of both halves in turn, shape (5,)."""
    vectors = [half.numpy().astype(np.float64) for half in halves]
    fitted = np.asarray(np.isfinite(np.hstack(vectors)).all(axis=1))
    first, second = (np.where(fitted[:, None], half, 0) for half in vectors)
    folds = _folds(halves[0].hierarchy, fitted.tobytes())
    result = np.full((2, _FOLDS), np.nan)
    for row, (own, other) in enumerate(((first, second), (second, first))):
        within, across = own @ own.T, other @ own.T
        for column, fold in enumerate(folds):
            if (weights := _weights(fold, within)) is not None:
                read = (products[np.ix_(fold.test, fold.train)] @ weights for products in (within, across))
                result[row, column] = score(fold, *read)
    return np.asarray(result.mean(axis=0))


def _weights(fold: _Fold, within: Array) -> Array | None:
    """Ridge regression by inner products: what a test concept's products with the training ones are weighed by.

    They sum to 0, so that where the origin is changes all test concepts alike, which neither ranks nor distances see.
    None where nothing varies.
    """
    gram = within[np.ix_(fold.train, fold.train)]
    means, largest = gram.mean(axis=0), gram.diagonal().max()
    gram = gram - means - means[:, None] + means.mean()
    ridge = gram.trace() / len(gram)
    if ridge <= len(gram) * np.finfo(np.float32).eps ** 2 * largest:  # rounding
        return None
    gram[np.diag_indices_from(gram)] += ridge
    weights = cho_solve(cho_factor(gram, overwrite_a=True, check_finite=False), fold.targets)
    return np.asarray(weights - weights.mean(axis=0))  # already 0 but for rounding


def _of_depths(fold: _Fold, own: Array, other: Array) -> float:  # noqa: ARG001 (as of any score)
    return _correlation(other[:, 0], fold.depths)


def _of_distances(fold: _Fold, own: Array, other: Array) -> float:
    products = own[:, 1:] @ other[:, 1:].T
    squares = products.diagonal()
    return _correlation((squares[:, None] + squares - products - products.T)[fold.pairs], fold.distances)


def _correlation(values: Array, ranks: Array) -> float:
    if len(values) < FEWEST:
        return np.nan
    found = _centred_ranks(values)
    scale = np.sqrt((found @ found) * (ranks @ ranks))
    return float(found @ ranks / scale) if scale > 0 else np.nan


def _centred_ranks(values: Array) -> Array:
    return np.asarray(rankdata(values) - (len(values) + 1) / 2)


def _labels(directions: ConceptDirections) -> tuple[str, ...]:  # noqa: ARG001 (as of any statistic)
    return tuple(f"fold {fold + 1}" for fold in range(_FOLDS))


def _n_families(hierarchy: ConceptHierarchy) -> int:
    return len(np.unique(hierarchy.above[halvable(hierarchy)]))


_REQUIRES = (Requirement("families of concepts of 2 lemmas", _FEWEST_FAMILIES, _n_families),)
