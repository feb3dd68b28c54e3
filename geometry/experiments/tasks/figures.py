"""The figures of the study of tasks: words and layout, no measurement."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import geometry.plots as plots
from geometry.anatomy.function_vectors import ABLE
from geometry.anatomy.task_questions import Answers
from geometry.experiments.result import FigureSpec
from geometry.experiments.tasks.labels import TELLING, rate
from geometry.intervals import interval_of

if TYPE_CHECKING:
    from geometry.experiments.tasks.accuracy import AccuracyPart
    from geometry.experiments.tasks.concepts import ConceptPart
    from geometry.experiments.tasks.depth import DepthPart
    from geometry.experiments.tasks.heads import HeadsPart
    from geometry.experiments.tasks.transfer import TransferPart

_SHOWN = {
    "demonstrations": "with demonstrations", "residual": "residual vector", "heads": "vector of ten heads",
}  # fmt: skip
_NULLS = {
    "shuffled labels": ("vector of shuffled labels", "|"), "zero-shot": ("no vector", "|"),
    "random": ("random vector", "x"), "random heads": ("random heads", "s"),
}  # fmt: skip
_MOST_HEADS = 16
_RATES = (-0.03, 1)  # room for what stands at 0
_TASK, _BOTH, _ALONE, _RANDOM = (
    "task's vector",
    "task's and concept's",
    "concept's alone",
    "random in the concept's place",
)


def accuracy(part: "AccuracyPart") -> FigureSpec:
    """In the task's own format, and in sentences."""
    names = [name + ("" if each.able else f"\n(below {ABLE:.0%})") for name, each in part.found.items()]
    own = []
    for each in part.found.values():
        rates = {way: _estimate(got) for way, got in each.answers.items()}
        shown = {label: rates[way] for way, label in _SHOWN.items() if way in rates}
        own.append(plots.ForestRow(shown, _controls(rates)))
    panels = [plots.ForestPanel("accuracy", own, title="Word and colon", limits=_RATES)]
    said = ""
    for kind, of_tasks in part.sentences.items():
        rows = []
        for name in part.found:
            if name not in of_tasks:
                rows.append(plots.ForestRow({}))
                continue
            asked = of_tasks[name]
            rates = {way: plots.Estimate(got.accuracy, *asked.interval(way)) for way, got in asked.answers.items()}
            rows.append(plots.ForestRow({_SHOWN["residual"]: rates["residual"]}, _controls(rates)))
        panels.append(plots.ForestPanel("accuracy", rows, title=f"Sentences that {TELLING[kind]}", limits=_RATES))
        said = said or (
            f", and in sentences that {TELLING[kind]} {part.in_sentences(kind, 'residual'):.0%} (shuffled"
            f" {part.in_sentences(kind, 'shuffled labels'):.0%})"
        )
    can = len(part.able)
    title = (
        f"Vectors of {can} tasks answer {part.mean('residual'):.0%} of held-out questions without demonstrations"
        f" (shuffled labels {part.mean('shuffled labels'):.0%}, random {part.mean('random'):.0%}){said}"
        if can
        else f"The model is below {ABLE:.0%} in all of {len(part.found)} tasks with demonstrations: no vector is judged"
    )
    return FigureSpec(
        "accuracy",
        title,
        f"The most probable next token begins the answer. {can} of {len(part.found)} tasks reach {ABLE:.0%} with"
        " demonstrations; title, b and c are of these. Site, strength and heads were chosen on other questions. Bars:"
        " 95% bootstrap over held-out questions, in sentences over sentences. Grey: no vector, the vector of"
        " demonstrations whose answers are shuffled, random vectors of the same norm, as many random heads.",
        partial(plots.forest, panels, names),
    )


def depth(part: "DepthPart") -> FigureSpec:
    """A panel a task."""
    panels = []
    labels = {"residual": "task vector", "shuffled labels": "shuffled labels", "random": "random vector"}
    for task, ways in part.correct.items():
        lines = {}
        for way, label in labels.items():
            low, high = part.band(task, way)
            lines[label] = plots.Curve(part.blocks, ways[way].mean(axis=1), null=way != "residual", low=low, high=high)
        panels.append(plots.CurvePanel("after block", "accuracy", lines, title=task, limits=_RATES, marked=False))
    best = [int(part.blocks[part.leads(task)]) for task in part.correct]
    last, shuffled = (
        float(np.mean([ways[way][-1].mean() for ways in part.correct.values()]))
        for way in ("residual", "shuffled labels")
    )
    span = f"after block {best[0]}" if min(best) == max(best) else f"after blocks {min(best)} to {max(best)}"
    random = max(float(ways["random"].mean(axis=1).max()) for ways in part.correct.values())
    return FigureSpec(
        "depth",
        f"Vectors of tasks lead those of shuffled labels by most when added {span} of {part.n_blocks}; added after the"
        f" last block they answer {last:.0%}, those of shuffled labels {shuffled:.0%}",
        "Each vector is read and added after the same block, counted from 0, at the last token of a question without"
        " demonstrations, at the strength chosen on training questions. The blocks in the title were picked on the"
        " held-out questions drawn here, which flatters the lead. Bands: 95% bootstrap over these questions. Grey: the"
        " vector of demonstrations with shuffled answers; a random one of the same norm, which answers"
        f" {'nothing at any block' if random == 0 else f'at most {random:.0%}'}.",
        partial(plots.curves, panels),
    )


def transfer(part: "TransferPart") -> FigureSpec:
    """Accuracy, and both kinds of cosines."""
    names = list(part.tasks)

    def panel(values: Any, title: str, bar: str, **options: Any) -> plots.HeatmapPanel:
        return plots.HeatmapPanel(
            values, names, names, title=title, colourbar=bar, texts=plots.numbers(values), **options
        )

    panels = [
        panel(part.accuracy, "Accuracy", "accuracy", row_axis="questions of", column_axis="vector of"),
        panel(part.cosines, "Cosine of vectors", "cosine", limits=(-1, 1), cmap="RdBu_r"),
        panel(part.form_removed, "Less shuffled labels", "cosine", limits=(-1, 1), cmap="RdBu_r"),
    ]
    other = part.accuracy[part.off]
    return FigureSpec(
        "transfer",
        f"The vector of another task answers {rate(other)} of a task's questions, its own"
        f" {part.accuracy.diagonal().mean():.0%}; vectors of different tasks have a mean cosine of"
        f" {part.cosines[part.off].mean():.2f}, {part.form_removed[part.off].mean():.2f} once what shuffled labels give"
        " is removed",
        f"Left: held-out questions of a task (row) under each task's vector (column). Middle and right: cosines at"
        f" {part.site}, of random vectors below {part.chance:.2f} in 95%. Intervals are in the table.",
        partial(plots.heatmap, panels, ncols=3),
    )


def heads(part: "HeadsPart") -> FigureSpec:
    """What each head does alone, task by task."""
    tasks = list(part.alone)
    shared = part.shared
    rest = {head: max(rises[head].mean() for rises in part.alone.values() if head in rises)
            for rises in part.alone.values() for head in rises if head not in shared}  # fmt: skip
    order = [*shared, *sorted(rest, key=lambda head: (-rest[head], head))][:_MOST_HEADS]
    values = np.array(
        [[part.alone[task][head].mean() if head in part.alone[task] else np.nan for task in tasks] for head in order]
    )
    texts = [["" if np.isnan(value) else f"{value:.2f}" for value in row] for row in values]
    random = max(float(rise.mean()) for rise in part.random_alone.values())
    strongest = float(np.nanmax(values))
    top = max(1e-6, strongest)
    panels = [
        plots.HeatmapPanel(
            values, [f"block {block}, head {head}" for block, head in order], tasks,
            limits=(min(0.0, float(np.nanmin(values))), top),
            colourbar="rise of the answers' log-probability (nats)", texts=texts,
        )
    ]  # fmt: skip
    said = (
        f"{len(shared)} heads serve two tasks or more ({part.chance_shared.mean():.1f} if drawn at random within their"
        f" blocks, p = {part.p_shared:.2g})"
        if len(tasks) > 1
        else f"The {part.n_each} heads of {tasks[0]}"
    )
    return FigureSpec(
        "heads",
        f"{said}; alone the strongest adds {strongest:.2f} nats to the answers' log-probability, random ones at most"
        f" {random:.2f}",
        f"The {part.n_each} heads whose outputs answer most of each task's training questions, of {part.count} in the"
        f" model; number: rise on held-out questions under that head's output alone; blank: not among the task's"
        f" {part.n_each}. Heads of several tasks first, then the strongest; {len(order)} of"
        f" {len(shared) + len(rest)} are shown.",
        partial(plots.heatmap, panels, ncols=1),
    )


def with_concepts(part: "ConceptPart") -> FigureSpec:
    """Whether the task is kept, what the concept's vector adds to its words, and where both leave them."""
    kept, added, whole = [], [], []
    for task in part.tasks:
        ways = ("task", "concept", "task + concept", "task + random")
        right, odds = ({way: _mean(part.of(task, what, way)) for way in ways} for what in ("correct", "log_odds"))
        gain, random_gain = (_mean(part.on_task(task, name)) for name in ("turn", "random_turn"))
        kept.append(plots.ForestRow({_TASK: right["task"], _BOTH: right["task + concept"]}, _random(right)))
        added.append(plots.ForestRow({_BOTH: gain, _ALONE: odds["concept"]}, {_RANDOM: _null(random_gain)}))
        whole.append(plots.ForestRow({_TASK: odds["task"], _BOTH: odds["task + concept"]}, _random(odds)))
    changed = "change of log-odds (nats)"
    panels = [
        plots.ForestPanel("accuracy", kept, title="Is the task still done?", limits=(0, 1)),
        plots.ForestPanel(changed, added, title="Added to the concept's words", references={0.0: "without it"}),
        plots.ForestPanel(changed, whole, title="The concept's words in all", references={0.0: "no vector"}),
    ]
    alone, both, control = part.kept()
    turn, random = part.over_questions("turn"), part.over_questions("random_turn")
    return FigureSpec(
        "concepts",
        f"Beside a task's vector a concept's changes its held-out words by {turn.mean():+.2f} nats against the task's"
        f" alone (random {random.mean():+.2f}); {both.mean():.0%} of answers stay right ({alone.mean():.0%} without it,"
        f" random {control.mean():.0%})",
        f"Means over {len({pair.concept for pair in part.pairs})} concepts, whose vectors come from half of their"
        " lemmas, at 0.5 nats of KL divergence on neutral prompts; the other half judges. b: what a concept's vector"
        " adds, paired by question, to the task's vector (diamonds) and to none (triangles). c: against no vector at"
        " all. Bars: 95% bootstrap over held-out questions. Grey: random vectors of the concept vector's norm in its"
        " place.",
        partial(plots.forest, panels, part.tasks),
    )


def _controls(rates: Mapping[str, plots.Estimate]) -> dict[str, plots.NullMark]:
    """Those that were asked; with intervals the two that may answer something."""
    barred = ("shuffled labels", "zero-shot")
    return {
        label: _null(rates[way]) if way in barred else plots.NullMark(rates[way].value, mark)
        for way, (label, mark) in _NULLS.items()
        if way in rates
    }


def _random(by_way: Mapping[str, plots.Estimate]) -> dict[str, plots.NullMark]:
    return {_RANDOM: _null(by_way["task + random"])}


def _null(control: plots.Estimate) -> plots.NullMark:
    return plots.NullMark(control.value, "|", control.low, control.high)


def _estimate(answers: Answers) -> plots.Estimate:
    return plots.Estimate(answers.accuracy, *answers.interval)


def _mean(values: Any) -> plots.Estimate:
    return plots.Estimate(float(values.mean()), *interval_of(values))
