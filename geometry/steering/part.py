"""Part: one part of a vector at work in a model, and how it changes the residual stream. Imports gate."""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import torch

from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.steering.eraser import erased_by
from geometry.steering.gate import Gate
from geometry.steering.positions import Positions, Selection
from geometry.steering.vector import Site

Mode = Literal["add", "ablate", "erase"]
_OF_THE_PROMPT = ("prompt", "first", "middle", "last")


@dataclass(eq=False)
class Part:
    """One part of a vector at its site, for some prompts of a batch (None: all), each in `copies` rows of it.
    `bos` is the vector's, `gate` its condition's, the same for all of its parts. To erase, `tensor` is what
    `Eraser.parts` holds, for states within `reach`.

    `plan` says where in the running call it acts; None: nowhere.
    """

    site: Site
    tensor: torch.Tensor
    positions: Positions
    mode: Mode
    centred: bool
    prompts: torch.Tensor | None = None
    copies: int = 1
    bos: bool | None = None
    gate: Gate | None = None
    reach: float = math.inf
    plan: Selection | Literal["everywhere", "unknown"] | None = None
    ready: dict[tuple[torch.device, torch.dtype], torch.Tensor] = field(default_factory=dict)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if self.mode == "ablate":
            # In float64, as squares leave the range of float32; a zero row has no direction and takes nothing away.
            length = torch.linalg.vector_norm(self.tensor.double(), dim=-1, keepdim=True)
            self.tensor = torch.where(length > 0, self.tensor / length, 0.0).float()
        self.plan = self.outside

    @cached_property
    def place(self) -> Site:
        """Where it acts, whatever its unit: absolute and relative parts share a hook. Asked for at every block."""
        return replace(self.site, relative=False)

    @property
    def places(self) -> tuple[Site, ...]:
        """Where it acts and where its condition is read."""
        return (self.place,) if self.gate is None else (self.gate.place, self.place)

    @property
    def rows(self) -> int | None:
        """For how many positions it has a row; None: one for all."""
        return len(self.tensor) if self.tensor.ndim == 2 and self.mode != "erase" else None

    @property
    def everywhere(self) -> bool:
        """Whether every token is steered."""
        return isinstance(self.positions, str) and self.positions == "all"

    @property
    def in_pieces(self) -> bool:
        """Whether it can act on a text that is run in pieces, of which none tells where the prompt is."""
        return self.everywhere and not (self.gate is not None and self.gate.of_prompt)

    @property
    def of_prompt(self) -> bool:
        """Whether no generated token is steered."""
        return not isinstance(self.positions, str) or self.positions in _OF_THE_PROMPT

    @property
    def outside(self) -> Literal["everywhere", "unknown"]:
        """The plan while the whole model is not being called."""
        plain = self.everywhere and self.prompts is None and self.gate is None
        return "everywhere" if plain else "unknown"

    def changed(self, residual: torch.Tensor) -> torch.Tensor:
        """The residual stream with this part's change, shape (batch, positions, d)."""
        plan = self.plan
        if plan is None:
            return residual
        if plan == "unknown":
            raise SteeringError("a part of the model was called by itself; steering needs the call of the whole model")
        if self.gate is not None:
            plan = self.gate.narrowed(plan, residual)
            if not len(plan.batch):
                return residual
        if isinstance(plan, str):
            return self._applied(residual, None)
        steered = residual.clone()
        batch, position, row = (index.to(residual.device) for index in (plan.batch, plan.position, plan.row))
        steered[batch, position] = self._applied(residual[batch, position], row)
        return steered

    def _applied(self, residual: torch.Tensor, row: torch.Tensor | None) -> torch.Tensor:
        if self.mode == "erase":
            dtype = torch.float64 if residual.dtype == torch.float64 else torch.float32
            return erased_by(self._on(residual.device, dtype), residual, self.reach)
        exact = self.mode == "add" and not self.site.relative
        vector = self._on(residual.device, residual.dtype if exact else torch.float32)
        if self.rows and row is not None:
            vector = vector[row]
        if exact:
            return torch.add(residual, vector)
        wide = residual.float()
        if self.mode == "ablate":
            return (wide - (wide * vector).sum(dim=-1, keepdim=True) * vector).to(residual.dtype)
        read = wide - wide.mean(dim=-1, keepdim=True) if self.centred else wide
        added = torch.linalg.vector_norm(read, dim=-1, keepdim=True) * vector
        return torch.add(residual, added.to(residual.dtype))

    def _on(self, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        if (device, dtype) not in self.ready:
            self.ready[device, dtype] = self.tensor.to(device, dtype)
        return self.ready[device, dtype]
