"""The figures and the page of the study of conditional steering: words and layout, no measurement."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

import geometry.plots as plots
from geometry.experiments.conditional.answers import REFUSAL_WORDS
from geometry.experiments.conditional.effects import NEW_TOKENS
from geometry.experiments.evaluator import sampling_note
from geometry.experiments.result import FigureSpec
from geometry.plots.pages import TextTable, texts_page

if TYPE_CHECKING:
    from geometry.experiments.conditional.discrimination import Discrimination
    from geometry.experiments.conditional.fitting import Topic
    from geometry.experiments.conditional.result import ConditionalResult

_SHOWN = ("everywhere", "prompt", "token", "shuffled", "random")
_BAND = [0.025, 0.975]


def effects(result: "ConditionalResult") -> FigureSpec:
    """What every way does to the prompts that it is meant for, and to the others."""
    panels = []
    for kind, side in result.sides.items():
        rows = [
            plots.StripRow(
                result.labels[way],
                result.rise(way, kind),
                null=way in result.controls,
                texts=[f"{result.outcomes[way].unchanged[side].mean():.0%}"],
                bar=True,
            )
            for way in _SHOWN
        ]
        panels.append(
            plots.StripPanel("rise of the log-odds of refusal (nats a token)", rows, title=_kind(result, kind))
        )
    values = np.concatenate([np.asarray(row.values) for panel in panels for row in panel.rows])
    limits = (min(0.0, float(values.min())), float(values.max()))
    panels = [plots.StripPanel(p.measure, p.rows, p.title, limits=limits) for p in panels]
    topic, others = result.sides
    rises = [float(result.rise("prompt", kind).mean()) for kind in result.sides]
    full = float(result.rise("everywhere", others).mean())
    same, untouched = result.spared("prompt")
    return FigureSpec(
        "effects",
        f"On its condition the vector raises the log-odds of refusal by {rises[0]:.2f} nats a token after {topic}"
        f" prompts and by {rises[1]:.2f} after others ({full:.2f} without a condition)",
        f"Refusal vector at output.{result.block}, coefficient {result.strength.value:g}, at every token. Log-odds:"
        " log P of a held-out refusal less that of a reply of the same form. Points: held-out prompts, bars: means."
        " Right of a panel: share of its prompts whose next-token logits are the unsteered model's bit for bit; of the"
        f" {untouched} for which the condition on prompts does not hold, {same} are. Grey: controls.",
        partial(plots.strip, panels, columns=["unchanged"], ncols=1, colours=plots.COLOURS[:2]),
    )


def roc(result: "ConditionalResult") -> FigureSpec:
    """True against false positive rate, for every method."""
    panels = []
    for topic in result.topics:
        lines = {each.name: _line(each) for each in (topic.auc, *topic.beside)}
        lines = {_method(name): line for name, line in lines.items()}
        diagonal = plots.Curve(np.array([0.0, 1.0]), np.array([0.0, 1.0]), null=True)
        panels.append(
            plots.CurvePanel(
                "false positive rate",
                "true positive rate",
                {**lines, "chance": diagonal},
                title=f"{topic.prompts.topic} or {topic.prompts.others}",
                marked=False,
                limits=(0, 1),
            )
        )
    found = [
        f"{topic.prompts.topic} {topic.auc.value:.2f}, words alone {topic.beside[0].value:.2f}"
        for topic in result.topics
    ]
    aucs = "; ".join(
        f"{topic.prompts.topic}: "
        + ", ".join(f"{_method(each.name)} {_interval(each)}" for each in (topic.auc, *topic.beside, topic.further))
        for topic in result.topics
    )
    bounds = [
        f"{topic.prompts.topic}: 97.5% of {name} below {np.quantile(drawn[topic.at], _BAND[1]):.2f}"
        for topic in result.topics
        for name, drawn in topic.nulls.items()
    ]
    nulls = "Nulls of the fitted condition, " + ", ".join(bounds)
    return FigureSpec(
        "roc",
        f"AUC of the condition on held-out prompts: {'; '.join(found)}",
        f"{aucs}; 95% intervals over prompts. {nulls}. Words alone: ridge regression on which words stand in a prompt,"
        " fitted to the same half. Projection: of the final hidden state on a WordNet concept or what is below it, the"
        " largest of a prompt's tokens; nothing is fitted to the prompts.",
        partial(plots.curves, panels),
    )


def blocks(result: "ConditionalResult") -> FigureSpec:
    """Which block discriminates best."""
    panels = []
    for topic in result.topics:
        intervals = np.array([each.interval for each in topic.by_block])
        lines = {
            "held-out prompts": plots.Curve(
                topic.blocks, [each.value for each in topic.by_block], low=intervals[:, 0], high=intervals[:, 1]
            ),
            "training prompts, cross-validated": plots.Curve(topic.blocks, topic.training),
        }
        for name, drawn in topic.nulls.items():
            low, high = np.quantile(drawn, _BAND, axis=1)
            lines[name] = plots.Curve(topic.blocks, drawn.mean(axis=1), null=True, low=low, high=high)
        title = f"{topic.prompts.topic}: block {topic.condition.site.block} chosen"
        panels.append(plots.CurvePanel("output of block", "AUC", lines, title=title, references={0.5: "chance"}))
    topic = result.topics[0]
    first, best = topic.by_block[0].value, topic.auc
    beyond = int(
        (np.array([each.value for each in topic.by_block]) > np.quantile(topic.nulls["shuffled labels"], 0.975)).sum()
    )
    return FigureSpec(
        "blocks",
        f"{topic.prompts.topic.capitalize()} is read best at block {topic.condition.site.block}: AUC {best.value:.2f},"
        f" {first:.2f} at block {topic.blocks[0]}; {beyond} of {len(topic.blocks)} blocks are beyond shuffled labels",
        f"The difference of the mean activations of training prompts: on {topic.prompts.topic} at the last token, on"
        " geese in all tokens, of whose cosines the largest counts. The block is chosen by cross-validation in the"
        " training prompts alone, up to the vector's. Bands: 95% intervals over held-out prompts, and of"
        f" {result.study.n_random} shuffles of the training labels and as many random directions (grey).",
        partial(plots.curves, panels),
    )


def projections(result: "ConditionalResult") -> FigureSpec:
    """Every prompt's score beside the threshold."""
    panels = []
    for topic in result.topics:
        name, threshold = topic.prompts.topic, topic.condition.threshold
        held = topic.holds
        further = [(scores > threshold) for scores in (topic.further.positives, topic.further.negatives)]
        rows = [
            plots.StripRow(f"{name}, training", topic.training_scores[0]),
            plots.StripRow("others, training", topic.training_scores[1], null=True),
            plots.StripRow(f"{name}, held-out", topic.auc.positives, texts=[_percent(held[0].mean())]),
            plots.StripRow("others, held-out", topic.auc.negatives, null=True, texts=[_percent(held[1].mean())]),
            plots.StripRow(f"{name}, other form", topic.further.positives, texts=[_percent(further[0].mean())]),
            plots.StripRow(
                "others, other form", topic.further.negatives, null=True, texts=[_percent(further[1].mean())]
            ),
        ]
        title = f"{name} or {topic.prompts.others}, {topic.condition.site}"
        panels.append(plots.StripPanel(_measure(topic), rows, title, references={threshold: "threshold"}))
    topic = result.topics[0]
    rates = [held.mean() for held in topic.holds]
    return FigureSpec(
        "projections",
        f"The threshold set on training prompts passes {_percent(rates[0])} of held-out {topic.prompts.topic} prompts"
        f" and {_percent(rates[1])} of the others",
        "Points: prompts; the state of the last token projected on the difference of the training means, or the largest"
        " cosine of a token with it. Right: share beyond the threshold, midway between the means of training prompts."
        " Other form: beginnings of sentences, which nothing was fitted to; for these it need not be right.",
        partial(plots.strip, panels, columns=["beyond"], ncols=1, colours=plots.COLOURS[:2]),
    )


def judges(result: "ConditionalResult") -> FigureSpec:
    """What is written, by every judge."""
    panels = []
    for kind, judged in zip(result.sides, result.judged, strict=True):
        for judge, by_way in judged.scores.items():
            rows = [
                plots.StripRow(result.labels[way], scores, null=way in result.controls, bar=True)
                for way, scores in by_way.items()
            ]
            panels.append(plots.StripPanel(judged.units[judge], rows, title=f"{_kind(result, kind)}: {judge}"))
    both = result.judged[0]
    first = next(iter(both.scores))
    means = [judged.difference(first, "prompt")["mean"] for judged in result.judged]
    agreement = both.to_dict()["agreement"][0]
    rho = agreement["spearman"]
    said = "words are the same in all texts" if rho is None else f"words and probe agree by ρ = {rho:.2f}"
    topic = next(iter(result.sides))
    return FigureSpec(
        "judges",
        f"On the condition, refusal words change by {means[0]:+.1f} per 100 words after {topic} and by {means[1]:+.1f}"
        f" after other prompts; {said}",
        f"{len(both.scores[first]['unsteered'])} held-out prompts of either kind, {NEW_TOKENS} sampled tokens each. "
        + " ".join(f"{note}." for note in both.notes),
        partial(plots.strip, panels, ncols=len(both.scores), colours=plots.COLOURS[:1]),
    )


def generations_page(result: "ConditionalResult") -> str:
    """What the model writes in each way, side by side."""
    columns = [(result.labels[way], "", way in result.controls) for way in result.texts]
    tables = []
    for kind in result.sides:
        places = [index for index, (name, _) in enumerate(result.shown) if name == kind]
        rows = [(result.shown[place][1], [texts[place] for texts in result.texts.values()]) for place in places]
        tables.append(TextTable(f"{kind} prompts", columns, rows))
    name = (result.model or {}).get("name", "")
    return texts_page(
        f"{name}: refusing {result.study.topic} alone",
        f"{sampling_note(result.study.seed)} Held-out prompts; words of refusal are marked.",
        tables,
        marked=REFUSAL_WORDS,
    )


def _line(each: "Discrimination") -> plots.Curve:
    return plots.Curve(*each.curve)


def _method(name: str) -> str:
    return "projection on a concept" if name.startswith("projection") else name


def _interval(each: "Discrimination") -> str:
    low, high = each.interval
    return f"{each.value:.2f} [{low:.2f}, {high:.2f}]"


def _measure(topic: "Topic") -> str:
    return "largest cosine of a token" if topic.condition.cosine else "projection of the last token"


def _kind(result: "ConditionalResult", kind: str) -> str:
    return f"{kind} prompts" if kind == result.study.topic else f"other prompts ({kind})"


def _percent(rate: float) -> str:
    """Of few prompts, so that a half of a per cent is one of them."""
    return f"{100 * rate:.3g}%"
