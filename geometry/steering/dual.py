"""Dual steering: the λ nearest to λ0 in KL(p_λ0 ‖ p_λ) at which a linear probe has a given value."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.errors import SteeringError
from geometry.models import Unembedding
from geometry.steering.covariance_solver import CovarianceSolver
from geometry.steering.output_law import OutputLaws, softmax
from geometry.steering.output_states import OutputStates
from geometry.steering.output_steps import OutputSteps
from geometry.steering.step_goal import Goal
from geometry.steering.step_route import stepped
from geometry.steering.vector import SteeringVector

Array = NDArray[np.float64]
_MOST_NATS = 3.0  # that a Newton step moves any logit against the mean
_SEEN = 1e-7  # of tokens at least so probable
_MOST_STEPS = 20
_MOST_IN_ALL = 40  # Newton steps of a state, after which what is reached is the end
_PATIENCE = 5
_FIRST = 0.05  # of the divergence's root
_MOST_SHIFT = 100.0  # nats: a law that far off has left for the rim of the hull
_ATTEMPTS = 14
_RIM = 12.0  # log-odds taken for a goal at the end of its range, or beyond it
_LEAST_STEP = 0.01  # of the goal's number (log-odds, mostly) between what is reached and what is not


@checked
def dual_step(
    space: CausalSpace | Unembedding,
    hidden: ArrayLike | OutputStates,
    probe: SteeringVector | ArrayLike | None = None,
    *,
    target: ArrayLike,
    probability: ArrayLike | None = None,
    expectation: ArrayLike | None = None,
    probe_value: ArrayLike | None = None,
    kl: ArrayLike | None = None,
    n_tokens: int | None = None,
    tolerance: float = 1e-5,
    start: OutputSteps | None = None,
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
        hidden: λ0, after the final norm, shape (n, d), or `OutputStates` of them, which serve many targets.
        probe: β, shape (d,) or (n, d), or a vector with one part, "after_norm". None: `mean_probe` of the target.
        target: ids of tokens.
        probability, expectation, probe_value, kl: what to reach, one of the four: P(target), E[βᵀγ], βᵀλ, or
            KL(p_λ ‖ p_λ0) in nats along +β; a number or one a state, under the law of S.
        n_tokens: S is so many tokens, the likeliest at λ0, and the target's; probability outside is reported. Default,
            5,000, or as `OutputStates` were made.
        tolerance: of the residual, as a part of ‖νβ‖.
        start: dual steps from the same states along the same β, from which to go on: to reach several goals one after
            the other.

    Newton steps by conjugate gradients on Cov_λ(γ), in log-odds of the goal and at most 3 nats long, float64 (the
    conjugate gradients in float32: they give directions only). The same input gives the same numbers, to the tolerance.

    Returns OutputSteps of n.
    Raises SteeringError: shapes, numbers or ids that do not fit, not one goal, or a start elsewhere.
    Source: Park et al., arXiv 2602.15293, on dual steering; the truncation to S and the solver are ours.
    """
    if start is not None and start.route != "dual":
        raise SteeringError("start: an addition does not lie on the dual line; give dual steps")
    return stepped("dual", dual_shift, space, hidden, probe, target, n_tokens, tolerance, start,
                   probability=probability, expectation=expectation, probe_value=probe_value, kl=kl)  # fmt: skip


def dual_shift(
    laws: OutputLaws, goal: Goal, tolerance: float, shift: Array | None = None
) -> tuple[Array, NDArray[np.bool_]]:
    """λ* − λ0, shape (n, d), and where the goal is reached; from what is reached on, by steps that halve on failure.

    `shift`: a shift on the same dual line (same β) to begin at.
    """
    solver = CovarianceSolver(laws)
    if shift is None:
        shift, at = np.zeros_like(laws.states), goal.start.copy()
    else:
        shift, at = shift.copy(), goal.at(laws, laws.moved(shift), slice(None), shift)
    if goal.kind == "kl" and (still := np.flatnonzero(at == 0)).size:
        # The root of a divergence has no gradient at 0: a first step without it.
        along = solver.solve(laws.law[still], goal.probe[still], still)
        size = np.sqrt(np.maximum((along * goal.probe[still]).sum(axis=1), _SEEN))
        shift[still] = (_FIRST * goal.wanted[still] / size)[:, None] * along
    # A goal out of reach has no number of its own.
    wanted = (
        goal.wanted
        if goal.kind in ("probe_value", "kl")
        else np.where(np.isfinite(goal.wanted), goal.wanted, np.sign(goal.wanted) * _RIM)
    )
    step, taken = wanted - at, np.zeros(len(at), dtype=np.int64)
    for _ in range(_ATTEMPTS):
        going = np.flatnonzero(
            (at != wanted)
            & (taken < _MOST_IN_ALL)
            & (np.abs(step) >= _LEAST_STEP * (np.abs(wanted - goal.start) > _LEAST_STEP))
        )
        if not len(going):
            break
        ahead = np.where(np.abs(step) < np.abs(wanted - at), at + step, wanted)[going]
        found, converged, steps = _newton(laws, goal, solver, shift[going], ahead, going, tolerance)
        taken[going] += steps
        good = going[converged]
        shift[good], at[good] = found[converged], ahead[converged]
        step[good] *= 2
        step[going[~converged]] /= 4
    shift[at == goal.start] = 0 if goal.kind == "kl" else shift[at == goal.start]
    return shift, (at == wanted) & np.isfinite(goal.wanted)


def _newton(
    laws: OutputLaws, goal: Goal, solver: CovarianceSolver, shift: Array, wanted: Array, subset: NDArray[np.int64],
    tolerance: float,
) -> tuple[Array, NDArray[np.bool_], NDArray[np.int64]]:  # fmt: skip
    """From shifts on the dual path of a subset to where the goal's number is the wanted; which got there, steps taken.

    One step solves for λ and for ν: Cov x = E_λ0[γ] + νβ − E_λ[γ] and Cov y = β, and takes so much of y that the goal's
    number is met to first order. ν is not stepped but read off E_λ[γ] anew, since it grows exponentially.
    """
    shift, left = shift.copy(), np.arange(len(subset))
    done, taken = np.zeros(len(subset), dtype=bool), np.zeros(len(subset), dtype=np.int64)
    upward = np.sign(wanted - goal.start[subset])
    moves = shift @ laws.gamma.T
    law = softmax(laws.logits[subset] + moves)
    best, stuck = np.full(len(subset), np.inf), np.zeros(len(subset), dtype=np.int64)
    for _ in range(_MOST_STEPS):
        rows = subset[left]
        probe, here = goal.probe[rows], shift[left]
        mean = law @ laws.gamma
        nu = ((mean - laws.mean[rows]) * probe).sum(axis=1) / (probe * probe).sum(axis=1)
        miss = laws.mean[rows] + nu[:, None] * probe - mean
        short = wanted[left] - goal.at(laws, law, rows, here)
        length = np.maximum(np.abs(nu) * np.linalg.norm(probe, axis=1), np.finfo(np.float64).tiny)
        off = np.linalg.norm(miss, axis=1) / length
        close = (off <= tolerance) & (np.abs(short) <= 1e-3 * tolerance + 1e-9)
        done[left[close & (nu * upward[left] >= 0)]] = True
        # Newton steps that bring nothing nearer several times over will not.
        merit = np.maximum(off / max(tolerance, _SEEN), np.abs(short) / (1e-3 * tolerance + 1e-9))
        nearer = merit < 0.7 * best[left]
        best[left] = np.minimum(best[left], merit)
        stuck[left] = np.where(nearer, 0, stuck[left] + 1)
        lost = ~np.isfinite(here).all(axis=1) | (np.abs(moves).max(axis=1) > _MOST_SHIFT) | (stuck[left] > _PATIENCE)
        kept = ~(close | lost)
        if not kept.any():
            break
        left, law, rows, probe, miss, short, here = (each[kept] for each in (left, law, rows, probe, miss, short, here))
        taken[left] += 1
        both = solver.solve(np.concatenate([law, law]), np.concatenate([probe, miss]), np.concatenate([rows, rows]))
        along, across = both[: len(rows)], both[len(rows) :]
        slope = goal.slope(laws, law, rows, here)
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
        moves = shift[left] @ laws.gamma.T
        law = softmax(laws.logits[rows] + moves)
    return shift, done, taken
