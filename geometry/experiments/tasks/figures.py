"""The figures of the study of tasks: words and layout, no measurement."""

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
    "shuffled labels": ("vector of shuffled labels", "D"), "random": ("random vector", "x"),
    "random heads": ("random heads", "s"), "zero-shot": ("no vector", "|"),
}  # fmt: skip
_MOST_HEADS = 16
_RANDOM = "task's and a random one"


def accuracy(part: "AccuracyPart") -> FigureSpec:
    """In the task's own format, and in sentences."""
    names = [name + ("" if each.able else "\n(cannot)") for name, each in part.found.items()]
    own = [
        plots.ForestRow(
            {label: _estimate(each.answers[way]) for way, label in _SHOWN.items() if way in each.answers},
            {label: plots.NullMark(each.answers[way].accuracy, mark) for way, (label, mark) in _NULLS.items()
             if way in each.answers},
        )
        for each in part.found.values()
    ]  # fmt: skip
    panels = [plots.ForestPanel("accuracy", own, title="Word and colon", limits=(0, 1))]
    told = ""
    for kind, of_tasks in part.sentences.items():
        rows = []
        for name in part.found:
            told_here = of_tasks.get(name)
            if told_here is None:
                rows.append(plots.ForestRow({}))
                continue
            low, high = told_here.interval("residual")
            rows.append(
                plots.ForestRow(
                    {_SHOWN["residual"]: plots.Estimate(told_here.answers["residual"].accuracy, low, high)},
                    {label: plots.NullMark(told_here.answers[way].accuracy, mark)
                     for way, (label, mark) in _NULLS.items() if way in told_here.answers},
                )
            )  # fmt: skip
        panels.append(plots.ForestPanel("accuracy", rows, title=f"Sentences that {TELLING[kind]}", limits=(0, 1)))
        told += (
            f"; in sentences that {TELLING[kind]} {part.in_sentences(kind, 'residual'):.0%} (shuffled"
            f" {part.in_sentences(kind, 'shuffled labels'):.0%}, unsteered {part.in_sentences(kind, 'zero-shot'):.0%})"
        )
    can = len(part.able)
    title = (
        f"Of {len(part.found)} tasks the model does {can} with demonstrations; their vectors answer"
        f" {part.mean('residual'):.0%} of held-out questions without any, those of shuffled labels"
        f" {part.mean('shuffled labels'):.0%}, random ones {part.mean('random'):.0%}{told}"
        if can
        else f"The model does none of {len(part.found)} tasks with demonstrations, so that no vector says anything"
    )
    return FigureSpec(
        "accuracy",
        title,
        "The most probable next token begins the answer; bars: 95% bootstrap over held-out questions, in sentences over"
        f" sentences. (cannot): below {ABLE:.0%} with demonstrations. Site, strength and heads were chosen on other"
        " questions. Grey: no vector, the vector of demonstrations whose answers are shuffled, random vectors of the"
        " same norm, as many random heads.",
        partial(plots.forest, panels, names),
    )


def depth(part: "DepthPart") -> FigureSpec:
    """A panel a task."""
    panels = []
    labels = {"residual": "task vector", "shuffled labels": "shuffled labels", "random": "random vector"}
    for task, ways in part.correct.items():
        lines = {}
        for way, label in labels.items():
            low, high = part.band(task, way) if way == "residual" else (None, None)
            lines[label] = plots.Curve(part.blocks, ways[way].mean(axis=1), null=way != "residual", low=low, high=high)
        panels.append(plots.CurvePanel("after block", "accuracy", lines, title=task, limits=(0, 1), marked=False))
    best = [int(part.blocks[part.leads(task)]) for task in part.correct]
    last, shuffled = (
        float(np.mean([ways[way][-1].mean() for ways in part.correct.values()]))
        for way in ("residual", "shuffled labels")
    )
    span = f"after block {best[0]}" if min(best) == max(best) else f"after blocks {min(best)} to {max(best)}"
    return FigureSpec(
        "depth",
        f"Vectors of tasks lead those of shuffled labels by most when added {span} of {part.n_blocks}; added after the"
        f" last block they answer {last:.0%}, those of shuffled labels {shuffled:.0%}",
        "Each vector is read and added after the same block, at the last token of a question without demonstrations, at"
        " the strength chosen on training questions. Band: 95% bootstrap over held-out questions; grey: the vector of"
        " demonstrations with shuffled answers, a random one of the same norm.",
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
        f"{said}; alone the strongest raises the answers' log-probability by {strongest:.2f} nats, random ones by at"
        f" most {random:.2f}",
        f"The {part.n_each} heads whose outputs answer most of each task's training questions, of {part.count} in the"
        f" model; number: rise on held-out questions under that head's output alone; blank: not among the task's"
        f" {part.n_each}. Heads of several tasks first, then the strongest; {len(order)} of"
        f" {len(shared) + len(rest)} are shown.",
        partial(plots.heatmap, panels, ncols=1),
    )


def with_concepts(part: "ConceptPart") -> FigureSpec:
    """Whether the task is kept, and whether answers turn."""
    accuracies, odds = [], []
    for task in part.tasks:
        accuracies.append(
            plots.ForestRow(
                {"task's vector": _mean(part.of(task, "correct", "task")),
                 "both": _mean(part.of(task, "correct", "task + concept"))},
                {_RANDOM: plots.NullMark(float(part.of(task, "correct", "task + random").mean()), "D")},
            )
        )  # fmt: skip
        odds.append(
            plots.ForestRow(
                {"task's vector": _mean(part.of(task, "log_odds", "task")),
                 "concept's vector": _mean(part.of(task, "log_odds", "concept")),
                 "both": _mean(part.of(task, "log_odds", "task + concept"))},
                {_RANDOM: plots.NullMark(float(part.of(task, "log_odds", "task + random").mean()), "D")},
            )
        )  # fmt: skip
    panels = [
        plots.ForestPanel("accuracy", accuracies, title="Is the task still done?", limits=(0, 1)),
        plots.ForestPanel("change of log-odds (nats)", odds, title="Held-out words of the concept",
                          references={0.0: "no vector"}),
    ]  # fmt: skip
    alone, both, _ = part.kept()
    turn, random = part.over_questions("turn"), part.over_questions("random_turn")
    return FigureSpec(
        "concepts",
        f"A concept's vector beside a task's raises its held-out words by {turn.mean():+.2f} nats (random"
        f" {random.mean():+.2f}); {both.mean():.0%} of answers stay right, {alone.mean():.0%} without it",
        f"Means over concepts ({len({pair.concept for pair in part.pairs})}), whose vectors come from half of their"
        " lemmas, at 0.5 nats of KL divergence on neutral prompts; the other half judges. Change against no vector;"
        " bars: 95% bootstrap over held-out questions. Grey: random vectors of the concept vector's norm in its place.",
        partial(plots.forest, panels, part.tasks),
    )


def _estimate(answers: Answers) -> plots.Estimate:
    return plots.Estimate(answers.accuracy, *answers.interval)


def _mean(values: Any) -> plots.Estimate:
    return plots.Estimate(float(values.mean()), *interval_of(values))
