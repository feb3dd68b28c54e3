"""Training a sparse autoencoder by gradients of active features alone, beside torch's own of dense products."""

from functools import partial
from typing import Any

import torch

from geometry.dictionaries.topk_step import PARAMETERS, TopKState, take_step
from geometry.experiments.benchmark.common import TRAINING, Comparison, in_turn

_K, _BATCH, _STEPS, _RATE = 32, 512, 5, 1e-3


def compare_training(
    width: int, n_features: int, rounds: int, *, k: int = _K, batch: int = _BATCH, promised: float | None = None
) -> list[Comparison]:
    """Five steps on rows of noise about few directions, without dead features."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, 8, generator=generator) @ torch.randn(8, width, generator=generator)
    x += 0.3 * torch.randn(batch, width, generator=generator)
    first, second = beginning(x, n_features), beginning(x, n_features)
    ours, other = in_turn([partial(by_active, first, x, k), partial(by_torch, second, x, k)], rounds)
    said = f"{_STEPS} steps of a sparse autoencoder, {n_features:,} × {width:,}, {k} active"
    return [Comparison(TRAINING, said, "torch's gradients of dense products", ours, other, promised=promised)]


def beginning(x: torch.Tensor, n_features: int) -> TopKState:
    """The same every time."""
    return TopKState.beginning(x.shape[1], n_features, x.mean(dim=0), torch.Generator().manual_seed(1))


def by_active(state: TopKState, x: torch.Tensor, k: int) -> None:
    """Five steps as `train_dictionary` takes them."""
    for _ in range(_STEPS):
        take_step(state, x, k, rate=_RATE, dead_after=1 << 60, auxiliary=0.0)


def by_torch(state: TopKState, x: torch.Tensor, k: int) -> None:
    """The same steps, differentiated by torch."""
    own: Any = state.parameters
    for group in state.optimiser.param_groups:
        group["lr"] = _RATE
    for _ in range(_STEPS):
        state.optimiser.zero_grad()
        before = (x - own["decoder_bias"]) @ own["encoder"] + own["encoder_bias"]
        values, where = before.topk(k, dim=1)
        z = torch.zeros_like(before).scatter(1, where, values.clamp(min=0))
        left = x - z @ own["decoder"] - own["decoder_bias"]
        loss = left.square().sum() / (x - x.mean(dim=0)).square().sum()
        loss.backward()
        rows, gradient = own["decoder"].detach(), own["decoder"].grad
        gradient -= (gradient * rows).sum(dim=1, keepdim=True) * rows
        torch.nn.utils.clip_grad_norm_([own[name] for name in PARAMETERS], 1.0)
        state.optimiser.step()
        with torch.no_grad():
            own["decoder"] /= torch.linalg.vector_norm(own["decoder"], dim=1, keepdim=True)
