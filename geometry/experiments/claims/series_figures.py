"""Figures of interventions on log-odds, series of values and pairs of words."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import geometry.plots as plots
from geometry.concepts import Series
from geometry.evidence import Composition, ShapeComparison, by_verdict
from geometry.experiments.result import FigureSpec
from geometry.results import Results

if TYPE_CHECKING:
    from geometry.experiments.claims.result import ClaimsResult


def series_figures(result: "ClaimsResult") -> list[FigureSpec]:
    """Those of which there was something to measure."""
    figures = []
    if result.changes:
        figures.append(_logit_changes(result))
    if result.shapes:
        figures.append(_shapes(result))
    if result.composition:
        figures.append(_composition(result.composition, result.series))
    if result.contrasts:
        figures.append(_contrasts(result.contrasts))
    if result.series_claims:
        figures.append(_series_claims(result.series_claims))
    return figures


def _logit_changes(result: "ClaimsResult") -> FigureSpec:
    panels = []
    lines = [
        (0.0, 0.0, "prediction"),
        (1.0, 0.0, "children change as much as parents"),
        (-1.0, 0.0, "children change as much as parents"),
    ]
    for name, both in result.changes.items():
        for source, change in zip(("model", "shuffled rows"), both, strict=True):
            parent, child = (change.means()[kind] for kind in ("parent", "child"))
            points = {source: np.column_stack([change.parent[:, 0], change.child[:, 0]])}
            panels.append(
                plots.ScatterPanel(
                    "change of the parents' log-odds (nats)",
                    "change of the children's",
                    points if source == "model" else {},
                    f"{name}, {source}: {change.means()['pairs']:,} pairs",
                    {} if source == "model" else points,
                    lines,
                    f"parents {parent['mean']:.2f} ± {parent['sd_over_words']:.2f}, children {child['mean']:.2f} ±"
                    f" {child['sd_over_words']:.2f}, mean size {child['mean_absolute']:.2f}",
                )
            )
    name, (model, _) = next(iter(result.changes.items()))
    parent, child = (model.means()[kind] for kind in ("parent", "child"))
    verdicts = ", ".join(f"{result.claims.about(each)['logits'].verdict} on {each}" for each in result.changes)
    return FigureSpec(
        "logit-changes",
        f"A unit step along a parent contrast changes the parents' log-odds by {parent['mean']:.1f} nats, their"
        f" children's by {child['mean_absolute']:.1f} ({name})",
        "Intervention along ℓ(w1) − ℓ(w0), measured on held-out words. Points: a pair of siblings (w1, w0) and two"
        " children of w1, their mean change of log-odds; ±: standard deviation over pairs of words. In theory the"
        " children's do not change; title: mean size. That they change less than random parents' would is"
        f" {verdicts}.",
        partial(plots.scatter, panels),
    )


def _shapes(result: "ClaimsResult") -> FigureSpec:
    verdicts = {test.subject: test.verdict for test in result.series_claims}
    panels = [
        _panel(name, comparison, result.series[name].expected, verdicts.get(name, ""))
        for name, comparison in result.shapes.items()
    ]
    undecided = ("not significant", "too few permutations to decide")
    ordered = [
        comparison
        for name, comparison in result.shapes.items()
        if comparison.preferred != "simplex" and verdicts.get(name) not in undecided
    ]
    clear = sum(not comparison.rivals for comparison in ordered)
    return FigureSpec(
        "shapes",
        f"{len(ordered)} of {len(result.shapes)} series have ordinal structure"
        + (f"; in {clear or 'none'} of them one shape is preferred" if ordered else ""),
        "Above: means of the values' rows on their principal axes, joined in order, dark to light. Below: R² of each"
        " value predicted from the others along a line, circle or tree, beside permuted orders; 0: a simplex, on which"
        " no value predicts another.",
        partial(plots.series, panels),
    )


def _panel(name: str, comparison: ShapeComparison, expected: str, verdict: str) -> plots.SeriesPanel:
    """A series in its plane, and the scores of its shapes beside permuted orders."""
    heading = f"{name}, a {expected}?" if expected else name
    return plots.SeriesPanel(
        f"{heading}\n{verdict}",
        comparison.values,
        comparison.coordinates,
        {shape: test.value for shape, test in comparison.tests.items()},
        comparison.errors,
        {
            shape: tuple(np.quantile(test.nulls["permuted_order"].values, [0.025, 0.975]))
            for shape, test in comparison.tests.items()
        },
        ordered=expected != "simplex",
        closed=expected == "circle",
    )


def _composition(composition: Composition, values: Mapping[str, Series]) -> FigureSpec:
    null = composition.nulls[composition.reference or ""]
    return FigureSpec(
        "composition",
        f"Category + position retrieves the left-out value with normalised rank {composition.value:.2f};"
        f" {null.label} give {null.mean:.2f}",
        "Each value is predicted from all others as the sum of its series and its position (Monday = weekday + 1st),"
        " and its series ranked by cosine to that: 1 if the true value is always first, 0 if last."
        f" {composition.verdict[0].upper()}{composition.verdict[1:]}: adjusted p = {composition.p_adjusted:.2g},"
        f" {len(null.values)} permutations. They lie below ½, as the mean of the other values is closer to them.",
        partial(_draw_composition, composition, values),
    )


def _draw_composition(composition: Composition, values: Mapping[str, Series], **heading: Any) -> plots.Figure:
    names = list(dict.fromkeys(name for name, _ in composition.cells))
    longest = 1 + max(int(values[name].positions.max()) for name in names)
    ranks = np.full((longest, len(names)), np.nan)
    texts = [[""] * len(names) for _ in range(longest)]
    details = zip(composition.cells, composition.ranks, composition.sizes, composition.values, strict=True)
    for (name, value), rank, size, score in details:
        column, row = names.index(name), int(values[name].positions[values[name].values.index(value)])
        ranks[row, column], texts[row][column] = score, f"{value}: {rank} of {size}"
    figure, (cells, means) = plots.grid(2, 1, figsize=(7.2, 5.4), height_ratios=(5, 1), **heading)
    positions = [f"position {number}" for number in range(1, longest + 1)]
    plots.heatmap(
        [plots.HeatmapPanel(ranks, positions, names, "rank of the left-out value", cmap="Blues", texts=texts)], ax=cells
    )
    rows = [plots.StripRow("true positions", composition.values)]
    rows += [plots.StripRow(null.label, null.values, null=True) for null in composition.nulls.values()]
    plots.strip([plots.StripPanel(composition.measure, rows, references={1.0: "prediction"})], ax=means)
    return figure


def _contrasts(contrasts: Results) -> FigureSpec:
    rows = []
    for test in contrasts:
        rows.append(plots.StripRow(f"{test.subject} ({test.n} pairs)", test.values, texts=[test.verdict]))
        rows += [plots.StripRow(null.label, null.values, null=True) for null in test.nulls.values()]
    panel = plots.StripPanel(contrasts[0].measure, rows, references={1.0: "prediction"})
    verdicts = Counter(test.verdict for test in contrasts)
    counts = ", ".join(f"{number} {verdict}" for verdict, number in verdicts.most_common())
    return FigureSpec(
        "contrasts",
        f"Differences of {len(contrasts)} families of word pairs as one direction each: {counts}",
        "Cosine of a pair's difference with the mean difference of the others; points: pairs, of nulls permutations."
        " Sign flips: nothing differs within pairs; they give p. Shuffled partners: the two classes of words differ,"
        " the pairs mean nothing.",
        partial(plots.strip, [panel], columns=("verdict",)),
    )


def _series_claims(claims: Results) -> FigureSpec:
    rows = [
        replace(test, name=f"{test.name} {test.subject}", subject="tests", p_adjusted=test.p_adjusted)
        for test in claims
    ]
    panel, names, columns = Results(rows).forest_panel()
    marked = [
        replace(row, nulls={name: replace(null, low=np.nan, high=np.nan) for name, null in row.nulls.items()})
        for row in panel.rows
    ]
    groups = by_verdict(claims)
    return FigureSpec(
        "series-claims",
        f"Of {len(claims)} tests on series and pairs of words: "
        + ", ".join(f"{len(tests)} {word}" for word, tests in groups.items()),
        "Each on its own scale, from the mean of its null (permuted orders; of composition shuffled positions; of pairs"
        " sign flips) to the prediction. Bars: 95% intervals; adjusted p ≤ 0.05 over these tests.",
        partial(plots.forest, [replace(panel, rows=marked)], names, columns=columns),
    )
