"""Plain addition at the output layer: the exponential tilt of the law by a probe, to the dual step's goals."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.models import Unembedding
from geometry.steering.output_law import OutputLaws
from geometry.steering.output_states import OutputStates
from geometry.steering.output_steps import OutputSteps
from geometry.steering.step_goal import Goal
from geometry.steering.step_route import stepped
from geometry.steering.vector import SteeringVector

Array = NDArray[np.float64]
_DEVIATIONS = 0.5  # of βᵀγ that one step of the search adds
_MOST_STEPS = 200
_HALVINGS = 60
_CERTAIN = 1e-12
_EXACT = 1e-13


@checked
def addition_step(
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
) -> OutputSteps:
    """Add tβ to final hidden states, with the t at which the goal is reached: p_λ(y) ∝ p_λ0(y) exp(t βᵀγ(y)).

    Example::

        dual = geo.steering.dual_step(unembedding, states, target=birds, probability=0.5)
        added = geo.steering.addition_step(unembedding, states, target=birds, expectation=dual.expectation)

    λ0 + tβ minimises KL(p_λ ‖ p_λ0) among all laws of one value of E[βᵀγ]: the other direction than `dual_step`. Of
    several t the one nearest to 0 is taken, on the side where the goal lies: t > 0 to raise P(target). Where none
    reaches it, `reached` is False and λ* is where P(target) is largest for t ≥ 0 (smallest for t ≤ 0).

    Parameters, result and errors are those of `dual_step`.
    Source: Park et al., arXiv 2602.15293; Csiszár, Ann. Probab. 3 (1975), for the tilt as I-projection.
    """
    return stepped("addition", addition_shift, space, hidden, probe, target, n_tokens, 0.0, None,
                   probability=probability, expectation=expectation, probe_value=probe_value, kl=kl)  # fmt: skip


def addition_shift(laws: OutputLaws, goal: Goal, _: float, __: Array | None) -> tuple[Array, NDArray[np.bool_]]:
    """tβ, shape (n, d), and where the goal is reached: steps outwards until it is passed, then bisection to float64."""
    n = len(laws.states)
    sign = np.where(goal.wanted >= goal.start, 1.0, -1.0)
    index = np.arange(n)
    if goal.kind == "probe_value":
        size = (goal.probe * goal.probe).sum(axis=1)
        length = goal.span * goal.wanted / size
        return length[:, None] * goal.probe, np.ones(n, dtype=bool)

    def number(length: Array, rows: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        """The goal's number and its slope, in the direction in which it is to grow, and the deviation of βᵀγ."""
        value, slope, spread = goal.along_probe(laws, sign[rows] * length, rows)
        return sign[rows] * value, slope, spread

    wanted, record, best = sign * goal.wanted, sign * goal.start, np.zeros(n)
    low, high = np.zeros(n), np.zeros(n)
    passed = record >= wanted
    at, stride, last = np.zeros(n), np.full(n, np.inf), np.zeros(n)
    rows = index[~passed]
    for _ in range(_MOST_STEPS):
        if not len(rows):
            break
        value, slope, spread = number(at[rows], rows)
        over, new = value >= wanted[rows], value > record[rows]
        high[rows[over]], passed[rows[over]] = at[rows[over]], True
        stride[rows] = np.minimum(_DEVIATIONS / np.maximum(spread, _CERTAIN), 2 * stride[rows])
        # The largest value met lies between the lengths beside it.
        new |= at[rows] == 0
        record[rows[new]], best[rows[new]] = value[new], at[rows[new]]
        low[rows[new]], high[rows[new]] = last[rows[new]], (at + stride)[rows[new]]
        low[rows[over]], high[rows[over]] = last[rows[over]], at[rows[over]]
        rows = rows[~over & (spread > _CERTAIN * np.ptp(goal.products[rows], axis=1))]
        last[rows] = at[rows]
        at[rows] += stride[rows]
    rows, tried = index, (low + high) / 2
    for _ in range(_HALVINGS):
        value, slope, spread = number(tried[rows], rows)
        beyond = np.where(passed[rows], value >= wanted[rows], slope <= 0)
        high[rows[beyond]], low[rows[~beyond]] = tried[rows[beyond]], tried[rows[~beyond]]
        with np.errstate(divide="ignore", invalid="ignore"):
            short = wanted[rows] - value
            newton = tried[rows] + short / slope
        inside = passed[rows] & (low[rows] < newton) & (newton < high[rows])
        met = passed[rows] & (np.abs(short) <= _EXACT * np.maximum(1.0, np.abs(wanted[rows])))
        high[rows[met]] = tried[rows[met]]
        tried[rows] = np.where(inside, newton, (low[rows] + high[rows]) / 2)
        rows = rows[~met & (high[rows] - low[rows] > _EXACT * high[rows])]
        if not len(rows):
            break
    found = number(low, index)[0]
    length = np.where(passed, high, np.where(found >= record, low, best))
    return (sign * length)[:, None] * goal.probe, passed & np.isfinite(goal.wanted)
