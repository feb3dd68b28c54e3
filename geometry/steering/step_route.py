"""The way that both steps at the output layer go: arguments checked, states in batches, results joined."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.errors import SteeringError
from geometry.models import Unembedding
from geometry.steering.output_law import (
    OutputLaws,
    checked_states,
    checked_target,
    checked_unembedding,
)
from geometry.steering.output_steps import OutputSteps
from geometry.steering.step_goal import Goal, checked_goal
from geometry.steering.vector import Site, SteeringVector

Array = NDArray[np.float64]
Shift = Callable[[OutputLaws, Goal, float], tuple[Array, NDArray[np.bool_]]]
_MOST_STATES = 32
_MOST_NUMBERS = 1 << 26  # of the d × d matrices, one a state


def stepped(
    route: Literal["dual", "addition"],
    shift: Shift,
    space: CausalSpace | Unembedding,
    hidden: ArrayLike,
    probe: SteeringVector | ArrayLike | None,
    target: ArrayLike,
    n_tokens: int,
    tolerance: float,
    **goals: ArrayLike | None,
) -> OutputSteps:
    """The steps of a route, some states at a time.

    Raises SteeringError: what does not fit.
    """
    unembedding = checked_unembedding(space)
    states = checked_states(hidden, unembedding)
    ids = checked_target(target, unembedding)
    if n_tokens < 1 or not 0 <= tolerance < 1:
        raise SteeringError(f"n_tokens must be 1 or more and tolerance below 1, not {n_tokens} and {tolerance}")
    given = None if probe is None else checked_probe(probe, states.shape)
    kind, values = checked_goal(len(states), **goals)
    many = max(1, min(_MOST_STATES, _MOST_NUMBERS // states.shape[1] ** 2))
    parts = []
    for start in range(0, len(states), many):
        part = slice(start, start + many)
        laws = OutputLaws.at(unembedding, states[part], ids, n_tokens)
        beta = mean_difference(laws) if given is None else given[part]
        goal = Goal.of(laws, beta, kind, values[part])
        parts.append(OutputSteps.measured(route, laws, beta, *shift(laws, goal, tolerance)))
    return OutputSteps.joined(parts)


@checked
def mean_probe(
    space: CausalSpace | Unembedding,
    hidden: ArrayLike,
    target: ArrayLike,
    *,
    base: ArrayLike | None = None,
    n_tokens: int = 5000,
) -> Array:
    """β = E[γ | target] − E[γ | base] of the law at each final hidden state, shape (n, d).

    Example::

        parent = geo.steering.mean_probe(unembedding, states, animals)
        child = geo.steering.mean_probe(unembedding, states, birds, base=animals)
        geo.steering.dual_step(unembedding, states, parent + child, target=birds, probability=0.5)

    Both means weigh tokens by p_λ0, which keeps E_λ0[γ] + νβ inside the hull of γ for every 0 ≤ ν < 1 (it is then the
    mean of a mixture of the law and its part on the target); plain means of tokens would not.

    Parameters:
        hidden: λ0, shape (n, d).
        target, base: ids of tokens. No base: the whole law, E_λ0[γ]; a parent as base gives the child contrast, and
            parent + child the probe of the child alone.
        n_tokens: the likeliest tokens at λ0 that stand for the whole law, beside the target's.

    Raises SteeringError: shapes, numbers or ids that do not fit.
    Source: after the mean differences of Park et al., arXiv 2602.15293; the weights are ours.
    """
    unembedding = checked_unembedding(space)
    states = checked_states(hidden, unembedding)
    mine = OutputLaws.at(unembedding, states, checked_target(target, unembedding), n_tokens)
    beta = mean_difference(mine)
    if base is None:
        return beta
    return beta - mean_difference(OutputLaws.at(unembedding, states, checked_target(base, unembedding), n_tokens))


def mean_difference(laws: OutputLaws) -> Array:
    """E[γ | target] − E_λ0[γ] of every state."""
    # In logits, so that a target of no probability has a mean still.
    logits = laws.logits[:, laws.target]
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights @ laws.gamma[laws.target] / weights.sum(axis=1, keepdims=True) - laws.mean)


def checked_probe(probe: SteeringVector | ArrayLike, shape: tuple[int, ...]) -> Array:
    """β as float64, shape (n, d).

    Raises SteeringError: another shape or site, NaN, or zeros.
    """
    if isinstance(probe, SteeringVector):
        if probe.sites != (Site("after_norm"),):
            raise SteeringError(f"probe: {probe.provenance} has {probe.sites[0]}; at the output layer it is after_norm")
        probe = probe["after_norm"]
    beta = np.asarray(probe.detach().cpu() if isinstance(probe, torch.Tensor) else probe, dtype=np.float64)
    if beta.shape not in (shape, shape[1:]):
        raise SteeringError(f"probe must have shape {shape[1:]} or {shape}, not {beta.shape}")
    if not np.isfinite(beta).all() or not np.linalg.norm(beta, axis=-1).all():
        raise SteeringError("probe holds NaN, infinity or a row of zeros, which is no direction")
    return np.broadcast_to(beta, shape).copy()
