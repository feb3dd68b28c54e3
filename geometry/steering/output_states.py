"""Final hidden states with what all steps from them share, whatever the target."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.errors import SteeringError
from geometry.models import Unembedding
from geometry.steering.output_law import StateBatch, checked_states, checked_unembedding

Array = NDArray[np.float64]
N_TOKENS = 5000
MOST_STATES = 32
_MOST_NUMBERS = 1 << 26  # of the d × d matrices, one a state


class OutputStates:
    """Final hidden states from which steps are taken to one target after the other.

    Example::

        kept = geo.steering.OutputStates(unembedding, states)
        for target in (birds, animals):
            geo.steering.dual_step(unembedding, kept, target=target, probability=0.1)

    Of SmolLM2 (d = 576) and 24 states it takes a second, and a dual step from it two thirds of the time that it takes
    from the states alone. It holds n d² numbers.

    Parameters:
        space: the unembedding γ, or a space of it.
        hidden: λ0, after the final norm, shape (n, d).
        n_tokens: the likeliest tokens at λ0 that stand for the whole law, beside the target's.

    Raises SteeringError: shapes or numbers that do not fit.
    """

    @checked
    def __init__(self, space: CausalSpace | Unembedding, hidden: ArrayLike, *, n_tokens: int = N_TOKENS) -> None:
        self.unembedding = checked_unembedding(space)
        self.states = checked_states(hidden, self.unembedding)
        if n_tokens < 1:
            raise SteeringError(f"n_tokens must be 1 or more, not {n_tokens}")
        self.n_tokens = n_tokens
        self.batches = [StateBatch(self.unembedding, part, n_tokens) for part in divided(self.states)]

    def __len__(self) -> int:
        return len(self.states)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.states, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        return f"OutputStates({len(self)} states, {self.n_tokens} tokens, {self.unembedding.name})"


def divided(states: Array) -> list[Array]:
    """So many states at a time as are solved together."""
    many = max(1, min(MOST_STATES, _MOST_NUMBERS // states.shape[1] ** 2))
    return [states[start : start + many] for start in range(0, len(states), many)]
