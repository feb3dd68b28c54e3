"""Figures that put claims beside something else: theory twins, other inner products, word vectors, series' nulls."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

import geometry.plots as plots
from geometry.evidence import OrthogonalityResult, verdict_word
from geometry.experiments.result import FigureSpec
from geometry.results import Results, TestResult

if TYPE_CHECKING:
    from geometry.experiments.claims.result import ClaimsResult

_PRODUCTS = {"euclidean": "less Euclidean product", "random_metric": "less random metric"}


def orthogonality_figure(tests: Sequence[OrthogonalityResult]) -> FigureSpec:
    """The debiased cosine of each claim between its twins, and the cosine as published."""
    subjects = dict.fromkeys(test.subject for test in tests)
    rows, published, names = [], [], []
    for test in tests:
        twins = {
            "exact theory twins": _spread([one.value for one in test.exact], "|"),
            "twins tilted by 0.3": _spread([one.value for one in test.tilted], "|"),
            "unrelated references": plots.NullMark(test.unrelated.value, "v"),
        }
        by_means = {
            f"{name} estimator": plots.Estimate(other.value, *other.interval)
            for name, other in test.by_estimator.items()
        }
        rows.append(
            plots.ForestRow(
                {"LDA": plots.Estimate(test.value, *test.interval), **by_means},
                {label: mark for label, mark in twins.items() if np.isfinite(mark.value)},
            )
        )
        whole = test.related["published"].absolute()
        subsets = whole.nulls.get("random_subset")
        beside = {} if subsets is None else {"random subset of the parent": plots.NullMark(subsets.mean, "d")}
        verdict = test.verdict if test.measured else verdict_word(test.verdict)  # what it takes is in the table
        published.append(
            plots.ForestRow({"LDA": plots.Estimate(whole.value, *whole.interval)}, beside, {"LDA": [verdict]})
        )
        letter, (_, _, rest) = test.name[-1], test.title.partition(") ")
        names.append(f"{letter}: {rest}" + (f" ({test.subject})" if len(subjects) > 1 else ""))
    first = next((test for test in tests if test.name == "orthogonality-b"), tests[0])
    low, high = first.interval
    interval = f" [{low:.2f}, {high:.2f}]" if np.isfinite(low) else ""
    panels = [
        plots.ForestPanel("debiased cosine, sign · √|cos²|", rows, "true vectors", {0.0: "", first.bound: "bound"}),
        plots.ForestPanel("|cos|, all words", published, "as published"),
    ]
    return FigureSpec(
        "orthogonality",
        f"Contrasts of siblings and their parent: cosine {first.value:.2f}{interval} freed of noise, exact theory"
        f" {first.ends[1]:.2f}, tilted by 0.3 {first.ends[0]:.2f}: {first.verdict.partition(' (')[0]}",
        "Left: pooled over families, from folds of words that share none; bars: 95% intervals, families drawn again."
        " Grey bars: theory twins, exact and tilted. Unrelated: against parents without a common word. In a and d the"
        " contrast contains words of its reference, so that exact theory is not at 0. Right: as published, which noise"
        " and nesting make small whatever is true.",
        partial(plots.forest, panels, names, columns=("verdict",)),
    )


def _spread(values: Sequence[float], marker: str) -> plots.NullMark:
    if not values:
        return plots.NullMark(np.nan)
    return plots.NullMark(float(np.mean(values)), marker, min(values), max(values))


def products_figure(claims: Results) -> FigureSpec | None:
    """What each claim gains by the causal inner product, on its own scale; None where nothing else was measured."""
    rows, names, gains = [], [], {}
    for test in claims:
        null, theory = test.ends
        if (
            not test.measured
            or not test.compared
            or isinstance(test, OrthogonalityResult)
            or not abs(theory - null) > 1e-9  # nan too
        ):
            continue
        estimates, texts = {}, {}
        for product, label in _PRODUCTS.items():
            if product in test.compared:
                value, (low, high) = test.difference(product)
                ends = sorted((low / (theory - null), high / (theory - null)))
                estimates[label] = plots.Estimate(value / (theory - null), *ends)
                texts[label] = [f"{value:+.3f} [{low:+.3f}, {high:+.3f}]".replace("-", "\N{MINUS SIGN}")]
        if estimates:
            rows.append(plots.ForestRow(estimates, texts=texts))
            names.append(f"{test.name} ({test.subject})")
            gains[names[-1]] = all(one.low > 0 for one in estimates.values())
    if not rows:
        return None
    helped = [name for name, gain in gains.items() if gain]
    title = f"The causal inner product helps {len(helped)} of {len(rows)} tests beyond both other products"
    return FigureSpec(
        "products",
        title + (f": {', '.join(helped)}" if 0 < len(helped) <= 4 else ""),
        "Paired differences by concept, edge or family, as a share of the way from permuted lemmas to the exact theory"
        " twin; right of 0: the causal product is nearer to the theory. Bars: 95% intervals, families drawn again."
        " Random metric: the causal product's spectrum along random axes. Texts: differences in each claim's units.",
        partial(
            plots.forest,
            [plots.ForestPanel("gain by the causal product / (exact twin − null)", rows, references={0.0: "no gain"})],
            names,
            columns=("difference",),
        ),
    )


def control_figure(result: "ClaimsResult") -> FigureSpec | None:
    """The claims by the model and by the control on their common words; None without a control."""
    rows, names = [], []
    label = ""
    for pair in result.control.values():
        label = pair.name
        for own, other in pair.rows():
            null = own.nulls["permuted"].mean if "permuted" in own.nulls else float("nan")
            scale = own.value - null
            if not abs(scale) > 1e-9:  # nan too: orthogonality has no permutations, and stands in the overview
                continue
            theirs = other.nulls["permuted"].mean
            rows.append(
                plots.ForestRow(
                    {"model": _scaled(own, null, scale), label: _scaled(other, theirs, scale)},
                    texts={"model": [f"{own.value:.3f}"], label: [f"{other.value:.3f}"]},
                )
            )
            names.append(f"{own.name} ({pair.hierarchy.name})")
    if not rows:
        return None
    reached = float(np.median([row.estimates[label].value for row in rows]))
    return FigureSpec(
        "control",
        f"Word vectors that no language model made ({label}) reach {reached:.0%} of the model's distance from permuted"
        " lemmas, in the median claim",
        "On the words that both have, each in its own space: distance from its own permuted lemmas, in units of the"
        " model's. Bars: 95% intervals, families drawn again. Orthogonality, which has no permutations, is in the"
        " overview.",
        partial(
            plots.forest,
            [plots.ForestPanel("distance from permuted lemmas (model = 1)", rows, references={0.0: "", 1.0: "model"})],
            names,
            columns=("value",),
        ),
    )


def _scaled(test: TestResult, null: float, scale: float) -> plots.Estimate:
    low, high = sorted((end - null) / scale for end in test.interval)
    return plots.Estimate((test.value - null) / scale, low, high)
