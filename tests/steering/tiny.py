"""Tiny models with random weights, a tokenizer of 64 made-up words for them, and what steering does, by hand."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import nn
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

import geometry as geo

WIDTH, DEPTH, VOCABULARY = 16, 4, 64
_COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": 24,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    # Large, so that attention and the next token depend on what stands where.
    "initializer_range": 0.4,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
_HEADS: dict[str, Any] = {**_COMMON, "head_dim": 4}
_NARROW: dict[str, Any] = {**_HEADS, "sliding_window": 6}
_GPT2: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "n_embd": WIDTH,
    "n_layer": DEPTH,
    "n_head": 4,
    "n_positions": 128,
    "initializer_range": 0.4,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
_MODELS: dict[str, Any] = {
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(**_GPT2)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**_COMMON)),
    "gemma2": lambda: Gemma2ForCausalLM(
        Gemma2Config(**_NARROW, query_pre_attn_scalar=4, final_logit_softcapping=8.0, attn_logit_softcapping=5.0)
    ),
    "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**_NARROW, query_pre_attn_scalar=4)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**_COMMON)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**_HEADS)),
}
# Qwen's are built as Llama's but for biases and norms within attention, which no hook sees.
_REPEATING = ("qwen2", "qwen3")
ALL = [pytest.param(name, id=name, marks=pytest.mark.long if name in _REPEATING else ()) for name in _MODELS]


def build(name: str, dtype: torch.dtype = torch.float32, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    model = _MODELS[name]()
    for module in model.modules():
        # Norms start as 1 or 0 everywhere and biases as 0, which would hide what forgets them.
        if "norm" in type(module).__name__.lower():
            nn.init.normal_(module.weight, mean=1.0, std=0.3)
        if getattr(module, "bias", None) is not None:
            nn.init.normal_(module.bias, std=0.1)
    # Generation is to reach its full length.
    model.generation_config.eos_token_id = None
    return model.to(dtype).eval()


def tokens(*shape: int, seed: int = 0) -> torch.Tensor:
    """Random ids, none of them special."""
    return torch.randint(2, VOCABULARY, shape, generator=torch.Generator().manual_seed(seed))


def vector(*sites: str, seed: int = 1, size: float = 3.0, rows: int = 0) -> geo.SteeringVector:
    generator = torch.Generator().manual_seed(seed)
    shape = (rows, WIDTH) if rows else (WIDTH,)
    return geo.SteeringVector({site: size * torch.randn(shape, generator=generator) for site in sites})


def tokenizer() -> PreTrainedTokenizerFast:
    words = {"<s>": 0, "</s>": 1, **{f"w{number}": number for number in range(2, VOCABULARY)}}
    tokens = Tokenizer(WordLevel(words, unk_token="</s>"))
    tokens.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokens, bos_token="<s>", eos_token="</s>")


def text(ids: torch.Tensor | list[int]) -> str:
    return " ".join(f"w{number}" for number in torch.as_tensor(ids).tolist())


def blocks(model: Any) -> nn.ModuleList:
    return model.transformer.h if hasattr(model, "transformer") else model.model.layers


def final_norm(model: Any) -> nn.Module:
    return model.transformer.ln_f if hasattr(model, "transformer") else model.model.norm


@contextmanager
def residual_streams(model: Any) -> Iterator[dict[str, torch.Tensor]]:
    """The residual stream at every site of the last call, in the order of computation, by hooks of our own."""
    seen: dict[str, torch.Tensor] = {}

    def reading(site: str, which: int) -> Callable[..., None]:
        def read(_: nn.Module, *taken: Any) -> None:
            value = taken[which]
            # Removed first: the order of a dict is that of first writing, and a call may end early.
            seen.pop(site, None)
            seen[site] = (value[0] if isinstance(value, tuple) else value).detach().clone()

        return read

    hooks = []
    for index, block in enumerate(blocks(model)):
        hooks.append(block.register_forward_pre_hook(reading(f"input.{index}", 0)))
        hooks.append(block.register_forward_hook(reading(f"output.{index}", 1)))
    hooks.append(final_norm(model).register_forward_pre_hook(reading("before_norm", 0)))
    hooks.append(final_norm(model).register_forward_hook(reading("after_norm", 1)))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def run(model: Any, ids: torch.Tensor, **arguments: Any) -> dict[str, torch.Tensor]:
    """The residual streams and the "logits" of one call."""
    with torch.no_grad(), residual_streams(model) as seen:
        logits = model(input_ids=ids, **arguments).logits
    return {**seen, "logits": logits}


def hook_count(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


@contextmanager
def counting(model: Any) -> Iterator[list[int]]:
    """How often a block ran."""
    ran: list[int] = []
    hooks = [block.register_forward_pre_hook(lambda *_: ran.append(1)) for block in blocks(model)]
    try:
        yield ran
    finally:
        for hook in hooks:
            hook.remove()


def pattern(*rows: str) -> torch.Tensor:
    """Which row of a part goes where, a digit for each and a dot for none (−1): pattern("..01", ".01.")."""
    return torch.tensor([[int(mark) if mark.isdigit() else -1 for mark in row] for row in rows])


def moved(residual: torch.Tensor, part: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """The residual stream with a row of the part added at each place of a pattern, one after the other."""
    rows = part.to(residual.dtype).reshape(-1, part.shape[-1])
    result = residual.clone()
    for prompt, place in (where >= 0).nonzero().tolist():
        result[prompt, place] = torch.add(residual[prompt, place], rows[where[prompt, place]])
    return result


# Generation by hand.
SITE = "output.1"
NEW = 8
PROMPT = 9
_MASK = torch.tensor([[place in (2, 5) for place in range(PROMPT)]])
# How positions are asked for, and how many rows the part has.
KINDS: dict[str, tuple[Any, int]] = {
    "all": ("all", 0),
    "prompt": ("prompt", 0),
    "generated": ("generated", 0),
    "first": ("first", 0),
    "middle": ("middle", 0),
    "last": ("last", 0),
    "indices": ([1, -2], 0),
    "mask": (_MASK, 0),
    "rows": ("last", 2),
    "rows at indices": ([-1, 0], 2),
}


def places(kind: str, p: int, n: int) -> dict[int, int]:
    """Which row of the part goes where in a prompt of p tokens that has grown to n."""
    return {
        "all": dict.fromkeys(range(n), 0),
        "prompt": dict.fromkeys(range(p), 0),
        "generated": dict.fromkeys(range(p, n), 0),
        "first": {0: 0},
        "middle": {(p - 1) // 2: 0},
        "last": {p - 1: 0},
        "indices": {1: 0, p - 2: 0},
        "mask": {2: 0, 5: 0},
        "rows": {p - 2: 0, p - 1: 1},
        "rows at indices": {p - 1: 0, 0: 1},
    }[kind]


def steering(kind: str) -> geo.SteeringVector:
    return vector(SITE, size=4, rows=KINDS[kind][1])


@contextmanager
def steered_by_hand(model: Any, kind: str, p: int) -> Iterator[None]:
    """Steer calls on whole texts, whose positions count from their first token."""
    rows = steering(kind)[SITE].reshape(-1, WIDTH)

    def add(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        result = output.clone()
        for place, row in places(kind, p, output.shape[1]).items():
            result[:, place] += rows[row]
        return result

    hook = blocks(model)[1].register_forward_hook(add)
    yield
    hook.remove()


def greedy(model: Any, prompt: list[int], kind: str) -> tuple[list[int], torch.Tensor]:
    """Tokens and logits by a loop over whole texts."""
    ids, logits = torch.tensor([prompt]), []
    with torch.no_grad(), steered_by_hand(model, kind, len(prompt)):
        for _ in range(NEW):
            logits.append(model(input_ids=ids, use_cache=False).logits[0, -1])
            ids = torch.cat([ids, logits[-1].argmax().reshape(1, 1)], dim=1)
    return ids[0, len(prompt) :].tolist(), torch.stack(logits)


def generated(model: Any, ids: torch.Tensor, mask: torch.Tensor | None = None, **options: Any) -> torch.Tensor:
    """What Hugging Face's own `generate` adds to prompts."""
    settings = {"max_new_tokens": NEW, "do_sample": False, "pad_token_id": 1, **options}
    mask = torch.ones_like(ids) if mask is None else mask
    if "inputs_embeds" in options:
        return model.generate(attention_mask=mask, **settings)
    return model.generate(input_ids=ids, attention_mask=mask, **settings)[:, ids.shape[1] :]
