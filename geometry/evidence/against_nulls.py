"""Run statistics on a model and on its null models, fitting each cloud once per split.

Clouds are visited one at a time and dropped, so memory does not grow with the number of permutations.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections, TokenCloud
from geometry.errors import EstimationError
from geometry.estimators import Estimator
from geometry.evidence.nulls import BASIC_NULLS, NULLS, NullModel
from geometry.evidence.splits import Split, train_mask, training_parts
from geometry.evidence.statistics.statistic import Statistic
from geometry.memory import give_back
from geometry.randomness import generator
from geometry.results import NullValues, Results, TestResult

# What concepts are fitted to at most: one bound for all models, nulls and studies, so that numbers compare.
MAX_TOKENS = 256

_WORTH_SHARING = 1 << 20
_TOO_MANY = 1 << 24

Fits = tuple[ConceptDirections, ...]  # one, or those of two halves


def test_against_nulls(
    space: CausalSpace,
    concepts: ConceptHierarchy | TokenCloud,
    statistics: Sequence[Statistic],
    *,
    nulls: Sequence[str] | Mapping[str, NullModel] = BASIC_NULLS,
    n_permutations: int | Mapping[str, int] = 3,
    estimator: Estimator = "lda",
    train_fraction: float = 0.7,
    max_tokens: int | None = MAX_TOKENS,
    missing: Literal["raise", "nan"] = "raise",
    seed: int = 0,
    progress: bool | None = None,
) -> Results:
    """Evaluate every statistic on the model and on permutations of each null.

    >>> results = test_against_nulls(space, hierarchy, [projection()], nulls=["shuffled"])  # doctest: +SKIP
    >>> results["projection"].value, results["projection"].nulls["shuffled"].mean  # doctest: +SKIP
    (0.59, -0.01)

    Parameters:
        concepts: a hierarchy of tokens, or a cloud of whatever else belongs to concepts, such as the final hidden
            states of prompts; the latter takes nulls of its own.
        nulls: names from `NULLS`, or name → null model of one's own. A statistic passes over those it means nothing on.
        n_permutations: of each null, or by name; a null that is not random is drawn once.
        train_fraction: of tokens or lemmas, to fit on in split statistics. One split serves the model and all nulls.
        max_tokens: fit concepts to at most so many tokens; see `ConceptDirections.fit_cloud`. None: to all.
        missing: concepts too small to split, and statistics with nothing to be measured on, raise, or give nan.
        seed: the only source of randomness; each null and permutation has its own generator, so that adding
            permutations or nulls leaves the others as they were.
        progress: show a progress bar; default, when standard error is a terminal.

    Returns Results: one a statistic, keyed by its name.

    Raises EstimationError: no permutations, an unknown null, a concept too small to split, or nothing in the
        hierarchy to measure a statistic on.
    """
    chosen = _chosen(nulls, n_permutations)
    statistics = list({statistic.name: statistic for statistic in statistics}.values())
    splits = tuple(dict.fromkeys(statistic.split for statistic in statistics))
    model_cloud = concepts if isinstance(concepts, TokenCloud) else TokenCloud.of(space, concepts)
    hierarchy = model_cloud.hierarchy
    masks = {split: train_mask(hierarchy, split, generator(seed, split), train_fraction) for split in splits}
    fitting = _Fitting(masks, estimator, max_tokens, missing)
    null_values: dict[tuple[str, str], list[NDArray[np.float64]]] = defaultdict(list)
    jobs = [(name, number) for name, (_, times) in chosen.items() for number in range(times)]
    shown: Any = {"desc": f"{hierarchy.name}: model and nulls", "disable": None if progress is None else not progress}
    with (
        tqdm(total=1 + len(jobs), unit="cloud", **shown) as bar,
        _side_by_side(_numbers(model_cloud, max_tokens)) as each,
    ):
        model = {split: fitting.fit(model_cloud, split) for split in splits}
        bar.update()
        values = {statistic.name: statistic.evaluate(*model[statistic.split]) for statistic in statistics}
        for name, own in values.items():
            if missing == "raise" and not np.isfinite(own).any():
                lacking = f"nothing to measure it on in hierarchy {hierarchy.name!r} (no edges, or too few words)"
                raise EstimationError(f"{name}: {lacking}")

        def permute(name: str, number: int) -> dict[str, NDArray[np.float64]]:
            null = chosen[name][0]
            cloud = null.draw(space, model_cloud, generator(seed, name, number))
            result: dict[str, NDArray[np.float64]] = {}
            for split in splits:
                wanted = [s for s in statistics if s.split == split and name not in s.not_beside]
                fits = fitting.fit(cloud, split, null.estimator, model[split]) if wanted else ()
                result |= {statistic.name: statistic.evaluate(*fits) for statistic in wanted}
            bar.update()
            return result

        for (name, _), permuted in zip(jobs, each(lambda job: permute(*job), jobs), strict=True):
            for statistic_name, row in permuted.items():
                null_values[statistic_name, name].append(row)
    return Results(
        [
            TestResult(
                name=statistic.name,
                labels=statistic.labels(model[statistic.split][0]),
                values=values[statistic.name],
                nulls={
                    name: NullValues(_stacked(null_values[statistic.name, name]), null.label, null.marker)
                    for name, (null, _) in chosen.items()
                    if name not in statistic.not_beside
                },
                measure=statistic.name.replace("_", " "),
                subject=hierarchy.name,
                unstructured=statistic.unstructured,
                resampled=statistic.resample
                and statistic.resample(*model[statistic.split], generator(seed, "bootstrap")),
            )
            for statistic in statistics
        ]
    )


test_against_nulls.__test__ = False  # type: ignore[attr-defined]  # pytest collects functions by this name


@dataclass(frozen=True, eq=False)
class _Fitting:
    """How vectors are fitted, of the model and of its nulls alike."""

    masks: Mapping[Split, NDArray[np.bool_]]
    estimator: Estimator
    max_tokens: int | None
    missing: Literal["raise", "nan"]

    def fit(
        self, cloud: TokenCloud, split: Split, estimator: Estimator | None = None, model: Fits | None = None
    ) -> Fits:
        """Directions on the split's training parts, taking from the model's what is the same there."""
        estimator = estimator or self.estimator
        parts = training_parts(split, self.masks[split])
        shared = model and cloud.points is model[0].cloud.points and estimator == model[0].estimator
        reused = model if model and shared else [None] * len(parts)
        options: Any = {"estimator": estimator, "max_tokens": self.max_tokens, "missing": self.missing}
        return tuple(
            ConceptDirections.fit_cloud(cloud, train=train, reuse=reuse, **options)
            for train, reuse in zip(parts, reused, strict=True)
        )


def _numbers(cloud: TokenCloud, max_tokens: int | None) -> int:
    """About how many numbers a permutation holds: points and, of concepts fitted to all their words, d × d scatters."""
    width = cloud.points.shape[1]
    large = sum(len(members) >= width for members in cloud.hierarchy.members)
    return cloud.points.numel() + (large * width**2 if max_tokens is None or max_tokens >= width else 0)


@contextmanager
def _side_by_side(numbers: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """A `map` with as many workers as torch has threads: a concept is too little work to share."""
    threads = torch.get_num_threads()
    # Small ones are all interpreter, of which there is one; the largest would fill the memory side by side.
    shared = threads > 1 and _WORTH_SHARING < numbers < _TOO_MANY
    torch.set_num_threads(threads if numbers >= _TOO_MANY else 1)
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool.map if shared else map
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
        if shared:
            give_back()  # what the workers had


def _stacked(permuted: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """One row a permutation; nan after the shorter, where permutations put different concepts together."""
    rows = np.full((len(permuted), max(map(len, permuted))), np.nan)
    for row, values in zip(rows, permuted, strict=True):
        row[: len(values)] = values
    return rows


def _chosen(
    nulls: Sequence[str] | Mapping[str, NullModel], n_permutations: int | Mapping[str, int]
) -> dict[str, tuple[NullModel, int]]:
    """Name → null model and how often it is drawn."""
    if unknown := [name for name in nulls if not isinstance(nulls, Mapping) and name not in NULLS]:
        raise EstimationError(f"unknown null model {unknown[0]!r}; there are {', '.join(NULLS)}")
    chosen = {}
    for name, null in (nulls if isinstance(nulls, Mapping) else {name: NULLS[name] for name in nulls}).items():
        times = n_permutations if isinstance(n_permutations, int) else n_permutations.get(name, 0)
        if times < 1:
            raise EstimationError(f"null model {name!r} needs at least one permutation, not {times}")
        chosen[name] = null, times if null.random else 1
    return chosen
