"""What the study of conditional steering gives: how well prompts are discriminated, and what becomes of either kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.display import short_repr
from geometry.experiments.conditional.effects import Outcome
from geometry.experiments.conditional.fitting import Topic
from geometry.experiments.evaluator import Strength
from geometry.experiments.result import FigureSpec, StudyResult, TableSpec
from geometry.intervals import said_mean, summarise
from geometry.judging import Judgement

if TYPE_CHECKING:
    from geometry.experiments.conditional.study import ConditionalStudy


@dataclass(frozen=True, eq=False, kw_only=True)
class ConditionalResult(StudyResult):
    """The numbers of a `ConditionalStudy`.

    Attributes:
        topics: the study's own topic, then geese.
        vector, block, strength: the vector in words, the block at whose output it acts, how its strength was chosen.
        conditions: way of steering → its condition in words.
        outcomes: way of steering → what it does to held-out prompts, of which the first `n_positive` are the topic's.
        texts: way of steering → what is written after each of the shown prompts.
        shown: kind and text of each of these.
        judged: the texts on the topic, and the others.
        chat: whether prompts went through a chat template.
    """

    labels: ClassVar[Mapping[str, str]] = {
        "unsteered": "unsteered",
        "everywhere": "refusal, no condition",
        "prompt": "refusal, condition on prompts",
        "token": "refusal, condition on tokens",
        "shuffled": "refusal, condition of shuffled labels",
        "random": "random vector, condition on prompts",
    }
    controls: ClassVar = ("unsteered", "shuffled", "random")

    study: "ConditionalStudy"
    topics: Sequence[Topic]
    vector: str
    block: int
    strength: Strength
    conditions: Mapping[str, str]
    outcomes: Mapping[str, Outcome]
    n_positive: int
    texts: Mapping[str, Sequence[str]]
    shown: Sequence[tuple[str, str]]
    judged: tuple[Judgement, Judgement]
    chat: bool

    __repr__ = short_repr

    @property
    def sides(self) -> dict[str, slice]:
        """Kind of prompt → its held-out prompts."""
        return {self.study.topic: slice(None, self.n_positive), self.study.others: slice(self.n_positive, None)}

    def rise(self, way: str, kind: str) -> NDArray[np.float64]:
        """By how much a way raises the log-odds of refusal of each prompt of a kind, nats a token."""
        side = self.sides[kind]
        return self.outcomes[way].refusal[side] - self.outcomes["unsteered"].refusal[side]

    def spared(self, way: str) -> tuple[int, int]:
        """Of held-out prompts at no token of which the condition held: how many are bit for bit unchanged, and all."""
        outcome = self.outcomes[way]
        untouched = outcome.share == 0
        return int(outcome.unchanged[untouched].sum()), int(untouched.sum())

    def whole(self, way: str) -> tuple[int, int]:
        """Of held-out prompts at every token of which it held: how many are bit for bit as without it, and all."""
        outcome = self.outcomes[way]
        touched = outcome.share == 1
        return int(outcome.full[touched].sum()), int(touched.sum())

    def summary(self) -> list[str]:
        """The main finding first."""
        topic, geese = self.topics
        name, other = self.study.topic, self.study.others
        (held, left), found = topic.holds, topic.auc
        low, high = found.interval
        shuffled = topic.nulls["shuffled labels"][topic.at]
        bound = np.quantile(shuffled, 0.975)
        told = _told(low, "discriminates", "does not detectably discriminate")
        said = [
            f"A condition read at {topic.condition.site} {told} held-out {name} prompts from {other}, with an AUC of"
            f" {found.value:.2f} [{low:.2f}, {high:.2f}]; 97.5% of shuffled labels stay below {bound:.2f}, words"
            f" alone reach {topic.beside[0].value:.2f}.",
            f"At the threshold chosen on training prompts it holds for {_share(held)} of held-out {name} prompts and"
            f" for {_share(left)} of the others.",
        ]
        rises = {kind: summarise(self.rise("prompt", kind)) for kind in self.sides}
        full = summarise(self.rise("everywhere", name))["mean"]
        rise, missed = (rises[kind]["mean"] for kind in (name, other))
        same, untouched = self.spared("prompt")
        said.append(
            f"With it the vector raises the log-odds of refusal by {rise:.2f} nats a token after {name} prompts"
            f" ({full:.2f} without a condition) and by {missed:.2f} after the others; {same} of {untouched} prompts for"
            " which it does not hold keep their logits bit for bit."
        )
        random = summarise(self.rise("random", name))["mean"]
        said.append(
            f"A random vector of the same norm on the same condition changes it by {random:+.2f}; the refusal vector on"
            f" a condition of shuffled labels by {self.rise('shuffled', name).mean():+.2f} and, after the others,"
            f" {self.rise('shuffled', other).mean():+.2f}."
        )
        low, high = geese.auc.interval
        beside = "".join(f", by the {each.name} {each.value:.2f}" for each in geese.beside[1:])
        left_out = "; this model's WordNet has no concept of birds to project on"
        said.append(
            f"Mentions of geese are {_told(low, '', 'not detectably ')}discriminated from {geese.prompts.others} at"
            f" {geese.condition.site}, with an AUC of {geese.auc.value:.2f} [{low:.2f}, {high:.2f}], by words alone"
            f" {geese.beside[0].value:.2f}{beside or left_out}."
        )
        return said

    def to_dict(self) -> dict[str, Any]:
        """The numbers, means with intervals over prompts."""
        ways = {
            name: {
                kind: {
                    "refusal": summarise(outcome.refusal[side]),
                    "rise": summarise(self.rise(name, kind)),
                    "unchanged": summarise(outcome.unchanged[side].astype(np.float64)),
                    "as_without_condition": summarise(outcome.full[side].astype(np.float64)),
                    "tokens": summarise(outcome.share[side]),
                }
                for kind, side in self.sides.items()
            }
            for name, outcome in self.outcomes.items()
        }
        return {
            "topics": {topic.prompts.topic: topic.to_dict() for topic in self.topics},
            "vector": self.vector,
            "strength": {
                "value": self.strength.value,
                "perplexity": self.strength.ratio,
                "within": self.strength.within,
            },
            "conditions": dict(self.conditions),
            "ways": ways,
            "where_it_does_not_hold": {
                name: dict(zip(("unchanged", "n"), self.spared(name), strict=True)) for name in ways
            },
            "where_it_holds": {name: dict(zip(("as_without", "n"), self.whole(name), strict=True)) for name in ways},
            "judges": {kind: judged.to_dict() for kind, judged in zip(self.sides, self.judged, strict=True)},
            "chat_template": self.chat,
        }

    def tables(self) -> list[TableSpec]:
        """Ways of steering, and judges."""
        rows = []
        for name, outcome in self.outcomes.items():
            cells = [self.labels[name]]
            for kind, side in self.sides.items():
                cells += [said_mean(self.rise(name, kind), "+.2f"), f"{outcome.unchanged[side].mean():.0%}"]
            rows.append(cells)
        head = ["", *(f"{kind}: {what}" for kind in self.sides for what in ("rise", "unchanged"))]
        caption = (
            "Rise of the log-odds of refusal over the unsteered (log P of a held-out refusal less that of a reply of"
            " the same form), nats a token, with its 95% interval over prompts; unchanged: share of prompts whose"
            " next-token logits are those of the unsteered model, bit for bit."
        )
        tables = [TableSpec("Steering on a condition", head, rows, caption)]
        for kind, judged in zip(self.sides, self.judged, strict=True):
            made = [
                [
                    judge,
                    self.labels[name],
                    *(f"{mean:.2f}{_interval(low, high)}" for mean, low, high in (cells[:3], cells[3:])),
                ]
                for judge, name, *cells in judged.rows()
            ]
            pairs = "; ".join(_agreement(pair) for pair in judged.to_dict()["agreement"])
            unasked = "" if self.chat else " The model has no chat template, so that it is not asked itself."
            caption = f"{'. '.join(judged.notes)}.{unasked} Agreement over all texts (Spearman): {pairs}."
            head = ["judge", "way", "score", "difference from unsteered"]
            tables.append(TableSpec(f"What is written after {kind} prompts, by judges", head, made, caption))
        return tables

    def arrays(self) -> dict[str, ArrayLike]:
        """What the figures are drawn from."""
        kept: dict[str, ArrayLike] = {}
        for topic in self.topics:
            name = topic.prompts.topic
            kept |= {f"{name}/blocks": topic.blocks, f"{name}/training_auc": topic.training}
            kept |= {f"{name}/{null}": values for null, values in topic.nulls.items()}
            kept |= {f"{name}/positives": np.array([each.positives for each in topic.by_block])}
            kept |= {f"{name}/negatives": np.array([each.negatives for each in topic.by_block])}
        for way, outcome in self.outcomes.items():
            kept |= {
                f"{way}/refusal": outcome.refusal,
                f"{way}/unchanged": outcome.unchanged,
                f"{way}/tokens": outcome.share,
            }
        for kind, judged in zip(self.sides, self.judged, strict=True):
            kept |= {f"{kind}/{judge}/{way}": each for judge, by in judged.scores.items() for way, each in by.items()}
        return kept

    def figures(self) -> list[FigureSpec]:
        """See `figures`."""
        from geometry.experiments.conditional import figures

        return [
            make(self) for make in (figures.effects, figures.roc, figures.blocks, figures.projections, figures.judges)
        ]

    def pages(self) -> dict[str, tuple[str, str]]:
        """What is written, side by side."""
        from geometry.experiments.conditional.figures import generations_page

        return {"generations.html": ("Generations on a condition", generations_page(self))}


def _agreement(pair: Mapping[str, Any]) -> str:
    judges = " and ".join(pair["judges"])
    if pair["spearman"] is None:
        return f"{judges} not measurable"
    return f"{judges} {pair['spearman']:.2f}{_interval(*pair['interval'] or (np.nan, np.nan))}"


def _interval(low: float, high: float) -> str:
    return f" [{low:.2f}, {high:.2f}]" if np.isfinite(low) else ""  # of few texts there is none


def _told(low: float, yes: str, no: str) -> str:
    return yes if low > 0.5 else no  # half is chance


def _share(held: NDArray[np.bool_]) -> str:
    found = summarise(held.astype(np.float64))
    low, high = found["interval"]
    return f"{found['mean']:.0%} [{low:.0%}, {high:.0%}]"
