"""What a step at the output layer is to reach: one of three quantities, each as a number that Newton steps can take.

Where few tokens carry the target, its probability and the mean of the probe grow exponentially along the path, their
log-odds nearly linearly: so these are what is stepped in.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.errors import SteeringError, shown
from geometry.steering.output_law import OutputLaws

Array = NDArray[np.float64]
Kind = Literal["probability", "expectation", "probe_value"]
_TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Goal:
    """One number a state: log-odds of P(target), log-odds of where E[βᵀγ] lies between its ends, or βᵀλ in parts.

    Attributes:
        kind: which of the three.
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
        """`value` as the caller states it, shape (n,): a probability, E[βᵀγ], or βᵀλ."""
        products = probe @ laws.gamma.T
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
        return log_odds(self._part(laws, law, subset))

    def slope(self, laws: OutputLaws, law: Array, subset: NDArray[np.int64] | slice = slice(None)) -> Array:
        """Its gradient in λ, shape (k, d)."""
        if self.kind == "probe_value":
            return np.asarray(self.probe[subset] / self.span[subset][:, None])
        part = self._part(laws, law, subset)
        value = self._value(laws, subset)
        weights = law * (value - part[:, None])
        return np.asarray(weights @ laws.gamma / np.maximum(part * (1 - part), _TINY)[:, None])

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
    """The one of probability, expectation and probe_value that was given, as an array (n,).

    Raises SteeringError: none or several of them, another shape, NaN, or a probability outside 0 to 1.
    """
    given = {name: value for name, value in values.items() if value is not None}
    if len(given) != 1:
        names = ", ".join(given) or "none"
        raise SteeringError(f"give one of probability, expectation, probe_value as what to reach, not {names}")
    ((name, value),) = given.items()
    numbers = np.asarray(value, dtype=np.float64)
    if numbers.ndim > 1 or numbers.size not in (1, n) or not np.isfinite(numbers).all():
        raise SteeringError(f"{name} must be one finite number, or one for each of {n} states, not {shown(value)}")
    if name == "probability" and not ((numbers > 0) & (numbers < 1)).all():
        raise SteeringError(f"probability must lie between 0 and 1, not {shown(value)}")
    return name, np.broadcast_to(numbers, (n,)).copy()  # type: ignore[return-value]
