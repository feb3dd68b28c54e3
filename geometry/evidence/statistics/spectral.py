"""Spectral splitting: leading eigenvectors of the words separate the coarse branches of a tree, later ones the fine."""

from functools import lru_cache
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from geometry.concepts import ConceptHierarchy
from geometry.concepts.hierarchy import incidence
from geometry.directions import ConceptDirections, TokenCloud
from geometry.evidence.requirements import FEWEST, Requirement
from geometry.evidence.statistics.statistic import Statistic

_RESAMPLES = 500
_FEWEST_NODES = 2 * FEWEST
# The words stay where they are whatever the estimator, and drawn concepts are no tree.
_NOT_BESIDE = ("random_subset", "random_parent", "mean_estimator")


def spectral_splitting() -> Statistic:
    """Share of a level's contrasts that lies in as many leading eigenvectors as there are contrasts down to it.

    >>> results = geo.test_against_nulls(space, hierarchy, [spectral_splitting()])  # doctest: +SKIP
    >>> results["spectral_splitting"].value, results["spectral_splitting"].nulls["permuted"].mean  # doctest: +SKIP
    (0.05, 0.00)

    The rows x are the means of the forms of each lemma, shape (n, d), centred; u₁, u₂ … are the eigenvectors of their
    Gram matrix, largest eigenvalue first. At a concept with c children, c − 1 orthonormal contrasts q tell the lemmas
    of one child from another's; those of all concepts are orthogonal, and the eigenvectors of any kernel that depends
    on the tree alone. With R contrasts at concepts down to level t, S_t = mean over the level's q of Σ_{i ≤ R} (qᵀuᵢ)²,
    given as (S_t − R/(n − 1)) / (1 − R/(n − 1)): 0 for exchangeable lemmas, 1 if the leading eigenvectors split the
    tree coarse to fine. One number a level; nan of levels with more contrasts than the rows have dimensions.

    Lemmas that are in two branches, by first parents, are left out, and so are children with fewer than 3 others.
    Source of the claim: Nava and Wyart, arXiv 2605.23821; they show it by eigenvectors and by theory, and this measure
    of it is the package's own.
    """
    return Statistic("spectral_splitting", "whole", 0.0, _splitting, _levels, _NOT_BESIDE, requires=(_TWO_LEVELS,))


def spectral_order() -> Statistic:
    """Rank correlation of a concept's level with where its contrasts lie in the spectrum: 1 if coarse come first.

    >>> results = geo.test_against_nulls(space, hierarchy, [spectral_order()])  # doctest: +SKIP
    >>> results["spectral_order"].value, results["spectral_order"].nulls["permuted"].mean  # doctest: +SKIP
    (0.34, 0.07)

    With q and u of `spectral_splitting`, a concept's place is Σ i (qᵀuᵢ)² / Σ (qᵀuᵢ)², over its q and all i: the mean
    index of the eigenvectors that its children differ along. Somers' D of places given levels: over the pairs of
    concepts on two levels, the share of which the coarser comes first less the share of which it does not. 0 for
    exchangeable lemmas, whose places are the same in the mean; the interval draws concepts again.

    Source: the order is claimed by Nava and Wyart, arXiv 2605.23821; the measure is the package's own, by Somers, Am.
    Sociol. Rev. 27 (1962).
    """
    requires = (_TWO_LEVELS, _ENOUGH_CONCEPTS)
    return Statistic(
        "spectral_order", "whole", 0.0, _order, _order_label, _NOT_BESIDE, _resampled_order, requires=requires
    )


class _Tree(NamedTuple):
    """Which lemmas are averaged, and contrasts as coefficients of their sums by deepest concept."""

    tokens: NDArray[np.int64]  # (m,), those of lemmas in one branch
    means: csr_array  # (n, m), from tokens to lemmas
    sums: csr_array  # (k, n), from lemmas to the deepest concept that holds each
    contrasts: NDArray[np.float64]  # (R, k), ordered by level
    nodes: NDArray[np.int64]  # (R,), the concept whose children each tells apart
    levels: NDArray[np.int64]  # (R,)


# Row nulls share the model's hierarchy, so this is worked out once for all of their permutations.
@lru_cache(maxsize=8)
def _tree(hierarchy: ConceptHierarchy) -> _Tree:
    owner, lemma = _owners(hierarchy)
    tokens = np.flatnonzero(owner >= 0)
    _, first, number, forms = np.unique(lemma[tokens], return_index=True, return_inverse=True, return_counts=True)
    n, k = len(first), len(hierarchy)
    means = csr_array((1 / forms[number], (number, np.arange(len(tokens)))), shape=(n, len(tokens)))
    of = owner[tokens[first]]
    sums = csr_array((np.ones(n), (of, np.arange(n))), shape=(k, n))
    below = _below(hierarchy)
    sizes = below @ np.bincount(of, minlength=k)
    rows, nodes = [np.empty((0, k))], []
    for node in np.argsort(hierarchy.depths, kind="stable"):
        children = [child for child in _children(hierarchy, int(node)) if sizes[child] >= FEWEST]
        if len(children) > 1:
            weights = np.sqrt(sizes[children])
            basis = np.linalg.qr(np.column_stack([weights, np.eye(len(children))[:, 1:]]))[0][:, 1:]
            rows.append((basis / weights[:, None]).T @ below[children])
            nodes += [int(node)] * (len(children) - 1)
    where = np.array(nodes, dtype=np.int64)
    return _Tree(tokens, means, sums, np.concatenate(rows), where, hierarchy.depths[where])


def _owners(hierarchy: ConceptHierarchy) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The deepest concept that holds each token's lemma, −1 where it is in two branches, and the lemma."""
    held = incidence(hierarchy.members, len(hierarchy.tokens))
    owner = np.zeros(len(hierarchy.tokens), dtype=np.int64)
    for concept in np.argsort(hierarchy.depths, kind="stable"):
        owner[hierarchy.members[concept]] = concept
    # A concept's words are its parents' too, so that what is in no other branch is in one concept a level.
    owner[held.sum(axis=0) != hierarchy.depths[owner] + 1] = -1
    lemma = hierarchy.lemmas
    low, high = np.full(lemma.max() + 1, len(hierarchy)), np.full(lemma.max() + 1, -1)
    np.minimum.at(low, lemma, owner)
    np.maximum.at(high, lemma, owner)
    return np.where((low == high)[lemma], owner, -1), lemma


def _children(hierarchy: ConceptHierarchy, node: int) -> list[int]:
    return [int(child) for child in np.flatnonzero(hierarchy.above == node) if child != node]


def _below(hierarchy: ConceptHierarchy) -> NDArray[np.float64]:
    """1 where a concept (column) is another (row) or below it by first parents, shape (k, k)."""
    below = np.eye(len(hierarchy))
    for concept in range(len(hierarchy) - 1, -1, -1):
        if (parent := hierarchy.above[concept]) != concept:
            below[parent] += below[concept]
    return below


def _n_levels(hierarchy: ConceptHierarchy) -> int:
    return len(np.unique(_tree(hierarchy).levels))


def _n_nodes(hierarchy: ConceptHierarchy) -> int:
    return len(np.unique(_tree(hierarchy).nodes))


_SPLIT = f"concepts with two children of {FEWEST} lemmas in one branch"
_TWO_LEVELS = Requirement(f"levels of {_SPLIT}", 2, _n_levels)
_ENOUGH_CONCEPTS = Requirement(_SPLIT, _FEWEST_NODES, _n_nodes)


def _levels(directions: ConceptDirections) -> tuple[str, ...]:
    levels, counts = np.unique(_tree(directions.hierarchy).levels, return_counts=True)
    return tuple(f"level {level} ({count})" for level, count in zip(levels.tolist(), counts.tolist(), strict=True))


def _order_label(directions: ConceptDirections) -> tuple[str, ...]:  # noqa: ARG001 (as of any statistic)
    return ("level and place in the spectrum",)


def _splitting(directions: ConceptDirections) -> NDArray[np.float64]:
    tree, shares = _tree(directions.hierarchy), _shares(directions.cloud)
    levels, counts = np.unique(tree.levels, return_counts=True)
    n, down_to = tree.means.shape[0], np.cumsum(counts)
    if len(levels) < 2:
        return np.full(len(levels), np.nan)
    result = np.full(len(levels), np.nan)
    for index, (level, total) in enumerate(zip(levels, down_to, strict=True)):
        if total <= shares.shape[1] and total < n - 1:
            chance = total / (n - 1)
            found = shares[tree.levels == level, :total].sum(axis=1).mean()
            result[index] = (found - chance) / (1 - chance)
    return result


def _order(directions: ConceptDirections) -> NDArray[np.float64]:
    concordance, counted = _concordance(directions)
    return np.array([concordance.sum() / total if (total := counted.sum()) else np.nan])


def _resampled_order(directions: ConceptDirections, rng: np.random.Generator) -> NDArray[np.float64]:
    concordance, counted = _concordance(directions)
    k = len(counted)
    weights = rng.multinomial(k, np.full(k, 1 / max(k, 1)), size=_RESAMPLES).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        sums = (np.einsum("ri,ri->r", weights @ matrix, weights) for matrix in (concordance, counted))
        return np.asarray(next(sums) / next(sums))


def _concordance(directions: ConceptDirections) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of every two concepts 1 if the coarser comes first, −1 if the finer does; and 1 if their levels differ."""
    levels, places = _places(directions)
    if len(levels) < _FEWEST_NODES or not np.isfinite(places).all():
        return np.zeros((len(levels),) * 2), np.zeros((len(levels),) * 2)
    finer = np.sign(levels[:, None] - levels).astype(np.float64)
    return finer * np.sign(places[:, None] - places), np.abs(finer)


def _places(directions: ConceptDirections) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Level and mean index of the eigenvectors of every concept whose children are compared."""
    tree, shares = _tree(directions.hierarchy), _shares(directions.cloud)
    nodes, which = np.unique(tree.nodes, return_inverse=True)
    first = np.bincount(which, shares @ np.arange(1, shares.shape[1] + 1), len(nodes))
    with np.errstate(invalid="ignore", divide="ignore"):
        places = first / np.bincount(which, shares.sum(axis=1), len(nodes))
    return directions.hierarchy.depths[nodes], places


# Both statistics ask for it, of clouds that are gone afterwards.
_KNOWN: "WeakKeyDictionary[TokenCloud, NDArray[np.float64]]" = WeakKeyDictionary()


def _shares(cloud: TokenCloud) -> NDArray[np.float64]:
    """(qᵀuᵢ)² of every contrast and every eigenvector of a positive eigenvalue, shape (R, r)."""
    if (known := _KNOWN.get(cloud)) is not None:
        return known
    tree = _tree(cloud.hierarchy)
    if not len(tree.contrasts):
        return np.empty((0, 0))
    points = cloud.at(tree.tokens).cpu().double().numpy()
    rows = tree.means @ points
    rows -= rows.mean(axis=0)
    values, vectors = (found.numpy() for found in torch.linalg.eigh(torch.from_numpy(rows.T @ rows)))
    # Beyond the digits of the points there is rounding, not variance.
    precision = np.finfo(np.float32).eps ** 2 * max(rows.shape) * np.square(points).sum()
    positive = np.flatnonzero(values > precision)[::-1]
    # u = XW/√λ for the centred rows X, of which the d × d scatter has eigenvectors W.
    products = (tree.contrasts @ (tree.sums @ rows)) @ vectors[:, positive]
    shares = _KNOWN[cloud] = products**2 / values[positive]
    return shares
