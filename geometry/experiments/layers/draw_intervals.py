"""Bootstrap intervals of paired values of concepts and prompts, and of controls that were drawn several times."""

import numpy as np
from numpy.typing import NDArray

from geometry.intervals import FEWEST_CLUSTERS, FEWEST_UNITS, RESAMPLES, central, cluster_weights, interval_of

Numbers = NDArray[np.float64]


def mean_over(values: Numbers) -> Numbers:
    """Over what is finite along the first axis; nan where nothing is."""
    finite = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(finite, values, 0).sum(axis=0) / finite.sum(axis=0))


def paired_interval(values: Numbers) -> tuple[float, float]:
    """95% interval of the mean of (concepts, prompts), of which some concepts may be nan; nan of fewer than 3 prompts.

    From 5 concepts on these are drawn again, each with all of its prompts. Of fewer, prompts are, each with all
    concepts: it says nothing of other concepts then, whose prompts are no independent witnesses for them.
    """
    measured = values[np.isfinite(values).any(axis=1)]
    if not len(measured):
        return np.nan, np.nan
    if len(measured) < FEWEST_CLUSTERS:
        return interval_of(np.nanmean(measured, axis=0))
    return interval_of(measured.ravel(), np.repeat(np.arange(len(measured)), measured.shape[1]))


def interval_of_draws(values: Numbers) -> tuple[float, float]:
    """The same of (draws, concepts, blocks, prompts), where each concept at each block has one of the draws at random.

    Not their mean: a single direction is compared with others of which each is one too, and differs from the mean of
    many by chance. nan of fewer than 3 prompts, or where nothing is finite.
    """
    _, concepts, blocks, prompts = values.shape
    if prompts < FEWEST_UNITS or not np.isfinite(values).any():
        return np.nan, np.nan
    rng = np.random.default_rng(0)
    many = concepts >= FEWEST_CLUSTERS
    weights = np.full((RESAMPLES, prompts), 1 / prompts) if many else cluster_weights(prompts) / prompts
    means = values @ weights.T  # (draws, concepts, blocks, samples)
    drawn = np.full((concepts, blocks, RESAMPLES), np.nan)
    for concept, block in np.ndindex(concepts, blocks):
        reached = np.flatnonzero(np.isfinite(means[:, concept, block]).all(axis=1))
        if len(reached):
            choice = rng.choice(reached, size=RESAMPLES)
            drawn[concept, block] = means[choice, concept, block, np.arange(RESAMPLES)]
    by_concept = mean_over(np.moveaxis(drawn, 1, 0))
    if not many:
        return central(mean_over(by_concept))
    times = np.where(np.isfinite(by_concept), cluster_weights(concepts).T, 0)
    return central((times * np.nan_to_num(by_concept)).sum(axis=0) / times.sum(axis=0))
