"""Dual steering: the λ nearest to λ0 in KL(p_λ0 ‖ p_λ) at which a linear probe has a given value."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.models import Unembedding
from geometry.steering.covariance_solver import CovarianceSolver
from geometry.steering.output_law import OutputLaws
from geometry.steering.output_steps import OutputSteps
from geometry.steering.step_goal import Goal
from geometry.steering.step_route import stepped
from geometry.steering.vector import SteeringVector

Array = NDArray[np.float64]
_MOST_NATS = 3.0  # that a Newton step moves any logit against the mean
_SEEN = 1e-7  # of tokens at least so probable
_MOST_STEPS = 20
_MOST_SHIFT = 100.0  # nats: a law that far off has left for the rim of the hull
_ATTEMPTS = 14
_RIM = 12.0  # log-odds taken for a goal at the end of its range, or beyond it
_LEAST_STEP = 0.01  # of the goal's number (log-odds, mostly) between what is reached and what is not


@checked
def dual_step(
    space: CausalSpace | Unembedding,
    hidden: ArrayLike,
    probe: SteeringVector | ArrayLike | None = None,
    *,
    target: ArrayLike,
    probability: ArrayLike | None = None,
    expectation: ArrayLike | None = None,
    probe_value: ArrayLike | None = None,
    n_tokens: int = 5000,
    tolerance: float = 1e-5,
) -> OutputSteps:
    """Move final hidden states along the straight line of the dual coordinates E_λ[γ] in direction β.

    Example::

        states = geo.read_activations(model, tokenizer, prompts, ["after_norm"])["after_norm"]
        birds = sorted(hierarchy["bird"].tokens)
        dual = geo.steering.dual_step(unembedding, states, target=birds, probability=0.5)
        added = geo.steering.addition_step(unembedding, states, target=birds, probability=0.5)
        geo.steering.step_differences(dual, added)

    λ* minimises KL(p_λ0 ‖ p_λ) among all λ of one value of βᵀλ, so that E_λ*[γ] = E_λ0[γ] + νβ. Where that leaves the
    convex hull of γ no λ exists, and P(target) may turn before that: then `reached` is False, and λ* is the last on the
    line that Newton steps reach, with the largest P(target) found (the limit may be some hundredths larger). A probe
    that lowers P(target) at first is not followed, nor backwards. Laws are those of γ alone, p_λ(y) ∝ exp(λᵀγ(y)): soft
    caps, scales and biases of logits are not heeded.

    Parameters:
        space: the unembedding γ, or a space of it.
        hidden: λ0, after the final norm, shape (n, d).
        probe: β, shape (d,) or (n, d), or a vector with one part, "after_norm". None: `mean_probe` of the target.
        target: ids of tokens.
        probability, expectation, probe_value: what to reach, one of the three: P(target), E[βᵀγ] or βᵀλ; a number or
            one a state, under the law of S.
        n_tokens: S is so many tokens, the likeliest at λ0, and the target's; probability outside is reported.
        tolerance: of the residual, as a part of ‖νβ‖.

    Newton steps by conjugate gradients on Cov_λ(γ), in log-odds of the goal and at most 3 nats long, float64 (the
    conjugate gradients in float32: they give directions only). The same input gives the same numbers, to the tolerance.

    Returns OutputSteps of n.
    Raises SteeringError: shapes, numbers or ids that do not fit, or not one goal.
    Source: Park et al., arXiv 2602.15293, on dual steering; the truncation to S and the solver are ours.
    """
    return stepped("dual", dual_shift, space, hidden, probe, target, n_tokens, tolerance,
                   probability=probability, expectation=expectation, probe_value=probe_value)  # fmt: skip


def dual_shift(laws: OutputLaws, goal: Goal, tolerance: float) -> tuple[Array, NDArray[np.bool_]]:
    """λ* − λ0, shape (n, d), and where the goal is reached; from what is reached on, by steps that halve on failure."""
    solver = CovarianceSolver(laws)
    shift, at = np.zeros_like(laws.states), goal.start.copy()
    # A goal out of reach has no number of its own.
    wanted = (
        goal.wanted
        if goal.kind == "probe_value"
        else np.where(np.isfinite(goal.wanted), goal.wanted, np.sign(goal.wanted) * _RIM)
    )
    step = wanted - at
    for _ in range(_ATTEMPTS):
        going = np.flatnonzero(
            (at != wanted) & (np.abs(step) >= _LEAST_STEP * (np.abs(wanted - goal.start) > _LEAST_STEP))
        )
        if not len(going):
            break
        ahead = np.where(np.abs(step) < np.abs(wanted - at), at + step, wanted)[going]
        found, converged = _newton(laws, goal, solver, shift[going], ahead, going, tolerance)
        good = going[converged]
        shift[good], at[good] = found[converged], ahead[converged]
        step[good] *= 2
        step[going[~converged]] /= 2
    return shift, (at == wanted) & np.isfinite(goal.wanted)


def _newton(
    laws: OutputLaws, goal: Goal, solver: CovarianceSolver, shift: Array, wanted: Array, subset: NDArray[np.int64],
    tolerance: float,
) -> tuple[Array, NDArray[np.bool_]]:  # fmt: skip
    """From shifts on the dual path of a subset to where the goal's number is the wanted; which of them got there.

    One step solves for λ and for ν: Cov x = E_λ0[γ] + νβ − E_λ[γ] and Cov y = β, and takes so much of y that the goal's
    number is met to first order. ν is not stepped but read off E_λ[γ] anew, since it grows exponentially.
    """
    shift, left = shift.copy(), np.arange(len(subset))
    done = np.zeros(len(subset), dtype=bool)
    upward = np.sign(wanted - goal.start[subset])
    law = laws.moved(shift, subset)
    for _ in range(_MOST_STEPS):
        rows = subset[left]
        probe, here = goal.probe[rows], shift[left]
        mean = law @ laws.gamma
        nu = ((mean - laws.mean[rows]) * probe).sum(axis=1) / (probe * probe).sum(axis=1)
        miss = laws.mean[rows] + nu[:, None] * probe - mean
        short = wanted[left] - goal.at(laws, law, rows, here)
        close = np.linalg.norm(miss, axis=1) <= tolerance * np.abs(nu) * np.linalg.norm(probe, axis=1)
        close &= np.abs(short) <= 1e-3 * tolerance + 1e-9
        done[left[close & (nu * upward[left] >= 0)]] = True
        lost = ~np.isfinite(here).all(axis=1) | (np.abs(here @ laws.gamma.T).max(axis=1) > _MOST_SHIFT)
        kept = ~(close | lost)
        if not kept.any():
            break
        left, law, rows, probe, miss, short = (each[kept] for each in (left, law, rows, probe, miss, short))
        along, across = (solver.solve(law, right, rows) for right in (probe, miss))
        slope = goal.slope(laws, law, rows)
        rate = (slope * along).sum(axis=1)
        kept = rate > 0  # else the path has turned
        if not kept.any():
            break
        left, law, rows = left[kept], law[kept], rows[kept]
        along, across, slope, rate, short = (each[kept] for each in (along, across, slope, rate, short))
        step = across + ((short - (slope * across).sum(axis=1)) / rate)[:, None] * along
        moves = step @ laws.gamma.T
        moves -= (law * moves).sum(axis=1, keepdims=True)
        longest = np.where(law > _SEEN, np.abs(moves), 0.0).max(axis=1)
        shift[left] += np.minimum(1.0, _MOST_NATS / np.maximum(longest, _SEEN))[:, None] * step
        law = laws.moved(shift[left], rows)
    return shift, done
