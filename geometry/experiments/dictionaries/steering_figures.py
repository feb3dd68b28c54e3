"""The figures of steering by features, codes and means: words and layout, no measurement."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

import geometry.plots as plots
from geometry.experiments.dictionaries.vectors import (
    CAA,
    CODES,
    CONTROLS,
    EVERY,
    FEATURES,
    MEAN,
    METHODS,
    NATS,
    RANDOM_FEATURES,
)
from geometry.experiments.result import FigureSpec
from geometry.intervals import interval_of, mean_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from geometry.experiments.dictionaries.steering import Array, SteeringPart

_SERIES = "mean over classes"


def methods(part: "SteeringPart") -> FigureSpec:
    """A row a method, controls grey; effect and cost at both KL divergences."""
    panels = [
        _panel(partial(_mean, part, q), f"effect at {nats:g} nats\n(log-odds, nats)", {0.0: "unsteered"})
        for q, nats in enumerate(NATS)
    ]
    panels.append(_panel(part.cost, f"perplexity ×\nat {NATS[-1]:g} nats", {1.0: "unsteered"}, log=True))
    counts = [int(np.isfinite(part.of(part.effects, name, 0)).sum()) for name in EVERY]
    names = [f"{name}\n{count} classes" for name, count in zip(EVERY, counts, strict=True)]
    return FigureSpec(
        "steering",
        f"At {NATS[0]:g} nats held-out words gain {mean_of(part.of(part.effects, CAA, 0)):+.2f} by CAA and"
        f" {mean_of(part.of(part.effects, MEAN, 0)):+.2f} by class means; beyond the latter, paired, feature"
        f" differences bring {part.said(part.difference(FEATURES, MEAN, 0))}, codes"
        f" {part.said(part.difference(CODES, MEAN, 0))}",
        f"Change of the log-odds of words that made no vector, after {part.n_prompts} neutral prompts, vectors added"
        f" at {part.site}; every vector at the coefficient where KL(steered ‖ unsteered) is as said. Perplexity: of"
        " neutral texts, every token but the first steered. Bars: 95%, bootstrap over families of classes. Grey: a"
        " random dictionary's feature difference, differences of shuffled labels, random vectors. A class counts where"
        " the method gives a vector.",
        partial(plots.forest, panels, names),
    )


def by_class(part: "SteeringPart") -> FigureSpec:
    """Each class's effect less that of CAA, by method, at both KL divergences."""
    panels = []
    for q, nats in enumerate(NATS):
        rows = [
            plots.StripRow(name, part.difference(name, CAA, q), null=name in CONTROLS)
            for name in (*METHODS[1:], *CONTROLS)
        ]
        panels.append(plots.StripPanel("effect less that of CAA (nats)", rows, f"at {nats:g} nats", {0.0: "as CAA"}))
    return FigureSpec(
        "steering_by_class",
        f"At {NATS[-1]:g} nats feature differences beat CAA for {_wins(part.difference(FEATURES, CAA, len(NATS) - 1))}"
        f" classes, codes for {_wins(part.difference(CODES, CAA, len(NATS) - 1))}, a random dictionary's for"
        f" {_wins(part.difference(RANDOM_FEATURES, CAA, len(NATS) - 1))}",
        f"A point is a class: change of log-odds of its held-out words, mean over {part.n_prompts} prompts, less that"
        f" of CAA at the same KL. {len(part.classes)} classes, of which those count that both methods have a"
        " vector for.",
        partial(plots.strip, panels),
    )


def _wins(values: "Array") -> str:
    finite = values[np.isfinite(values)]
    return f"{int((finite > 0).sum())} of {len(finite)}"


def _panel(
    value: "Callable[[str], tuple[float, tuple[float, float]]]",
    measure: str,
    references: dict[float, str],
    *,
    log: bool = False,
) -> plots.ForestPanel:
    rows = []
    for name in EVERY:
        mean, ends = value(name)
        if name in CONTROLS:
            rows.append(plots.ForestRow({}, {"controls": plots.NullMark(mean, "x", *ends)}))
        else:
            rows.append(plots.ForestRow({_SERIES: plots.Estimate(mean, *ends)}))
    return plots.ForestPanel(measure, rows, "", references, log=log)


def _mean(part: "SteeringPart", nats: int, name: str) -> tuple[float, tuple[float, float]]:
    values = part.of(part.effects, name, nats)
    return mean_of(values), interval_of(values, part.families)
