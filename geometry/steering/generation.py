"""Generation from prompts, greedy or sampled, in batches: a thin door to the model's own `generate`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, cast

import torch

from geometry.errors import SteeringError
from geometry.steering.architecture import Architecture
from geometry.steering.prompts import LanguageModel, Tokenizer, encode


@dataclass(frozen=True)
class Generation:
    """What a model generated after a prompt: `text` without the prompt, and its `token_ids` up to the end of text."""

    prompt: str
    text: str
    token_ids: tuple[int, ...]


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
    """Generate text after prompts of any lengths in one batch, padded on the left, under whatever steers the model.

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
        bos: see `encode`; True for vectors of activation addition.

    Returns list: for each of the n prompts the list of its generations.
    Raises SteeringError: an empty prompt, a number out of its range, or several generations without a temperature.
    Source: The penalty is that of Turner et al., arXiv 2308.10248.
    """
    from transformers import GenerationConfig, LogitsProcessorList

    if max_new_tokens < 1 or num_return_sequences < 1 or not 0 <= temperature < math.inf or not 0 < top_p <= 1:
        raise SteeringError(
            "max_new_tokens and num_return_sequences are at least 1, the temperature at least 0,"
            " and top_p above 0 and at most 1"
        )
    if not math.isfinite(frequency_penalty):
        raise SteeringError(f"the frequency penalty must be a finite number, not {frequency_penalty}")
    if num_return_sequences > 1 and not temperature:
        raise SteeringError("without a temperature all generations of a prompt are the same; set one, such as 0.8")
    batch = encode(tokenizer, prompts, bos=bos, device=Architecture.of(model).device)
    end = model.generation_config.eos_token_id if model.generation_config else None
    ends = {end} if isinstance(end, int) else set(end or [tokenizer.eos_token_id]) - {None}
    sampling: dict[str, Any] = {"temperature": temperature, "top_p": top_p, "top_k": 0} if temperature else {}
    settings = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=bool(temperature),
        max_new_tokens=max_new_tokens,
        num_return_sequences=num_return_sequences,
        eos_token_id=sorted(ends) or None,
        pad_token_id=min(ends, default=0),
        use_cache=use_cache,
        repetition_penalty=1.0,
        **sampling,
    )
    mask = batch.attention_mask.repeat_interleave(num_return_sequences, 0)
    penalty = _FrequencyPenalty(frequency_penalty * (temperature or 1.0), mask)
    # What is not set in the settings would be taken from the model's own defaults.
    hugging_face_model, defaults = cast(Any, model), model.generation_config
    hugging_face_model.generation_config = settings
    try:
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed)
            generated = hugging_face_model.generate(
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                generation_config=settings,
                logits_processor=LogitsProcessorList([penalty] if frequency_penalty else []),
            )
    finally:
        hugging_face_model.generation_config = defaults
    new = generated[:, batch.input_ids.shape[1] :].tolist()
    rows = [list(takewhile(lambda token: token not in ends, row)) for row in new]
    texts = [str(tokenizer.decode(row, skip_special_tokens=True)) for row in rows]
    sequences = iter(zip(texts, map(tuple, rows), strict=True))
    return [[Generation(prompt, *next(sequences)) for _ in range(num_return_sequences)] for prompt in prompts]


@dataclass(frozen=True, eq=False)
class _FrequencyPenalty:
    """Lowers the logit of each token by `penalty` for every time it has occurred, padding left out."""

    penalty: float
    mask: torch.Tensor

    def __call__(self, ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        occurred = torch.ones_like(ids, dtype=logits.dtype)
        occurred[:, : self.mask.shape[1]] = self.mask.to(logits.dtype)
        return logits - self.penalty * torch.zeros_like(logits).scatter_add_(1, ids, occurred)
