"""The dual step beside addition along the same β, target by target: steps, checks, and the laws that they give."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.experiments.selectivity.methods import DUAL, DUAL_BETA
from geometry.experiments.selectivity.setup import Bench
from geometry.experiments.study import Step
from geometry.randomness import generator
from geometry.selectivity import TreeEffects
from geometry.steering import OutputSteps, addition_step, dual_step, mean_probe
from geometry.steering.output_states import OutputStates

Array = NDArray[np.float64]
FACTOR = 20.0  # by which the odds of the target are to grow
N_RANDOM = 100
TOLERANCE = 5e-5  # of the residual
_SLACK = 1e-9  # nats
_FAMILIES, _FAMILY_PROMPTS = 3, 6
_SMALLEST_PARENT, _LARGEST_PARENT = 2, 10  # times as many words as the child has
Family = tuple[str, str, str, OutputSteps, OutputSteps]


@dataclass(eq=False)
class DualRun:
    """All steps to one target after the other.

    Attributes:
        targets: names.
        dual, addition: to FACTOR times the odds of the target, along the same β.
        concept: addition of the target's concept vector to the same goal.
        at_kl: nats → dual steps and additions along the same β, by target; None where no prompt allows it.
        checks: name → prompts that were checked, and those that fail.
        seconds: CPU time of the dual steps to the goal.
    """

    targets: tuple[str, ...]
    dual: list[OutputSteps] = field(default_factory=list)
    addition: list[OutputSteps] = field(default_factory=list)
    concept: list[OutputSteps] = field(default_factory=list)
    at_kl: dict[float, list[tuple[Array, Array]]] = field(default_factory=dict)
    checks: dict[str, list[int]] = field(default_factory=dict)
    seconds: float = 0.0

    __repr__ = short_repr


def run_dual(bench: Bench, targets: Sequence[str], vectors: Array, nats: Sequence[float]) -> Iterator[DualRun]:
    """Steps to every target; yields itself after each, so that progress can be shown.

    `vectors`: concept vectors after the norm, shape (targets, d).
    """
    states = OutputStates(bench.unembedding, bench.states, n_tokens=bench.study.n_tokens)
    run = DualRun(tuple(targets), at_kl={each: [] for each in nats})
    for row, name in enumerate(targets):
        ids = np.array(bench.hierarchy[name].tokens)
        start = time.process_time()
        goal = _goal(states, ids)
        dual = dual_step(bench.unembedding, states, target=ids, probability=goal, tolerance=TOLERANCE)
        run.seconds += time.process_time() - start
        added = addition_step(bench.unembedding, states, target=ids, probability=goal)
        run.dual.append(dual)
        run.addition.append(added)
        run.concept.append(addition_step(bench.unembedding, states, vectors[row], target=ids, probability=goal))
        _check(run, bench, states, ids, dual, row)
        _at_kl(run, bench, states, ids, dual, dual.unsteered)
        yield run


def _at_kl(
    run: DualRun, bench: Bench, states: OutputStates, ids: NDArray[np.int64], dual: OutputSteps, unsteered: Array
) -> None:
    """Shifts of λ0 by either route at every KL divergence, nan where a prompt does not reach it."""
    start = dual
    for nats, found in sorted(run.at_kl.items()):
        # Up to the mean of the target's words (ν = 1) KL is at most that of the target's part alone, since p_λ* is the
        # I-projection of p_λ0 to its mean, which a mixture of both has too; no step is taken beyond.
        possible = np.flatnonzero(-np.log(unsteered) > nats)
        shifts = tuple(np.full(bench.states.shape, np.nan) for _ in range(2))
        if len(possible):
            some = states if len(possible) == len(states) else None
            hidden = some or OutputStates(bench.unembedding, bench.states[possible], n_tokens=bench.study.n_tokens)
            begun = start if some else None
            one = dual_step(bench.unembedding, hidden, target=ids, kl=nats, tolerance=TOLERANCE, start=begun)
            shifts[0][possible[one.reached]] = (one.states - bench.states[possible])[one.reached]
            start = one if some else start
        other = addition_step(bench.unembedding, states, target=ids, kl=nats)
        shifts[1][other.reached] = (other.states - bench.states)[other.reached]
        found.append((shifts[0], shifts[1]))


def laws(bench: Bench, shifts: Sequence[Array]) -> Iterator[Array | str]:
    """The whole law at λ0 + shift of each target; a prompt's row is nan where its shift is."""
    for shift in shifts:
        reached: NDArray[np.bool_] = np.asarray(np.isfinite(shift).all(axis=1))
        if not reached.any():
            yield "after no prompt"
            continue
        moves = bench.shifts(np.where(reached[:, None], shift, 0.0))
        moves -= moves.max(axis=1, keepdims=True)
        law = bench.unsteered * np.exp(np.maximum(moves, -700))
        law /= law.sum(axis=1, keepdims=True)
        law[~reached] = np.nan
        yield law


def dual_effects(bench: Bench, run: DualRun) -> list[TreeEffects]:
    """Both routes at every KL divergence, prompt by prompt."""
    selectivity, effects = bench.only(run.targets), []
    for nats, found in run.at_kl.items():
        for route, method in enumerate((DUAL, DUAL_BETA)):
            effects.append(selectivity.measured(method, laws(bench, [each[route] for each in found]), nats))
    return effects


def family_steps(bench: Bench, step: Step) -> list[Family]:
    """To a child of some families along the β of its parent, of its contrast with the parent, and of both."""
    hidden = OutputStates(bench.unembedding, bench.states[:_FAMILY_PROMPTS], n_tokens=bench.study.n_tokens)
    rows: list[Family] = []
    for parent, child in families(bench):
        step(f"dual steps from {parent} to {child}")
        above, below = (np.array(bench.hierarchy[name].tokens) for name in (parent, child))
        general = mean_probe(bench.unembedding, hidden, above)
        own = mean_probe(bench.unembedding, hidden, below, base=above)
        goal = _goal(hidden, below)
        for name, beta in (("parent", general), ("child", own), ("parent + child", general + own)):
            dual, added = (
                route(bench.unembedding, hidden, beta, target=below, probability=goal)
                for route in (dual_step, addition_step)
            )
            rows.append((parent, child, name, dual, added))
    return rows


def families(bench: Bench) -> list[tuple[str, str]]:
    """Children, spread over the targets, each below a parent of two to ten times as many words."""
    pairs = []
    for child in bench.targets:
        parents = sorted(bench.hierarchy.parents[child], key=lambda name: len(bench.hierarchy[name]))
        ratio = len(bench.hierarchy[parents[0]]) / len(bench.hierarchy[child]) if parents else 0.0
        if _SMALLEST_PARENT <= ratio <= _LARGEST_PARENT:
            pairs.append((parents[0], child))
    count = min(_FAMILIES, len(pairs))
    return [pairs[i] for i in ((np.arange(count) + 0.5) * len(pairs) / max(count, 1)).astype(int)]


def _goal(states: OutputStates, ids: NDArray[np.int64]) -> Array:
    """P(target) of FACTOR times its odds."""
    parts = [batch.laws(ids) for batch in states.batches]
    unsteered = np.concatenate([part.law[:, part.target].sum(axis=1) for part in parts])
    odds = FACTOR * unsteered / (1 - unsteered)
    return np.asarray(odds / (1 + odds))


def _check(
    run: DualRun, bench: Bench, states: OutputStates, ids: NDArray[np.int64], dual: OutputSteps, row: int
) -> None:
    """What the theory says of every prompt whose goal is reached: counts of those checked, and of those that fail."""
    reached = dual.reached
    same_value = addition_step(bench.unembedding, states, target=ids, probe_value=dual.probe_value)
    same_mean = addition_step(bench.unembedding, states, target=ids, expectation=dual.expectation)
    both = reached & same_mean.reached
    found = {
        "residual ≤ 1e-4 ‖νβ‖": (reached, dual.residual > 1e-4),
        "KL(unsteered ‖ dual) ≤ that of addition with the same βᵀλ": (
            reached,
            dual.reverse_kl > same_value.reverse_kl + _SLACK,
        ),
        "KL(addition ‖ unsteered) ≤ that of dual at the same E[βᵀγ]": (both, same_mean.kl > dual.kl + _SLACK),
        f"KL(unsteered ‖ dual) ≤ that of {N_RANDOM} random λ with the same βᵀλ": (
            reached,
            _random_least(bench, states, ids, dual, row) < dual.reverse_kl - _SLACK,
        ),
    }
    for name, (of, fails) in found.items():
        counts = run.checks.setdefault(name, [0, 0])
        counts[0] += int(of.sum())
        counts[1] += int((of & fails).sum())


def _random_least(bench: Bench, states: OutputStates, ids: NDArray[np.int64], dual: OutputSteps, row: int) -> Array:
    """The least KL(p_λ0 ‖ p_λ) of random λ with the βᵀλ of the dual step, near it and far from it, shape (n,)."""
    least, first = np.full(len(dual.reached), np.inf), 0
    drawn = generator(bench.study.seed, "random states", row).standard_normal((N_RANDOM, bench.states.shape[1]))
    for batch in states.batches:
        law = batch.laws(ids)
        products = drawn @ law.gamma.T
        # Logits that are moved by a hundredth of a nat to three.
        size = np.geomspace(0.01, 3.0, N_RANDOM) / products.std(axis=1)
        offsets, products = drawn * size[:, None], products * size[:, None]
        for index in range(len(batch.states)):
            place = first + index
            probe, shift = dual.probe[place], dual.states[place] - batch.states[index]
            inside = np.isfinite(law.logits[index])
            gamma = law.gamma[inside]
            part = offsets @ probe / (probe @ probe)
            moves = gamma @ shift + products[:, inside] - part[:, None] * (gamma @ probe)
            top = moves.max(axis=1, keepdims=True)
            log_mean = np.log(np.exp(moves - top) @ law.law[index, inside]) + top[:, 0]
            mean = law.mean[index]
            along = shift @ mean + offsets @ mean - part * (probe @ mean)
            least[place] = (log_mean - along).min()
        first += len(batch.states)
    return least
