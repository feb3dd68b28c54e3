"""Run statistics on a model and on its null models, fitting each cloud once per split.

Clouds are visited one at a time and dropped, so memory does not grow with the number of draws.
"""

import zlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections, TokenCloud
from geometry.errors import EstimationError
from geometry.estimators import Estimator
from geometry.structure.comparison import Comparison
from geometry.structure.nulls import NULLS
from geometry.structure.splits import Split, train_mask
from geometry.structure.statistics import Statistic

__all__ = ["compare_with_nulls"]


def compare_with_nulls(
    space: CausalSpace,
    hierarchy: ConceptHierarchy,
    statistics: Sequence[Statistic],
    *,
    draws: int = 3,
    estimator: Estimator = "lda",
    share: float = 0.7,
    seed: int = 0,
    progress: bool | None = None,
) -> dict[str, Comparison]:
    """Evaluate every statistic on the model and on `draws` draws of each of its nulls.

    Parameters
    ----------
    share : share of tokens or lemmas to fit on in split statistics. One split serves the model and
        all nulls.
    seed : the only source of randomness; each null and draw has its own stream, so that adding draws
        or nulls leaves the others as they were.
    progress : show a progress bar; default, when standard error is a terminal.

    Returns
    -------
    dict from statistic name to `Comparison`.

    Raises
    ------
    EstimationError
        Unknown null, no draws, or a concept too small to split.
    """
    names = tuple(dict.fromkeys(null for statistic in statistics for null in statistic.nulls))
    if unknown := [name for name in names if name not in NULLS]:
        raise EstimationError(f"unknown null {unknown[0]!r}; choose from {', '.join(NULLS)}")
    if draws < 1:
        raise EstimationError(f"nulls need at least one draw, not {draws}")
    splits = tuple(dict.fromkeys(statistic.split for statistic in statistics))
    train = {split: train_mask(hierarchy, split, _stream(seed, split), share) for split in splits}

    model_cloud = TokenCloud.of(space, hierarchy)
    with tqdm(
        total=1 + draws * len(names),
        desc="model and nulls",
        unit="cloud",
        disable=None if progress is None else not progress,
    ) as bar:
        model: dict[Split, ConceptDirections] = {
            split: ConceptDirections.fit(model_cloud, estimator=estimator, train=train[split]) for split in splits
        }
        bar.update()
        values: dict[tuple[str, str], list[NDArray[np.float64]]] = defaultdict(list)
        for null in names:
            for draw in range(draws):
                cloud = NULLS[null](space, model_cloud, _stream(seed, null, draw))
                for split in splits:
                    wanted = [s for s in statistics if s.split == split and null in s.nulls]
                    if wanted:
                        shared = model[split] if cloud.points is model_cloud.points else None
                        directions = ConceptDirections.fit(cloud, estimator=estimator, train=train[split], known=shared)
                    for statistic in wanted:
                        values[statistic.name, null].append(statistic.evaluate(directions))
                bar.update()
    return {
        statistic.name: Comparison(
            statistic.name,
            statistic.labels(model[statistic.split]),
            statistic.evaluate(model[statistic.split]),
            {null: np.stack(values[statistic.name, null]) for null in statistic.nulls},
            statistic.unstructured,
        )
        for statistic in statistics
    }


def _stream(seed: int, name: str, draw: int = 0) -> np.random.Generator:
    # crc32, not hash(): the latter changes with PYTHONHASHSEED.
    return np.random.default_rng([seed, zlib.crc32(name.encode()), draw])
