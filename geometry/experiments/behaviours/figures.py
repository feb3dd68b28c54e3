"""The figures of the study of behaviours: what each shows in a sentence, its caption, its panels."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import geometry.plots as plots
from geometry.evidence import verdict_word
from geometry.evidence.orthogonality.pooled import FEWEST_FAMILIES
from geometry.experiments.behaviours.steering import CONTROLS, DOMAINS, MAX_NEW_TOKENS, METHODS, PARTS, SUM, UNSTEERED
from geometry.experiments.evaluator import BOUND
from geometry.experiments.result import FigureSpec
from geometry.intervals import interval_of
from geometry.results import Results, TestResult

if TYPE_CHECKING:
    from geometry.experiments.behaviours.result import FamilyResult
    from geometry.plots import ForestPanel, ForestRow, HeatmapPanel, NullMark

Families = Mapping[str, "FamilyResult"]
Values = NDArray[np.float64]
_MARKERS = {UNSTEERED: "|", "random direction": "x", "shuffled labels": "d", "neutral prompts": "v"}
_LEVEL_MARKERS = {"words": "xd", "prompts": "+v"}  # of permutations; of random subsets or unrelated references
_BARS = "Bars: 95% bootstrap intervals over sentences."


def figures(families: Families, levels: Results) -> list[FigureSpec]:
    """All of which there is something to draw; the main one first."""
    specs = [of(families) for of in (_steering, _composed, _transfer, _pairs, _layers, _contrasts, _contrast_pairs)]
    specs += [_routes(families)] if any(item.routes for item in families.values()) else []
    specs += [_shapes(families)] if any(item.shape for item in families.values()) else []
    return [*specs, _levels(levels)]


def _steering(families: Families) -> FigureSpec:
    every = [item.steering for item in families.values()]
    rate = {way: np.mean([item.outcomes["success"][way].mean() for item in every]) for way in METHODS}
    generated = [item.outcomes["generated"] for item in every]
    shown = sum(_low(by["class difference"] - by["random direction"]) > 0 for by in generated)
    panels = [
        _panel(families, "success", METHODS, "steering success rate", "sentences under the vector"),
        _panel(families, "generated", METHODS, "steering success rate", "generated texts"),
        _panel(families, "log_odds", METHODS, "change in nats", "log-odds of class words", {0.0: ""}),
        _panel(families, "perplexity", METHODS, "× unsteered", "perplexity", {1.0: "", BOUND: "bound"}),
    ]
    over = {name: "" if item.steering.strength.within else ", over the bound" for name, item in families.items()}
    rows = [f"{name}: block {i.block}, {i.steering.strength.value:g} ×{over[name]}" for name, i in families.items()]
    return FigureSpec(
        "steering",
        f"Class differences steer {rate['class difference']:.0%} of held-out sentences to their target, contrast pairs"
        f" {rate['contrast-pair direction']:.0%}; generated texts show it in {shown} of {len(every)} families",
        "Vectors of one norm from half of the templates, within the perplexity bound. a: sentences of the other half,"
        f" probed after the final norm. b: texts of {MAX_NEW_TOKENS} tokens, probed without the vector. c: words of"
        " target against source. Contrast pair: last class less first, or the two farthest apart. Prompting: a target"
        f" sentence prepended. {_BARS}",
        partial(plots.forest, panels, rows),
    )


def _composed(families: Families) -> FigureSpec:
    right = [item.steering.outcomes["right_class"] for item in families.values()]
    rate = {part: np.mean([by[part].mean() for by in right]) for part in PARTS}
    titles = {"any_class": "as any class of the family", "right_class": "as the right class"}
    panels = [_panel(families, key, PARTS, "fraction classified so", title) for key, title in titles.items()]
    return FigureSpec(
        "composed",
        f"{SUM.capitalize()} takes {rate[SUM]:.0%} of neutral prompts to the right class, the offset alone"
        f" {rate['class offset']:.0%}, the family mean alone {rate['family mean']:.0%}",
        "Family mean: mean of its classes less that of neutral prompts. Class offset: the class less the family's mean."
        " The random direction has the norm of the sum. Classified by a probe after the final norm that knows neutral"
        f" prompts too, fitted to other templates. {_BARS}",
        partial(plots.forest, panels, list(families)),
    )


def _transfer(families: Families) -> FigureSpec:
    every = [item.steering.outcomes["transfer"] for item in families.values()]
    own, other, shuffled = ([by[domain] for by in every] for domain in DOMAINS)
    kept = [there.mean() / max(here.mean(), 1e-9) for here, there in zip(own, other, strict=True)]
    real = sum(_low(there) > interval_of(null)[1] for there, null in zip(other, shuffled, strict=True))
    panel = _panel(families, "transfer", DOMAINS[:2], "steering success rate", "sentences of one domain")
    return FigureSpec(
        "transfer",
        f"Class differences fitted in one domain steer sentences of another in {real} of {len(every)} families,"
        f" {_between(kept)} times as often as those of their own",
        "Vectors of one norm from the same templates of either domain; shuffled labels: those of the other domain."
        f" Sentences of other templates, classified by a probe after the final norm. {_BARS}",
        partial(plots.forest, [panel], list(families)),
    )


def _panel(
    families: Families, key: str, shown: Sequence[str], measure: str, title: str, marks: dict[float, str] | None = None
) -> "ForestPanel":
    """A row a family: means of what is shown with their intervals, and means of the controls."""
    rows = []
    for item in families.values():
        by_condition = item.steering.perplexity if key == "perplexity" else item.steering.outcomes[key]
        values = {way: np.atleast_1d(of) for way, of in by_condition.items()}
        estimates = {
            way: plots.Estimate(values[way].mean(), *interval_of(values[way])) for way in shown if way in values
        }
        controls = [way for way in CONTROLS if way in values and way not in shown]
        rows.append(
            plots.ForestRow(estimates, {way: plots.NullMark(values[way].mean(), _MARKERS[way]) for way in controls})
        )
    return plots.ForestPanel(measure, rows, title, marks or {})


def _pairs(families: Families) -> FigureSpec:
    off = [item.steering.matrix[~np.eye(len(item.classes), dtype=bool)] for item in families.values()]
    low, high = (of(values.mean() for values in off) for of in (min, max))
    axes = {"row_axis": "from", "column_axis": "to"}
    panels = [_square(n, i.classes, i.steering.matrix, np.eye(len(i.classes)) > 0, **axes) for n, i in families.items()]
    return FigureSpec(
        "pairs",
        f"From any class to any other, {np.concatenate(off).mean():.0%} of held-out sentences are classified as the"
        f" target ({low:.0%} to {high:.0%} by family)",
        "Steering success rate. Row: the class of the sentences. Column: the class that they are steered to, by the"
        " difference of the two means. Grey: sentences of the class, unsteered, classified as what they are.",
        partial(plots.heatmap, panels, ncols=min(2, len(panels))),
    )


def _contrasts(families: Families) -> FigureSpec:
    every = [test for item in families.values() for test in item.contrasts.values()]
    bounds = [_quantile(test.nulls["sign_flip"].values) for test in every]
    panels = []
    for name, item in families.items():
        values = np.full((len(item.classes),) * 2, np.nan)
        for (one, two), test in item.contrasts.items():
            first, second = item.classes.index(one), item.classes.index(two)
            values[second, first], values[first, second] = test.value, _quantile(test.nulls["sign_flip"].values)
        null = np.triu(np.ones(values.shape, dtype=bool))
        panels.append(_square(f"{name}, block {item.block}", item.classes, values, null, limits=(0.0, 0.6)))
    return FigureSpec(
        "contrasts",
        f"{sum(test.p_value <= 0.05 for test in every)} of {len(every)} pairs of classes have a context-consistent"
        f" difference vector: cosine {_between([test.value for test in every])}, sign flips at most {max(bounds):.2f}",
        "Below the diagonal: mean cosine of the difference of two sentences of one template and domain, one of each"
        " class, with all other such differences. Above it, grey: 95% of the same with the signs of random differences"
        " flipped.",
        partial(plots.heatmap, panels, ncols=min(2, len(panels))),
    )


def _square(title: str, classes: list[str], values: Values, null: Any, **options: Any) -> "HeatmapPanel":
    """Class by class, or by what else; cells of a null are grey, and nan is blank."""
    texts = [[text.replace("–", "") for text in row] for row in plots.numbers(values)]
    given: dict[str, Any] = {"columns": classes, "texts": texts, "null": null} | options
    return plots.HeatmapPanel(values, classes, title=title, **given)


def _layers(families: Families) -> FigureSpec:
    sweeps = {name: [*item.probes.values()] for name, item in families.items()}
    known = {name: each for name, each in sweeps.items() if all(sweep.first is not None for sweep in each)}
    start = max((sweep.first or 0 for each in known.values() for sweep in each), default=0)
    best = [min(sweep.accuracy.max() for sweep in each) for each in known.values()]
    panels = []
    for name, item in families.items():
        blocks = np.arange(len(sweeps[name][0].results))
        lines = {f"held-out {kind}": plots.Curve(blocks, sweep.accuracy) for kind, sweep in item.probes.items()}
        bound = np.full(len(blocks), max(sweep.threshold for sweep in sweeps[name]))
        lines["shuffled labels, 95% of their best block"] = plots.Curve(blocks, bound, null=True)
        k = len(item.classes)
        title, chance = f"{name} ({k} classes)", {1 / k: "chance"}
        panels.append(plots.CurvePanel("after block", "probe accuracy", lines, title, chance, marked=False))
    said = f"Classes are discriminated on held-out templates and domains in {len(known)} of {len(families)} families"
    return FigureSpec(
        "layers",
        f"{said}, from block {start} on: probe accuracy {_between(best)} at best" if known else said,
        "Balanced accuracy of ridge regression on the residual stream at a prompt's last token, fitted without one"
        " template or one domain and evaluated on it; the last point is after the final norm. Labels are shuffled"
        " within template and domain.",
        partial(plots.curves, panels, ncols=min(3, len(panels))),
    )


def _contrast_pairs(families: Families) -> FigureSpec:
    beyond, tried, panels = [], 0, []
    for name, item in families.items():
        values = np.stack([test.values for test in item.contrast_pairs.values()], axis=1)
        flipped = [np.abs(test.nulls["sign_flip"].values) for test in item.contrast_pairs.values()]
        within = np.abs(values) <= np.quantile(flipped, 0.95, axis=1).max(axis=0)[:, None]
        options = {"columns": list(item.contrast_pairs), "limits": (-0.8, 0.8), "cmap": "RdBu_r"}
        panels.append(_square(f"{name}, block {item.block}", item.classes, values, within, **options))
        cases = [f"{name}: {label} along {way}" for label in item.classes for way in item.contrast_pairs]
        told = zip(cases, values.ravel(), within.ravel(), strict=True)
        beyond += [(abs(value), f"{case}, {value:+.2f}") for case, value, inside in told if not inside]
        tried += len(cases)
    most = f"; most of all {max(beyond)[1]}" if beyond else ""
    return FigureSpec(
        "contrast-pairs",
        f"Contrast-pair directions point along classes beyond sign flips in {len(beyond)} of {tried} cases{most}",
        "Cosine of the contrast-pair direction (mean difference of pairs of sentences that differ in one thing, the"
        " first named less the second; CAA) with the class offset (the class mean less the family's). Grey: within 95%"
        " of |cos| with the signs of random pairs flipped, over the norm of the true mean.",
        partial(plots.heatmap, panels, ncols=min(2, len(panels))),
    )


def _routes(families: Families) -> FigureSpec:
    routes = {name: item.routes for name, item in families.items() if item.routes}
    few = [name for name, each in routes.items() if each.matching.p_floor > 0.05]
    rows = {}
    for name, each in routes.items():
        matching = each.matching
        for index, label in enumerate(matching.labels):
            nulls = {"nearest other class": plots.NullMark(np.delete(matching.cosines[index], index).max())}
            for null in (matching.nulls["shuffled"], matching.nulls["neutral_prompts"]):
                nulls[f"{null.label}, 95%"] = plots.NullMark(_quantile(null.values[:, index]), null.marker)
            middle = each.by_block[families[name].block, index]
            values = {"final hidden states": matching.values[index], "after the best block": middle}
            rows[f"{name}: {label}"] = _row(values, nulls)
    panel = plots.ForestPanel("cosine of class words with class prompts", [*rows.values()], "class by class", {0.0: ""})
    return FigureSpec(
        "routes",
        f"Class words and class prompts point the same way in {sum(each.agree for each in routes.values())} of"
        f" {len(routes)} families: mean cosine {_between([each.matching.value for each in routes.values()])}",
        "Words: concept vector of a class's words less the family's mean. Prompts: Σ^(1/2) times their mean hidden"
        " state (final, or after the best block and put through the final norm) less the family's mean. A family"
        " agrees where it is beyond 95% of permuted classes, shuffled rows and random classes of neutral prompts."
        + (f" Too few classes to tell: {', '.join(few)}." if few else ""),
        partial(plots.forest, [panel], [*rows]),
    )


def _row(values: Mapping[str, float], nulls: Mapping[str, "NullMark"]) -> "ForestRow":
    return plots.ForestRow({name: plots.Estimate(float(value)) for name, value in values.items()}, nulls)


def _shapes(families: Families) -> FigureSpec:
    shapes = {name: item.shape for name, item in families.items() if item.shape}
    beyond = {name: families[name].shapes_beyond for name in shapes}
    found = ", ".join(f"{name} ({' and '.join(keys)})" for name, keys in beyond.items() if keys)
    few = ", ".join(name for name in families if name not in shapes)
    panels = [
        plots.SeriesPanel(
            f"{name}: {' and '.join(beyond[name]) or 'no shape'}",
            shape.values,
            shape.coordinates,
            {key: test.value for key, test in shape.tests.items()},
            shape.errors,
            {key: test.nulls["permuted_order"].interval for key, test in shape.tests.items()},
            ordered=families[name].family.ordered,
            closed=False,
        )
        for name, shape in shapes.items()
    ]
    return FigureSpec(
        "shapes",
        f"Classes lie on a shape beyond permuted orders in {sum(map(bool, beyond.values()))} of {len(shapes)} families"
        + (f": {found}" if found else ""),
        "Above: class means on their principal axes, levels joined in order. Below: R² of each class predicted from"
        " the others along the shape; 0 is a simplex. Named: shapes beyond 95% of permuted orders; these are few (a"
        " circle of five has 12), so that a large R² can be within them. Trees: the branches that the file names."
        + (f" Fewer than four classes: {few}." if few else ""),
        partial(plots.series, panels, ncols=min(4, len(panels))),
    )


def _levels(levels: Results) -> FigureSpec:
    tests = [test for test in levels if test.measured]
    names = list(dict.fromkeys(test.name for test in tests))
    auc, cosine = (
        [_level_row([t for t in tests if t.name == name], only) for name in names] for only in ("AUC", "cosine")
    )
    panels = [
        plots.ForestPanel("AUC, held out", auc, "separation", {0.5: "chance"}, (0.0, 1.0)),
        plots.ForestPanel("debiased cosine", cosine, "orthogonality", {0.0: ""}, (-1.0, 1.0)),
    ]
    said = ", ".join(f"{test.value:.2f} by {test.subject}" for test in tests if test.name == "separation")
    verdicts = dict.fromkeys(verdict_word(test.verdict) for test in tests if test.name != "separation")
    return FigureSpec(
        "levels",
        f"Classes are discriminated from their family (AUC {said}); orthogonality: {' or '.join(verdicts)}",
        "Behaviour → kind → family → class in the unified space: concept vectors of class words, and of final hidden"
        " states of prompts less those of neutral prompts. Held out are lemmas, of prompts whole templates. Cosines:"
        " sign · √|cos²|, free of noise, over folds with no lemma or template in common; orthogonality takes at least"
        f" {FEWEST_FAMILIES} families of siblings.",
        partial(
            plots.forest,
            panels,
            [next(t.title for t in tests if t.name == name) for name in names],
            columns=("value", "verdict"),
        ),
    )


def _level_row(tests: Sequence[TestResult], only: str) -> "ForestRow":
    """Both routes to a claim, on the panel of its measure; the texts stand beside the last panel."""
    estimates, nulls, texts = {}, {}, {}
    for test in tests:
        if only in test.measure:
            estimates[test.subject] = plots.Estimate(test.value, *test.interval)
            for name, null in test.nulls.items():
                if np.isfinite(null.mean):
                    marker = _LEVEL_MARKERS[test.subject][name != "permuted"]
                    nulls[f"{test.subject}: {null.label}"] = plots.NullMark(null.mean, marker)
        if only == "cosine":
            texts[test.subject] = (f"{test.value:.2f}", test.verdict)
    return plots.ForestRow(estimates, nulls, texts)


def _low(values: Values) -> float:
    return interval_of(values)[0]


def _quantile(values: Values) -> float:
    """What 95% of permutations stay below."""
    return float(np.quantile(values, 0.95))


def _between(values: Sequence[float]) -> str:
    """From the smallest to the largest."""
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"
