"""One permutation of a model's claims through indices, its fits and all of it, against fits of the permuted rows."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections, TokenCloud, thinned
from geometry.estimators import concept_vector
from geometry.evidence import CLAIMS, MAX_TOKENS, NULLS, Statistic, test_against_nulls, train_mask, training_parts
from geometry.evidence.splits import Split
from geometry.experiments.benchmark.common import PERMUTATIONS, Comparison, Work, cpu_seconds, one_thread
from geometry.experiments.benchmark.synthetic import widened
from geometry.randomness import generator
from geometry.results import Results

_SEED, _PERMUTED = 0, "permuted"
_MORE = 4  # permutations: those of one call more than of another, whose difference is theirs alone

STATISTICS = tuple(
    statistic
    for claim in CLAIMS
    if not claim.orthogonality
    for statistic in (claim.statistic, *claim.consults.values())
    if _PERMUTED not in statistic.not_beside
)


def through_indices(space: CausalSpace, cloud: TokenCloud, n_permutations: int) -> Results:
    """All claims but orthogonality, which has no permutations, on a cloud and so many permutations of its lemmas."""
    return test_against_nulls(
        space, cloud, STATISTICS, nulls=[_PERMUTED], n_permutations=n_permutations, missing="nan", seed=_SEED,
        progress=False,
    )  # fmt: skip


def from_rows(space: CausalSpace, cloud: TokenCloud, number: int = 0) -> dict[str, NDArray[np.float64]]:
    """The same of permutation so many, statistic → values, with each concept fitted by itself to its permuted rows."""
    moved = cloud.moved(_permuted(space, cloud, number).points)
    values: dict[str, NDArray[np.float64]] = {}
    for split, parts in _parts(cloud).items():
        fits = [_each_by_itself(moved, train) for train in parts]
        own: Sequence[Statistic] = [statistic for statistic in STATISTICS if statistic.split == split]
        values |= {statistic.name: statistic.evaluate(*fits) for statistic in own}
    return values


def fits_through_indices(permuted: TokenCloud) -> list[ConceptDirections]:
    """The fits of a permutation, those of all splits."""
    fit = partial(ConceptDirections.fit_cloud, permuted, max_tokens=MAX_TOKENS, missing="nan")
    return [fit(train=train) for parts in _parts(permuted).values() for train in parts]


def fits_from_rows(moved: TokenCloud) -> list[ConceptDirections]:
    """The same, each concept by itself."""
    return [_each_by_itself(moved, train) for parts in _parts(moved).values() for train in parts]


def _permuted(space: CausalSpace, cloud: TokenCloud, number: int) -> TokenCloud:
    return NULLS[_PERMUTED].draw(space, cloud, generator(_SEED, _PERMUTED, number))


def _parts(cloud: TokenCloud) -> dict[Split, tuple[NDArray[np.bool_], ...]]:
    """Split → the tokens of each of its parts."""
    splits = dict.fromkeys(statistic.split for statistic in STATISTICS)
    masks = {split: train_mask(cloud.hierarchy, split, generator(_SEED, split)) for split in splits}
    return {split: training_parts(split, mask) for split, mask in masks.items()}


def _as_permuted(cloud: TokenCloud) -> torch.Tensor:
    """The rows in the precision that permutations of them have."""
    return cloud.permuted(np.arange(len(cloud.points))).points


def _each_by_itself(cloud: TokenCloud, train: NDArray[np.bool_]) -> ConceptDirections:
    sets = [thinned(members[train[members]], MAX_TOKENS) for members in cloud.hierarchy.members]
    nothing = torch.full_like(cloud.points[0], torch.nan)
    fits = [concept_vector(cloud.points[torch.from_numpy(members)]) if len(members) else None for members in sets]
    vectors = torch.stack([nothing if fit is None else fit.vector for fit in fits])
    shrinkage = np.array([np.nan if fit is None else fit.shrinkage for fit in fits])
    degenerate = np.array([fit is None or fit.degenerate for fit in fits])
    return ConceptDirections(cloud, vectors, shrinkage, degenerate, "lda", train, MAX_TOKENS)


def one_permutation(space: CausalSpace, cloud: TokenCloud, clock: Callable[[Work], float] = cpu_seconds) -> float:
    """Seconds of one permutation through indices: what more of them take."""
    few, more = (clock(partial(through_indices, space, cloud, 1 + extra)) for extra in (0, _MORE))
    return max(more - few, 1e-9) / _MORE


def compare_permutations(
    space: CausalSpace, nouns: ConceptHierarchy, widest: int, rounds: int, promised: Sequence[float | None]
) -> list[Comparison]:
    """At the model's own width and at `widest`, and what the width costs. Each side has one thread.

    `promised` are the least ratios of whole permutations at the own width, at the widest, and of the two.
    """
    cloud = TokenCloud.of(space, nouns)
    widths = [space.width, *([widest] if widest > space.width else [])]
    comparisons, whole = list[Comparison](), list[Comparison]()
    with one_thread():
        for width, least in zip(widths, promised, strict=False):
            own = cloud if width == space.width else cloud.moved(widened(_as_permuted(cloud), width))
            through_indices(space, own, 1)  # compiles, and multiplies all rows: once for all permutations
            fits, direct_fits = list[float](), list[float]()
            ours, direct = list[float](), list[float]()
            for number in range(rounds):
                permuted = _permuted(space, own, number)
                moved = own.moved(permuted.points)
                fits.append(cpu_seconds(partial(fits_through_indices, permuted)))
                direct_fits.append(cpu_seconds(partial(fits_from_rows, moved)))
                ours.append(one_permutation(space, own))
                direct.append(cpu_seconds(partial(from_rows, space, own, number)))
            said, instead = f"all fits of one permutation, d = {width:,}", "each concept from its rows"
            comparisons.append(Comparison(PERMUTATIONS, said, instead, fits, direct_fits))
            said = f"one permutation with its statistics, d = {width:,}"
            whole.append(Comparison(PERMUTATIONS, said, instead, ours, direct, promised=least))
    comparisons += whole
    if len(whole) > 1:
        small, large = (comparison.ours for comparison in whole)
        said, instead = f"one permutation, d = {widest:,}", f"the same, d = {space.width:,}"
        comparisons.append(Comparison(PERMUTATIONS, said, instead, large, small, promised=promised[-1]))
    return comparisons
