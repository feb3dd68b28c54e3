"""Run statistics on a model and on its null models, fitting each cloud once per split.

Clouds are visited one at a time and dropped, so memory does not grow with the number of draws.
"""

import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections, TokenCloud
from geometry.errors import EstimationError
from geometry.estimators import Estimator
from geometry.structure.comparison import Comparison
from geometry.structure.nulls import NULLS, Null
from geometry.structure.splits import Split, train_mask
from geometry.structure.statistic import Statistic

__all__ = ["compare_with_nulls", "stream"]


def compare_with_nulls(
    space: CausalSpace,
    hierarchy: ConceptHierarchy,
    statistics: Sequence[Statistic],
    *,
    nulls: Mapping[str, Null] = NULLS,
    draws: int = 3,
    estimator: Estimator = "lda",
    share: float = 0.7,
    seed: int = 0,
    progress: bool | None = None,
) -> dict[str, Comparison]:
    """Evaluate every statistic on the model and on `draws` draws of each null.

    Parameters
    ----------
    nulls : name → null model; default all of `NULLS`. A statistic passes over those it means nothing on.
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
        No draws, a concept too small to split, or nothing in the hierarchy to measure a statistic on.
    """
    if draws < 1:
        raise EstimationError(f"nulls need at least one draw, not {draws}")
    statistics = list({statistic.name: statistic for statistic in statistics}.values())
    splits = tuple(dict.fromkeys(statistic.split for statistic in statistics))
    train = {split: train_mask(hierarchy, split, stream(seed, split), share) for split in splits}

    model_cloud = TokenCloud.of(space, hierarchy)
    with tqdm(
        total=1 + draws * len(nulls),
        desc="model and nulls",
        unit="cloud",
        disable=None if progress is None else not progress,
    ) as bar:
        model: dict[Split, ConceptDirections] = {
            split: ConceptDirections.fit_cloud(model_cloud, estimator=estimator, train=train[split]) for split in splits
        }
        bar.update()
        values = {statistic.name: statistic.evaluate(model[statistic.split]) for statistic in statistics}
        for name, own in values.items():
            if not np.isfinite(own).any():
                raise EstimationError(
                    f"{name}: nothing to measure it on in hierarchy {hierarchy.name!r} (no edges, or too few words)"
                )
        null_values: dict[tuple[str, str], list[NDArray[np.float64]]] = defaultdict(list)
        for name, null in nulls.items():
            for draw in range(draws):
                cloud = null(space, model_cloud, stream(seed, name, draw))
                for split in splits:
                    wanted = [s for s in statistics if s.split == split and name not in s.not_beside]
                    if wanted:
                        shared = model[split] if cloud.points is model_cloud.points else None
                        directions = ConceptDirections.fit_cloud(
                            cloud, estimator=estimator, train=train[split], known=shared
                        )
                    for statistic in wanted:
                        null_values[statistic.name, name].append(statistic.evaluate(directions))
                bar.update()
    return {
        statistic.name: Comparison(
            statistic.name,
            statistic.labels(model[statistic.split]),
            values[statistic.name],
            {name: np.stack(null_values[statistic.name, name]) for name in nulls if name not in statistic.not_beside},
            statistic.unstructured,
        )
        for statistic in statistics
    }


def stream(seed: int, name: str, draw: int = 0) -> np.random.Generator:
    """The random stream of one purpose: a null's draw, or a split."""
    # crc32, not hash(): the latter changes with PYTHONHASHSEED.
    return np.random.default_rng([seed, zlib.crc32(name.encode()), draw])
