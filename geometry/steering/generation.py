"""Generation from prompts, greedy or sampled, in batches: a thin door to the model's own `generate`."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, cast

import torch

from geometry.arguments import checked
from geometry.display import in_short
from geometry.errors import SteeringError
from geometry.steering.architecture import Architecture, evaluating
from geometry.steering.hook_manager import HookManager
from geometry.steering.padding import heeds_padding
from geometry.steering.prompts import LanguageModel, Tokenizer, encode

_MOST_TOKENS, _MOST_ROWS = 100_000, 10_000  # beyond which a slip of the finger is likelier than a wish
_COLDEST = 0.001


@dataclass(frozen=True)
class Generation:
    """What a model generated after a prompt: `text` without the prompt, and its `token_ids` up to the end of text."""

    prompt: str
    text: str
    token_ids: tuple[int, ...]

    def __repr__(self) -> str:
        return f"Generation({in_short(repr(self.prompt), 60)} → {in_short(repr(self.text), 120)})"


@checked
def generate(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 40,
    num_return_sequences: int = 1,
    temperature: float = 0.0,
    top_p: float = 1.0,
    frequency_penalty: float = 0.0,
    seed: int = 0,
    bos: bool | None = None,
    use_cache: bool = True,
) -> list[list[Generation]]:
    """Generate text after prompts of any lengths, under whatever steers the model, without dropout.

    All in one batch, padded on the left; in a batch for each length where a model does not heed padding.

    Example::

        with geo.steer(model, vector):
            ((generation,),) = geo.generate(model, tokenizer, ["In the garden I saw a"], max_new_tokens=5)
        print(generation.text)

    Parameters:
        prompts: texts; n of them.
        max_new_tokens: after each prompt at most.
        num_return_sequences: generations of each prompt; more than one needs a temperature.
        temperature: 0 takes the most probable token each time.
        top_p: sample from the most probable tokens that together have this probability.
        frequency_penalty: subtracted from a token's logit (after division by the temperature, before `top_p`) for every
            time it stands in the prompt or the generated text so far.
        seed: of the sampling; the generators of the caller are left as they were.
        bos: see `encode`; default, what the vectors at work need, or else as the tokenizer does.

    Returns list: for each of the n prompts the list of its generations.
    Raises SteeringError: an empty prompt, more tokens than the model has positions, a number out of its range, several
        generations without a temperature, logits that are NaN; another `bos` than vectors at work need; vectors for
        some of the prompts where lengths differ and the model does not heed padding; a model that predicts no tokens.
    Source: The penalty is that of Turner et al., arXiv 2308.10248.
    """
    from transformers import GenerationConfig, LogitsProcessorList

    most = _MOST_ROWS // max(1, len(prompts))
    if not 1 <= max_new_tokens <= _MOST_TOKENS or not 1 <= num_return_sequences <= most:
        raise SteeringError(
            f"max_new_tokens is from 1 to {_MOST_TOKENS:,}, and num_return_sequences of {len(prompts)} prompts to"
            f" {most:,} at most"
        )
    if not (temperature == 0 or _COLDEST <= temperature <= 1 / _COLDEST) or not 0 < top_p <= 1:
        raise SteeringError(
            f"the temperature is 0 or from {_COLDEST} to {1 / _COLDEST:g}, and top_p above 0 and at most 1"
        )
    if not 0 <= seed < 2**63:
        raise SteeringError("the seed is at least 0 and below 2^63")
    if not math.isfinite(frequency_penalty):
        raise SteeringError(f"the frequency penalty must be a finite number, not {frequency_penalty}")
    if num_return_sequences > 1 and not temperature:
        raise SteeringError("without a temperature all generations of a prompt are the same; set one, such as 0.8")
    architecture, manager = Architecture.of(model), HookManager.at_work(model)
    if not getattr(architecture.model, "can_generate", bool)():
        raise SteeringError(
            f"{type(architecture.model).__name__}: predicts no tokens; a causal language model is needed"
        )
    bos = bos if manager is None else manager.bos(bos)
    encoded = encode(tokenizer, prompts, bos=bos)
    if manager is not None:
        manager.check_begun(encoded.brings(tokenizer.bos_token_id))
    architecture.check_tokens(encoded.input_ids, max_new_tokens - 1)
    lengths = encoded.attention_mask.sum(dim=1).tolist()
    heeded = True
    if len(set(lengths)) > 1 or (not architecture.caches and len(prompts) * num_return_sequences > 1):
        heeded = heeds_padding(architecture)
    groups = [list(range(len(prompts)))] if heeded else _groups(architecture, lengths)
    language_model = cast(Any, architecture.model)
    defaults = language_model.generation_config
    end = defaults.eos_token_id if defaults else None
    ends = {end} if isinstance(end, int) else set(end or [tokenizer.eos_token_id]) - {None}
    sampling: dict[str, Any] = {"temperature": temperature, "top_p": top_p, "top_k": 0} if temperature else {}
    settings = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=bool(temperature),
        max_new_tokens=max_new_tokens,
        num_return_sequences=num_return_sequences,
        eos_token_id=sorted(ends) or None,
        pad_token_id=min(ends, default=0),
        # A state that carries padding on mixes the rows of a batch too.
        use_cache=use_cache and (heeded or architecture.caches),
        repetition_penalty=1.0,
        **sampling,
    )
    generations: dict[int, list[Generation]] = {}
    # What is not set in the settings would be taken from the model's own defaults.
    language_model.generation_config = settings
    try:
        counted = manager.generating(num_return_sequences) if manager is not None else nullcontext()
        with counted, evaluating(language_model), torch.no_grad():
            for group in groups:
                batch = encode(tokenizer, [prompts[index] for index in group], bos=bos, device=architecture.device)
                mask = batch.attention_mask.repeat_interleave(num_return_sequences, 0)
                processors: list[Any] = [_not_nan]
                if frequency_penalty:
                    processors.append(_FrequencyPenalty(frequency_penalty * (temperature or 1.0), mask))
                with torch.random.fork_rng():
                    torch.manual_seed(seed)
                    generated = language_model.generate(
                        input_ids=batch.input_ids,
                        attention_mask=batch.attention_mask,
                        generation_config=settings,
                        logits_processor=LogitsProcessorList(processors),
                    )
                new = generated[:, batch.input_ids.shape[1] :].tolist()
                kept = [list(takewhile(lambda token: token not in ends, row)) for row in new]
                texts = [str(tokenizer.decode(row, skip_special_tokens=True)) for row in kept]
                made = iter(zip(texts, map(tuple, kept), strict=True))
                for index in group:
                    generations[index] = [Generation(prompts[index], *next(made)) for _ in range(num_return_sequences)]
    finally:
        language_model.generation_config = defaults
    return [generations[index] for index in range(len(prompts))]


def _groups(architecture: Architecture, lengths: list[int]) -> list[list[int]]:
    """Indices of the prompts of each length, which may be run together."""
    if len(set(lengths)) < 2:
        return [list(range(len(lengths)))]
    manager = HookManager.at_work(architecture.model)
    if manager is not None and not manager.one_by_one():
        raise SteeringError(
            f"{type(architecture.model).__name__} does not heed padding, and vectors for some of the prompts or a mask"
            " of positions are at work; give it prompts of one length"
        )
    return [[index for index, other in enumerate(lengths) if other == length] for length in sorted(set(lengths))]


def _not_nan(_: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    if bool(logits.isnan().any()):
        raise SteeringError("the logits are NaN: the weights are damaged, or a vector is too large for their dtype")
    return logits


@dataclass(frozen=True, eq=False)
class _FrequencyPenalty:
    """Lowers the logit of each token by `penalty` for every time it has occurred, padding left out."""

    penalty: float
    mask: torch.Tensor

    def __call__(self, ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        occurred = torch.ones_like(ids, dtype=logits.dtype)
        occurred[:, : self.mask.shape[1]] = self.mask.to(logits.dtype)
        return logits - self.penalty * torch.zeros_like(logits).scatter_add_(1, ids, occurred)
