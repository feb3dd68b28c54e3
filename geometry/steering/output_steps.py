"""What a step at the output layer came to, and the paired difference of two."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.display import html_table, short_repr
from geometry.errors import SteeringError
from geometry.intervals import summarise
from geometry.steering.output_law import OutputLaws, divergence

Array = NDArray[np.float64]
MEASURES = ("kl", "reverse_kl", "off_target_kl", "off_target_reverse_kl", "rank_change")


@dataclass(frozen=True, eq=False)
class OutputSteps:
    """Steps from n final hidden states, dual or by addition; all laws and divergences are of S, in nats, float64.

    S is the n_tokens likeliest tokens of each state and the target's; `left_out` says what that leaves out. In
    divergences probabilities below 2e-308 count as that.

    Attributes:
        route: "dual" or "addition".
        states: λ*, shape (n, d); where the goal was not reached, at the largest P(target) found (or the nearest, where
            another goal was asked for).
        probe: β, shape (n, d).
        nu: ν = βᵀ(E_λ*[γ] − E_λ0[γ]) / ‖β‖².
        residual: ‖E_λ*[γ] − E_λ0[γ] − νβ‖ / ‖νβ‖: near 0 on the dual line; of additions, how far they leave it.
        nu_bound: a ν beyond which E_λ0[γ] + νβ is outside the hull of γ, so that no λ exists; the least bound found.
        coefficient: t = βᵀ(λ* − λ0) / ‖β‖²; of additions λ* = λ0 + tβ.
        expectation: E_λ*[βᵀγ].
        probe_value: βᵀλ*.
        probability, unsteered: P(target) at λ* and at λ0.
        reached: whether the goal was, shape (n,).
        kl: KL(p_λ* ‖ p_λ0), as elsewhere in this package; reverse_kl: KL(p_λ0 ‖ p_λ*), which the dual step minimises.
        off_target_kl, off_target_reverse_kl: the same of the laws renormalised outside the target.
        rank_change: mean change of an off-target token's rank among them, in absolute value, weighted by p_λ0.
        n_tokens: the size of S.
        left_out, left_out_steered: probability outside S at λ0 and at λ*, under the law of the whole vocabulary.
    """

    route: Literal["dual", "addition"]
    states: Array
    probe: Array
    nu: Array
    residual: Array
    nu_bound: Array
    coefficient: Array
    expectation: Array
    probe_value: Array
    probability: Array
    unsteered: Array
    reached: NDArray[np.bool_]
    kl: Array
    reverse_kl: Array
    off_target_kl: Array
    off_target_reverse_kl: Array
    rank_change: Array
    n_tokens: NDArray[np.int64]
    left_out: Array
    left_out_steered: Array

    __repr__ = short_repr

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not reached, and what S leaves out, in words."""
        notes = []
        if not self.reached.all():
            largest = self.probability[~self.reached]
            notes.append(
                f"{self.route}: {int((~self.reached).sum())} of {len(self.reached)} states do not reach the goal; their"
                f" P(target) there is {largest.min():.3g} to {largest.max():.3g}"
            )
        if (most := float(self.left_out_steered.max())) > 0.05:
            notes.append(f"{self.route}: S leaves out up to {most:.1%} of the steered law; take more tokens (n_tokens)")
        return tuple(notes)

    def _repr_html_(self) -> str:
        heads = ("state", "ν", "P(target)", "reached", "KL", "reverse KL", "off-target KL", "rank change")
        columns = (self.nu, self.probability, self.reached, self.kl, self.reverse_kl, self.off_target_kl)
        rows = zip(range(len(self.nu)), *columns, self.rank_change, strict=True)
        return html_table(
            heads,
            [[str(cell) if isinstance(cell, np.bool_) else cell for cell in row] for row in rows],
            f"{self.route} steps of {len(self.nu)} states",
        )

    @classmethod
    def measured(
        cls,
        route: Literal["dual", "addition"],
        laws: OutputLaws,
        probe: Array,
        shift: Array,
        reached: NDArray[np.bool_],
    ) -> "OutputSteps":
        """All that is asked of λ0 + shift (n, d)."""
        law, states, target = laws.moved(shift), laws.states + shift, laws.target
        mean = law @ laws.gamma
        size = (probe * probe).sum(axis=1)
        nu = ((mean - laws.mean) * probe).sum(axis=1) / size
        miss = np.linalg.norm(mean - laws.mean - nu[:, None] * probe, axis=1)
        # What did not move has no direction but that of rounding.
        miss = np.where(miss > 1e-12 * np.abs(laws.gamma).max(), miss, 0.0)
        before, after = laws.law[:, ~target], law[:, ~target]
        before, after = (each / each.sum(axis=1, keepdims=True) for each in (before, after))
        inside = np.isfinite(laws.logits)
        return cls(
            route, states, probe, nu,
            miss / np.maximum(np.abs(nu) * np.sqrt(size), np.finfo(np.float64).tiny),
            _hull(laws, probe, shift, nu),
            (shift * probe).sum(axis=1) / size,
            (mean * probe).sum(axis=1) + probe @ laws.centre,
            (states * probe).sum(axis=1),
            law[:, target].sum(axis=1), laws.law[:, target].sum(axis=1), reached,
            divergence(law, laws.law), divergence(laws.law, law), divergence(after, before), divergence(before, after),
            np.array([_rank_change(*each) for each in zip(before, after, inside[:, ~target], strict=True)]),
            inside.sum(axis=1), laws.left_out(laws.states), laws.left_out(states),
        )  # fmt: skip

    @classmethod
    def joined(cls, parts: list["OutputSteps"]) -> "OutputSteps":
        """One after the other."""
        names = [field.name for field in fields(cls) if field.name != "route"]
        joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return cls(route=parts[0].route, **joined)


@checked
def step_differences(first: OutputSteps, second: OutputSteps) -> Mapping[str, Mapping[str, Any]]:
    """Paired differences of two routes from the same states, first less second, over those that both reach.

    Example::

        dual = geo.steering.dual_step(unembedding, states, target=birds, probability=0.5)
        added = geo.steering.addition_step(unembedding, states, target=birds, probability=0.5)
        geo.steering.step_differences(dual, added)["off_target_kl"]["interval"]

    Returns a measure (kl, reverse_kl, off_target_kl, off_target_reverse_kl, rank_change) → its mean, sd, n and 95%
        interval by bootstrap over states, None and nan where too few are reached; and "reached" → how many either
        route and both reach.
    Raises SteeringError: steps from other states.
    """
    same = len(first.reached) == len(second.reached) and np.allclose(first.unsteered, second.unsteered, rtol=1e-9)
    if not same:
        raise SteeringError("steps from other states, or to another target, are no pairs; take both from the same")
    both = first.reached & second.reached
    differences: dict[str, Mapping[str, Any]] = {
        name: summarise((getattr(first, name) - getattr(second, name))[both]) for name in MEASURES
    }
    counts = {"first": first.reached.sum(), "second": second.reached.sum(), "both": both.sum(), "of": len(both)}
    return {**differences, "reached": {name: int(count) for name, count in counts.items()}}


def _hull(laws: OutputLaws, probe: Array, shift: Array, nu: Array) -> Array:
    """By supporting planes of the hull: uᵀ(E_λ0[γ] + νβ) ≤ max uᵀγ for every u, here λ* − λ0 and β."""
    bound = np.full(len(probe), np.inf)
    sign = np.where(nu < 0, -1.0, 1.0)
    for direction in (shift, sign[:, None] * probe):
        most = np.where(np.isfinite(laws.logits), direction @ laws.gamma.T, -np.inf).max(axis=1)
        along = sign * (direction * probe).sum(axis=1)
        room = np.maximum(most - (direction * laws.mean).sum(axis=1), 0.0)
        bound = np.minimum(bound, np.where(along > 0, room / np.where(along > 0, along, 1.0), np.inf))
    return np.asarray(sign * bound)


def _rank_change(before: Array, after: Array, kept: NDArray[np.bool_]) -> float:
    before, after = before[kept], after[kept]
    ranks = [np.argsort(np.argsort(-law, kind="stable"), kind="stable") for law in (before, after)]
    return float((before * np.abs(ranks[0] - ranks[1])).sum())
