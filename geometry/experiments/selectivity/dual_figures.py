"""The figure of the dual step beside addition: words and layout, no measurement."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

import geometry.plots as plots
from geometry.experiments.result import FigureSpec
from geometry.experiments.selectivity.dual import FACTOR
from geometry.intervals import means_of

if TYPE_CHECKING:
    from geometry.experiments.selectivity.dual_part import DualPart

SAID = {
    "kl": "KL(steered ‖ unsteered)",
    "reverse_kl": "KL(unsteered ‖ steered)",
    "off_target_kl": "off-target KL(steered ‖ unsteered)",
    "off_target_reverse_kl": "off-target KL(unsteered ‖ steered)",
    "rank_change": "off-target rank change",
}


def beside_addition(part: "DualPart") -> FigureSpec:
    """A point a concept: dual against addition, at equal P(target)."""
    panels = []
    for measure, label in SAID.items():
        pairs = np.column_stack([means_of(part.values(measure, route)) for route in ("addition", "dual")])
        unit = "ranks" if measure == "rank_change" else "nats"
        panels.append(
            plots.ScatterPanel(
                f"addition ({unit})",
                f"dual step ({unit})",
                {"a concept": pairs},
                label,
                {},
                ((1, 0, "equal"),),
                log="xy",
            )
        )
    reached = part.reached
    return FigureSpec(
        "dual",
        _title(part),
        f"Each point is one of {len(part.run.targets)} concepts, the mean over those of {reached['addition'].shape[1]}"
        f" prompts after which both routes bring P(target) to {FACTOR:g} times its odds; β = E[γ | target] − E[γ] of"
        f" each prompt, on its {part.n_tokens:,} likeliest tokens. Below the line the dual step is the smaller. Off"
        " target: laws renormalised outside the target's words. Rank change: of off-target tokens, weighted by"
        " unsteered probability.",
        partial(plots.scatter, panels, ncols=2, share=False),
    )


def _title(part: "DualPart") -> str:
    one, reached = part.differences["off_target_kl"], part.reached
    rates = f"reaches it on {reached['dual step'].mean():.0%} of prompts, addition on {reached['addition'].mean():.0%}"
    if one["mean"] is None:
        return f"No prompt reaches the goal by both routes; the dual step {rates}"
    low, high = one["interval"]
    more = "disturbs other words less than" if high < 0 else "disturbs other words more than" if low > 0 else ""
    said = f"the dual step {more}" if more else "the dual step disturbs other words no differently from"
    return f"At equal P(target) {said} addition along the same β ({one['mean']:+.2f} nats off target) and {rates}"
