"""The figures of features of concepts: words and layout, no measurement."""

from functools import partial
from typing import TYPE_CHECKING, Any

import geometry.plots as plots
from geometry.experiments.dictionaries.setup import RANDOM, SAE
from geometry.experiments.result import FigureSpec
from geometry.intervals import mean_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geometry.dictionaries import TreeFeatures
    from geometry.experiments.dictionaries.concepts import ConceptsPart

_NULLS = (RANDOM, "permuted words")
_MEASURES = {
    "share of words": {
        "silent": "parent's feature silent\non the child's words",
        "silent_beside": "parent's feature silent\non its other words",
        "absorbed": "absorbed: silent, and the\nchild's carries the parent",
    },
    "F1 on the parent's words": {
        "single": "parent's feature",
        "union": "its children's\nfeatures together",
        "splitting": "splitting: the latter\nless the former",
    },
}


def distribution(part: "ConceptsPart") -> FigureSpec:
    """AUC of every concept, by what discriminates."""
    rows = [plots.StripRow(name, values, null=name in _NULLS) for name, values in part.auc.items()]
    found = part.found
    over = part.over_random()
    return FigureSpec(
        "concepts",
        f"A single feature discriminates a concept's held-out words with AUC {found.auc.mean():.2f}, a random"
        f" dictionary's with {found.random_auc.mean():.2f}, a dense direction with {part.dense.mean():.2f}",
        f"A point is one of {len(found.names)} concepts (of nulls, one in one draw): {part.n_words:,} words read in"
        f" {part.context!r}; the feature is chosen on one half of the lemmas and scored on the other, both ways."
        f" Above the random dictionaries' mean for {(over > 0).mean():.0%} of the concepts, by"
        f" {mean_of(over):.3f} on average."
        f" Grey: {len(found.random_auc)} random dictionaries, {len(found.permuted_auc)} permutations of words among"
        " concepts.",
        partial(plots.strip, [plots.StripPanel("AUC on held-out words", rows, "", {0.5: "chance"})]),
    )


def tree(part: "ConceptsPart", found: "TreeFeatures") -> FigureSpec:
    """A row a measure, nulls in grey."""
    table = found.summary()
    panels = {}
    for measure, labels in _MEASURES.items():
        rows, names = [], []
        for key, label in labels.items():
            row = table.loc[key]
            nulls = {
                "permuted words": plots.NullMark(float(row["permuted words"]), "x"),
                RANDOM: plots.NullMark(float(row["random dictionary"]), "d"),
            }
            estimate = plots.Estimate(float(row["mean"]), float(row["low"]), float(row["high"]))
            rows.append(plots.ForestRow({SAE: estimate}, nulls))
            names.append(label)
        panels[measure] = plots.ForestPanel(measure, rows, "", {0.0: ""}), names
    absorbed, gain = table.loc["absorbed"], table.loc["splitting"]
    return FigureSpec(
        "tree",
        f"Absorption is {absorbed['mean']:.1%} of a child's words, with random dictionaries"
        f" {absorbed['random dictionary']:.1%}; children's features together gain {gain['mean']:.2f} in F1 on the"
        f" parent's own, with random dictionaries {gain['random dictionary']:.2f}",
        f"{len(found.edges)} pairs of parent and child, {len(found.families)} families of at least two children; on"
        " words that chose no feature. Bars: 95%, bootstrap over families. Grey: means of"
        f" {len(part.found.permuted_auc)} permutations and {len(part.found.random_auc)} random dictionaries.",
        partial(_drawn, list(panels.values())),
    )


def _drawn(panels: "Sequence[tuple[plots.ForestPanel, list[str]]]", **heading: Any) -> "plots.Figure":
    """Panels with rows of their own, one above the other; one legend serves both."""
    figure, axes = plots.grid(len(panels), 1, figsize=(7.2, 4.9), **heading)
    for letter, each, (panel, names) in zip("ab", axes, panels, strict=True):
        plots.forest([panel], names, ax=each)
        plots.tag_panel(each, letter)
    for each in axes[:-1]:
        if legend := each.get_legend():
            legend.remove()
    return figure
