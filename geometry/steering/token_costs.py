"""Texts token by token under vectors: the log-probability of each token, and perplexity ratios with their intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.display import short_repr
from geometry.errors import SteeringError, shown
from geometry.intervals import bootstrap_means, central
from geometry.steering.positions import Positions
from geometry.steering.prompts import LanguageModel, Tokenizer, beginning
from geometry.steering.steered_logits import Vectors, begins, each_of, steered_logits, token_rows

FEWEST_TEXTS = 5  # texts are drawn again for an interval


@dataclass(frozen=True, eq=False)
class ScoredText:
    """A text's tokens with their log-probabilities.

    Attributes:
        ids: shape (t,), with the beginning-of-text token, if any.
        log_probabilities: of each given those before it, in nats, shape (t,); nan for the first.
    """

    ids: NDArray[np.int64]
    log_probabilities: NDArray[np.float64]

    __repr__ = short_repr


@checked
def score_tokens(
    model: LanguageModel,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    vectors: Vectors = None,
    *,
    positions: Positions | None = None,
    bos: bool | None = None,
    prepended: str = "",
    most_tokens: int | None = None,
) -> list[ScoredText]:
    """The log-probability of every token of every text, each text under a vector of its own.

    Example::

        vector = geo.activation_addition(model, tokenizer, " weddings", " ", block=10)
        text = "The bride wore her grandmother's lace."
        before, after = geo.steering.score_tokens(model, tokenizer, [text] * 2, [None, vector])
        after.log_probabilities - before.log_probabilities

    Parameters:
        texts: n of them.
        vectors: one for all, or one (or None) for each; default: unsteered.
        positions: of the vectors; see `steer`.
        bos: see `encode`; default, what the vectors need, or else as the tokenizer does. Where steered and unsteered
            texts are compared they are to begin alike.
        prepended: a text whose tokens stand before each text's own, which is prompting; its own are not scored.
        most_tokens: texts are cut to so many tokens of their own, the first.

    Returns list: a `ScoredText` for each text.
    Raises SteeringError: no texts, another number of vectors, a vector at work in the model or one added at the last
        token alone, from which nothing is predicted, or what `steer` refuses, such as a text with fewer tokens than a
        vector has rows.
    """
    if most_tokens is not None and most_tokens < 1:
        raise SteeringError(f"most_tokens: texts are cut to 1 token at least, not {most_tokens}")
    chosen = each_of(vectors, len(texts))
    parts = [part for vector in chosen if vector is not None for part in vector.parts.values()]
    if positions in (None, "last") and any(part.ndim == 1 for part in parts):
        raise SteeringError(
            "positions: a vector without rows is added at the last token, from which nothing is predicted; give"
            " positions, such as 'all'"
        )
    rows = token_rows(tokenizer, texts, bos := begins(chosen, bos))
    starts = [len(beginning(tokenizer, text, bos)) for text in texts]
    if most_tokens is not None:
        rows = [row[: start + most_tokens] for row, start in zip(rows, starts, strict=True)]
    extra: list[int] = tokenizer.encode(prepended, add_special_tokens=False) if prepended else []
    if prepended and not extra:
        raise SteeringError(f"prepended: {shown(prepended)} has no tokens; give a text")
    prompted = [row[:start] + extra + row[start:] for row, start in zip(rows, starts, strict=True)]
    scored = [ScoredText(np.empty(0, np.int64), np.empty(0))] * len(rows)
    for indices, batch, logits in steered_logits(model, prompted, chosen, positions=positions):
        predicting, targets = logits[:, :-1].float(), batch.input_ids[:, 1:, None]
        scores = (predicting.gather(2, targets)[..., 0] - predicting.logsumexp(dim=2)).double().cpu().numpy()
        for index, row in zip(indices, scores, strict=True):
            every = np.concatenate([[np.nan], row[len(row) + 1 - len(prompted[index]) :]])
            own = np.delete(every, np.s_[starts[index] : starts[index] + len(extra)])
            scored[index] = ScoredText(np.array(rows[index], np.int64), own)
    return scored


@dataclass(frozen=True, eq=False)
class PerplexityRatio:
    """Perplexity of texts under a vector over that of the same tokens without, with its interval over texts.

    Attributes:
        rises: unsteered less steered log-probability of every token that counts, in nats, shape (m,).
        owners: which text each is of, shape (m,).
    """

    rises: NDArray[np.float64]
    owners: NDArray[np.int64]

    __repr__ = short_repr

    @property
    def value(self) -> float:
        """exp of the mean rise."""
        return _exp(float(self.rises.mean()))

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The central 95% over bootstrap samples of the texts, whose tokens are drawn together."""
        low, high = central(bootstrap_means(self.rises, self.owners))
        return _exp(low), _exp(high)

    def over(self, other: "PerplexityRatio") -> "PerplexityRatio":
        """This ratio over another of the same texts, token by token, so that its interval is of paired differences.

        Raises SteeringError: of other tokens.
        """
        if not np.array_equal(self.owners, other.owners):
            raise SteeringError("only ratios of the same tokens of the same texts can be paired")
        return PerplexityRatio(self.rises - other.rises, self.owners)


@checked
def perplexity_ratio(
    steered: Sequence[ScoredText], unsteered: Sequence[ScoredText], *, steered_tokens: int = 0
) -> PerplexityRatio:
    """Perplexity under steering over that without, of texts as `score_tokens` gives them.

    Example::

        vector = geo.activation_addition(model, tokenizer, " weddings", " ", block=10)
        texts = geo.steering.load_prompts("weddings").texts[:5]
        scored = geo.steering.score_tokens(model, tokenizer, texts * 2, [None] * 5 + [vector] * 5)
        ratio = geo.steering.perplexity_ratio(scored[5:], scored[:5], steered_tokens=2)
        print(ratio.value, ratio.interval)

    Below 1 the vector makes the texts more probable. exp of the mean over all tokens of all texts together, so that
    long texts count for more.

    Parameters:
        steered, unsteered: the same n texts, at least 5, each of the same tokens.
        steered_tokens: p, how many tokens from the first on are steered; what is predicted from them does not count,
            so that the vector's own token is not taken for its effect.

    Raises SteeringError: fewer than 5 texts, others than the unsteered ones, or one that ends where it is
        steered.
    Source: Turner et al., arXiv 2308.10248.
    """
    if steered_tokens < 0:
        raise SteeringError(f"steered_tokens: so many tokens from the first on, 0 or more, not {steered_tokens}")
    if len(steered) != len(unsteered) or len(steered) < FEWEST_TEXTS:
        raise SteeringError(
            f"{len(steered)} steered and {len(unsteered)} unsteered texts; as many are needed, {FEWEST_TEXTS} at least"
        )
    rises = []
    for after, before in zip(steered, unsteered, strict=True):
        if not np.array_equal(after.ids, before.ids):
            raise SteeringError("a steered text has other tokens than the unsteered one; begin both alike (bos)")
        if len(after.ids) < steered_tokens + 2:
            raise SteeringError(
                f"a text of {len(after.ids)} tokens ends where {steered_tokens} are steered; give longer texts"
            )
        rises.append((before.log_probabilities - after.log_probabilities)[steered_tokens + 1 :])
    owners = np.repeat(np.arange(len(rises)), list(map(len, rises)))
    return PerplexityRatio(np.concatenate(rises), owners)


def _exp(value: float) -> float:
    return math.inf if value >= 700 else math.exp(value)
