"""The way that both steps at the output layer go: arguments checked, states in batches, results joined."""

from collections.abc import Callable, Iterable
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
    StateBatch,
    checked_states,
    checked_target,
    checked_unembedding,
)
from geometry.steering.output_states import N_TOKENS, OutputStates, divided
from geometry.steering.output_steps import OutputSteps
from geometry.steering.step_goal import Goal, checked_goal
from geometry.steering.vector import Site, SteeringVector

Array = NDArray[np.float64]
Shift = Callable[[OutputLaws, Goal, float, Array | None], tuple[Array, NDArray[np.bool_]]]


def stepped(
    route: Literal["dual", "addition"],
    shift: Shift,
    space: CausalSpace | Unembedding,
    hidden: ArrayLike | OutputStates,
    probe: SteeringVector | ArrayLike | None,
    target: ArrayLike,
    n_tokens: int | None,
    tolerance: float,
    start: OutputSteps | None,
    **goals: ArrayLike | None,
) -> OutputSteps:
    """The steps of a route, some states at a time.

    Raises SteeringError: what does not fit.
    """
    unembedding, states, batches = _prepared(space, hidden, n_tokens)
    ids = checked_target(target, unembedding)
    if not 0 <= tolerance < 1:
        raise SteeringError(f"tolerance must be below 1, not {tolerance}")
    given = None if probe is None else checked_probe(probe, states.shape)
    kind, values = checked_goal(len(states), **goals)
    if start is not None and start.states.shape != states.shape:
        raise SteeringError(f"start: {len(start.states)} steps are none from these {len(states)} states")
    parts, first = [], 0
    for batch in batches:
        part = slice(first, first := first + len(batch.states))
        laws = batch.laws(ids)
        beta = mean_difference(laws) if given is None else given[part]
        if start is not None and not np.allclose(start.probe[part], beta, rtol=1e-6, atol=1e-9):
            raise SteeringError("start: steps along another β do not lie on the same line; leave it out")
        goal = Goal.of(laws, beta, kind, values[part])
        begun = None if start is None else start.states[part] - batch.states
        parts.append(OutputSteps.measured(route, laws, beta, *shift(laws, goal, tolerance, begun)))
    return OutputSteps.joined(parts)


def _prepared(
    space: CausalSpace | Unembedding, hidden: ArrayLike | OutputStates, n_tokens: int | None
) -> tuple[Unembedding, Array, Iterable[StateBatch]]:
    """γ, the states, and batches of them, which are made one after the other unless the caller keeps them."""
    unembedding = checked_unembedding(space)
    if isinstance(hidden, OutputStates):
        if hidden.unembedding is not unembedding or n_tokens not in (None, hidden.n_tokens):
            raise SteeringError(
                f"{hidden!r} was made of another unembedding or with other n_tokens than {n_tokens}; make it anew"
            )
        return unembedding, hidden.states, hidden.batches
    states = checked_states(hidden, unembedding)
    n_tokens = N_TOKENS if n_tokens is None else n_tokens
    if n_tokens < 1:
        raise SteeringError(f"n_tokens must be 1 or more, not {n_tokens}")
    return unembedding, states, (StateBatch(unembedding, part, n_tokens) for part in divided(states))


@checked
def mean_probe(
    space: CausalSpace | Unembedding,
    hidden: ArrayLike | OutputStates,
    target: ArrayLike,
    *,
    base: ArrayLike | None = None,
    n_tokens: int | None = None,
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
        n_tokens: the likeliest tokens at λ0 that stand for the whole law, beside the target's; default, as `dual_step`.

    Raises SteeringError: shapes, numbers or ids that do not fit.
    Source: after the mean differences of Park et al., arXiv 2602.15293; the weights are ours.
    """
    unembedding, _, batches = _prepared(space, hidden, n_tokens)
    ids = [checked_target(tokens, unembedding) for tokens in (target, base) if tokens is not None]
    parts = []
    for batch in batches:
        beta, *below = (mean_difference(batch.laws(own)) for own in ids)
        parts.append(beta - below[0] if below else beta)
    return np.concatenate(parts)


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
