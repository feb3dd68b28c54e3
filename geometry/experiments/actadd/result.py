"""What the study of activation addition found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from geometry.experiments.actadd.generations import STRONGER, Written
from geometry.experiments.actadd.next_token import NextTokens, TokenShift
from geometry.experiments.actadd.norms import Norms
from geometry.experiments.actadd.texts import BySet, ShownText
from geometry.experiments.actadd.topics import Topic
from geometry.experiments.result import FigureSpec, StudyResult, TableSpec
from geometry.intervals import summarise
from geometry.steering.token_costs import PerplexityRatio

if TYPE_CHECKING:
    from geometry.experiments.actadd.study import ActAddStudy

CONTROLS = ("unsteered", "random", "other")


@dataclass(frozen=True, eq=False, kw_only=True)
class ActAddResult(StudyResult):
    """Numbers by condition; see `labels` for what each is.

    Attributes:
        block, depth, rows, bos: added before which block, of how many, at how many tokens from the first on, which is
            the beginning-of-text token with `bos`.
        n_texts: set → how many.
        provenances: of the vectors of topic and other.
        next_tokens: condition → KL and probabilities of words.
        shifts, neutral_shifts: tokens that add most to the divergence after the study's prompt, and after neutral ones.
        ratios: condition → set → perplexity ratio; by_block and by_coefficient: the same at other settings.
        written: condition → generations.
        shown: texts token by token.
    """

    study: "ActAddStudy"
    topic: Topic
    other: Topic
    block: int
    depth: int
    rows: int
    bos: bool
    n_texts: Mapping[str, int]
    provenances: Mapping[str, str]
    next_tokens: Mapping[str, NextTokens]
    shifts: Sequence[TokenShift]
    neutral_shifts: Sequence[TokenShift]
    ratios: Mapping[str, BySet]
    by_block: Mapping[int, Mapping[str, BySet]]
    by_coefficient: Mapping[float, Mapping[str, BySet]]
    written: Mapping[str, Written]
    shown: Sequence[ShownText]
    norms: Norms

    @property
    def labels(self) -> dict[str, str]:
        """What each condition is called."""
        vector, other = self.provenances["vector"], self.provenances["other"]
        return {
            "unsteered": "unsteered",
            "vector": vector,
            "random": "random, norm-matched",
            "other": f"{other}, norm-matched",
            "both": f"{self.topic.name} and {self.other.name} vectors added up",
            "minus": "the vector subtracted",
            "promoted_alone": f"{self.topic.promoted!r} alone, nothing subtracted",
            "embedding": "embedding difference",
            "embedding_matched": "embedding difference, norm-matched",
            "huge": f"{self.study.huge:g} times the vector",
            "stronger": f"{STRONGER:g} times as much of it",
            "prompting": f"prompting: {self.topic.promoted.strip()!r} prepended",
            "middle": "vector at the middle tokens",
            "last": "vector at the last tokens",
            **{name: f"vector, {name} of the dimensions" for name in self.written if name.startswith("first ")},
        }

    @property
    def controls(self) -> tuple[str, ...]:
        """Conditions that are drawn in grey."""
        return CONTROLS

    @property
    def setting(self) -> str:
        """Where and how often the vector is added, in words."""
        return f"{self.study.coefficient:g} × before block {self.block} of {self.depth}"

    def ratio(self, condition: str, name: str) -> PerplexityRatio:
        """The perplexity ratio of a set of texts under a condition."""
        return self.ratios[condition][name]

    def counted(self, condition: str, topic: str = "") -> dict[str, Any]:
        """How often words of a topic stand in a generation: mean, interval, n."""
        return summarise(self.written[condition].counts[topic or self.topic.name])

    def probability(self, condition: str, topic: str = "") -> dict[str, Any]:
        """Of words of a topic after neutral prompts: mean, interval, n."""
        return summarise(self.next_tokens[condition].probability[topic or self.topic.name])

    def kl(self, condition: str) -> dict[str, Any]:
        """KL(steered ‖ unsteered) after neutral prompts: mean, interval, n."""
        return summarise(self.next_tokens[condition].kl)

    def summary(self) -> list[str]:
        """What was found, the main finding first."""
        from geometry.experiments.actadd.words import summary

        return summary(self)

    def tables(self) -> list[TableSpec]:
        """Conditions, texts, sweeps, tokens, generations."""
        from geometry.experiments.actadd.tables import tables

        return tables(self)

    def to_dict(self) -> dict[str, Any]:
        """Quantity → condition → its mean with interval and n."""

        def of_ratio(ratio: PerplexityRatio) -> dict[str, Any]:
            low, high = ratio.interval
            return {"value": ratio.value, "interval": [low, high], "texts": len(np.unique(ratio.owners))}

        def of_sets(sets: BySet) -> dict[str, Any]:
            return {name: of_ratio(ratio) for name, ratio in sets.items()}

        def of_shift(shift: TokenShift) -> dict[str, Any]:
            parts = {
                name: getattr(shift, name) for name in ("contribution", "random", "before", "after", "after_random")
            }
            return {"token": shift.text, **parts, "neutral": summarise(shift.neutral)}

        topics = [self.topic.name, self.other.name]
        return {
            "block": self.block,
            "blocks": self.depth,
            "rows": self.rows,
            "beginning_of_text": self.bos,
            "texts": dict(self.n_texts),
            "vectors": dict(self.provenances),
            "labels": self.labels,
            "words": {topic.name: list(topic.words) for topic in (self.topic, self.other)},
            "kl": {name: self.kl(name) | {"prompt": found.kl_here} for name, found in self.next_tokens.items()},
            "probability": {
                name: {topic: self.probability(name, topic) | {"prompt": found.here[topic]} for topic in topics}
                for name, found in self.next_tokens.items()
            },
            "contributions": [of_shift(shift) for shift in self.shifts],
            "contributions_neutral": [of_shift(shift) for shift in self.neutral_shifts],
            "perplexity_ratio": {name: of_sets(sets) for name, sets in self.ratios.items()},
            "perplexity_ratio_by_block": {
                str(block): {name: of_sets(sets) for name, sets in found.items()}
                for block, found in self.by_block.items()
            },
            "perplexity_ratio_by_coefficient": {
                f"{factor:g}": {name: of_sets(sets) for name, sets in found.items()}
                for factor, found in self.by_coefficient.items()
            },
            "word_counts": {name: {topic: self.counted(name, topic) for topic in topics} for name in self.written},
            "generations": {name: list(found.texts) for name, found in self.written.items()},
            "norm": {
                "vector": self.norms.vector.tolist(),
                "residual": self.norms.residual.mean(axis=0).tolist(),
                "embedding": self.norms.embedding,
            },
            "tokens": {
                text.name: [
                    [token, *(None if np.isnan(value) else value for value in values)]
                    for token, *values in zip(text.tokens, text.changes, text.random, strict=True)
                ]
                for text in self.shown
            },
        }

    def arrays(self) -> dict[str, ArrayLike]:
        """What the figures are drawn from."""
        arrays: dict[str, ArrayLike] = {"norms/vector": self.norms.vector, "norms/residual": self.norms.residual}
        for name, found in self.next_tokens.items():
            arrays[f"kl/{name}"] = found.kl
            arrays |= {f"probability/{name}/{topic}": values for topic, values in found.probability.items()}
        groups: dict[str, Mapping[str, BySet]] = {"chosen": self.ratios}
        groups |= {f"block {block}": found for block, found in self.by_block.items()}
        groups |= {f"coefficient {factor:g}": found for factor, found in self.by_coefficient.items()}
        for group, conditions in groups.items():
            for name, sets in conditions.items():
                for texts, ratio in sets.items():
                    arrays[f"rises/{group}/{name}/{texts}"] = ratio.rises
                    arrays[f"owners/{group}/{name}/{texts}"] = ratio.owners
        for name, written in self.written.items():
            arrays |= {f"counts/{name}/{topic}": values for topic, values in written.counts.items()}
        return arrays

    def figures(self) -> list[FigureSpec]:
        """Contributions, texts, sweeps, generations, tokens, norms."""
        from geometry.experiments.actadd.figures import figures

        return figures(self)

    def pages(self) -> dict[str, tuple[str, str]]:
        """All of it on one page, read from top to bottom."""
        from geometry.experiments.actadd.page import actadd_page

        return {"actadd.html": ("activation addition on one page", actadd_page(self))}
