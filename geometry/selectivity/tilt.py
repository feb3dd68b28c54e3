"""Directions after the final norm by algebra alone: p_t ∝ p_0 · exp(t δᵀγ), and the t of a given KL divergence."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.errors import SteeringError

Array = NDArray[np.float64]
_AT_ONCE = 16
_MOST_STEPS = 60
_TOLERANCE = 1e-6  # of the nats
_STEEPEST = 600.0  # nats that a logit may move against another: beyond, p_0's least probable tokens underflow


@dataclass(frozen=True, eq=False)
class Tilted:
    """One direction at one KL divergence.

    Attributes:
        coefficient: t; nan where the divergence is not reached.
        kl: KL(p_t ‖ p_0) in nats after each of n prompts, shape (n,).
        weights: exp(t δᵀγ(y)) up to a factor, shape (V,).
        normaliser: Σ_y p_0(y) · weights, shape (n,).
        why_not: what was reached instead; "" where it was.
    """

    coefficient: float
    kl: Array
    weights: Array
    normaliser: Array
    why_not: str = ""

    __repr__ = short_repr

    def law(self, unsteered: Array) -> Array:
        """p_t of p_0 (n, m) at the tokens whose weights are given with it."""
        return np.asarray(unsteered * self.weights / self.normaliser[:, None])


def tilts_at_kl(unsteered: Array, shifts: Array, nats: float) -> Iterator[Tilted]:
    """Each direction at the coefficient t > 0 at which the mean of KL(p_t ‖ p_0) over the prompts is `nats`.

    Example::

        law = np.exp(next_token.unsteered.double().numpy())
        for tilted in tilts_at_kl(law, vectors @ gamma.T, nats=0.5):
            print(tilted.coefficient)

    No pass of the model: KL(p_t ‖ p_0) = t E_t[s] − log E_0[exp(t s)] for s = δᵀγ grows with t throughout, by
    t Var_t(s), and is met by safeguarded Newton steps on its logarithm. It has a bound, −log p_0 of the tokens of
    largest s; where that lies below `nats`, the direction does not reach it and says so.

    Parameters:
        unsteered: p_0 of each of n prompts, shape (n, V).
        shifts: δᵀγ(y) of each direction, shape (b, V).

    Raises SteeringError: other shapes, nats not positive, numbers that are not finite, a direction that moves nothing.
    """
    if unsteered.ndim != 2 or shifts.ndim != 2 or unsteered.shape[1] != shifts.shape[1] or not len(unsteered):
        raise SteeringError(f"laws (n, V) and shifts (b, V) are needed, not {unsteered.shape} and {shifts.shape}")
    if not (np.isfinite(nats) and nats > 0):
        raise SteeringError(f"nats: the KL divergence to be reached is a positive number, not {nats}")
    if not np.isfinite(shifts).all() or not np.isfinite(unsteered).all():
        raise SteeringError("laws or shifts hold NaN or infinity")
    if len(still := np.flatnonzero(np.ptp(shifts, axis=1) == 0)):
        raise SteeringError(f"direction {still[0]} moves every logit alike, so that no coefficient changes the law")
    for start in range(0, len(shifts), _AT_ONCE):
        yield from _batch(unsteered, shifts[start : start + _AT_ONCE].astype(np.float64), nats)


def _batch(unsteered: Array, shifts: Array, nats: float) -> list[Tilted]:
    n, count = len(unsteered), len(shifts)
    centred = shifts - (shifts @ unsteered.mean(axis=0))[:, None]
    spread = np.sqrt(((centred**2) @ unsteered.mean(axis=0)).clip(min=1e-30))
    most = _STEEPEST / np.ptp(centred, axis=1)
    t = np.minimum(np.sqrt(2 * nats) / spread, most)
    low, high = np.zeros(count), np.full(count, np.inf)
    found: dict[int, Tilted] = {}
    going = np.arange(count)
    for step in range(_MOST_STEPS):
        moved = centred[going] * t[going, None]
        top = moved.max(axis=1, keepdims=True)
        weights = np.exp(moved - top)
        terms = np.concatenate([weights, weights * centred[going], weights * centred[going] ** 2])
        sums = (unsteered @ terms.T).reshape(n, 3, len(going))
        normaliser = np.maximum(sums[:, 0], np.finfo(np.float64).tiny)
        mean, square = sums[:, 1] / normaliser, sums[:, 2] / normaliser
        # weights are exp(t s − top), so that log E_0[exp(t s)] is their normaliser's logarithm + top.
        kl = np.maximum(t[going] * mean - np.log(normaliser) - top[:, 0], 0.0)
        reached = kl.mean(axis=0)
        slope = t[going] * (square - mean**2).mean(axis=0)
        left = []
        for place, index in enumerate(going.tolist()):
            miss = float(reached[place] - nats)
            at_end = t[index] >= most[index] and miss < 0
            if abs(miss) <= _TOLERANCE * nats or at_end or step == _MOST_STEPS - 1:
                met = abs(miss) <= max(_TOLERANCE, 1e-3) * nats
                why_not = "" if met else f"at most {reached[place]:.3g} nats"
                coefficient = float(t[index]) if met else float("nan")
                found[index] = Tilted(coefficient, kl[:, place], weights[place], normaliser[:, place], why_not)
                continue
            low[index], high[index] = (t[index], high[index]) if miss < 0 else (low[index], t[index])
            rate = float(t[index] * slope[place] / max(reached[place], 1e-300))  # of log KL in log t
            newton = t[index] * np.exp(np.clip(-np.log(max(reached[place], 1e-300) / nats) / max(rate, 1e-6), -2, 2))
            inside = low[index] < newton < high[index]
            t[index] = newton if inside else (low[index] + high[index]) / 2 if np.isfinite(high[index]) else 2 * newton
            t[index] = min(t[index], most[index])
            left.append(index)
        going = np.array(left, dtype=np.int64)
        if not len(going):
            break
    return [found[index] for index in range(count)]
