"""How far the residual stream has moved at a later site."""

from typing import Literal

import torch

Measure = Literal["change", "direction"]


def moved(steered: torch.Tensor, unsteered: torch.Tensor, measure: Measure) -> torch.Tensor:
    """The objective's measure for rows (k, n, d) beside (n, d), shape (k, n).

    "change": ‖steered − unsteered‖ / ‖unsteered‖. "direction": the distance of both as unit vectors, at most 2: what a
    norm before the next block lets through.
    """
    wide = torch.promote_types(unsteered.dtype, torch.float32)
    after, before = steered.to(wide), unsteered.to(wide)
    lengths = torch.linalg.vector_norm(before, dim=-1)
    if measure == "direction":
        after = after / torch.linalg.vector_norm(after, dim=-1, keepdim=True)
        return torch.linalg.vector_norm(after - before / lengths[:, None], dim=-1)
    return torch.linalg.vector_norm(after - before, dim=-1) / lengths
