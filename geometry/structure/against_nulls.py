"""Run statistics on a model and on its null models, fitting each cloud once per split.

Clouds are visited one at a time and dropped, so memory does not grow with the number of draws.
"""

import zlib
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
from geometry.memory import give_back
from geometry.structure.comparison import Comparison
from geometry.structure.nulls import BASIC_NULLS, NULLS, Null
from geometry.structure.splits import Split, train_mask, training_parts
from geometry.structure.statistics.statistic import Statistic

__all__ = ["compare_with_nulls", "stream"]

_WORTH_SHARING = 1 << 20
_TOO_MANY = 1 << 24

# One fit, or those of two halves.
Fits = tuple[ConceptDirections, ...]


def compare_with_nulls(
    space: CausalSpace,
    concepts: ConceptHierarchy | TokenCloud,
    statistics: Sequence[Statistic],
    *,
    nulls: Sequence[str] | Mapping[str, Null] = BASIC_NULLS,
    draws: int | Mapping[str, int] = 3,
    estimator: Estimator = "lda",
    share: float = 0.7,
    largest: int | None = None,
    missing: Literal["raise", "nan"] = "raise",
    seed: int = 0,
    progress: bool | None = None,
) -> dict[str, Comparison]:
    """Evaluate every statistic on the model and on draws of each null.

    Parameters
    ----------
    concepts : a hierarchy of tokens, or a cloud of whatever else belongs to concepts, such as the final hidden
        states of prompts; the latter takes nulls of its own.
    nulls : names from `NULLS`, or name → null model of one's own. A statistic passes over those it
        means nothing on.
    draws : of each null, or by name; a null that is not random is drawn once.
    share : share of tokens or lemmas to fit on in split statistics. One split serves the model and
        all nulls.
    largest : fit concepts to at most so many tokens; see `ConceptDirections.fit_cloud`.
    missing : concepts too small to split, and statistics with nothing to be measured on, raise, or give nan.
    seed : the only source of randomness; each null and draw has its own stream, so that adding draws
        or nulls leaves the others as they were.
    progress : show a progress bar; default, when standard error is a terminal.

    Returns
    -------
    dict from statistic name to `Comparison`.

    Raises
    ------
    EstimationError
        No draws, an unknown null, a concept too small to split, or nothing in the hierarchy to measure a
        statistic on.
    """
    chosen = {name: (null, _draws(name, null, draws)) for name, null in _named(nulls).items()}
    statistics = list({statistic.name: statistic for statistic in statistics}.values())
    splits = tuple(dict.fromkeys(statistic.split for statistic in statistics))
    model_cloud = concepts if isinstance(concepts, TokenCloud) else TokenCloud.of(space, concepts)
    hierarchy = model_cloud.hierarchy
    masks = {split: train_mask(hierarchy, split, stream(seed, split), share) for split in splits}
    fitting = _Fitting(masks, estimator, largest, missing)
    null_values: dict[tuple[str, str], list[NDArray[np.float64]]] = defaultdict(list)
    bar = tqdm(
        total=1 + sum(times for _, times in chosen.values()),
        desc=f"{hierarchy.name}: model and nulls",
        unit="cloud",
        disable=None if progress is None else not progress,
    )
    with bar, _side_by_side(_numbers(model_cloud, largest)) as each:
        model = {split: fitting.fit(model_cloud, split) for split in splits}
        bar.update()
        values = {statistic.name: statistic.evaluate(*model[statistic.split]) for statistic in statistics}
        for name, own in values.items():
            if missing == "raise" and not np.isfinite(own).any():
                raise EstimationError(
                    f"{name}: nothing to measure it on in hierarchy {hierarchy.name!r} (no edges, or too few words)"
                )

        def draw(name: str, number: int) -> dict[str, NDArray[np.float64]]:
            null = chosen[name][0]
            cloud = null.draw(space, model_cloud, stream(seed, name, number))
            found: dict[str, NDArray[np.float64]] = {}
            for split in splits:
                wanted = [s for s in statistics if s.split == split and name not in s.not_beside]
                fits = fitting.fit(cloud, split, null.estimator, model[split]) if wanted else ()
                found |= {statistic.name: statistic.evaluate(*fits) for statistic in wanted}
            bar.update()
            return found

        jobs = [(name, number) for name, (_, times) in chosen.items() for number in range(times)]
        for (name, _), found in zip(jobs, each(lambda job: draw(*job), jobs), strict=True):
            for statistic_name, drawn in found.items():
                null_values[statistic_name, name].append(drawn)
    return {
        statistic.name: Comparison(
            statistic.name,
            statistic.labels(model[statistic.split][0]),
            values[statistic.name],
            {name: _stacked(null_values[statistic.name, name]) for name in chosen if name not in statistic.not_beside},
            statistic.unstructured,
            statistic.resample and statistic.resample(*model[statistic.split], stream(seed, "bootstrap")),
        )
        for statistic in statistics
    }


@dataclass(frozen=True, eq=False)
class _Fitting:
    """How the vectors of the model and of its nulls alike are fitted."""

    masks: Mapping[Split, NDArray[np.bool_]]
    estimator: Estimator
    largest: int | None
    missing: Literal["raise", "nan"]

    def fit(
        self, cloud: TokenCloud, split: Split, estimator: Estimator | None = None, known: Fits | None = None
    ) -> Fits:
        """Directions on the split's training parts, taking from `known` what is the same there."""
        estimator = estimator or self.estimator
        parts = training_parts(split, self.masks[split])
        shared = known and cloud.points is known[0].cloud.points and estimator == known[0].estimator
        return tuple(
            ConceptDirections.fit_cloud(
                cloud,
                estimator=estimator,
                train=train,
                largest=self.largest,
                missing=self.missing,
                known=known[place] if known and shared else None,
            )
            for place, train in enumerate(parts)
        )


def _numbers(cloud: TokenCloud, largest: int | None) -> int:
    """About how many numbers a draw holds: its points and, of concepts fitted to all their words, d × d scatters."""
    width = cloud.points.shape[1]
    large = sum(len(members) >= width for members in cloud.hierarchy.members)
    return cloud.points.numel() + (large * width**2 if largest is None else 0)


@contextmanager
def _side_by_side(numbers: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """A `map` with as many workers as torch has threads: one concept is too little work to share, a draw is not."""
    threads = torch.get_num_threads()
    # Small draws are all interpreter, of which there is one; the largest would fill the memory side by side.
    if threads == 1 or not _WORTH_SHARING < numbers < _TOO_MANY:
        torch.set_num_threads(threads if numbers >= _TOO_MANY else 1)
        try:
            yield map
        finally:
            torch.set_num_threads(threads)
        return
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
        give_back()  # what the workers had


def _stacked(draws: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """One row a draw; nan after the shorter, where draws hang different concepts together."""
    rows = np.full((len(draws), max(map(len, draws))), np.nan)
    for row, draw in zip(rows, draws, strict=True):
        row[: len(draw)] = draw
    return rows


def _named(nulls: Sequence[str] | Mapping[str, Null]) -> Mapping[str, Null]:
    if isinstance(nulls, Mapping):
        return nulls
    if unknown := [name for name in nulls if name not in NULLS]:
        raise EstimationError(f"unknown null model {unknown[0]!r}; there are {', '.join(NULLS)}")
    return {name: NULLS[name] for name in nulls}


def _draws(name: str, null: Null, draws: int | Mapping[str, int]) -> int:
    times = draws if isinstance(draws, int) else draws.get(name, 0)
    if times < 1:
        raise EstimationError(f"null model {name!r} needs at least one draw, not {times}")
    return times if null.random else 1


def stream(seed: int, name: str, draw: int = 0) -> np.random.Generator:
    """The random stream of one purpose: a null's draw, or a split."""
    # crc32, not hash(): the latter changes with PYTHONHASHSEED.
    return np.random.default_rng([seed, zlib.crc32(name.encode()), draw])
