"""The figures of the search and of held-out prompts: words and layout, no measurement."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

import geometry.plots as plots
from geometry.experiments.result import FigureSpec
from geometry.experiments.search.kinds import CONTROLS, RANDOM, SEARCHED
from geometry.experiments.search.labels import CHANGES, HELD_OUT, KL_HELD_OUT

if TYPE_CHECKING:
    from geometry.experiments.search.held_out import HeldOutPart


def held_out(part: "HeldOutPart") -> FigureSpec:
    """Every kind of vectors by every measure, prompt by prompt."""
    unit = {name: "change, ‖Δ‖ / ‖h‖" if name in CHANGES else "KL (nats)" for name in part.measured}
    panels = [
        plots.StripPanel(
            unit[measure],
            [plots.StripRow(kind, part.by_prompt(measure, kind), null=kind in CONTROLS, bar=True) for kind in by],
            title=measure,
        )
        for measure, by in part.measured.items()
        if measure in (*CHANGES, KL_HELD_OUT)
    ]
    found, ratio = part.found, part.mean(HELD_OUT, SEARCHED) / part.mean(HELD_OUT, RANDOM)
    title = (
        f"On held-out prompts searched vectors change later activations {ratio:.1f} times as much as random ones of the"
        f" same norm, and the next token by {part.mean(KL_HELD_OUT, SEARCHED):.2g} nats of KL where those do by"
        f" {part.mean(KL_HELD_OUT, RANDOM):.2g}"
    )
    return FigureSpec(
        "held_out",
        title,
        f"{len(found)} orthogonal vectors of {found.norm:g} × residual norm, added at the last token at {found.site}."
        f" Change: ‖Δ‖ / ‖h‖, what they add to the residual stream h at {found.read_site}. Points: prompts, means over"
        " vectors; bars: means over prompts. Grey, controls: the opposite sign (reversed), a search on shuffled"
        f" prompts, random vectors, and those {len(found)} of {len(found.random_objective)} with the largest objective"
        " (filtered).",
        partial(plots.strip, panels, ncols=2),
    )


def objective(part: "HeldOutPart") -> FigureSpec:
    """The objective over the steps, vector by vector."""
    found = part.found
    steps = np.arange(len(found.objective))
    random = found.random_objective
    low, high = np.quantile(random, [0.025, 0.975])
    flat = np.ones(2)
    ends = [0, len(steps) - 1]
    lines = {
        "searched, mean": plots.Curve(
            steps, found.objective.mean(axis=1), low=found.objective.min(axis=1), high=found.objective.max(axis=1)
        ),
        "searched, median vector": plots.Curve(steps, np.median(found.objective, axis=1)),
        f"{len(random)} random vectors, 95%": plots.Curve(
            ends, random.mean() * flat, null=True, low=low * flat, high=high * flat
        ),
    }
    panel = plots.CurvePanel(
        "step",
        "objective (‖Δ‖ / ‖h‖)",
        lines,
        marked=False,
        references={float(random.max()): "best random"},
    )
    last = found.objective[-1]
    return FigureSpec(
        "objective",
        f"The search raises the objective from {found.objective[0].mean():.2f} to {last.mean():.2f} on average over"
        f" {len(found)} vectors ({last.min():.2f} to {last.max():.2f}); the best of {len(random)} random vectors has"
        f" {random.max():.2f}",
        f"Objective: mean ‖Δ‖/‖h‖ at {found.read_site} over the {len(found.prompts)} prompts, less {found.penalty:g} ×"
        f" that on {len(found.neutral)} neutral texts, of vectors of {found.norm:g} × residual norm at {found.site}."
        " Coloured band: least to largest vector. All vectors are kept orthogonal. Grey: random vectors.",
        partial(plots.curves, [panel]),
    )
