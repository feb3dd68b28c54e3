"""The figures of the study of training: what each shows, its finding in a sentence, and its nulls."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import geometry.plots as plots
from geometry.experiments.result import FigureSpec
from geometry.experiments.training import words
from geometry.experiments.training.by_step import ClaimByStep, Steps
from geometry.results import EXACT, TILTED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from geometry.experiments.training.result import TrainingResult

_MOST_MARKED = 12
_SHORT = 0.06  # of the axis
_DECADES = 30.0  # largest over smallest step, from which the axis is logarithmic


def all_figures(result: "TrainingResult") -> list[FigureSpec]:
    """The main figure first."""
    found = [claims_figure(result)]
    found += [blocks_figure(result), heatmap_figure(result)] if result.blocks else []
    return [*found, *([depth_figure(result)] if any(result.depths.values()) else [])]


class _Axis:
    """The axis of steps: logarithmic where they span decades, and then step 0 at the left, where none would be."""

    def __init__(self, steps: Steps, name: str) -> None:
        positive = steps[steps > 0]
        self.log = len(positive) > 1 and positive[-1] / positive[0] >= _DECADES
        self.zero = float(positive[0]) / 2 if self.log and (steps == 0).any() else None
        self.label = f"{name} (0 off the scale)" if self.zero is not None else name
        self.marked = len(steps) <= _MOST_MARKED

    def at(self, steps: Steps) -> "np.ndarray":
        """Where steps are drawn."""
        placed = steps.astype(np.float64)
        return placed if self.zero is None else np.where(steps == 0, self.zero, placed)

    def ends(self, claim: ClaimByStep, kind: str) -> "plots.Curve":
        """The twins of the first and the last checkpoint: a mark each, or a short line where there are no marks."""
        steps, means = claim.twins(kind)
        every, own = self.at(claim.places), self.at(steps)
        first, last = (np.log(every[[0, -1]]) if self.log else every[[0, -1]]).tolist()
        x: list[float] = []
        y: list[float] = []
        for place, mean in zip(own.tolist(), means.tolist(), strict=True):
            other = (np.log(place) if self.log else place) + _SHORT * (last - first) * (1 if place < every[-1] else -1)
            both = [place] if self.marked else [place, float(np.exp(other)) if self.log else other]
            x += [*both, np.nan]
            y += [mean] * len(both) + [np.nan]
        return plots.Curve(x, y, null=True)

    def panel(
        self, claim: ClaimByStep, curves: "dict[str, plots.Curve]", title: str, *, control: bool = True
    ) -> "plots.CurvePanel":
        """One claim; a debiased cosine beyond ±1 is nothing but noise, and is left off the scale."""
        options: dict[str, Any] = {"log": "x" if self.log else "", "marked": self.marked, "title": title}
        if control and np.isfinite(claim.control):
            options["references"] = {claim.control: "GloVe"}
        if claim.orthogonal and max(np.nanmax(np.abs(np.asarray(curve.y))) for curve in curves.values()) > 1:
            options["limits"] = (-1.0, 1.0)
        return plots.CurvePanel(self.label, _short(claim), curves, **options)

    def draw(self, panels: "list[plots.CurvePanel]", **options: Any) -> "Figure":
        """The panels, where step 0 is called so, and not by the place that it is drawn at."""
        figure = plots.curves(panels, **options)
        for axes in figure.axes if self.zero is not None else ():
            low, high = axes.get_xlim()
            ticks = [tick for tick in axes.get_xticks() if low <= tick <= high and tick > 1.5 * (self.zero or 0)]
            name = axes.xaxis.get_major_formatter()
            axes.set_xticks([self.zero or 0, *ticks], ["0", *(name(tick) for tick in ticks)])
        return figure


def claims_figure(result: "TrainingResult") -> FigureSpec:
    """Every claim at the unembedding, between permuted lemmas and theory twins."""
    axis = _Axis(result.steps, result.step)
    own = result.claims[words.UNEMBEDDING]
    panels = []
    for claim in own.values():
        if claim.best is None or claim.unmeasurable:
            continue
        low, high = claim.intervals.T
        curves = {"model": plots.Curve(axis.at(claim.places), claim.values, low=low, high=high)}
        if not claim.orthogonal:
            curves["permuted lemmas"] = plots.Curve(axis.at(claim.places), claim.nulls, null=True)
        for kind, name in ((EXACT, "exact twin"), (TILTED, "tilted twin")):
            if len(claim.twins(kind)[0]):
                curves[name] = axis.ends(claim, kind)
        panels.append(axis.panel(claim, curves, claim.name))
    hierarchy = result.hierarchies[words.UNEMBEDDING]
    caption = (
        f"{len(hierarchy)} concepts of {len(hierarchy.words):,} single tokens ({hierarchy.name}), at the unembedding of"
        f" {len(result.steps)} checkpoints. Bands: 95% bootstrap intervals over families. Grey: {result.permutations}"
        " permutations of lemmas; at the first and the last checkpoint the theory planted in it, exactly and with a"
        " cosine of 0.3. Dotted: GloVe's vectors of the words that it has too."
    )
    return FigureSpec("claims", words.claim_sentence(result.first, result.step), caption, partial(axis.draw, panels))


def blocks_figure(result: "TrainingResult") -> FigureSpec:
    """Every claim at the blocks that were read."""
    axis, panels = _Axis(result.steps, result.step), []
    for name in result.claims[words.UNEMBEDDING]:
        own = [result.claims[site][name] for site in result.blocks]
        if all(claim.best is None or claim.unmeasurable for claim in own):
            continue
        curves = {words.at(claim.site): plots.Curve(axis.at(claim.places), claim.values) for claim in own}
        if not own[0].orthogonal:
            nulls = np.mean([claim.nulls for claim in own], axis=0)
            curves["permuted phrases"] = plots.Curve(axis.at(own[0].places), nulls, null=True)
        panels.append(axis.panel(own[0], curves, name))
    hierarchy = result.hierarchies[result.blocks[0]]
    caption = (
        f"{len(hierarchy.words):,} words and phrases of {len(hierarchy)} concepts ({hierarchy.name}), read at their"
        " last token in contexts; inner product: the covariance of neutral text at that block and checkpoint. Grey:"
        f" {result.permutations} permutations of phrases, mean over blocks. Dotted: GloVe's vectors of the same."
    )
    title = words.claim_sentence(result.first_at(result.blocks[-1]), result.step)
    return FigureSpec("blocks", title, caption, partial(axis.draw, panels))


def heatmap_figure(result: "TrainingResult") -> FigureSpec:
    """The first claim, block × step, less permuted phrases."""
    claims = [result.first_at(site) for site in reversed(result.blocks)]
    values = np.array([np.where(claim.significant, claim.distance, np.nan) for claim in claims])
    largest = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
    panel = plots.HeatmapPanel(
        values,
        [words.at(claim.site) for claim in claims],
        [f"{step:,}" for step in result.steps],
        limits=(0, largest),
        colourbar=f"{_short(claims[0])}, from permuted phrases",
        column_axis=result.step,
    )
    caption = (
        f"Colour: how far {claims[0].name} is on the claim's side of permuted phrases. Grey: not significant (p"
        " adjusted over all claims, sites and checkpoints > .05). Columns are checkpoints, evenly spaced whatever their"
        " steps."
    )
    return FigureSpec("heatmap", words.blocks_sentence(result), caption, partial(plots.heatmap, [panel]))


def depth_figure(result: "TrainingResult") -> FigureSpec:
    """Values by depth in the tree: does the coarse come first?"""
    axis, panels = _Axis(result.steps, result.step), []
    for site, depths in result.depths.items():
        for depth in depths:
            claim = result.claims[site][depth.name]
            levels = depth.means
            chosen = sorted({[*levels][int(at)] for at in np.linspace(0, len(levels) - 1, min(6, len(levels))).round()})
            curves = {f"depth {level}": plots.Curve(axis.at(claim.places), levels[level]) for level in chosen}
            permuted = f"permuted {'lemmas' if site == words.UNEMBEDDING else 'phrases'}"
            curves[permuted] = plots.Curve(axis.at(claim.places), claim.nulls, null=True)
            panels.append(axis.panel(claim, curves, f"{depth.name}, {words.at(site)}", control=False))
    site, depths = next((site, depths) for site, depths in result.depths.items() if depths)
    caption = (
        "Means over concepts of one depth in the tree, 0 the root; of separation the depth of the child. A level has"
        " appeared where its mean has 90% of its largest distance from permuted words; the slope of which checkpoint"
        " that is over depth, with a 95% bootstrap interval over families and p of permuted depths."
    )
    return FigureSpec("depth", words.depth_sentence(depths[0], site), caption, partial(axis.draw, panels))


def _short(claim: ClaimByStep) -> str:
    """What the number is, without how it was held out, which the caption says."""
    return (claim.first.measure or claim.name).partition(",")[0]
