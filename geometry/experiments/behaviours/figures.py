"""The figures, the page and the table of the analysis of behaviours: words and layout, no measurement."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

import geometry as geo
from analysis.behaviours_classes import LEVEL_CLAIMS, Opposed, Routes
from analysis.behaviours_steering import CONTROLS, DOMAINS, METHODS, PARTS, TOKENS, UNSTEERED, WRITTEN, Steered
from analysis.behaviours_study import Study, names
from analysis.panels import series_panel, standing
from geometry import plots

Sweeps = Mapping[str, Mapping[str, geo.probing.HeldOutSweep]]
Lists = Mapping[str, NDArray[np.float64]]
UNITS = " Bars: 95% intervals that take sentences for independent."


def layers_figure(sweeps: Sweeps) -> plots.Figure:
    """Accuracy on unseen templates and domains after each block, one panel a family."""
    panels = []
    for name, kinds in sweeps.items():
        places = np.arange(float(len(kinds["template"].found)))
        lines = {f"unseen {kind}": (places, found.accuracy) for kind, found in kinds.items()}
        noise = max(found.threshold for found in kinds.values())
        lines["shuffled labels, 95% of their best block"] = (places, np.full(len(places), noise))
        title = f"{name} ({len(kinds['template'].found[0].classes)} classes)"
        chance = kinds["template"].found[0].chance
        axes = ("after block (last: final norm)", "balanced accuracy")
        panels.append(plots.Curves(title, *axes, lines, (chance, "chance"), marked=False))
    return plots.plot_curves(
        panels,
        controls=["shuffled labels, 95% of their best block"],
        finding=layers_finding(sweeps),
        detail="Ridge regression on the stream at a prompt's last token, fitted without one template or one domain"
        " and judged on it; labels are shuffled within template and domain.",
        columns=columns(len(panels)),
    )


def layers_finding(sweeps: Sweeps) -> str:
    """From which block on classes are told, and how well at best."""
    firsts = {name: [found.first for found in kinds.values()] for name, kinds in sweeps.items()}
    seen = [name for name, places in firsts.items() if None not in places]
    if not seen:
        return "No family of behaviour is told on unseen templates and domains better than shuffled labels are"
    best = [min(float(found.accuracy.max()) for found in sweeps[name].values()) for name in seen]
    start = max(place for name in seen for place in firsts[name] if place is not None)
    return (
        f"{some_of(len(seen), len(sweeps))} told on unseen templates and domains, from block {start} on at the latest;"
        f" at best {between(best)}"
    )


def routes_figure(study: Study, routes: Mapping[str, Routes]) -> plots.Figure:
    """The cosine of each class's words with its prompts, beside other classes and both nulls."""
    rows_named, rows = [], []
    for name, found in routes.items():
        cosines = found.final.cosines
        for place, one in enumerate(names(study.families[name])):
            rows_named.append(f"{name}: {one}")
            final, middle = float(cosines[place, place]), float(found.at_block[place])
            rows.append(
                plots.DotRow(
                    {"final hidden states": (final, final, final), "the best block's": (middle, middle, middle)},
                    {
                        "prompts of the nearest other class": float(np.delete(cosines[place], place).max()),
                        "shuffled rows, 95%": float(np.quantile(found.shuffled[:, place], 0.95)),
                        "plain sentences, 95%": float(np.quantile(found.random_prompts[:, place], 0.95)),
                    },
                )
            )
    few = [name for name, found in routes.items() if 1 / (1 + len(found.final.nulls)) > 0.05]
    real = [found for found in routes.values() if found.real]
    blocks = ", ".join(f"{found.block} for {name}" for name, found in routes.items())
    return plots.plot_dots(
        [plots.Dots("cosine of the words' vector with the mean of prompts", rows)],
        rows_named,
        finding=f"Words and prompts point the same way in {len(real)} of {len(routes)} families:"
        f" mean cosine {between([found.final.value for found in routes.values()])}",
        detail="Words: concept vector of a class's words, less the family's mean. Prompts: mean hidden state, final or"
        f" after a block ({blocks}) and put through the final norm, carried by the root of the covariance, less"
        " the family's mean. A family counts where it is beyond 95% of permuted classes and of both nulls."
        + (f" Too few classes for that: {', '.join(few)}." if few else ""),
    )


def shapes_figure(study: Study, shapes: Mapping[str, geo.evidence.ShapeComparison], blocks: Mapping[str, int]) -> plots.Figure:
    """Class means in their plane, and how well each shape predicts a class from the others."""
    panels = [
        series_panel(
            f"{name}, after block {blocks[name]}:\n{shape_word(found)}",
            found,
            ordered=study.families[name].ordered,
            closed=False,
        )
        for name, found in shapes.items()
    ]
    ordered = [name for name, found in shapes.items() if found.winner != "simplex"]
    few = sorted(set(study.families) - set(shapes))
    return plots.plot_series(
        panels,
        finding=f"{', '.join(ordered).capitalize()}: levels predict their neighbours; no order shows in"
        f" {len(shapes) - len(ordered)} of {len(shapes)} families"
        if ordered
        else "No line, circle or tree predicts a class from the others: classes stand apart from each other like"
        " corners of a simplex",
        detail="Above: means of the classes on their principal axes, levels joined in order. Below: R² of each class"
        " predicted from the others by the shape (black: standard error), on grey the 95% range of random orders; 0 is"
        " a simplex. Trees have the branches that the file names. Four or five classes have few orders, so that only a"
        " large R² can be beyond them." + (f" Fewer than four classes: {', '.join(few)}." if few else ""),
        columns=min(4, len(panels)),
    )


def shape_word(found: geo.evidence.ShapeComparison) -> str:
    """The verdict, with what it cannot be told from."""
    if found.winner == "simplex":
        return "no order found"
    return " or ".join((f"a {found.winner}", *found.rivals))


def contrasts_figure(
    study: Study, contrasts: Mapping[str, Mapping[tuple[str, str], geo.evidence.PairContrast]], blocks: Mapping[str, int]
) -> plots.Figure:
    """Of every two classes, how far the differences of paired sentences agree, and with swapped pairs."""
    panels = []
    for name, by in contrasts.items():
        some = names(study.families[name])
        values = np.full((len(some), len(some)), np.nan)
        for (one, two), found in by.items():
            values[some.index(two), some.index(one)] = found.mean
            values[some.index(one), some.index(two)] = np.quantile(found.swapped, 0.95)
        noise = np.triu(np.ones_like(values, dtype=np.bool_))
        panels.append(plots.Square(f"{name}, block {blocks[name]}", some, values, noise, (0.0, 0.6)))
    every = [found for by in contrasts.values() for found in by.values()]
    real = sum(found.p_value <= 0.05 for found in every)
    return plots.plot_squares(
        panels,
        finding=f"In {real} of {len(every)} pairs of classes one step leads from one to the other in any situation:"
        f" cosine {between([found.mean for found in every])}",
        detail="Below the diagonal, the mean cosine of a pair of sentences' difference with those of all other pairs;"
        " paired are sentences of one template and domain in order. Above it, 95% of the same with the two sentences of"
        " random pairs swapped.",
        columns=columns(len(panels)),
    )


def opposites_figure(
    study: Study, found: Mapping[str, Mapping[str, Opposed]], blocks: Mapping[str, int]
) -> plots.Figure:
    """The classic contrasts among the classes of every family."""
    named, rows, beyond = [], [], []
    for name, by in found.items():
        for place, one in enumerate(names(study.families[name])):
            named.append(f"{name}: {one}")
            noise = max(float(np.quantile(np.abs(some.swapped[:, place]), 0.95)) for some in by.values())
            values = {contrast: float(some.cosines[place]) for contrast, some in by.items()}
            rows.append(
                plots.DotRow(
                    {contrast: (value, value, value) for contrast, value in values.items()},
                    {"swapped pairs, 95%": noise, "the same, negative": -noise},
                )
            )
            beyond += [(value, contrast, named[-1]) for contrast, value in values.items() if abs(value) > noise]
    most = max(beyond, default=None, key=lambda entry: abs(entry[0]))
    said = "" if most is None else f"; most of all {most[1]} at {most[2]}, {most[0]:+.2f}"
    where = ", ".join(f"{block} for {name}" for name, block in blocks.items())
    return plots.plot_dots(
        [plots.Dots("cosine of a contrast with what sets the class apart", rows, 0.0)],
        named,
        finding=f"Classic opposites point along classes beyond swapped pairs in {len(beyond)} of"
        f" {len(rows) * len(study.opposites)} cases{said}",
        detail=f"Mean difference of pairs of opposite sentences, the first named less the second, after block {where};"
        " against the class's mean less the family's. Swapped: the two sentences of random pairs, their"
        " mean difference by the length of the true one.",
    )


def levels_figure(results: Sequence[geo.evidence.ClaimResult]) -> plots.Figure:
    """Claims about levels, by words and by prompts."""
    rows = []
    for name in LEVEL_CLAIMS:
        these = [result for result in results if result.claim.name == name and result.test.measured]
        if these:
            rows.append((these[0].claim.says, {result.hierarchy: standing(result) for result in these}))
    told = {result.hierarchy: result.test.mean for result in results if result.claim.name == "separation"}
    verdicts = {result.verdict for result in results if result.claim.name != "separation" and result.test.measured}
    return plots.plot_overview(
        rows,
        finding="Classes of behaviour are told from the rest of their family by"
        f" {' and '.join(f'{kind} (AUC {auc:.2f})' for kind, auc in told.items())};"
        f" orthogonality of levels is {' or '.join(sorted(verdicts)) or 'not measured'}",
        detail="behaviour → kind → family → class in the unified space, by class words and by the final hidden states"
        " of prompts less those of plain sentences; held out are lemmas, of prompts whole templates. Noise: words of"
        " random tokens, prompts in random classes; random subsets: of the parent. By construction: random"
        " subsets do as well. Beyond all draws: above noise in each draw, too few for the level.",
    )


def steering_figure(steered: Mapping[str, Steered]) -> plots.Figure:
    """Ways of one length from class to class: what is told of sentences and texts, and odds of class words."""
    panels = [
        plots.Dots("sentences told so", [row(some.reached, METHODS, CONTROLS) for some in steered.values()]),
        plots.Dots("texts told so", [row(some.written, METHODS, CONTROLS) for some in steered.values()]),
        plots.Dots(
            "log-odds of its words",
            [row(some.odds, METHODS, CONTROLS) for some in steered.values()],
            0.0,
        ),
        plots.Dots("perplexity", [priced(some) for some in steered.values()], 1.0),
    ]
    means = {way: np.mean([some.reached[way].mean() for some in steered.values()]) for way in METHODS}
    shown = sum(above(some.written["classes"] - some.written["random direction"]) for some in steered.values())
    return plots.plot_dots(
        panels,
        [f"{name}\nblock {some.block}, {some.strength:g}×" for name, some in steered.items()],
        finding=f"The difference of two classes takes {means['classes']:.0%} of sentences to its target (opposites"
        f" {means['opposites']:.0%}, prompting {means['prompting']:.0%}); texts show it in {shown} of"
        f" {len(steered)} families. {over_opposites(steered)}",
        detail="Vectors of one length: that of the difference of two classes, as many times as keeps neutral text"
        " within twice its perplexity. Fitted to half of the templates. a: share of sentences of the others that a"
        " probe after the final norm tells to be of the target, while steered. b: of what is written after a plain"
        f" opening ({TOKENS} tokens), told in the model without the vector; texts show it where this is beyond a random"
        " direction. c: change in nats, target against source, after “Her voice became” and the like. d: of neutral"
        " text, times. Prompting: a sentence of the target in front. Opposites: last level less first, of kinds the two"
        " farthest apart." + UNITS,
    )


def over_opposites(steered: Mapping[str, Steered]) -> str:
    """Where vectors of two classes are not better than one axis of opposites, by name."""
    found = []
    for what, said in (("reached", "sentences"), ("written", "texts")):
        worse = [name for name, some in steered.items() if not above(some.over_opposites(what))]
        if worse:
            found.append(f"in {said} of {', '.join(worse) if len(worse) < len(steered) else 'any family'}")
    return f"Not better than opposites {' and '.join(found)}" if found else "Better than opposites in all families"


def above(differences: NDArray[np.float64]) -> bool:
    """Whether the 95% interval of their mean is above 0."""
    return bool(geo.intervals.summarise(differences)["interval"][0] > 0)


def pairs_figure(study: Study, steered: Mapping[str, Steered]) -> plots.Figure:
    """From every class to every other."""
    panels = [
        plots.Square(name, names(study.families[name]), some.matrix, np.eye(len(some.matrix), dtype=np.bool_), (0, 1))
        for name, some in steered.items()
    ]
    off = {name: some.matrix[~np.eye(len(some.matrix), dtype=bool)] for name, some in steered.items()}
    every = np.concatenate(list(off.values()))
    return plots.plot_squares(
        panels,
        finding=f"From any class to any other: {every.mean():.0%} of sentences are told as the class they were steered"
        f" to, from {min(some.mean() for some in off.values()):.0%} to {max(some.mean() for some in off.values()):.0%}"
        " by family",
        detail="Row: the class of the sentences. Column: the class they are steered to, by the difference of the two"
        " means. Grey: sentences of the class without a vector, told as what they are.",
        columns=columns(len(panels)),
        row_axis="from",
        column_axis="to",
    )


def composed_figure(steered: Mapping[str, Steered]) -> plots.Figure:
    """Parent + child, from plain sentences."""
    controls = ("nothing", "random direction")
    panels = [
        plots.Dots("told as any class of the family", [row(some.family, PARTS, controls) for some in steered.values()]),
        plots.Dots("told as the right class", [row(some.level, PARTS, controls) for some in steered.values()]),
    ]
    mean = {part: np.mean([some.level[part].mean() for some in steered.values()]) for part in PARTS}
    beyond = [
        name
        for name, some in steered.items()
        if some.level["family + level"].mean() > max(some.level[part].mean() for part in ("family", "level"))
    ]
    return plots.plot_dots(
        panels,
        list(steered),
        finding=f"Family + level takes {mean['family + level']:.0%} of plain sentences to the right class, the level"
        f" alone {mean['level']:.0%}, the family alone {mean['family']:.0%}: the sum is best in"
        f" {len(beyond)} of {len(steered)} families",
        detail="Family: mean of its classes less that of plain sentences. Level: the class less the family's mean. The"
        " random direction is as long as the sum. Told by a probe after the final norm that knows plain"
        " sentences too, fitted to other templates." + UNITS,
    )


def transfer_figure(steered: Mapping[str, Steered]) -> plots.Figure:
    """Vectors from one domain on sentences of another."""
    rows = [row(some.transfer, DOMAINS[:2], DOMAINS[2:]) for some in steered.values()]
    kept = [
        some.transfer["other domain"].mean() / max(some.transfer["own domain"].mean(), 1e-9)
        for some in steered.values()
    ]
    real = sum(
        geo.intervals.summarise(some.transfer["other domain"])["interval"][0]
        > geo.intervals.summarise(some.transfer["shuffled labels"])["interval"][1]
        for some in steered.values()
    )
    return plots.plot_dots(
        [plots.Dots("sentences of one domain told as the class they were steered to", rows)],
        list(steered),
        finding=f"A difference of classes fitted in one domain steers another in {real} of {len(steered)} families: it"
        f" reaches {between(kept)} times what one of their own domain reaches",
        detail="Vectors of one length from the same templates of either domain; shuffled labels: those of the other"
        " domain." + UNITS,
    )


def row(lists: Lists, methods: Sequence[str], controls: Sequence[str]) -> plots.DotRow:
    """Means with intervals, and means of controls, of those that were measured."""
    values = {}
    for way in methods:
        if way in lists:
            found = geo.intervals.summarise(lists[way])
            values[way] = (found["mean"], *found["interval"])
    return plots.DotRow(values, {way: float(lists[way].mean()) for way in controls if way in lists})


def priced(some: Steered) -> plots.DotRow:
    """What each way does to neutral text."""
    values = {way: (price, price, price) for way, price in some.perplexity.items()}
    return plots.DotRow(
        {way: value for way, value in values.items() if way in METHODS},
        {way: price for way, price in some.perplexity.items() if way in CONTROLS},
    )


def completions_page(study: Study, steered: Mapping[str, Steered]) -> str:
    """Plain openings at each class of each family, side by side."""
    tables = []
    for name, some in steered.items():
        shown = next(iter(some.completions.values()))
        heads = [(one, "" if one == UNSTEERED else "family + level", one == UNSTEERED) for one in shown]
        rows = [(opening, list(by.values())) for opening, by in some.completions.items()]
        title = f"{name}: after block {some.block}, {some.strength:g}×"
        tables.append(plots.TextTable(title, heads, rows, study.families[name].content))
    words = {word for family in study.families.values() for one in family.classes for word in one.words}
    return plots.texts_page(
        f"{study.unembedding.name}: each class of behaviour",
        "Sampled with temperature 0.7, top-p 0.9, frequency penalty 1, unpicked, steered at every token by the class's"
        " mean less that of plain sentences. Class words are marked.",
        tables,
        marked=words,
    )


def report(steered: Mapping[str, Steered]) -> None:
    """The table of means for the terminal."""
    ways = [*METHODS, *CONTROLS]
    width = max(map(len, [*steered, *ways])) + 2
    print(" " * width + "".join(f"{name:>12}" for name in steered))
    for kind in ("reached", "written"):
        for way in ways if kind == "reached" else WRITTEN:
            cells = [f"{getattr(some, kind)[way].mean():.2f}" for some in steered.values()]
            print(f"{way:<{width}}" + "".join(f"{cell:>12}" for cell in cells) + f"  {kind}")


def between(values: Sequence[float]) -> str:
    """From the smallest to the largest."""
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def some_of(count: int, whole: int) -> str:
    """How many families, as a sentence begins."""
    if whole == 1:
        return "The family is"
    return f"{'All' if count == whole else f'{count} of {whole}'} families are"


def columns(panels: int) -> int:
    """Of a grid."""
    return 2 if panels == 4 else min(3, panels)
