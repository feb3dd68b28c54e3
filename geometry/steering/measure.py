"""What a vector does and what it breaks: next-token probabilities of concepts, KL divergence, perplexity."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.steering.architecture import Architecture, evaluating
from geometry.steering.eraser import Eraser
from geometry.steering.hook_manager import HookManager
from geometry.steering.injection import steer
from geometry.steering.logit_shift import LogitShifts
from geometry.steering.padding import check_padding
from geometry.steering.prompts import Batch, LanguageModel, Tokenizer, encode
from geometry.steering.vector import SteeringVector


@dataclass(frozen=True, eq=False)
class Effect:
    """What a vector does to the token after each of n prompts.

    Attributes:
        probability: set of tokens by name → its summed probability, shape (n,).
        kl: KL(steered ‖ unsteered) in nats, shape (n,).
        excess_kl: set by name → `excess_kl` in nats, shape (n,).
        top1: the id of the most probable token, shape (n,).
    """

    probability: Mapping[str, NDArray[np.float64]]
    kl: NDArray[np.float64]
    excess_kl: Mapping[str, NDArray[np.float64]]
    top1: NDArray[np.int64]

    __repr__ = short_repr

    def top1_rate(self, tokens: NDArray[np.int64]) -> float:
        """The fraction of the prompts after which one of `tokens` is the most probable."""
        return float(np.isin(self.top1, tokens).mean())


class NextToken:
    """The next token after each of n prompts, asked for again and again under different steering.

    All but the last token of every prompt run once, unsteered, and are kept; each question runs the last token
    alone, so that a vector is added at the last one of the prompt. The effect of a vector after the final norm takes no
    pass of the model where its shift of the logits is known (`LogitShifts`).

    Raises SteeringError: no prompts, or an empty one; a vector at work in the model; a model without a KV-cache, or one
        that does not heed the padding of prompts of several lengths.
    """

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer, prompts: Sequence[str]) -> None:
        if HookManager.at_work(model):
            raise SteeringError("make NextToken before steering: what it keeps of its prompts is to be unsteered")
        self.model = model
        self.prompts = tuple(prompts)
        architecture = Architecture.of(model)
        if not architecture.caches:
            raise SteeringError(f"{type(model).__name__} keeps no KV-cache, without which no last token is asked alone")
        self._arguments = architecture.accepted(encoded_texts(architecture, tokenizer, prompts).arguments)
        self._past: Any = None
        if self._arguments["input_ids"].shape[1] > 1:
            with torch.no_grad(), evaluating(model):
                before_last = {name: ids[:, :-1] for name, ids in self._arguments.items()}
                self._past = model(**before_last, use_cache=True).past_key_values
        self.unsteered = self.log_probabilities()

    @cached_property
    def _shifts(self) -> LogitShifts:
        return LogitShifts(Architecture.of(self.model))

    def effect(self, vector: SteeringVector | Eraser | None, token_sets: Mapping[str, NDArray[np.int64]]) -> Effect:
        """The effect of a vector on sets of tokens; None: unsteered.

        Parameters:
            vector: added, or what it erases taken out, at the last token of every prompt.
            token_sets: name → ids of tokens, each once, such as `vocabulary.word_id("bird")` or
                `hierarchy["bird"].tokens` gives them.

        Raises SteeringError: what `steer` refuses, or a set that is empty or holds anything but ids.
        """
        token_sets = {name: self._checked(name, tokens) for name, tokens in token_sets.items()}
        if HookManager.at_work(self.model):
            raise SteeringError("the effect of a vector is measured without others at work; remove them first")
        before = after = self.unsteered
        if vector is not None:
            with steer(self.model, vector, positions="all"):
                shift = self._shifts.of(vector)
                after = self.log_probabilities() if shift is None else (before + shift.float()).log_softmax(dim=-1)
        probabilities = {name: probability(after, tokens) for name, tokens in token_sets.items()}
        kl = kl_divergence(after, before)
        excess = {
            name: excess_kl(kl, probabilities[name], probability(before, tokens)) for name, tokens in token_sets.items()
        }
        return Effect(probabilities, kl, excess, after.argmax(dim=1).numpy())

    def _checked(self, name: str, tokens: Any) -> NDArray[np.int64]:
        ids, size = np.asarray(tokens), self.unsteered.shape[1]
        whole = ids.ndim == 1 and ids.dtype.kind in "iu" and bool(len(ids))
        if not whole or int(ids.min()) < 0 or int(ids.max()) >= size or len(np.unique(ids)) < len(ids):
            given = f"{ids.dtype} {ids.shape}" if not whole else f"ids {ids.min()} to {ids.max()}, {len(ids)} of them"
            says = f"token set {name!r} must be ids from 0 to {size - 1}, each once, at least one, not {given}"
            raise SteeringError(f"{says}; vocabulary.word_id(word) gives a word's")
        return ids.astype(np.int64)

    def log_probabilities(self) -> torch.Tensor:
        """log P(y | prompt) in nats under what is at work in the model, float32 on the CPU, shape (n, V)."""
        with torch.no_grad(), evaluating(self.model):
            # The mask is of the cache's tokens too.
            last = {name: ids if name == "attention_mask" else ids[:, -1:] for name, ids in self._arguments.items()}
            logits: torch.Tensor = self.model(
                **last,
                # A cache grows in place.
                past_key_values=copy.deepcopy(self._past),
                use_cache=True,
            ).logits
        return logits[:, -1].float().cpu().log_softmax(dim=-1)


def probability(log_probabilities: torch.Tensor, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    """Summed probability of a set of tokens, shape (n,) from log-probabilities (n, V)."""
    subset = log_probabilities[:, torch.from_numpy(np.asarray(tokens, dtype=np.int64))]
    return subset.double().exp().sum(dim=1).numpy()


def kl_divergence(steered: torch.Tensor, unsteered: torch.Tensor) -> NDArray[np.float64]:
    """KL(steered ‖ unsteered) in nats, shape (n,) from log-probabilities (n, V)."""
    # What is less probable than e^-80 adds nothing, but its denormal exponential costs a hundred times as much.
    counted = steered > -80
    terms = steered.where(counted, 0.0).exp() * (steered - unsteered).where(counted, 0.0)
    return terms.sum(dim=1, dtype=torch.float64).numpy()


def excess_kl(
    kl: NDArray[np.float64], steered: NDArray[np.float64], unsteered: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Nats of KL divergence beyond the least that so great a change of a set's probability takes; at least 0.

    Any distribution that gives a set of tokens probability p instead of q diverges by p log(p/q) +
    (1 − p) log((1 − p)/(1 − q)) or more; the rest is spent on reordering tokens within the set and outside.
    `kl` is KL(steered ‖ unsteered), `steered` and `unsteered` are the set's p and q; all have shape (n,).
    """
    tiny = np.finfo(np.float64).tiny
    pairs = ((steered, unsteered), (1 - steered, 1 - unsteered))
    least = sum(np.where(p > 0, p * np.log(np.maximum(p, tiny) / np.maximum(q, tiny)), 0.0) for p, q in pairs)
    return np.maximum(kl - least, 0.0)


def perplexity(model: LanguageModel, tokenizer: Tokenizer, texts: Sequence[str]) -> float:
    """exp of the mean negative log-probability of the texts' tokens but the first of each, all in one batch.

    Raises SteeringError: no texts, or one of a single token; texts of several lengths for a model that does not heed
        padding.
    """
    architecture = Architecture.of(model)
    batch = encoded_texts(architecture, tokenizer, texts)
    if int(batch.attention_mask.sum(dim=1).min()) < 2:
        raise SteeringError("perplexity needs texts of at least two tokens")
    with torch.no_grad(), evaluating(model):
        logits = model(**architecture.accepted(batch.arguments)).logits
    predicted = batch.attention_mask[:, 1:].bool() & batch.attention_mask[:, :-1].bool()
    loss = torch.nn.functional.cross_entropy(logits[:, :-1][predicted].float(), batch.input_ids[:, 1:][predicted])
    return float(loss.double().exp())


def encoded_texts(architecture: Architecture, tokenizer: Tokenizer, texts: Sequence[str]) -> Batch:
    """Texts as one batch, begun as vectors at work need; a model that does not heed padding is given none."""
    manager = HookManager.at_work(architecture.model)
    bos = manager.bos(None) if manager is not None else None
    batch = encode(tokenizer, texts, bos=bos, device=architecture.device)
    if manager is not None:
        manager.check_begun(batch.brings(tokenizer.bos_token_id))
    architecture.check_tokens(batch.input_ids)
    if not bool(batch.attention_mask.all()):
        check_padding(architecture)
    return batch


def concept_tokens(hierarchy: ConceptHierarchy, names: Sequence[str]) -> Mapping[str, NDArray[np.int64]]:
    """The token ids by which concepts are discriminated: a token of two unrelated concepts counts for neither.

    Concepts are related if one is the other's ancestor; their common tokens stay. In WordNet " bird" is a
    token of person.n.01 as well as of bird.n.01.

    Raises HierarchyError: an unknown name.
    Raises SteeringError: a concept all of whose tokens are shared.
    """
    lines = {name: {name} | hierarchy.descendants(name) for name in names}
    tokens = {name: set(hierarchy[name].tokens) for name in names}
    kept = {}
    for name in names:
        unrelated = [label for label in names if name not in lines[label] and label not in lines[name]]
        kept[name] = tokens[name].difference(*(tokens[label] for label in unrelated))
        if not kept[name]:
            raise SteeringError(f"{name!r} shares all of its words with {', '.join(unrelated)}")
    return {name: np.array(sorted(ids), dtype=np.int64) for name, ids in kept.items()}
