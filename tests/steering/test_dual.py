"""The dual step and plain addition at the output layer, on small softmaxes that scipy solves independently."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import logsumexp

import geometry as geo
from geometry.errors import SteeringError
from geometry.steering import OutputSteps, addition_step, dual_step, mean_probe, step_differences
from geometry.steering.covariance_solver import CovarianceSolver
from geometry.steering.output_states import OutputStates
from geometry.steering.step_goal import Kind

Array = NDArray[np.float64]
TOKENS, WIDTH, STATES = 50, 5, 6
TARGET = np.arange(7)
PARENT = np.arange(14)

minimize: Any = optimize.minimize


def unembedding(tokens: int = TOKENS, width: int = WIDTH, seed: int = 0) -> geo.Unembedding:
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn((tokens, width), generator=generator, dtype=torch.float64)
    return geo.Unembedding(matrix, geo.Vocabulary([f" w{i}" for i in range(tokens)]))


SMALL = unembedding()
GAMMA = SMALL.matrix.numpy()
HIDDEN = np.random.default_rng(1).standard_normal((STATES, WIDTH))


def law(states: Array) -> Array:
    logits = states @ GAMMA.T
    return np.asarray(np.exp(logits - logsumexp(logits, axis=1, keepdims=True)))


def kl(first: Array, second: Array) -> Array:
    return np.asarray((first * np.log(first / second)).sum(axis=1))


# Towards the target, but for a part that has nothing to do with it.
PROBE = mean_probe(SMALL, HIDDEN, TARGET) + 0.05 * np.random.default_rng(2).standard_normal((STATES, WIDTH))
GOAL = 0.3


def exact(**goal: Any) -> OutputSteps:
    return dual_step(SMALL, HIDDEN, PROBE, target=TARGET, tolerance=1e-9, **goal)


def test_dual_step_agrees_with_the_constrained_minimum_of_scipy() -> None:
    value = (HIDDEN * PROBE).sum(axis=1) + 1.5
    steps = exact(probe_value=value)
    assert steps.reached.all()
    for i in range(STATES):
        before = law(HIDDEN[i : i + 1])[0]
        # λ = λ0 + along β as stated + the rest free: an unconstrained problem in the null space of β.
        unit = PROBE[i] / np.linalg.norm(PROBE[i])
        free = np.linalg.svd(unit[None])[2][1:]
        base = HIDDEN[i] + 1.5 * PROBE[i] / (PROBE[i] @ PROBE[i])

        def divergence(x: Array, base: Array = base, free: Array = free, before: Array = before) -> float:
            logits = GAMMA @ (base + x @ free)
            return float(logsumexp(logits) - before @ logits)

        found: Any = minimize(divergence, np.zeros(WIDTH - 1), method="BFGS", options={"gtol": 1e-10})
        np.testing.assert_allclose(steps.states[i], base + found.x @ free, atol=1e-6)


def test_dual_step_agrees_with_the_convex_dual_at_its_nu() -> None:
    steps = exact(probability=GOAL)
    assert steps.reached.all()
    np.testing.assert_allclose(steps.probability, GOAL, atol=1e-8)
    for i in range(STATES):
        mean = law(HIDDEN[i : i + 1])[0] @ GAMMA + steps.nu[i] * PROBE[i]
        found: Any = minimize(
            lambda x, mean=mean: logsumexp(GAMMA @ x) - x @ mean,
            HIDDEN[i],
            jac=lambda x, mean=mean: law(x[None])[0] @ GAMMA - mean,
            method="BFGS",
            options={"gtol": 1e-10},
        )
        np.testing.assert_allclose(steps.states[i], found.x, atol=1e-6)


def test_addition_agrees_with_the_i_projection_of_scipy() -> None:
    """min KL(p ‖ p_λ0) over all laws p of one E[βᵀγ], found over the simplex and not along λ0 + tβ."""
    wanted = exact(probability=GOAL).expectation
    added = addition_step(SMALL, HIDDEN, PROBE, target=TARGET, expectation=wanted)
    assert added.reached.all()
    np.testing.assert_allclose(added.expectation, wanted, atol=1e-10)
    np.testing.assert_allclose(added.states, HIDDEN + added.coefficient[:, None] * PROBE, atol=1e-12)
    for i in (0, 1):
        before, products = law(HIDDEN[i : i + 1])[0], GAMMA @ PROBE[i]
        found: Any = minimize(
            lambda p, before=before: float((p * np.log(p / before)).sum()),
            before,
            jac=lambda p, before=before: np.log(p / before) + 1,
            method="SLSQP",
            bounds=[(1e-12, 1)] * TOKENS,
            constraints=[
                {"type": "eq", "fun": lambda p: p.sum() - 1},
                {"type": "eq", "fun": lambda p, a=products, w=wanted[i]: a @ p - w},
            ],
            options={"ftol": 1e-14, "maxiter": 1000},
        )
        assert added.kl[i] == pytest.approx(found.fun, abs=1e-6)


@pytest.mark.parametrize("kind", ["probability", "expectation", "probe_value"])
def test_dual_stays_on_its_line_and_both_reach_the_goal(kind: Kind) -> None:
    reference = exact(probability=GOAL)
    goal = {kind: getattr(reference, kind)}
    dual = exact(**goal)
    added = addition_step(SMALL, HIDDEN, PROBE, target=TARGET, **goal)
    assert dual.reached.all()
    shift = law(dual.states) @ GAMMA - law(HIDDEN) @ GAMMA
    miss = np.linalg.norm(shift - dual.nu[:, None] * PROBE, axis=1)
    assert (miss <= 1e-8 * np.linalg.norm(dual.nu[:, None] * PROBE, axis=1)).all()
    np.testing.assert_allclose(dual.states, reference.states, atol=1e-5)
    for steps in (dual, added):
        reached = steps.reached
        np.testing.assert_allclose(getattr(steps, kind)[reached], goal[kind][reached], atol=1e-6)
    assert added.residual[added.reached].min() > 1e-3  # it leaves that line
    np.testing.assert_allclose(dual.kl, kl(law(dual.states), law(HIDDEN)), atol=1e-12)
    np.testing.assert_allclose(dual.reverse_kl, kl(law(HIDDEN), law(dual.states)), atol=1e-12)


def test_each_route_is_the_least_in_its_own_direction() -> None:
    dual = exact(probability=GOAL)
    same_value = addition_step(SMALL, HIDDEN, PROBE, target=TARGET, probe_value=dual.probe_value)
    assert (dual.reverse_kl <= same_value.reverse_kl).all()
    assert dual.reverse_kl.sum() < 0.99 * same_value.reverse_kl.sum()
    rng = np.random.default_rng(3)
    unit = PROBE / np.linalg.norm(PROBE, axis=1, keepdims=True)
    for scale in np.geomspace(1e-3, 3, 100):
        offset = scale * rng.standard_normal(HIDDEN.shape)
        other = dual.states + offset - (offset * unit).sum(axis=1, keepdims=True) * unit
        assert (kl(law(HIDDEN), law(other)) >= dual.reverse_kl - 1e-12).all()
    same_mean = addition_step(SMALL, HIDDEN, PROBE, target=TARGET, expectation=dual.expectation)
    assert same_mean.reached.all()
    assert (same_mean.kl <= dual.kl).all()
    assert same_mean.kl.sum() < 0.99 * dual.kl.sum()


def test_off_target_divergence_and_ranks_are_those_of_renormalised_laws() -> None:
    steps = exact(probability=GOAL)
    before, after = (law(states)[:, len(TARGET) :] for states in (HIDDEN, steps.states))
    before, after = (each / each.sum(axis=1, keepdims=True) for each in (before, after))
    np.testing.assert_allclose(steps.off_target_kl, kl(after, before), atol=1e-12)
    np.testing.assert_allclose(steps.off_target_reverse_kl, kl(before, after), atol=1e-12)
    ranks = [(-each).argsort(axis=1).argsort(axis=1) for each in (before, after)]
    np.testing.assert_allclose(steps.rank_change, (before * np.abs(ranks[0] - ranks[1])).sum(axis=1))
    assert steps.rank_change.max() > 0


def test_a_mean_beyond_the_hull_is_reported_and_the_largest_probability_kept() -> None:
    far = np.abs(GAMMA).max() * 10 * np.linalg.norm(PROBE, axis=1) * np.sqrt(WIDTH)
    steps = exact(expectation=far)
    assert not steps.reached.any()
    assert "6 of 6 states do not reach" in steps.notes[0]
    assert np.isfinite(steps.states).all()
    for i in range(STATES):
        # The largest ν at which E_λ0[γ] + νβ is still a mean of some law, by linear programming.
        equations = np.vstack([np.column_stack([GAMMA.T, -PROBE[i]]), np.append(np.ones(TOKENS), 0.0)])
        mean = np.append(law(HIDDEN[i : i + 1])[0] @ GAMMA, 1.0)
        found: Any = optimize.linprog(np.append(np.zeros(TOKENS), -1.0), A_eq=equations, b_eq=mean)
        most = found.x[-1]
        assert 0.85 * most < steps.nu[i] < most < steps.nu_bound[i]
    added = addition_step(SMALL, HIDDEN, PROBE, target=TARGET, expectation=far)
    assert not added.reached.any()


def test_an_unreachable_probability_gives_the_largest_on_the_way() -> None:
    """A probe that leads to one other token: P(target) rises, if at all, and falls; no route reaches 0.9."""
    away = np.broadcast_to(GAMMA[40] - GAMMA[TARGET].mean(axis=0), HIDDEN.shape)
    for route in (dual_step, addition_step):
        steps = route(SMALL, HIDDEN, away, target=TARGET, probability=0.9)
        assert not steps.reached.any()
        assert (steps.probability >= steps.unsteered - 1e-9).all()
        best = np.zeros(STATES)
        for part in np.linspace(0, 0.999, 60):
            if route is addition_step:
                best = np.maximum(best, law(HIDDEN + 10 * part * away)[:, TARGET].sum(axis=1))
        assert (steps.probability >= best - 1e-6).all()


def test_default_probe_is_the_targets_weighted_mean_and_a_contrast_adds_up() -> None:
    before = law(HIDDEN)
    weights = before[:, TARGET] / before[:, TARGET].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(mean_probe(SMALL, HIDDEN, TARGET), weights @ GAMMA[TARGET] - before @ GAMMA, atol=1e-12)
    parent = mean_probe(SMALL, HIDDEN, PARENT)
    child = mean_probe(SMALL, HIDDEN, TARGET, base=PARENT)
    both = dual_step(SMALL, HIDDEN, parent + child, target=TARGET, probability=GOAL)
    np.testing.assert_allclose(both.states, dual_step(SMALL, HIDDEN, target=TARGET, probability=GOAL).states, atol=1e-9)
    only_parent = dual_step(SMALL, HIDDEN, parent, target=PARENT, probability=GOAL)
    assert both.reached.all()
    assert only_parent.reached.all()


def test_truncation_is_said_and_falls_to_nothing_with_all_tokens() -> None:
    cut = dual_step(SMALL, HIDDEN, target=TARGET, probability=0.5, n_tokens=20)
    whole = law(HIDDEN)
    for i in range(STATES):
        kept = np.union1d(np.argsort(-whole[i])[:20], TARGET)
        assert cut.n_tokens[i] == len(kept)
        assert cut.left_out[i] == pytest.approx(1 - whole[i, kept].sum(), abs=1e-12)
        assert cut.left_out_steered[i] == pytest.approx(1 - law(cut.states[i : i + 1])[0, kept].sum(), abs=1e-12)
    assert cut.left_out.max() > 0.01
    assert dual_step(SMALL, HIDDEN, target=TARGET, probability=0.5).left_out_steered.max() < 1e-12


def test_states_do_not_depend_on_their_batch() -> None:
    many = np.concatenate([HIDDEN] * 7)  # more than one batch
    steps = dual_step(SMALL, many, target=TARGET, probability=0.5)
    alone = dual_step(SMALL, HIDDEN[2:3], target=TARGET, probability=0.5)
    np.testing.assert_allclose(steps.states[2::STATES], np.repeat(alone.states, 7, axis=0), atol=1e-4)
    assert steps.states.shape == many.shape


@pytest.mark.parametrize("nats", [0.02, 0.5])
def test_a_goal_by_divergence_is_met_on_the_line_and_as_an_i_projection(nats: float) -> None:
    dual = exact(kl=nats)
    added = addition_step(SMALL, HIDDEN, PROBE, target=TARGET, kl=nats)
    assert dual.reached.all()
    assert added.reached.all()
    for steps in (dual, added):
        np.testing.assert_allclose(kl(law(steps.states), law(HIDDEN)), nats, rtol=1e-6)
    assert dual.residual.max() < 1e-8
    assert (dual.nu > 0).all()
    assert (added.coefficient > 0).all()
    # The other direction is least on the dual line among all λ of its βᵀλ.
    same = addition_step(SMALL, HIDDEN, PROBE, target=TARGET, probe_value=dual.probe_value)
    assert (dual.reverse_kl <= same.reverse_kl + 1e-12).all()


def test_up_to_the_mean_of_the_target_the_divergence_is_below_that_of_the_target_alone() -> None:
    """p_λ* is the I-projection of p_λ0 to its mean, which a mixture of p_λ0 and its target part has for ν ≤ 1."""
    most = -np.log(law(HIDDEN)[:, TARGET].sum(axis=1))
    steps = dual_step(SMALL, HIDDEN, target=TARGET, kl=most)
    assert steps.reached.any()
    assert (steps.nu[steps.reached] > 1).all()


def test_prepared_states_and_a_start_on_the_line_give_the_same_steps() -> None:
    states = OutputStates(SMALL, np.concatenate([HIDDEN] * 7))
    assert len(states.batches) == 2
    direct = dual_step(SMALL, states.states, target=TARGET, probability=GOAL, tolerance=1e-9)
    for target in (PARENT, TARGET):
        first = dual_step(SMALL, states, target=target, probability=0.25, tolerance=1e-9)
        steps = dual_step(SMALL, states, target=target, probability=GOAL, tolerance=1e-9, start=first)
        assert steps.reached.all()
    np.testing.assert_allclose(steps.states, direct.states, atol=1e-6)
    np.testing.assert_allclose(steps.left_out, direct.left_out)
    np.testing.assert_allclose(mean_probe(SMALL, states, TARGET, base=PARENT)[:STATES],
                               mean_probe(SMALL, HIDDEN, TARGET, base=PARENT), atol=1e-12)  # fmt: skip
    with pytest.raises(SteeringError, match="with other n_tokens"):
        dual_step(SMALL, states, target=TARGET, probability=GOAL, n_tokens=20)
    with pytest.raises(SteeringError, match="another β"):
        dual_step(SMALL, states, target=PARENT, probability=GOAL, start=direct)


def test_what_is_out_of_reach_takes_few_newton_steps() -> None:
    """A probe to one other token: bounded work, and the same answer as before."""
    away = np.broadcast_to(GAMMA[40] - GAMMA[TARGET].mean(axis=0), HIDDEN.shape)
    solved: list[int] = []
    original = CovarianceSolver.solve

    def counted(self: CovarianceSolver, law: Array, right: Array, subset: NDArray[np.int64]) -> Array:
        solved.append(len(right))
        return original(self, law, right, subset)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CovarianceSolver, "solve", counted)
        goals: tuple[dict[str, Any], ...] = ({"probability": 0.9}, {"expectation": 1e6}, {"kl": 40.0})
        for goal in goals:
            solved.clear()
            steps = dual_step(SMALL, HIDDEN, away, target=TARGET, **goal)
            assert not steps.reached.any()
            # Two systems a step and state; an attempt may begin below the limit and take 20 more.
            assert sum(solved) <= 2 * STATES * 60 + STATES


def test_steering_away_goes_backwards_along_the_probe() -> None:
    before = law(HIDDEN)[:, TARGET].sum(axis=1)
    less = dual_step(SMALL, HIDDEN, target=TARGET, probability=before / 2)
    assert less.reached.all()
    assert (less.nu < 0).all()


def test_differences_are_paired_over_those_that_both_reach() -> None:
    dual = exact(probability=GOAL)
    added = addition_step(SMALL, HIDDEN, PROBE, target=TARGET, probability=GOAL)
    differences = step_differences(dual, added)
    both = dual.reached & added.reached
    assert differences["reached"] == {"first": 6, "second": int(added.reached.sum()), "both": int(both.sum()), "of": 6}
    difference = (dual.off_target_kl - added.off_target_kl)[both]
    assert differences["off_target_kl"]["mean"] == pytest.approx(difference.mean())
    low, high = differences["off_target_kl"]["interval"]
    assert low <= difference.mean() <= high
    with pytest.raises(SteeringError, match="no pairs"):
        step_differences(dual, addition_step(SMALL, HIDDEN[:3], PROBE[:3], target=TARGET, probability=GOAL))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hidden": HIDDEN[0]}, r"hidden must have shape \(n, 5\)"),
        ({"hidden": HIDDEN * np.nan}, "NaN"),
        ({"probe": PROBE[:, :3]}, "probe must have shape"),
        ({"probe": np.zeros(WIDTH)}, "no direction"),
        ({"target": [1, 1]}, "each once"),
        ({"target": [TOKENS]}, "none that text can produce"),
        ({"target": range(TOKENS)}, "whole vocabulary"),
        ({"probability": 1.0}, "between 0 and 1"),
        ({"probability": [0.1, 0.2]}, "one for each of 6"),
        ({"probability": None}, "give one of"),
        ({"expectation": 1.0}, "give one of"),
        ({"probability": None, "kl": 0.0}, "kl must be positive"),
        ({"n_tokens": 0}, "n_tokens must be 1 or more"),
    ],
    ids=[
        "one state",
        "nan",
        "narrow",
        "zeros",
        "twice",
        "foreign",
        "whole",
        "certain",
        "two",
        "none",
        "both",
        "no nats",
        "empty",
    ],
)
def test_refusals(change: dict[str, Any], says: str) -> None:
    given: dict[str, Any] = {"hidden": HIDDEN, "probe": PROBE, "target": TARGET, "probability": 0.5} | change
    hidden, probe = given.pop("hidden"), given.pop("probe")
    if isinstance(given["target"], range):
        given["target"] = np.array(given["target"])
    for route in (dual_step, addition_step):
        with pytest.raises(SteeringError, match=says):
            route(SMALL, hidden, probe, **given)
