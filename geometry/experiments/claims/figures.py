"""Figures of the claims on hierarchies: all of them at a glance, and each beside its null models."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

import geometry.plots as plots
from geometry.concepts import short_name
from geometry.evidence import OrthogonalityResult, by_verdict, verdict_word
from geometry.experiments.claims.comparison_figures import control_figure, orthogonality_figure, products_figure
from geometry.experiments.claims.illustrations import SOURCES
from geometry.experiments.result import FigureSpec
from geometry.results import NullValues, Results, TestResult
from geometry.views.concept_heatmap import cosine_panels

if TYPE_CHECKING:
    from geometry.experiments.claims.result import ClaimsResult


_PERMUTATIONS_SHOWN = 20  # of concepts or edges: more points cannot be told apart
# Nulls that some figures leave to the overview, since they would hide what matters there.
_ELSEWHERE = ("gaussian", "random_parent", "random_metric", "euclidean", "mean_estimator")


def claim_figures(result: "ClaimsResult") -> list[FigureSpec]:
    """The overview, existence, orthogonality, the tree, what products and control do, each other claim."""
    named: dict[str, list[TestResult]] = {}
    for test in result.claims:
        if test.measured:
            named.setdefault(test.name, []).append(test)
    orthogonal = [test for test in result.claims if isinstance(test, OrthogonalityResult) and test.measured]
    figures = [_overview(result)]
    if "existence" in named:
        figures.append(_existence(result, named["existence"]))
    if orthogonal:
        figures.append(orthogonality_figure(orthogonal))
    figures.append(_heatmap(result))
    figures += [figure for figure in (products_figure(result.claims), control_figure(result)) if figure]
    shown = ["existence", *(test.name for test in orthogonal)]
    return figures + [_page(tests) for name, tests in named.items() if name not in shown]


def _overview(result: "ClaimsResult") -> FigureSpec:
    panel, names, _ = Results([test for test in result.claims if test.measured]).forest_panel()
    # Where hierarchies differ, a null stands at their mean: ranges would take a line each.
    rows = [
        replace(row, nulls={name: replace(null, low=nan, high=nan) for name, null in row.nulls.items()})
        for row in panel.rows
    ]
    groups = by_verdict(test for test in result.claims if test.measured)
    counted = ", ".join(f"{len(tests)} {word.partition(':')[0]}" for word, tests in groups.items())
    n, twins = result.study.n_permutations, result.study.n_twins
    pair = next(iter(result.control.values()), None)
    columns = ["model", "null → exact twin", *([f"model | {pair.name.partition('-')[0]}"] if pair else []), "verdict"]
    keyed = zip(dict.fromkeys(test.name for test in result.claims if test.measured), rows, strict=True)
    rows = [_with_control(result, name, row) for name, row in keyed]
    beside = f" {pair.name}, word vectors without a language model: on the words that both have." if pair else ""
    return FigureSpec(
        "overview",
        f"Of {sum(map(len, groups.values()))} tests on concept hierarchies: {counted}",
        "Each claim from its null (permuted lemmas; of orthogonality a twin tilted by a cosine of 0.3) to the exact"
        " theory twin: the model's words and noise, with the theory planted at the model's own strength. Bars: 95%"
        f" intervals, families drawn again; grey: other nulls. {n} permutations, {twins} twins of each kind; adjusted"
        f" p ≤ 0.05.{beside}",
        partial(plots.forest, [replace(panel, rows=rows)], names, columns=columns),
    )


def _with_control(result: "ClaimsResult", name: str, row: plots.ForestRow) -> plots.ForestRow:
    """The row's texts for few columns, with "model | control" on their common words where there is a control."""
    texts = {}
    for subject, (value, null, theory, verdict) in row.texts.items():
        both = result.control[subject].rows() if subject in result.control else []
        shown = [f"{own.value:.2f} | {other.value:.2f}" for own, other in both if own.name == name]
        beside = (shown or ["–"]) if result.control else []
        cells = [text.replace("-", "\N{MINUS SIGN}") for text in (value, f"{null} → {theory}", *beside)]
        texts[subject] = (*cells, verdict_word(verdict).partition(":")[0])
    return replace(row, texts=texts)


def _shown(test: TestResult) -> list[NullValues]:
    return [null for name, null in test.nulls.items() if name not in _ELSEWHERE]


def _existence(result: "ClaimsResult", tests: Sequence[TestResult]) -> FigureSpec:
    first = tests[0]
    null = first.nulls["random_subset"]
    token = result.beside[first.subject]["projection_token"]
    return FigureSpec(
        "existence",
        f"Held-out lemmas project on their concept vector with {first.value:.2f}, random subsets of the parent with"
        f" {null.mean:.2f}",
        f"Normalised projection ℓᵀg/‖ℓ‖² of held-out words (ℓ: concept vector, g: row in the unified space),"
        f" {first.n} concepts of {first.subject}; 1: words that a vector is fitted to. All are fitted to 70% of the"
        f" lemmas. Held-out tokens give {token.value:.2f}, as forms of one word fall on both sides. Right: held-out"
        " lemmas by the concept's size; one permutation of each null.",
        partial(_draw_existence, result, tests),
    )


def _draw_existence(result: "ClaimsResult", tests: Sequence[TestResult], *, title: str, caption: str) -> plots.Figure:
    figure, axes = plots.grid(len(tests), 2, title=title, caption=caption, width_ratios=(1.25, 1))
    lines, points = [], []
    for test in tests:
        hierarchy = result.hierarchies[test.subject]
        own = {
            "held-out lemmas": test.values,
            "held-out tokens": result.beside[test.subject]["projection_token"].values,
        }
        drawn = {name: _sorted(values) for name, values in own.items() if np.isfinite(values).any()}
        nulls = [null for null in _shown(test) if np.isfinite(null.values).any()]
        drawn |= {null.label: _sorted(null.values, null=True) for null in nulls}
        lines.append(
            plots.CurvePanel(
                "concepts, sorted (%)",
                "normalised projection",
                drawn,
                title=f"{test.subject}: {test.verdict}",
                references={0.0: "", 1.0: ""},
                marked=False,
            )
        )
        sizes = np.array([len(concept) for concept in hierarchy])
        of_children = sizes[[child for _, child in hierarchy.edges]]
        beside = {
            null.label: np.column_stack([x, null.values[0]])
            for null in _shown(test)
            for x in (sizes, of_children)
            if len(x) == null.values.shape[1]
        }
        own_points = {"held-out lemmas": np.column_stack([sizes, test.values])}
        points.append(
            plots.ScatterPanel("tokens of the concept", "", own_points, nulls=beside, lines=[(0.0, 1.0, "")], log="x")
        )
    plots.curves(lines, ax=axes[::2])
    plots.scatter(points, ax=axes[1::2])
    return figure


def _sorted(values: Any, null: bool = False) -> plots.Curve:
    finite = np.sort(np.ravel(values)[np.isfinite(np.ravel(values))])[::-1]
    # Many permutations lie on one curve: as many points as can be seen.
    share = np.linspace(0, 100, min(len(finite), 200))
    return plots.Curve(share, np.interp(share, np.linspace(0, 100, len(finite)), finite), null)


def _null_rows(nulls: Iterable[NullValues]) -> list[plots.StripRow]:
    return [
        plots.StripRow(null.label, null.values[: _PERMUTATIONS_SHOWN if null.values.shape[1] > 1 else None], null=True)
        for null in nulls
    ]


def _page(tests: Sequence[TestResult]) -> FigureSpec:
    """One claim on all hierarchies, beside every null."""
    panels = [
        plots.StripPanel(
            test.measure,
            [plots.StripRow("model", test.values), *_null_rows(test.nulls.values())],
            f"{test.subject}: {test.verdict}",
            {test.ends[1]: "exact twin"},
        )
        for test in tests
    ]
    groups = by_verdict(tests)
    where = [
        word + (f" on {' and '.join(t.subject for t in g)}" if len(groups) > 1 else "") for word, g in groups.items()
    ]
    verdict, title = "; ".join(where), tests[0].title
    numbers = "; ".join(
        f"{test.subject} {test.value:.3f} (n = {test.n}), permuted lemmas {test.ends[0]:.3f}, exact theory twin"
        f" {test.ends[1]:.3f}, adjusted p {test.p_adjusted:.2g}"
        for test in tests
    )
    points = (
        "one of the model, one a permutation"
        if tests[0].n == 1
        else f"concepts, edges or pairs, of at most {_PERMUTATIONS_SHOWN} permutations"
    )
    return FigureSpec(
        tests[0].name,
        f"{verdict[0].upper()}{verdict[1:]}: {title[0].lower()}{title[1:]}",
        f"Means: {numbers}. Points: {points}; black: means.",
        partial(plots.strip, panels),
    )


def _heatmap(result: "ClaimsResult") -> FigureSpec:
    name, hierarchy = next(iter(result.hierarchies.items()))
    tests = result.claims.about(name)
    every, disjoint = tests["tree-correlation"], tests["tree-correlation-disjoint"]
    ordered = np.ix_(hierarchy.depth_first, hierarchy.depth_first)
    blocks = [(short_name(block), start, stop) for block, start, stop in hierarchy.blocks()]
    proximity = 1 / (1 + hierarchy.tree_distance()[ordered])
    cosines = [np.minimum(matrix[ordered], 1) for matrix in result.cosines[name]]
    panels = [
        plots.HeatmapPanel(
            proximity, title="tree proximity", cmap="cividis", colourbar="1 / (1 + tree distance)", blocks=blocks
        )
    ]
    panels += cosine_panels(dict(zip(SOURCES, cosines, strict=True)), blocks)
    correlation = "too few pairs of concepts share no word"
    if disjoint.measured:
        null, theory = disjoint.ends
        correlation = (
            f"{disjoint.value:.2f} where no word is shared, {null:.2f} with permuted lemmas, {theory:.2f} in theory"
        )
    boxed = "; boxes are subtrees" if any(stop - start > 1 for _, start, stop in blocks) else ""
    return FigureSpec(
        "heatmap",
        f"Rank correlation of cosine with tree proximity: {correlation}",
        f"{len(hierarchy)} concepts of {name}, depth first{boxed}. ρ: Spearman's, over pairs of concepts without a"
        f" common word; over all pairs {every.value:.2f}, with permuted lemmas {every.ends[0]:.2f}: nested concepts"
        " share words, and shared words make vectors similar in any model. In theory: the exact theory twin. c: the"
        " first draw.",
        partial(plots.heatmap, panels, ncols=3),
    )
