"""Figures of what changes along a scale: by block, by coefficient, by fraction of the dimensions; and norms."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import geometry.plots as plots
from geometry.experiments.actadd.texts import SWEPT, BySet
from geometry.experiments.result import FigureSpec
from geometry.steering.token_costs import PerplexityRatio

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from geometry.experiments.actadd.result import ActAddResult

_FARTHEST = 10.0  # times the unsteered perplexity: the axis ends there, or what is near 1 would not be seen


def sweeps(result: "ActAddResult") -> FigureSpec:
    """Perplexity on and off topic, by block and by coefficient."""
    topic, other = result.topic.name, result.other.name
    labels = {"vector": "vector", "random": "random vectors, norm-matched", "other": f"{other} vector, norm-matched"}

    def panel(axis: str, found: Mapping[Any, Mapping[str, BySet]], name: str, log: str = "") -> plots.CurvePanel:
        lines = {}
        for each in SWEPT:
            ratios = [by[each][name] for by in found.values()]
            ends = np.minimum(np.array([ratio.interval for ratio in ratios]), _FARTHEST)
            y = np.minimum([ratio.value for ratio in ratios], _FARTHEST)
            lines[labels[each]] = plots.Curve([*found], y, each != "vector", ends[:, 0], ends[:, 1])
        title = f"Texts on {name}"
        return plots.CurvePanel(axis, "perplexity, times unsteered", lines, title, {1.0: "unsteered"}, log)

    at = f"coefficient, before block {result.block}"
    panels = [
        *(panel("before block", result.by_block, name) for name in (topic, other)),
        *(panel(at, result.by_coefficient, name, "x") for name in (topic, other)),
    ]
    best = min(result.by_block, key=lambda block: result.by_block[block]["vector"][topic].value)
    lowest: Mapping[str, BySet] = result.by_block[best]
    return FigureSpec(
        "sweeps",
        f"Of {len(result.by_block)} blocks, {best} has the lowest perplexity of texts on {topic},"
        f" × {_text(lowest['vector'][topic])}, random vectors × {_text(lowest['random'][topic])}; that of texts on"
        f" {other} is × {_text(lowest['vector'][other])} there",
        f"Above coefficient {result.study.coefficient:g} before several blocks, below several coefficients before block"
        f" {result.block}; {result.n_texts[topic]} texts on {topic}, {result.n_texts[other]} on {other}. Bands: 95%"
        f" intervals over texts; grey: controls. What is beyond {_FARTHEST:g} is drawn there. The best of several"
        " blocks is chosen on the texts that it is shown on.",
        partial(plots.curves, panels),
    )


def dimensions(result: "ActAddResult") -> FigureSpec:
    """Words of the topic by the fraction of the residual stream's dimensions to which the vector is added."""
    names = {0.0: "unsteered", 0.25: "first 25%", 0.5: "first 50%", 0.75: "first 75%", 1.0: "vector"}
    panels = []
    for topic in (result.topic.name, result.other.name):
        found = [result.counted(name, topic) for name in names.values()]
        line = plots.Curve(
            [*names], [each["mean"] for each in found], False, *zip(*[each["interval"] for each in found], strict=True)
        )
        random = result.counted("random", topic)
        null = plots.Curve([0, 1], [random["mean"]] * 2, True, *([end] * 2 for end in random["interval"]))
        lines = {"vector": line, "random vectors in all dimensions": null}
        most = max(each["interval"][1] for each in (*found, random))
        panels.append(
            plots.CurvePanel(
                "fraction of the dimensions",
                f"{topic} words a generation",
                lines,
                limits=(-0.02 * most, 1.05 * max(most, 0.5)),
            )
        )
    half, whole = (result.counted(names[fraction])["mean"] for fraction in (0.5, 1.0))
    return FigureSpec(
        "dimensions",
        f"In the first half of the dimensions the vector gives {half:.2f} words of {result.topic.name} a generation, in"
        f" all {whole:.2f} (unsteered {result.counted('unsteered')['mean']:.2f}, random"
        f" {result.counted('random')['mean']:.2f})",
        f"{result.study.n_generations} generations at each fraction; bands: 95% intervals over generations."
        f" {result.setting}, in the first dimensions alone.",
        partial(plots.curves, panels),
    )


def norms(result: "ActAddResult") -> FigureSpec:
    """The vector beside the residual stream, by block and position."""
    found, ratio = result.norms, result.norms.ratio
    first = 1 if result.bos else 0
    blocks = np.arange(result.depth)
    own = found.residual[:, :, first]
    spread = np.quantile(own, [0.025, 0.975], axis=0)
    lines = {
        "vector, its largest row": plots.Curve(blocks, found.vector.max(axis=1)),
        f"residual stream, token {first}": plots.Curve(blocks, own.mean(axis=0), True, *spread),
    }
    if found.residual.shape[2] > 4:
        later = found.residual[:, :, 4]
        lines["residual stream, token 4"] = plots.Curve(
            blocks, later.mean(axis=0), True, *np.quantile(later, [0.025, 0.975], axis=0)
        )
    curve = plots.CurvePanel("before block", "norm", lines, "Norms", log="y", marked=False)
    finite = ratio[np.isfinite(ratio) & (ratio > 0)]
    limits = (float(finite.min()), float(max(finite.max(), finite.min() * 1.01)))
    heat = plots.HeatmapPanel(
        ratio, [str(block) for block in blocks], [str(position) for position in range(ratio.shape[1])],
        "Vector over residual stream", limits, log=True, colourbar="vector's norm / residual norm",
        row_axis="before block", column_axis="token of the text", origin="lower",
    )  # fmt: skip

    def draw(title: str, caption: str) -> "Figure":
        ratios: dict[str, Any] = {"width_ratios": (3, 2)}
        figure, (left, right) = plots.grid(1, 2, figsize=(7.2, 3.9), title=title, caption=caption, **ratios)
        plots.curves([curve], ax=left)
        plots.heatmap([heat], ax=right)
        return figure

    at = float(ratio[result.block, first])
    return FigureSpec(
        "norms",
        f"Before block {result.block} the vector is {at:.2g} times as large as the residual stream at token {first}"
        + (f", {float(ratio[result.block, 4]):.2g} times at token 4" if ratio.shape[1] > 4 else ""),
        f"The vector with coefficient 1, its largest row; the residual stream of {len(found.residual)} texts on"
        f" {result.topic.name}: means, bands 95% of the texts."
        + (" Token 0 is the beginning-of-text token, where the vector is zero." if result.bos else ""),
        draw,
    )


def _text(ratio: PerplexityRatio) -> str:
    low, high = ratio.interval
    return f"{ratio.value:.2f} [{low:.2f}, {high:.2f}]"
