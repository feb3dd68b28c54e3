"""The figures of what happens inside the model, and of mixtures of siblings: words and layout, no measurement."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import geometry.plots as plots
from geometry.concepts import short_name
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.selectivity.labels import ALL, ONE
from geometry.intervals import interval_of, mean_of
from geometry.selectivity.relations import RELATIONS, Relation

if TYPE_CHECKING:
    from geometry.experiments.selectivity.inside import Downstream
    from geometry.experiments.selectivity.mixtures import Mixtures

_ROWS, _COLUMNS = 16, 8


def downstream(found: "Downstream") -> FigureSpec:
    """Changes by relation along the blocks, beside random vectors."""
    blocks = [float(site.block or 0) for site in found.sites]
    lines, shares = {}, {}
    for relation in found.relations:
        changes, beyond = found.changes(relation), found.beyond(relation)
        ends = np.array([interval_of(column) for column in changes.T]).T
        lines[ALL[relation]] = plots.Curve(blocks, changes.mean(axis=0), low=ends[0], high=ends[1])
        if relation != "self":
            shares[ALL[relation]] = plots.Curve(blocks, beyond.mean(axis=0))
    random = found.random_changes("unrelated")
    lines["unrelated concepts, random vectors"] = plots.Curve(
        blocks, random.mean(axis=0), null=True, low=random.min(axis=0), high=random.max(axis=0)
    )
    kept, siblings, unrelated = found.kept().mean(), found.changes("sibling")[:, -1], found.beyond("unrelated")[:, -1]
    panels = [
        plots.CurvePanel("output of block", "change of projection", lines,
                         title="How far projections move", references={0.0: "unsteered"}),
        plots.CurvePanel("output of block", "fraction of concepts", shares, limits=(0, 1),
                         title="Concepts moved beyond all random vectors", references={found.chance: "by chance"}),
    ]  # fmt: skip
    title = (
        f"Added after block {found.site.block}, a concept keeps {kept:.0%} of its own projection to the last block;"
        f" siblings move along by {mean_of(siblings):+.2f}, and {mean_of(unrelated):.0%} of unrelated concepts move"
        f" beyond all random vectors ({found.chance:.0%} by chance)"
    )
    return FigureSpec(
        "downstream",
        title,
        f"Differences of mean activations of {len(found.effects)} concepts, {found.strength:g} × residual norm, at the"
        " last token. Projections on every concept's vector as fitted at each block, 1: by the whole vector; means over"
        f" prompts and concepts, bands: 95% bootstrap over the {len(found.effects)} targets; grey: the range of"
        f" {found.n_random} random vectors of the same norm.",
        partial(plots.curves, panels),
    )


def downstream_map(found: "Downstream", target: str) -> FigureSpec:
    """One target: the concepts that move most, block by block."""
    effect = found.effects[target]
    peaks = np.abs(effect.mean).max(axis=0)
    chosen = sorted(
        np.argsort(-peaks, kind="stable")[:_ROWS], key=lambda k: (RELATIONS.index(effect.relations[k]), -peaks[k])
    )
    shown = np.unique(np.linspace(0, len(effect.sites) - 1, _COLUMNS).round().astype(np.int64))
    values, beyond = effect.mean[np.ix_(shown, chosen)].T, effect.beyond[np.ix_(shown, chosen)].T
    rows = [f"{short_name(effect.names[k])} ({ONE[effect.relations[k]]})" for k in chosen]
    most = float(np.abs(effect.mean[:, effect.names.index(target)]).max())
    columns = [str(effect.sites[index].block) for index in shown]
    random = effect.random[0][np.ix_(shown, chosen)].T

    def panel(matrix: NDArray[np.float64], title: str) -> plots.HeatmapPanel:
        return plots.HeatmapPanel(
            matrix, rows, columns, title=title, limits=(-most, most), cmap="RdBu_r", colourbar="change of projection",
            column_axis="output of block", texts=plots.numbers(matrix, 1),
        )  # fmt: skip

    panels = [panel(values, "vector of the concept"), panel(random, "a random vector")]
    aside = [k for k in range(len(effect.names)) if effect.relations[k] in ("cousin", "unrelated")]
    moved = float(effect.beyond[-1, aside].mean()) if aside else float("nan")
    return FigureSpec(
        "downstream-map",
        f"Steering to {short_name(target)} after block {found.site.block}: at the last block its own projection is up"
        f" by {effect.mean[-1, effect.names.index(target)]:.2f}, and {moved:.0%} of cousins and unrelated concepts move"
        f" beyond all random vectors ({found.chance:.0%} by chance)",
        f"The {len(chosen)} concepts whose projections move most at any block, of {len(effect.names)}; means over"
        f" prompts; {int(beyond.sum())} of the {beyond.size} cells at the left are beyond all {found.n_random} random"
        " vectors. Right: one random vector of the same norm.",
        partial(plots.heatmap, panels, ncols=2),
    )


def downstream_table(found: "Downstream", target: str) -> TableSpec:
    """The concepts that move most at the last block."""
    effect = found.effects[target]
    rows = [
        [short_name(name), ONE[relation], f"{change:+.2f} [{low:+.2f}, {high:+.2f}]", f"{most:.2f}",
         _which(relation, beyond=abs(change) > most)]
        for name, relation, change, low, high, most in effect.largest(12)
    ]  # fmt: skip
    return TableSpec(
        f"What follows and what is a side effect of steering to {short_name(target)}",
        ["concept", "relation", "change of projection", "largest at random", "which"],
        rows,
        f"At {found.sites[-1]}, added at {found.site}; 95% intervals over prompts; 1 is a displacement by the concept's"
        f" vector there. Largest of {found.n_random} random vectors, in absolute value.",
    )


def _which(relation: Relation, *, beyond: bool) -> str:
    if not beyond:
        return "as at random"
    return "follows" if relation in ("self", "child", "parent") else "side effect"


def mixtures(found: "Mixtures") -> FigureSpec:
    """Shares asked for and reached."""
    panels = []
    for mixture in found.pairs:
        asked = mixture.asked.tolist()
        ends = np.array([interval_of(row) for row in mixture.one_vector]).T
        lines = {
            "one vector, held-out prompts": plots.Curve(
                asked, mixture.one_vector.mean(axis=1), low=ends[0], high=ends[1]
            ),
            "a shift for each prompt": plots.Curve(asked, mixture.each.mean(axis=1)),
            "unsteered": plots.Curve(asked, [mixture.unsteered.mean()] * len(asked), null=True),
            "random directions": plots.Curve(asked, mixture.random.mean(axis=(0, 2)), null=True),
        }
        one, other = map(short_name, mixture.siblings)
        panels.append(
            plots.CurvePanel("share asked for", f"share of {one}", lines, title=f"{one} and {other}", limits=(0, 1))
        )
    misses = [found.missed(way) for way in ("unsteered", "one vector", "random directions")]
    first = found.pairs[0]
    return FigureSpec(
        "mixtures",
        f"One vector brings siblings' shares within {misses[1]:.2f} of those asked for on held-out prompts; unsteered"
        f" they are {misses[0]:.2f} off, along random directions {misses[2]:.2f}",
        "Share of the first sibling's words in the probability of both siblings' words, which stays as it was"
        f" unsteered; means over {len(first.unsteered)} prompts, band: 95% bootstrap over them. Vectors are sums of"
        f" the two concept vectors found on other prompts; grey: unsteered, and {len(first.random)} pairs of random"
        " directions of the same norms, found alike.",
        partial(plots.curves, panels, ncols=2),
    )


def mixtures_table(found: "Mixtures") -> TableSpec:
    """How far the shares are from those asked for."""
    ways = list(found.pairs[0].misses)
    rows = [
        [" : ".join(map(short_name, mixture.siblings)), *(interval_text(mixture.misses[way]) for way in ways),
         f"{mixture.kl.mean():.2f}", f"{mixture.total_unsteered.mean():.3f} → {mixture.total.mean():.3f}"]
        for mixture in found.pairs
    ]  # fmt: skip
    return TableSpec(
        "How near mixtures of siblings come to what was asked",
        ["siblings", *ways, "KL (nats)", "P(both)"],
        rows,
        "|share − asked|, averaged over the shares asked for, with 95% intervals over held-out prompts. KL and P(both)"
        " of the one vector, averaged over them. The words are those that the concept vectors were fitted to.",
    )


def interval_text(values: NDArray[np.float64], digits: int = 2) -> str:
    """Mean and 95% interval, as tables write it."""
    low, high = interval_of(values)
    return f"{values.mean():.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
