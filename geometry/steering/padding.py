"""Whether a model heeds the mask of a padded batch, measured: recurrent ones may carry padding on in their state."""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from geometry.errors import SteeringError
from geometry.steering.architecture import Architecture, plain_ids
from geometry.steering.residual_stream import undisturbed

_PADDING, _TOKENS = 4, 3
# Of the largest number, how much rounding may change.
_FINE, _COARSE = 1e-3, 0.05
_HEEDED: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


def heeds_padding(architecture: Architecture, call: Callable[..., Any] | None = None) -> bool:
    """Whether a prompt comes out of a batch padded on the left as it does alone; measured once a model.

    `call` runs the model, within a call of it its forward. Shards are taken to heed the mask, as other processes, which
    may have no padding, would have to be asked as well.
    """
    model = architecture.model
    if model not in _HEEDED:
        if any(hasattr(parameter, "device_mesh") for parameter in model.parameters()):
            return True
        with undisturbed(architecture):
            _HEEDED[model] = _measured(architecture, call or model)
    return _HEEDED[model]


def check_padding(architecture: Architecture, call: Callable[..., Any] | None = None) -> None:
    """SteeringError for a model that does not heed the mask, where a batch holds padding."""
    if not heeds_padding(architecture, call):
        raise SteeringError(
            f"{type(architecture.model).__name__}: does not heed the attention mask, so prompts in a padded batch are"
            " not what they are alone; run prompts of one length at a time (geo.generate and geo.read_activations do)"
        )


def _measured(architecture: Architecture, call: Callable[..., Any]) -> bool:
    ids = plain_ids(architecture.model, _PADDING + _TOKENS).to(architecture.device)
    mask = (torch.arange(_PADDING + _TOKENS, device=ids.device) >= _PADDING).long()[None]
    alone = _last_state(architecture, call, ids[:, _PADDING:], mask[:, _PADDING:])
    padded = _last_state(architecture, call, ids, mask)
    if not bool(alone.isfinite().all()):
        # Of broken weights nothing can be said here; they are refused where their numbers are used.
        return True
    difference = float((padded - alone).abs().max() / alone.abs().max().clamp(min=torch.finfo(torch.float32).tiny))
    # In float64 models compute some parts in float32.
    return difference <= (_FINE if architecture.dtype in (torch.float32, torch.float64) else _COARSE)


def _last_state(
    architecture: Architecture, call: Callable[..., Any], ids: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """The final hidden state of the last token, shape (d,)."""
    seen: list[torch.Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        seen.append(output[0] if isinstance(output, tuple) else output)

    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    arguments = architecture.accepted({"input_ids": ids, "attention_mask": mask, "position_ids": positions})
    hook = architecture.norm.register_forward_hook(keep)
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            call(**arguments)
    finally:
        hook.remove()
    return seen[-1][0, -1].float().cpu()
