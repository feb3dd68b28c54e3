"""Readout: what a model makes of its final hidden state on the way to logits, measured on the model itself.

Scales, multipliers, soft caps and biases go by a name of their own in every family, so none is looked up: known final
hidden states are put in the place of the model's, and the logits looked at.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.steering.architecture import Architecture, plain_ids
from geometry.steering.residual_stream import undisturbed

_PROBES = 2
# Of the largest logit: so small that no cap bends it, and so large that any would.
_SIZES = (1e-2, 1.0, 1e2, 1e4)
_ROUNDING = {torch.float32: 1e-3, torch.float64: 1e-5}
_COARSE = 0.05


@dataclass(frozen=True)
class Readout:
    """What stands between the final norm and the logits.

    Attributes:
        scale: what a logit moves by for every unit that the head's matrix alone would move it.
        cap: bound of the logits where they are soft-capped, else None.
        biased: whether a final hidden state of 0 gives logits other than 0.
        follows: whether small changes of the logits are that matrix's products; not where a layer stands between
            norm and matrix.
    """

    scale: float
    cap: float | None
    biased: bool
    follows: bool

    __repr__ = short_repr

    @classmethod
    def of(cls, architecture: Architecture) -> "Readout | None":
        """Measure it by one call of the model; None for a model without a head."""
        head = architecture.head
        if head is None:
            return None
        generator = torch.Generator().manual_seed(0)
        probes = torch.randn((_PROBES, architecture.width), generator=generator)
        zero = torch.zeros_like(probes[:1])
        # Its own forward, so that a quantised or an offloaded matrix is read as the model reads it.
        try:
            products = products_of_head(architecture, head, torch.cat([zero, probes]))
        except (RuntimeError, TypeError, ValueError) as error:
            if getattr(head, "weight", zero).shape[-1] == architecture.width:
                kind = type(architecture.model).__name__
                raise SteeringError(f"{kind}: its head cannot be called by itself (sharded?): {error}") from error
            return cls(0.0, None, biased=False, follows=False)
        products = products[1:] - products[:1]
        if not bool(products.isfinite().all()) or not bool(products.any()):
            raise SteeringError(f"{type(architecture.model).__name__}: its head gives NaN, or nothing but zeros")
        size = float(products.abs().max())
        sizes = torch.tensor(_SIZES)[:, None, None] / size
        shifts = torch.cat([sizes * probes, -sizes * probes]).reshape(-1, architecture.width)
        logits = logits_at(architecture, torch.cat([zero, shifts]))
        count = min(logits.shape[1], products.shape[1])
        at_zero, up, down = logits[0], *logits[1:].reshape(2, len(_SIZES), _PROBES, -1).unbind()
        moved, wanted = (up - down)[..., :count] / 2, (sizes.double() * products)[..., :count]
        fits = [_fit(*pair) for pair in zip(moved, wanted, strict=True)]
        # Caps bend large logits, and rounding beside a bias swallows small ones.
        best = min(range(len(fits)), key=lambda size: fits[size][1])
        scale, left = fits[best]
        tolerance = _ROUNDING.get(architecture.dtype, _COARSE)
        reached = float(moved[-1].abs().max())
        capped = reached < 0.5 * abs(scale) * _SIZES[-1]
        biased = bool(at_zero.abs().max() > tolerance * moved[0].abs().max())
        return cls(_rounded(scale, architecture.dtype), reached if capped else None, biased, left <= tolerance)

    @property
    def notes(self) -> tuple[str, ...]:
        """What bends the way from λ to the logits, in words."""
        notes = []
        if self.cap is not None:
            notes.append(f"logits are soft-capped at ±{self.cap:.4g}: large shifts saturate")
        if self.scale != 1:
            notes.append(f"logits are scaled by {self.scale:.4g}: a coefficient acts that much more or less")
        if self.biased:
            notes.append("the head has a bias, which no shift of λ changes")
        return tuple(notes)


def logits_at(architecture: Architecture, states: torch.Tensor) -> torch.Tensor:
    """The model's logits of given final hidden states (n, d): float64 on the CPU, shape (n, V).

    By the model's own way from its final norm on, with no vector at work.

    Raises SteeringError: a model that gives no logits.
    """
    model = architecture.model
    ids = plain_ids(model, len(states)).to(architecture.device)

    def replace(_: nn.Module, __: Any, output: torch.Tensor) -> torch.Tensor:
        return states.to(output.device, output.dtype)[None]

    with undisturbed(architecture), torch.no_grad():
        hook = architecture.norm.register_forward_hook(replace)
        try:
            output: Any = model(input_ids=ids)
        finally:
            hook.remove()
    logits = getattr(output, "logits", None)
    if not isinstance(logits, torch.Tensor) or logits.ndim != 3 or logits.shape[1] != len(states):
        raise SteeringError(f"{type(model).__name__}: gives no logits for each token")
    return logits[0].double().cpu()


def _fit(moved: torch.Tensor, wanted: torch.Tensor) -> tuple[float, float]:
    """The scale between what was wanted of the logits and what moved, and which part of the latter that leaves."""
    scale = (moved * wanted).sum() / (wanted * wanted).sum()
    length = torch.linalg.vector_norm(moved).clamp(min=torch.finfo(torch.float64).tiny)
    left = float(torch.linalg.vector_norm(moved - scale * wanted) / length)
    # Where a narrow dtype overflows there is no telling.
    return float(scale), left if math.isfinite(left) else math.inf


def products_of_head(architecture: Architecture, head: nn.Module, states: torch.Tensor) -> torch.Tensor:
    """What the head alone makes of states (n, d): float64 on the CPU, shape (n, V)."""
    with torch.no_grad():
        products: torch.Tensor = head.forward(states.to(architecture.device, architecture.dtype)[None])
    return products[0].double().cpu()


def _rounded(scale: float, dtype: torch.dtype) -> float:
    """1 where rounding alone keeps it from that."""
    return 1.0 if abs(scale - 1) <= _ROUNDING.get(dtype, _COARSE) / 10 else scale
