"""What a vector does with a condition and without: to how likely refusals are, to logits bit by bit, and to texts."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.experiments.conditional.answers import REFUSAL, REPLY
from geometry.experiments.evaluator import FREQUENCY_PENALTY, TEMPERATURE, TOP_P
from geometry.judging.continuations import Continuations, logits_kept
from geometry.steering import Architecture, Condition, SteeringVector, encode, generate, steer
from geometry.steering.architecture import evaluating
from geometry.steering.padding import heeds_padding

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_BATCH = 16
NEW_TOKENS = 24


@dataclass(frozen=True, eq=False)
class Way:
    """A vector, if any, and the condition on which it acts."""

    vector: SteeringVector | None = None
    when: Condition | None = None

    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a way of steering does to n prompts.

    Attributes:
        refusal: log P of a held-out refusal less that of a reply of the same form after each, nats a token, shape (n,).
        unchanged: whether the logits after the prompt are those of the unsteered model, bit for bit; full: those of the
            vector without a condition.
        share: of the prompt's tokens at which the condition held; 1 and 0 where there is none.
    """

    refusal: NDArray[np.float64]
    unchanged: NDArray[np.bool_]
    full: NDArray[np.bool_]
    share: NDArray[np.float64]

    __repr__ = short_repr


@contextmanager
def at_work(model: "PreTrainedModel", way: Way) -> Iterator[list[torch.Tensor]]:
    """The vector at work at every token; yields what becomes the decisions of the last call."""
    decisions: list[torch.Tensor] = []
    if way.vector is None:
        yield decisions
        return
    handle = steer(model, way.vector, positions="all", when=way.when)
    try:
        yield decisions
    finally:
        if way.when is not None and handle.decisions is not None:
            decisions.append(handle.decisions)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* never held")  # of a condition: the numbers say it
            handle.remove()


def outcomes(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", prompts: Sequence[str], ways: Mapping[str, Way]
) -> dict[str, Outcome]:
    """Of every way, in the same batches, so that unchanged logits are the same bits.

    "unsteered" and "everywhere" are among the ways. Where a condition on prompts holds for a prompt or does not, its
    refusals are looked up among those of the same vector without a condition, or the unsteered ones: how far that is
    the same is what the logits say.
    """
    architecture = Architecture.of(model)
    size = _BATCH if heeds_padding(architecture) else 1
    logits: dict[str, list[torch.Tensor]] = {name: [] for name in ways}
    shares: dict[str, list[float]] = {name: [] for name in ways}
    with torch.no_grad(), evaluating(architecture.model):
        for start in range(0, len(prompts), size):
            batch = encode(tokenizer, prompts[start : start + size], device=architecture.device)
            real = batch.attention_mask.bool().cpu()
            for name, way in ways.items():
                with at_work(model, way) as decisions:
                    arguments = {**architecture.accepted(batch.arguments), **logits_kept(architecture, 1)}
                    last = architecture.model(**arguments).logits[:, -1]
                logits[name].append(last.cpu())
                held = decisions[0] if decisions else torch.full((len(real),), way.vector is not None)
                held = held if held.ndim == 2 else held[:, None].expand(real.shape)
                shares[name] += ((held & real).sum(dim=1) / real.sum(dim=1)).tolist()
    rows = {name: torch.cat(parts) for name, parts in logits.items()}
    refused = {name: refusals(model, tokenizer, prompts, ways[name]) for name in ("unsteered", "everywhere")}
    made = {}
    for name, way in ways.items():
        share = np.array(shares[name])
        if name not in refused:
            refused[name] = refused["unsteered"].copy()
            at = np.flatnonzero(share > 0).tolist()
            if way.when is not None and way.when.scope == "prompt" and way.vector is ways["everywhere"].vector:
                refused[name][at] = refused["everywhere"][at]
            elif len(at):
                some = Way(way.vector, None if way.when is None or way.when.scope == "prompt" else way.when)
                refused[name][at] = refusals(model, tokenizer, [prompts[index] for index in at], some)
        made[name] = Outcome(
            refused[name],
            (rows[name] == rows["unsteered"]).all(dim=1).numpy(),
            (rows[name] == rows["everywhere"]).all(dim=1).numpy(),
            share,
        )
    return made


def refusals(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", prompts: Sequence[str], way: Way
) -> NDArray[np.float64]:
    """log P a token of a held-out refusal less that of a reply after each prompt, shape (n,)."""
    contexts = [encode(tokenizer, [prompt]).input_ids[0].tolist() for prompt in prompts]
    answers = [tokenizer.encode(answer, add_special_tokens=False) for answer in (REFUSAL, REPLY)]
    pairs = [(context, answer) for answer in answers for context in contexts]
    asked = Continuations(model, tokenizer, way.vector, "all", way.when, batch_size=_BATCH)
    found = [value / len(answer) for (value, _), (_, answer) in zip(asked.log_likelihoods(pairs), pairs, strict=True)]
    first, second = np.array(found).reshape(2, -1)
    return np.asarray(first - second)


def written(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[str],
    ways: Mapping[str, Way],
    seed: int,
) -> dict[str, list[str]]:
    """What is sampled after each prompt under each way; one seed for all, so that the vectors alone differ."""
    texts = {}
    for name, way in ways.items():
        with at_work(model, way):
            generations = generate(
                model,
                tokenizer,
                prompts,
                max_new_tokens=NEW_TOKENS,
                temperature=TEMPERATURE,
                top_p=TOP_P,
                frequency_penalty=FREQUENCY_PENALTY,
                seed=seed,
            )
        texts[name] = [generation.text for (generation,) in generations]
    return texts
