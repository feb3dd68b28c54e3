"""Perplexity of texts on and off topic under vectors: at the chosen setting, by block, by coefficient."""

from collections.abc import Sequence
from dataclasses import dataclass

from geometry.display import short_repr
from geometry.experiments.actadd.setup import Bench, Condition
from geometry.progress import progress_bar
from geometry.steering import SteeringVector
from geometry.steering.token_costs import PerplexityRatio, ScoredText, perplexity_ratio, score_tokens

# Name of a set → of one condition.
BySet = dict[str, PerplexityRatio]
SWEPT = ("vector", "random", "other")


@dataclass(frozen=True, eq=False)
class ShownText:
    """A text token by token.

    Attributes:
        tokens: as text, the beginning-of-text token left out.
        changes: log p(steered) − log p(unsteered) of each, in nats; nan where it is predicted from a steered token.
        random: the same under a random vector.
    """

    name: str
    tokens: tuple[str, ...]
    changes: tuple[float, ...]
    random: tuple[float, ...]

    __repr__ = short_repr


class Texts:
    """All sets of texts, scored unsteered once, and then under vectors."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._unsteered = {name: self._scored(name, None) for name in bench.sets}

    def ratios(self, condition: Condition, names: Sequence[str]) -> BySet:
        """Perplexity ratios of some sets; several vectors take turns among the texts of each."""
        return {name: self._ratio(self._scored(name, condition), name) for name in names}

    def prompted(self, prepended: str, names: Sequence[str]) -> BySet:
        """The same where a text stands before each text instead."""
        return {name: self._ratio(self._scored(name, None, prepended), name) for name in names}

    def by_block(self, names: Sequence[str], swept: Sequence[int]) -> dict[int, dict[str, BySet]]:
        """Block → condition of `SWEPT` → ratios, vectors read and added before each block."""
        bench, found = self._bench, {}
        for block in progress_bar(swept, "blocks"):
            vector, other = bench.at(block)
            found[block] = self._swept(bench.study.coefficient * vector, bench.study.coefficient * other, names)
        return found

    def by_coefficient(self, names: Sequence[str], factors: Sequence[float]) -> dict[float, dict[str, BySet]]:
        """Coefficient → condition of `SWEPT` → ratios, before the chosen block."""
        bench = self._bench
        return {
            factor: self._swept(factor * bench.vector, factor * bench.other, names)
            for factor in progress_bar(factors, "coefficients")
        }

    def shown(self, condition: Condition, random: Condition) -> list[ShownText]:
        """The texts to be shown, token by token."""
        bench, texts = self._bench, []
        for name, text in bench.shown.items():
            (before,) = score_tokens(bench.model, bench.tokenizer, [text], bos=bench.bos)
            changes = []
            for vector in (condition, random):
                each = turns(vector, 1)
                (after,) = score_tokens(bench.model, bench.tokenizer, [text], each, positions="first", bos=bench.bos)
                change = after.log_probabilities - before.log_probabilities
                change[: bench.rows + 1] = float("nan")
                changes.append(tuple(change[int(bench.bos) :].tolist()))
            tokens = tuple(str(bench.tokenizer.decode([token])) for token in before.ids[int(bench.bos) :])
            texts.append(ShownText(name, tokens, *changes))
        return texts

    def _swept(self, vector: SteeringVector, other: SteeringVector, names: Sequence[str]) -> dict[str, BySet]:
        conditions: tuple[Condition, ...] = (vector, self._bench.random(vector), other)
        return {name: self.ratios(each, names) for name, each in zip(SWEPT, conditions, strict=True)}

    def _scored(self, name: str, condition: Condition, prepended: str = "") -> list[ScoredText]:
        bench, texts = self._bench, self._bench.sets[name]
        before = prepended or bench.filler
        return score_tokens(
            bench.model,
            bench.tokenizer,
            texts,
            turns(condition, len(texts)),
            positions="first",
            bos=bench.bos,
            prepended=before,
            most_tokens=bench.study.most_tokens or None,
        )

    def _ratio(self, steered: list[ScoredText], name: str) -> PerplexityRatio:
        # With the same tokens left out for every condition, all are of the same tokens.
        return perplexity_ratio(steered, self._unsteered[name], steered_tokens=self._bench.uncounted)


def turns(condition: Condition, count: int) -> list[SteeringVector | None]:
    """A vector for each of so many texts, which take turns where there are several."""
    if condition is None or isinstance(condition, SteeringVector):
        return [condition] * count
    return [condition[index % len(condition)] for index in range(count)]
