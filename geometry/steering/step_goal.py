"""What a step at the output layer is to reach: one of four quantities, each as a number that Newton steps can take.

Where few tokens carry the target, its probability and the mean of the probe grow exponentially along the path, their
log-odds nearly linearly: so these are what is stepped in. A divergence grows with the square of a step, so its root is.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.errors import SteeringError, shown
from geometry.steering.output_law import OutputLaws, divergence, softmax

Array = NDArray[np.float64]
Kind = Literal["probability", "expectation", "probe_value", "kl"]
_TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Goal:
    """One number a state: log-odds of P(target), log-odds of where E[βᵀγ] lies between its ends, βᵀλ in parts, or
    √(2 KL(steered ‖ unsteered)).

    Attributes:
        kind: which of the four.
        wanted: the number to reach, shape (n,); infinite where nothing can.
        start: that at λ0, shape (n,).
        probe: β, shape (n, d).
        products: βᵀγ, shape (n, m).
        low, span: of the products over S, or where βᵀλ begins and how far it is to go, shape (n,).
    """

    kind: Kind
    wanted: Array
    start: Array
    probe: Array
    products: Array
    low: Array
    span: Array

    @classmethod
    def of(cls, laws: OutputLaws, probe: Array, kind: Kind, value: Array) -> "Goal":
        """`value` as the caller states it, shape (n,): a probability, E[βᵀγ], βᵀλ, or nats."""
        products = probe @ laws.gamma.T
        if kind == "kl":
            nothing = np.zeros(len(value))
            return cls(kind, np.sqrt(2 * value), nothing, probe, products, nothing, nothing)
        if kind == "probe_value":
            low = (probe * laws.states).sum(axis=1)
            span = np.where(value != low, np.abs(value - low), 1.0)
            start, wanted = np.zeros(len(low)), (value - low) / span
            return cls(kind, wanted, start, probe, products, low, span)
        inside = np.isfinite(laws.logits)
        low = np.where(inside, products, np.inf).min(axis=1)
        span = np.maximum(np.where(inside, products, -np.inf).max(axis=1) - low, _TINY)
        part = value
        if kind == "expectation":
            # γ of the laws is centred, that of the caller is not.
            part = np.clip((value - probe @ laws.centre - low) / span, 0.0, 1.0)
        goal = cls(kind, log_odds(part), np.zeros(len(low)), probe, products, low, span)
        return cls(kind, goal.wanted, goal.at(laws, laws.law), probe, products, low, span)

    def at(
        self, laws: OutputLaws, law: Array, subset: NDArray[np.int64] | slice = slice(None), shift: Array | None = None
    ) -> Array:
        """The number at laws (k, m) of a subset, whose states are shifted by (k, d)."""
        if self.kind == "probe_value":
            moved = 0.0 if shift is None else (shift * self.probe[subset]).sum(axis=1)
            return np.asarray(moved / self.span[subset])
        if self.kind == "kl":
            return np.sqrt(2 * divergence(law, laws.law[subset]))
        return log_odds(self._part(laws, law, subset))

    def slope(self, laws: OutputLaws, law: Array, subset: NDArray[np.int64], shift: Array) -> Array:
        """Its gradient in λ where states of the subset are shifted by (k, d), which gives law (k, m); shape (k, d)."""
        if self.kind == "probe_value":
            return np.asarray(self.probe[subset] / self.span[subset][:, None])
        if self.kind == "kl":
            moves = shift @ laws.gamma.T
            moves -= (law * moves).sum(axis=1, keepdims=True)
            number = self.at(laws, law, subset)[:, None]
            return np.asarray((law * moves) @ laws.gamma / np.maximum(number, _TINY))
        part = self._part(laws, law, subset)
        value = self._value(laws, subset)
        weights = law * (value - part[:, None])
        return np.asarray(weights @ laws.gamma / np.maximum(part * (1 - part), _TINY)[:, None])

    def along_probe(self, laws: OutputLaws, length: Array, subset: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        """The number at λ0 + length · β of a subset, its slope in the length, and the deviation of βᵀγ; each (k,)."""
        products = self.products[subset]
        law = softmax(laws.logits[subset] + length[:, None] * products)
        mean = (law * products).sum(axis=1)
        centred = products - mean[:, None]
        variance = (law * centred**2).sum(axis=1)
        value = self.at(laws, law, subset)
        if self.kind == "kl":
            # At 0 the root of the divergence begins with the deviation.
            rate = np.where(value > 0, length * variance / np.maximum(value, _TINY), np.sqrt(variance))
            return np.where(length < 0, -value, value), rate, np.sqrt(variance)
        part = self._part(laws, law, subset)
        rate = (law * self._value(laws, subset) * centred).sum(axis=1) / np.maximum(part * (1 - part), _TINY)
        return value, rate, np.sqrt(variance)

    def _value(self, laws: OutputLaws, subset: NDArray[np.int64] | slice) -> Array:
        if self.kind == "probability":
            return laws.target[None].astype(np.float64)
        return np.asarray((self.products[subset] - self.low[subset][:, None]) / self.span[subset][:, None])

    def _part(self, laws: OutputLaws, law: Array, subset: NDArray[np.int64] | slice) -> Array:
        if self.kind == "probability":
            return np.asarray(law[:, laws.target].sum(axis=1))
        return np.asarray((law * self._value(laws, subset)).sum(axis=1))


def log_odds(part: Array) -> Array:
    """log(p / (1 − p)), infinite at its ends."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(part) - np.log1p(-part))


def checked_goal(n: int, **values: ArrayLike | None) -> tuple[Kind, Array]:
    """The one of probability, expectation, probe_value and kl that was given, as an array (n,).

    Raises SteeringError: none or several of them, another shape, NaN, a probability outside 0 to 1, or a divergence
        that is not positive.
    """
    given = {name: value for name, value in values.items() if value is not None}
    if len(given) != 1:
        names = ", ".join(given) or "none"
        raise SteeringError(f"give one of probability, expectation, probe_value, kl as what to reach, not {names}")
    ((name, value),) = given.items()
    numbers = np.asarray(value, dtype=np.float64)
    if numbers.ndim > 1 or numbers.size not in (1, n) or not np.isfinite(numbers).all():
        raise SteeringError(f"{name} must be one finite number, or one for each of {n} states, not {shown(value)}")
    if name == "probability" and not ((numbers > 0) & (numbers < 1)).all():
        raise SteeringError(f"probability must lie between 0 and 1, not {shown(value)}")
    if name == "kl" and not (numbers > 0).all():
        raise SteeringError(f"kl must be positive, in nats, not {shown(value)}")
    return name, np.broadcast_to(numbers, (n,)).copy()  # type: ignore[return-value]
