"""A topic's condition: fitted at every block to half of the prompts, and asked of the other half, beside its nulls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.experiments.conditional.discrimination import Discrimination, Scores, auc, folds, split
from geometry.intervals import summarise
from geometry.probing import Probe
from geometry.steering import Architecture, ConceptSteering, Condition, Site
from geometry.steering.condition import token_states

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_FOLDS = 5
_NULLS = ("shuffled labels", "random directions")
Halves = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True, eq=False)
class Prompts:
    """Prompts where a condition is to hold, and where it is not.

    Attributes:
        topic, others: how both are called.
        pooling: whether it is read at the "last" token, or the "max" of all tokens' cosines decides.
        positives, negatives: the prompts, as the model is given them.
        further: prompts of another form, of both kinds, which nothing is fitted to.
    """

    topic: str
    others: str
    pooling: Literal["last", "max"]
    positives: Sequence[str]
    negatives: Sequence[str]
    further: tuple[Sequence[str], Sequence[str]]

    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class Topic:
    """A topic's condition.

    Attributes:
        condition: at the block that was chosen, decided once a prompt; its threshold is midway between the means of the
            training prompts.
        blocks: the blocks that were read.
        by_block: held-out scores by the condition of each block; training: AUC by cross-validation in the training
            prompts, by which the block is chosen.
        nulls: AUC of held-out prompts of either null, shape (blocks, n).
        train, held_out: indices of the prompts.
        training_scores: of the positives and the negatives that it was fitted to.
        beside: the same held-out prompts by other methods; further: prompts of another form by the condition.
    """

    prompts: Prompts
    condition: Condition
    blocks: NDArray[np.int64]
    by_block: Sequence[Discrimination]
    training: Scores
    nulls: Mapping[str, Scores]
    train: tuple[NDArray[np.intp], NDArray[np.intp]]
    held_out: tuple[NDArray[np.intp], NDArray[np.intp]]
    training_scores: tuple[Scores, Scores]
    beside: Sequence[Discrimination]
    further: Discrimination

    __repr__ = short_repr

    @property
    def at(self) -> int:
        """The chosen block's place among `blocks`."""
        return int(np.flatnonzero(self.blocks == self.condition.site.block)[0])

    @property
    def auc(self) -> Discrimination:
        """Held-out prompts by the condition."""
        return self.by_block[self.at]

    @property
    def holds(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """For which held-out positives and negatives it holds."""
        return self.auc.positives > self.condition.threshold, self.auc.negatives > self.condition.threshold

    def texts(self, *, held_out: bool) -> tuple[list[str], list[str]]:
        """The prompts of either half."""
        chosen = self.held_out if held_out else self.train
        groups = zip((self.prompts.positives, self.prompts.negatives), chosen, strict=True)
        first, second = ([group[index] for index in indices] for group, indices in groups)
        return first, second

    def to_dict(self) -> dict[str, Any]:
        """For results.json."""
        rates = {
            name: summarise(held.astype(np.float64))
            for name, held in zip(("true_positive_rate", "false_positive_rate"), self.holds, strict=True)
        }
        blocks = {
            str(block): {**found.to_dict(), "training": float(train)}
            for block, found, train in zip(self.blocks, self.by_block, self.training, strict=True)
        }
        return {
            "topic": self.prompts.topic,
            "others": self.prompts.others,
            "site": str(self.condition.site),
            "threshold": self.condition.threshold,
            "held_out": self.auc.to_dict(),
            **rates,
            "nulls": {
                name: {"mean": float(drawn[self.at].mean()), "95%": [*np.quantile(drawn[self.at], [0.025, 0.975])]}
                for name, drawn in self.nulls.items()
            },
            "beside": {other.name: other.to_dict() for other in self.beside},
            "another_form": self.further.to_dict(),
            "blocks": blocks,
        }


def fit_topic(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Prompts,
    blocks: Sequence[int],
    concept: tuple[ConceptSteering, str | None, Sequence[str]],
    *,
    n_random: int,
    seed: int,
) -> Topic:
    """Fit at every block; choose one by the training prompts alone; ask of the held-out ones.

    `concept`: whose projection stands beside it, if any, and the texts that say what is usual for it.
    """
    rng = np.random.default_rng(seed)
    counts = len(prompts.positives), len(prompts.negatives)
    (train, held_out) = zip(*(split(count, rng) for count in counts), strict=True)
    texts, sites = [*prompts.positives, *prompts.negatives], [Site("output", block) for block in blocks]
    every = token_states(model, tokenizer, texts, sites)
    fits = {site: _Fit(site, prompts, (rows[: counts[0]], rows[counts[0] :])) for site, rows in every.items()}
    fitted = [fit.condition(train) for fit in fits.values()]
    by_block = [
        Discrimination("fitted condition", *fit.scores(condition, held_out))
        for fit, condition in zip(fits.values(), fitted, strict=True)
    ]
    validated = np.array([fit.validated(train) for fit in fits.values()])
    nulls = {null: np.empty((len(sites), n_random)) for null in _NULLS}
    for index, fit in enumerate(fits.values()):
        for null, directions in zip(_NULLS, fit.null_directions(train, n_random, rng), strict=True):
            rows = fit.along(directions, held_out)
            nulls[null][index] = [auc(*pair) for pair in zip(rows[0].T, rows[1].T, strict=True)]
    chosen = int(validated.argmax())
    condition = replace(fitted[chosen], model=Architecture.of(model).family)
    halves = {"train": train, "held_out": held_out}
    groups = {
        half: [
            [group[i] for i in part] for group, part in zip((prompts.positives, prompts.negatives), parts, strict=True)
        ]
        for half, parts in halves.items()
    }
    concepts, synset, neutral = concept
    beside = [Discrimination("words alone", *_by_words(groups["train"], groups["held_out"]))]
    if synset is not None:
        by_concept = Condition.of_concept(concepts, synset, model, tokenizer, neutral, scope="prompt")
        scored = (by_concept.prompt_scores(model, tokenizer, each) for each in groups["held_out"])
        beside.append(Discrimination(f"projection on {synset}", *scored))
    further = [condition.prompt_scores(model, tokenizer, each) for each in prompts.further]
    return Topic(
        prompts,
        condition,
        np.array(blocks),
        by_block,
        validated,
        nulls,
        train,
        held_out,
        fits[condition.site].scores(condition, train),
        beside,
        Discrimination("prompts of another form", *further),
    )


@dataclass(frozen=True, eq=False)
class _Fit:
    """Fits at one site: `states` of every token of the positives and of the negatives."""

    site: Site
    prompts: Prompts
    states: tuple[list[torch.Tensor], list[torch.Tensor]]

    def rows(self, chosen: Halves) -> list[torch.Tensor]:
        """What a direction is fitted to: a state for each of the chosen positives and negatives, (n, d) and (m, d)."""
        return [
            torch.stack([self._state(group[i]) for i in part]) for group, part in zip(self.states, chosen, strict=True)
        ]

    def _state(self, tokens: torch.Tensor) -> torch.Tensor:
        # Of unit length, as those of first tokens are a hundred times as long.
        return (
            tokens[-1] if self.prompts.pooling == "last" else torch.nn.functional.normalize(tokens, dim=1).mean(dim=0)
        )

    def condition(self, chosen: Halves) -> Condition:
        """Fitted to the chosen prompts."""
        first, second = self.rows(chosen)
        cosine = self.prompts.pooling == "max"
        name = f"the condition on {self.prompts.topic}"
        plain = replace(
            Condition.from_states(first, second, self.site, cosine=cosine, name=name), pooling=self.prompts.pooling
        )
        return plain.with_threshold(*self.scores(plain, chosen))

    def scores(self, condition: Condition, chosen: Halves) -> tuple[Scores, Scores]:
        """Of the chosen prompts."""
        first, second = (
            condition.pooled_scores([group[i] for i in part]) for group, part in zip(self.states, chosen, strict=True)
        )
        return first, second

    def validated(self, train: Halves) -> float:
        """AUC of training prompts that the condition was not fitted to, the mean over folds."""
        found = []
        for out in zip(*(folds(len(part), _FOLDS) for part in train), strict=True):
            kept, left = (
                [part[mask] for part, mask in zip(train, masks, strict=True)] for masks in ([~out[0], ~out[1]], out)
            )
            found.append(auc(*self.scores(self.condition((kept[0], kept[1])), (left[0], left[1]))))
        return float(np.mean(found))

    def null_directions(self, train: Halves, n: int, rng: np.random.Generator) -> tuple[Scores, Scores]:
        """Differences of the means of shuffled classes, and random directions, shape (n, d) each."""
        first, second = (len(part) for part in train)
        rows = torch.cat(self.rows(train)).double().numpy()
        weights = np.r_[np.full(first, 1 / first), np.full(second, -1 / second)]
        shuffled = np.array([rng.permutation(weights) for _ in range(n)]) @ rows
        return shuffled, rng.standard_normal((n, rows.shape[1]))

    def along(self, directions: Scores, chosen: Halves) -> list[Scores]:
        """Scores of the chosen prompts along n directions of any length, (prompts, n) of either kind."""
        axes = torch.from_numpy(directions.T).float()
        found = []
        for group, part in zip(self.states, chosen, strict=True):
            tokens = [
                group[i][-1:] if self.prompts.pooling == "last" else torch.nn.functional.normalize(group[i])
                for i in part
            ]
            found.append(torch.stack([(rows @ axes).amax(dim=0) for rows in tokens]).double().numpy())
        return found


def _by_words(train: Sequence[Sequence[str]], held_out: Sequence[Sequence[str]]) -> tuple[Scores, Scores]:
    """Ridge regression on which words stand in a prompt: what no model is needed for."""
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(binary=True, token_pattern=r"[^\W_]+")  # noqa: S106 (no password)
    labels = [name for name, texts in zip("yn", train, strict=True) for _ in texts]
    probe = Probe.fit(counter.fit_transform([*train[0], *train[1]]).toarray().astype(np.float64), labels)
    first, second = (probe.scores(counter.transform(texts).toarray().astype(np.float64))[:, 0] for texts in held_out)
    return first, second
