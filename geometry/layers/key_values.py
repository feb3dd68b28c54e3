"""Keys and values of the tokens that texts begin with, so that only what differs is run."""

from typing import Any

import torch

from geometry.steering.architecture import Architecture

# Layers that keep nothing but keys and values, of all positions or of the last so many; others keep states of their own
# (Mamba, convolutions), which cannot be given to several texts.
_LAYERS = ("DynamicLayer", "DynamicSlidingWindowLayer")


def text_arguments(ids: torch.Tensor, start: int = 0) -> dict[str, torch.Tensor]:
    """How to call a model with texts of which the first tokens are kept: ids of the rest, shape (texts, tokens)."""
    end = start + ids.shape[1]
    return {
        "input_ids": ids,
        "attention_mask": torch.ones(len(ids), end, dtype=torch.long, device=ids.device),
        "position_ids": torch.arange(start, end, device=ids.device).expand(len(ids), -1),
    }


def keys_and_values(architecture: Architecture, ids: torch.Tensor) -> Any:
    """What the model keeps of texts (texts, tokens), for calls that go on; None where that is not keys and values.

    None also of a model with hooks, which may do something else to a text that comes in two calls, and of one whose
    tokens attend to later ones.
    """
    hooked = any(module._forward_hooks or module._forward_pre_hooks for module in architecture.model.modules())
    forward = any(getattr(module, "is_causal", True) is False for module in architecture.blocks.modules())
    if hooked or forward or not architecture.caches:
        return None
    with torch.no_grad():
        output = architecture.model(**architecture.accepted(text_arguments(ids)), use_cache=True)
    past = getattr(output, "past_key_values", None)
    layers = getattr(past, "layers", [])
    return past if layers and all(type(layer).__name__ in _LAYERS for layer in layers) else None
