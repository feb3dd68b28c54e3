"""ProjectionTest: does a hidden state project on a direction, or on any of several, beyond a threshold?

The numbers of a condition alone; condition fits them, and gate reads the model. Imports architecture and vector.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch

from geometry.display import in_short
from geometry.errors import SteeringError, shown
from geometry.steering.architecture import Architecture
from geometry.steering.vector import Site, SteeringVector

if TYPE_CHECKING:
    from geometry.steering.belonging import RowSample

Scope = Literal["token", "prompt"]
Pooling = Literal["max", "last", "mean"]


@dataclass(frozen=True, eq=False, repr=False)
class ProjectionTest:
    """The numbers of a condition; see `Condition`, which users make."""

    directions: torch.Tensor
    site: Site
    threshold: float
    above: bool = True
    scope: Scope = "token"
    pooling: Pooling = "max"
    offsets: torch.Tensor | None = None
    lens: bool = False
    cosine: bool = False
    name: str = "the condition"
    model: str = ""
    sample: "RowSample | None" = None

    def __post_init__(self) -> None:
        site = Site.parse(self.site)
        if site.relative:
            raise SteeringError(f"{self.name}: a condition is read at a plain site, not at {site}")
        for given, known in ((self.scope, Scope), (self.pooling, Pooling)):
            if given not in get_args(known):
                raise SteeringError(f"{self.name}: {given!r} is none of {', '.join(get_args(known))}")
        if not math.isfinite(self.threshold):
            raise SteeringError(f"{self.name}: the threshold must be a finite number, not {self.threshold}")
        rows = _matrix(self.directions, self.name, "a direction")
        if not bool((torch.linalg.vector_norm(rows.double(), dim=1) > 0).all()):
            raise SteeringError(f"{self.name}: a zero direction tells nothing apart")
        offsets = torch.zeros(len(rows)) if self.offsets is None else torch.as_tensor(self.offsets)
        offsets = _matrix(offsets, self.name, "offsets")[0]
        if len(offsets) != len(rows):
            raise SteeringError(f"{self.name}: {len(offsets)} offsets for {len(rows)} directions")
        if self.lens and site.place not in ("input", "output", "before_norm"):
            raise SteeringError(
                f"{self.name}: the logit lens reads the residual stream before the final norm, not {site}"
            )
        if self.cosine:
            rows = rows / torch.linalg.vector_norm(rows.double(), dim=1, keepdim=True).float()
        for name, value in (("site", site), ("directions", rows), ("offsets", offsets)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_ready", {})

    @property
    def width(self) -> int:
        """d, of the states that it reads."""
        return int(self.directions.shape[1])

    def __repr__(self) -> str:
        sign = ">" if self.above else "<"
        lens = " through the final norm" if self.lens else ""
        pooled = f", {self.pooling} over the prompt" if self.scope == "prompt" else ", each token"
        said = f"{'cosine' if self.cosine else 'projection'} {sign} {self.threshold:.4g} at {self.site}{lens}{pooled}"
        return f"{type(self).__name__}({in_short(self.name, 80)}: {said})"

    def check(self, architecture: Architecture) -> None:
        """SteeringError for a model of another width or family, or without that site."""
        kind = type(architecture.model).__name__
        if self.width != architecture.width:
            raise SteeringError(f"{self.name} is {self.width} wide, {kind} {architecture.width}")
        SteeringVector({Site("after_norm"): self.directions}, self.name, self.model).check_family(architecture.family)
        architecture.check(self.site)
        if self.site.block is not None:
            architecture.module_at(self.site)

    def scores(self, states: torch.Tensor) -> torch.Tensor:
        """The largest projection of states (..., d), through the final norm already where `lens` asks for it: (...)."""
        directions, offsets = self._on(states.device)
        wide = states.float()
        if self.cosine:
            length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
            wide = wide / length.clamp(min=torch.finfo(torch.float32).tiny)
        projections: torch.Tensor = wide @ directions.T - offsets
        return projections.amax(dim=-1)

    def pooled(self, scores: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """One score a prompt, shape (n,), of those of its tokens (n, tokens), where `real`."""
        if self.pooling == "max":
            return torch.where(real, scores, -math.inf).amax(dim=1)
        if self.pooling == "mean":
            return torch.where(real, scores, 0.0).sum(dim=1) / real.sum(dim=1)
        last = (real * torch.arange(1, real.shape[1] + 1, device=real.device)).argmax(dim=1)
        return scores[torch.arange(len(scores), device=scores.device), last]

    def holds(self, scores: torch.Tensor) -> torch.Tensor:
        """Whether scores are beyond the threshold, bool."""
        return scores > self.threshold if self.above else scores < self.threshold

    def _on(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        ready: dict[torch.device, tuple[torch.Tensor, torch.Tensor]] = self.__dict__["_ready"]
        if device not in ready:
            offsets: torch.Tensor = self.offsets  # type: ignore[assignment]  # given after __post_init__
            ready[device] = self.directions.to(device), offsets.to(device)
        return ready[device]


def _matrix(given: object, name: str, what: str) -> torch.Tensor:
    """Finite floating-point numbers as a float32 matrix of their own."""
    try:
        values = torch.as_tensor(given).detach()
    except (TypeError, ValueError, RuntimeError):
        raise SteeringError(f"{name}: {what} is a tensor of shape (d,) or (k, d), not {shown(given)}") from None
    if values.ndim not in (1, 2) or not values.numel() or not values.is_floating_point():
        raise SteeringError(
            f"{name}: {what} is a floating-point tensor of shape (d,) or (k, d), not {tuple(values.shape)} of"
            f" {values.dtype}"
        )
    rows = values.to("cpu", torch.float32, copy=True).reshape(-1, values.shape[-1])
    if not bool(rows.isfinite().all()):
        raise SteeringError(f"{name}: {what} holds NaN or infinite values")
    return rows
