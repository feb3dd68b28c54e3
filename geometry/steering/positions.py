"""Which positions of a batch are steered: from the words a user says to indices, counting real tokens only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from geometry.display import short_repr
from geometry.errors import SteeringError

PositionName = Literal["all", "prompt", "generated", "first", "middle", "last", "front", "back"]
_SYNONYMS: dict[PositionName, PositionName] = {"front": "first", "back": "last"}  # as the post on ActAdd has it
Positions = PositionName | Sequence[int] | torch.Tensor


@dataclass(frozen=True, eq=False)
class Selection:
    """Steered positions of a batch: at (batch[i], position[i]) row[i] of the part is used."""

    batch: torch.Tensor
    position: torch.Tensor
    row: torch.Tensor

    __repr__ = short_repr


def checked_positions(positions: Positions | None, rows: int | None) -> Positions:
    """Positions that suit a part with `rows` rows (None: one for all positions); None is the default for it.

    Raises SteeringError: an unknown name, another type, a repeated index, or a number of positions other than that of
        the rows.
    """
    if positions is None:
        return "last" if rows is None else "first"
    if isinstance(positions, str):
        if positions not in get_args(PositionName):
            known = ", ".join(get_args(PositionName))
            raise SteeringError(f"unknown positions {positions!r}; choose from {known}, indices or a mask")
        if rows is not None and positions in ("all", "prompt", "generated"):
            raise SteeringError(
                f"a vector with a row for each of {rows} positions cannot be added at {positions!r} positions;"
                " use first, middle, last or indices"
            )
        return _SYNONYMS.get(positions, positions)
    if isinstance(positions, torch.Tensor):
        if positions.dtype != torch.bool or positions.ndim != 2 or not bool(positions.any()):
            raise SteeringError(
                "a mask of positions is a bool tensor of shape (prompts, tokens), somewhere true,"
                f" not {positions.dtype} {tuple(positions.shape)}"
            )
        if rows is not None and not bool((positions.sum(dim=1) == rows).all()):
            raise SteeringError(f"the mask must choose {rows} positions of every prompt, as the vector has rows")
        return positions
    try:
        indices = [index.__index__() for index in positions]
    except (TypeError, AttributeError):
        raise SteeringError(f"positions are a name, integers or a bool mask, not {positions!r}") from None
    if not indices or any(isinstance(index, bool) for index in positions):
        raise SteeringError("positions must name an index at least; a mask is a bool tensor of shape (prompts, tokens)")
    if len(set(indices)) < len(indices):
        raise SteeringError(f"positions {indices} name an index twice")
    if rows is not None and len(indices) != rows:
        raise SteeringError(f"{len(indices)} positions were given for a vector with rows for {rows}")
    return indices


def checked_prompts(prompts: Sequence[bool] | torch.Tensor | None) -> torch.Tensor | None:
    """Which prompts of a batch are steered, as a bool tensor of shape (prompts,); None: all.

    Raises SteeringError: not a bool for each prompt, or none of them true.
    """
    if prompts is None:
        return None
    chosen = torch.as_tensor(prompts)
    if chosen.dtype != torch.bool or chosen.ndim != 1 or not bool(chosen.any()):
        raise SteeringError(
            f"prompts are a bool for each prompt of the batch, somewhere true, not {chosen.dtype} {tuple(chosen.shape)}"
        )
    return chosen


def every_token(
    prompts: torch.Tensor | None, tokens: torch.Tensor, copies: int = 1
) -> Selection | Literal["everywhere"]:
    """All positions of a batch `tokens` (batch, columns), or those of the chosen prompts, `copies` rows each."""
    if prompts is None:
        return "everywhere"
    real = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    batch, position = (real & of_prompts(prompts, real, copies)).nonzero(as_tuple=True)
    return Selection(batch, position, torch.zeros_like(batch))


def select(
    positions: Positions,
    rows: int | None,
    real: torch.Tensor,
    prompt: int,
    prompts: torch.Tensor | None = None,
    copies: int = 1,
) -> Selection | None:
    """The steered positions of a batch that begins with its prompts; None if there are none.

    Parameters:
        positions, rows: as `checked_positions` returns and takes them.
        real: bool, shape (batch, tokens); False for padding, which is never steered nor counted.
        prompt: how many of the columns are the prompts', the rest having been generated.
        prompts: which are steered, as `checked_prompts` returns it.
        copies: how many rows of the batch are a prompt's: its generations.

    Raises SteeringError: a prompt is shorter than the rows or an index asks for, or a mask has another shape.
    """
    column = torch.arange(real.shape[1], device=real.device)
    of_prompt = real & (column < prompt)
    order = of_prompt.cumsum(dim=1) - 1
    length = of_prompt.sum(dim=1, keepdim=True)
    count = rows or 1
    shortest = int(length.min())
    if isinstance(positions, str) and positions in ("first", "middle", "last"):
        if shortest < count:
            raise SteeringError(f"a prompt of {shortest} tokens is too short for a vector with rows for {count}")
        start = {"first": torch.zeros_like(length), "middle": (length - count) // 2, "last": length - count}[positions]
        row = order - start
        chosen = of_prompt & (row >= 0) & (row < count)
    elif isinstance(positions, str):
        chosen = {"all": real, "prompt": of_prompt, "generated": real & (column >= prompt)}[positions]
        row = torch.zeros_like(order)
    elif isinstance(positions, torch.Tensor):
        chosen = _spread_mask(positions.to(real.device), real, prompt, copies) & of_prompt
        row = chosen.cumsum(dim=1) - 1 if rows else torch.zeros_like(order)
        if rows and not bool((chosen.sum(dim=1) == rows).all()):
            raise SteeringError(f"the mask chooses padding, where one of the vector's {rows} rows would be lost")
    else:
        chosen, row = torch.zeros_like(of_prompt), torch.zeros_like(order)
        for number, index in enumerate(positions):
            if not -shortest <= index < shortest:
                raise SteeringError(
                    f"position {index} lies outside a prompt of {shortest} tokens"
                    f" (0 to {shortest - 1}, or −{shortest} to −1 from its end)"
                )
            here = of_prompt & (order == (index if index >= 0 else length + index))
            if bool((chosen & here).any()):
                raise SteeringError(f"positions {list(positions)} name a token twice in a prompt of {shortest} tokens")
            chosen, row = chosen | here, torch.where(here, number if rows else 0, row)
    if prompts is not None:
        chosen = chosen & of_prompts(prompts, real, copies)
    batch, position = chosen.nonzero(as_tuple=True)
    return Selection(batch, position, row[batch, position]) if len(batch) else None


def of_prompts(prompts: torch.Tensor, real: torch.Tensor, copies: int) -> torch.Tensor:
    """True for every generation of a chosen prompt, shape (batch, 1)."""
    if len(real) != len(prompts) * copies:
        raise SteeringError(
            f"the vector is for some of {len(prompts)} prompts, the batch has {_rows(real, copies)};"
            " of several generations or beams of each, say how many with num_return_sequences"
        )
    return prompts.to(real.device).repeat_interleave(copies)[:, None]


def _spread_mask(mask: torch.Tensor, real: torch.Tensor, prompt: int, copies: int) -> torch.Tensor:
    """The mask for every generation of its prompt, over all columns."""
    if len(real) != len(mask) * copies or mask.shape[1] != prompt:
        raise SteeringError(
            f"the mask of positions has shape {tuple(mask.shape)}, the batch has {_rows(real, copies)} prompts of"
            f" {prompt} tokens; of several generations or beams of each, say how many with num_return_sequences"
        )
    spread = torch.zeros_like(real)
    spread[:, :prompt] = mask.repeat_interleave(copies, dim=0)
    return spread


def _rows(real: torch.Tensor, copies: int) -> str:
    return f"{len(real)}" if copies == 1 else f"{len(real)} rows, {copies} of each of its"
