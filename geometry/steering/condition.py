"""Condition: where a vector is to act, by what the hidden state projects on; fitted to prompts, or from concepts.

Steering by it is `steer(model, vector, when=condition)`. Imports activations and concept_vectors.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from geometry.arguments import checked
from geometry.errors import SteeringError
from geometry.steering.activations import read_activations, watched
from geometry.steering.architecture import Architecture, evaluating
from geometry.steering.concept_vectors import ConceptSteering
from geometry.steering.final_norm import logit_lens
from geometry.steering.padding import heeds_padding
from geometry.steering.projection_test import Pooling, ProjectionTest, Scope
from geometry.steering.prompts import Batch, Tokenizer, encode, padded
from geometry.steering.vector import Site, SiteLike

if TYPE_CHECKING:
    from geometry.steering.belonging import RowSample

_BATCH = 16
_FEWEST_TOKENS = 20
_ROUNDING = 16 * torch.finfo(torch.float32).eps


@checked(site=SiteLike, directions=object, offsets=object, sample=object)
@dataclass(frozen=True, eq=False, repr=False)
class Condition(ProjectionTest):
    """Act only where the hidden state projects on a direction, or on any of several, beyond a threshold.

    >>> from transformers import GPT2Config, GPT2LMHeadModel
    >>> import geometry as geo
    >>> model = GPT2LMHeadModel(GPT2Config(n_layer=2, n_embd=8, n_head=2, vocab_size=16, eos_token_id=0)).eval()
    >>> vector = geo.SteeringVector({"output.1": torch.ones(8)})
    >>> condition = Condition(torch.eye(8)[0], "output.0", threshold=-1e6)
    >>> with geo.steer(model, vector, positions="all", when=condition) as handle:
    ...     logits = model(torch.tensor([[1, 2, 3]])).logits
    >>> handle.fired, handle.asked, condition
    (3, 3, Condition(the condition: projection > -1e+06 at output.0, each token))

    The score of a state h is the largest of dᵢᵀh − oᵢ over directions dᵢ and offsets oᵢ.

    Parameters:
        directions: shape (d,), or (k, d): any of them, as of a concept and its descendants.
        site: where it is read, such as "output.12": at the vector's own site or before, so that it is known in time,
            and is read without the vector.
        threshold: in the unit of the score.
        above: hold above the threshold, or below it.
        scope: "token": each token's own state decides for it. "prompt": it is decided once, and then holds for the
            whole prompt and for what is generated after it.
        pooling: of a prompt the "max" of its tokens' scores, the "last" token's, or the "mean"; padding is left out.
        offsets: shape (k,); default 0.
        lens: read the state through the final norm (the logit lens), at a block or before the norm.
        cosine: divide dᵢ and h by their lengths. Models have tokens, mostly the first of a text, whose states are a
            hundred times as long as all others; of projections it is these that the "max" and the "mean" show.
        name: of what it asks, for messages.
        model, sample: the architecture and the unembedding that it is meant for, as of a `SteeringVector`.

    Raises SteeringError: a shape, a number, a site or a name of another kind.
    """

    sample: "RowSample | None" = None

    @classmethod
    @checked
    def between(
        cls,
        model: nn.Module,
        tokenizer: Tokenizer,
        positives: Sequence[str],
        negatives: Sequence[str],
        site: SiteLike,
        *,
        scope: Scope = "prompt",
        pooling: Pooling = "last",
        cosine: bool = False,
        false_positive_rate: float | None = None,
        name: str = "the condition",
    ) -> "Condition":
        """The difference of the mean activations of prompts where it is to hold and of others, and a threshold.

        Example::

            condition = geo.steering.Condition.between(model, tokenizer, on_geese, on_others, "output.12")
            with geo.steer(model, vector, positions="all", when=condition):
                generations = geo.generate(model, tokenizer, ["Two geese walked up to the"])

        Parameters:
            positives, negatives: prompts that go no further than those it will be asked of.
            site, scope, pooling, cosine: where it is read, for whom, of which tokens and how; see `Condition`. The
                direction is that of the last tokens, or of the means over tokens, of states of unit length for cosines.
            false_positive_rate: a threshold that at most this share of the negatives passes; default, the midpoint
                between the mean scores of the two.

        Raises SteeringError: no prompts, classes that do not differ at the site, or what `read_activations` refuses.
        Source: the difference of means as of Rimsky et al., arXiv 2312.06681; steering on a condition as of Lee et al.,
            Programming Refusal with Conditional Activation Steering, arXiv 2409.05907, which reads a cosine.
        """
        parsed = Site.parse(site)
        for kind, prompts in (("positives", positives), ("negatives", negatives)):
            if isinstance(prompts, str) or not prompts:
                raise SteeringError(f"{name}: the {kind} are a list of prompts, and not empty")
        texts = [*positives, *negatives]
        if pooling == "last":
            states = read_activations(model, tokenizer, texts, [parsed])[parsed]
        else:
            every = token_states(model, tokenizer, texts, [parsed])[parsed]
            every = [torch.nn.functional.normalize(rows, dim=1) for rows in every] if cosine else every
            states = torch.stack([rows.double().mean(dim=0) for rows in every]).float()
        classes = states[: len(positives)], states[len(positives) :]
        condition = replace(
            cls.from_states(*classes, parsed, cosine=cosine, false_positive_rate=false_positive_rate, name=name),
            scope=scope,
            pooling=pooling,
            model=Architecture.of(model).family,
        )
        if pooling == "last":
            return condition
        scores = condition.prompt_scores(model, tokenizer, texts)
        return condition.with_threshold(scores[: len(positives)], scores[len(positives) :], false_positive_rate)

    @classmethod
    @checked
    def from_states(
        cls,
        positives: torch.Tensor,
        negatives: torch.Tensor,
        site: SiteLike,
        *,
        cosine: bool = False,
        false_positive_rate: float | None = None,
        name: str = "the condition",
    ) -> "Condition":
        """`between` of activations that were read before, shapes (n, d) and (m, d), as of `read_activations`.

        For prompts, by their last token; `dataclasses.replace` changes that.

        Raises SteeringError: classes that are empty or do not differ.
        """
        given = positives, negatives
        if any(each.ndim != 2 or not len(each) for each in given) or positives.shape[1] != negatives.shape[1]:
            shapes = f"{tuple(positives.shape)} and {tuple(negatives.shape)}"
            raise SteeringError(f"{name}: activations have shapes (n, d) and (m, d), not {shapes}")
        if not all(bool(each.isfinite().all()) for each in given):
            raise SteeringError(f"{name}: activations hold NaN or infinity; read them again")
        first, second = positives.double(), negatives.double()
        direction = first.mean(dim=0) - second.mean(dim=0)
        length = torch.linalg.vector_norm(direction)
        size = torch.linalg.vector_norm(torch.cat([first, second]), dim=1).mean()
        if not float(length) > _ROUNDING * float(size):
            raise SteeringError(f"{name}: positives and negatives do not differ at {Site.parse(site)}")
        direction = direction / length
        condition = cls(direction, site, 0.0, scope="prompt", pooling="last", cosine=cosine, name=name)  # type: ignore[arg-type]
        scores = [condition.scores(states).numpy() for states in (first, second)]
        return condition.with_threshold(scores[0], scores[1], false_positive_rate)

    @classmethod
    @checked
    def of_concept(
        cls,
        concepts: ConceptSteering,
        concept: str,
        model: nn.Module,
        tokenizer: Tokenizer,
        texts: Sequence[str],
        *,
        site: SiteLike = "after_norm",
        subtree: bool = True,
        scope: Scope = "token",
        pooling: Pooling = "max",
        false_positive_rate: float = 0.05,
    ) -> "Condition":
        """Hold where the final hidden state projects on a concept, or on any concept below it, as on few other texts.

        Example::

            texts = geo.load_prompts("neutral").texts
            condition = geo.steering.Condition.of_concept(concepts, "bird", model, tokenizer, texts)
            with geo.steer(model, vector, positions="all", when=condition):  # a vector for after_norm
                generations = geo.generate(model, tokenizer, ["In the garden I saw a"])

        In the causal inner product the projection is ⟨Σ^(1/2) λ, ℓ⟩, which is what the logits of the concept's words
        rise by with λ: it says what the model is about to write, not what it has read. In standard deviations above
        the mean of the texts' tokens, of each concept its own, so that concepts compare.

        Parameters:
            concepts: the concept vectors.
            concept: its name; with `subtree`, any of its descendants will do too.
            texts: where it is seldom to hold, such as neutral ones.
            site: "after_norm", for vectors that act there; before it the final norm is applied to what is read (the
                logit lens), for vectors that act at blocks. The earlier, the less it says.
            scope, pooling: see `Condition`.
            false_positive_rate: of the texts' tokens, or of the texts, that pass the threshold at most.

        Raises HierarchyError: an unknown concept.
        Raises SteeringError: no texts, another model's concepts, or what `Condition` refuses.
        Source: Park et al., arXiv 2311.03658, theorem 3.2, for l(x) = Σ^(1/2) λ(x).
        """
        hierarchy, parsed = concepts.directions.hierarchy, Site.parse(site)
        below = hierarchy.descendants(concept) if subtree else ()
        names = [hierarchy.names[hierarchy.index(concept)], *(name for name in hierarchy.names if name in set(below))]
        vectors = torch.stack([concepts.directions[name] for name in dict.fromkeys(names)])
        vectors = vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
        rows = (vectors @ concepts.space.colourer).cpu()
        family = concepts[concept].model
        plain = cls(
            rows,
            parsed,
            0.0,
            scope=scope,
            pooling=pooling,
            lens=parsed.place != "after_norm",
            name=f"{concept} and what is below it" if subtree and len(rows) > 1 else concept,
            model=family,
            sample=concepts[concept].sample,
        )
        projections = torch.cat([states.to(rows) @ rows.T for states in plain._states(model, tokenizer, texts)])
        if len(projections) < _FEWEST_TOKENS:
            raise SteeringError(f"{concept}: texts of {len(projections)} tokens are too few to say what is usual")
        spread, mean = projections.std(dim=0), projections.mean(dim=0)
        condition = replace(plain, directions=rows / spread[:, None], offsets=mean / spread)
        if scope == "prompt":
            scores = condition.prompt_scores(model, tokenizer, texts)
        else:
            scores = np.concatenate(condition.token_scores(model, tokenizer, texts))
        return condition.with_threshold(np.empty(0), scores, false_positive_rate)

    @checked(positives=ArrayLike, negatives=ArrayLike)
    def with_threshold(
        self,
        positives: NDArray[np.floating],
        negatives: NDArray[np.floating],
        false_positive_rate: float | None = None,
    ) -> "Condition":
        """With the threshold midway between the mean scores of both, or one that a share of negatives passes at most.

        Raises SteeringError: no scores, or a rate outside 0 to 1.
        """
        first, second = (np.asarray(scores, dtype=np.float64).ravel() for scores in (positives, negatives))
        if not second.size or (false_positive_rate is None and not first.size):
            raise SteeringError(f"{self.name}: a threshold needs scores")
        if false_positive_rate is None:
            return replace(self, threshold=float(first.mean() + second.mean()) / 2)
        if not 0 <= false_positive_rate < 1:
            raise SteeringError(f"{self.name}: a false positive rate is from 0 to below 1, not {false_positive_rate}")
        # From the best score down: the first that is not let pass.
        ordered = np.sort(second if self.above else -second)[::-1]
        threshold = float(ordered[int(false_positive_rate * len(ordered) + 1e-9)])
        return replace(self, threshold=threshold if self.above else -threshold)

    @checked
    def prompt_scores(self, model: nn.Module, tokenizer: Tokenizer, prompts: Sequence[str]) -> NDArray[np.float64]:
        """The score of every prompt, pooled over its tokens, under what is at work in the model: shape (n,).

        Raises SteeringError: an empty prompt, another model.
        """
        return self.pooled_scores(self._states(model, tokenizer, prompts))

    @checked
    def token_scores(self, model: nn.Module, tokenizer: Tokenizer, prompts: Sequence[str]) -> list[NDArray[np.float32]]:
        """The score of every token of every prompt: shape (tokens,) of each.

        Raises SteeringError: as of `prompt_scores`.
        """
        return [self.scores(rows).numpy() for rows in self._states(model, tokenizer, prompts)]

    def scores_of_ids(self, model: nn.Module, rows: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """`prompt_scores` of token ids, which nothing is put before: shape (n,).

        Raises SteeringError: a row without tokens, another model.
        """
        if not rows or not all(map(len, rows)):
            raise SteeringError(f"{self.name}: a prompt needs at least one token")
        size = _BATCH if heeds_padding(Architecture.of(model)) else 1
        batches = (padded(rows[start : start + size]) for start in range(0, len(rows), size))
        return self.pooled_scores(self._read(model, _states_of(model, batches, [self.site])))

    def pooled_scores(self, states: Sequence[torch.Tensor]) -> NDArray[np.float64]:
        """`prompt_scores` of states that were read before, shape (tokens, d) of each prompt: shape (n,)."""
        scores = (self.scores(rows)[None] for rows in states)
        pooled = (self.pooled(row, torch.ones(row.shape, dtype=torch.bool)) for row in scores)
        return np.asarray(torch.cat(list(pooled)).double().numpy())

    def _states(self, model: nn.Module, tokenizer: Tokenizer, prompts: Sequence[str]) -> list[torch.Tensor]:
        return self._read(model, token_states(model, tokenizer, prompts, [self.site]))

    def _read(self, model: nn.Module, states: Mapping[Site, list[torch.Tensor]]) -> list[torch.Tensor]:
        self.check(Architecture.of(model))
        return [logit_lens(model, rows) if self.lens else rows for rows in states[self.site]]


def token_states(
    model: nn.Module, tokenizer: Tokenizer, prompts: Sequence[str], sites: Sequence[Site]
) -> dict[Site, list[torch.Tensor]]:
    """Site → the state of every token of every prompt, float32 on the CPU, shape (tokens, d) of each."""
    texts = list(prompts)
    encode(tokenizer, texts)  # refuses an empty prompt before the model runs
    size = _BATCH if heeds_padding(Architecture.of(model)) else 1
    batches = (encode(tokenizer, texts[start : start + size]) for start in range(0, len(texts), size))
    return _states_of(model, batches, sites)


def _states_of(model: nn.Module, batches: Iterable[Batch], sites: Sequence[Site]) -> dict[Site, list[torch.Tensor]]:
    architecture = Architecture.of(model)
    states: dict[Site, list[torch.Tensor]] = {site: [] for site in sites}
    with torch.no_grad(), evaluating(architecture.model), watched(architecture, sites) as seen:
        for batch in batches:
            architecture.check_tokens(batch.input_ids)
            arguments = {name: ids.to(architecture.device) for name, ids in batch.arguments.items()}
            with suppress(seen.enough):
                architecture.model(**architecture.accepted(arguments))
            real = batch.attention_mask.bool()
            for site, kept in states.items():
                rows = seen[site].float().cpu()
                kept += [row[mask] for row, mask in zip(rows, real, strict=True)]
    return states
