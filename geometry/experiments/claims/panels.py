"""Panels that several analyses draw: a claim on the scale from noise to theory, a series with its shapes."""

import numpy as np

import geometry as geo
from geometry import plots

NULL_NAMES = {
    "shuffled": "shuffled rows",
    "gaussian": "Gaussian",
    "frequency_matched": "frequency-matched",
    "random_subset": "random subset",
    "random_parent": "random parent",
    "random_metric": "random metric",
    "euclidean": "Euclidean",
    "mean_estimator": "mean estimator",
    "shuffled_partners": "shuffled partners",
    "random_rows": "random rows",
}


def standing(result: geo.evidence.ClaimResult) -> plots.Standing:
    """A result on the scale from noise to theory."""
    tested = np.isfinite(result.p_value)  # of a simplex there is only a rival's score, on no scale
    low, high = sorted(result.relative(value) for value in result.test.interval)
    nulls = {NULL_NAMES[name]: result.relative(result.test.null_mean(name)) for name in result.test.nulls}
    return plots.Standing(
        result.relative(result.test.mean) if tested else float("nan"),
        low,
        high,
        nulls,
        result.test.mean,
        result.test.null_mean("shuffled"),
        result.verdict,
    )


def series_panel(title: str, found: geo.evidence.ShapeComparison, *, ordered: bool, closed: bool) -> plots.SeriesPanel:
    """The values of a series in their plane, and the scores of its shapes beside random orders."""
    return plots.SeriesPanel(
        title,
        found.values,
        found.coordinates,
        {shape: score for shape, score in found.scores.items() if shape != "simplex"},
        found.errors,
        {shape: tuple(np.quantile(draws, [0.025, 0.975])) for shape, draws in found.nulls.items()},
        ordered=ordered,
        closed=closed,
    )
