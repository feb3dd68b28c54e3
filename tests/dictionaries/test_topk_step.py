"""A step's gradients, written out, against those that torch finds of the loss as the paper states it."""

from typing import Any

import pytest
import torch

from geometry.dictionaries.topk_step import PARAMETERS, TopKState, take_step

D, F, K, N = 12, 40, 4, 64


def largest(before: torch.Tensor, k: int) -> torch.Tensor:
    values, where = before.topk(k, dim=1)
    return torch.zeros_like(before).scatter(1, where, values.clamp(min=0))


def loss_of(parameters: dict[str, Any], x: torch.Tensor, dead: torch.Tensor, auxiliary: float) -> torch.Tensor:
    before = (x - parameters["decoder_bias"]) @ parameters["encoder"] + parameters["encoder_bias"]
    left = x - largest(before, K) @ parameters["decoder"] - parameters["decoder_bias"]
    variance = (x - x.mean(dim=0)).square().sum()
    loss = left.square().sum() / variance
    if dead.any():
        count, most = int(dead.sum()), D // 2
        z = largest(before.masked_fill(~dead, -torch.inf), min(most, count))
        rest = (left.detach() - z @ parameters["decoder"]).square().sum() / variance
        loss = loss + auxiliary * min(count / most, 1.0) * rest
    return loss


@pytest.mark.parametrize("dead_features", [0, 3, 20])
def test_a_step_is_one_of_adam_along_the_gradient_of_the_loss(dead_features: int) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(N, D, generator=generator) + torch.randn(D, generator=generator)
    state = TopKState.beginning(D, F, x.mean(dim=0), torch.Generator().manual_seed(2))
    state.quiet[:dead_features] = 1000
    own = {name: tensor.detach().clone().requires_grad_() for name, tensor in state.parameters.items()}
    optimiser = torch.optim.Adam([own[name] for name in PARAMETERS], betas=(0.9, 0.999), eps=6.25e-10, lr=0.01)
    for _ in range(3):
        dead = state.quiet >= 1000
        optimiser.zero_grad()
        # Twice over what is usual, so that the gradient's norm is clipped in one of the steps at least.
        loss_of(own, x, dead, 0.5).backward()  # type: ignore[no-untyped-call]
        gradient, rows = own["decoder"].grad, own["decoder"].detach()
        assert gradient is not None
        gradient -= (gradient * rows).sum(dim=1, keepdim=True) * rows
        torch.nn.utils.clip_grad_norm_(list(own.values()), 1.0)
        optimiser.step()
        with torch.no_grad():
            own["decoder"] /= own["decoder"].norm(dim=1, keepdim=True)
        take_step(state, x, K, rate=0.01, dead_after=1000, auxiliary=0.5)
        for name in PARAMETERS:
            torch.testing.assert_close(state.parameters[name].detach(), own[name].detach(), rtol=1e-3, atol=1e-4)
