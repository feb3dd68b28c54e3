"""Coefficients at which vectors change the model's next-token law by as much: by the same KL divergence.

Vectors at different places, or of different kinds, have no common unit; what they bring is compared at equal cost.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.steering.measure import kl_divergence
from geometry.steering.prompts import LanguageModel, Tokenizer
from geometry.steering.side_by_side import SideBySide
from geometry.steering.vector import SteeringVector

TOLERANCE = 0.01  # of the KL divergence asked for
LARGEST = 64.0
_START, _STEP, _MOST_STEPS = 1 / 16, 4.0, 40


@dataclass(frozen=True, eq=False)
class AtKL:
    """A vector at the coefficient that was looked for.

    Attributes:
        index: of the vector among those given.
        coefficient: nan where the KL divergence was not reached.
        kl: KL(steered ‖ unsteered) in nats after each of n prompts, shape (n,); nan where not reached.
        log_probabilities: of the steered next-token law, shape (n, V); None where not reached.
        why_not: what was reached instead; "" where it was.
    """

    index: int
    coefficient: float
    kl: NDArray[np.float64]
    log_probabilities: torch.Tensor | None
    why_not: str = ""

    __repr__ = short_repr

    @property
    def reached(self) -> bool:
        """Whether there is such a coefficient."""
        return not self.why_not


@dataclass
class _Search:
    """A coefficient between one whose KL divergence is too low and one whose is too high, closer at every step.

    Of small displacements the divergence grows with their square, later with another power, so that its logarithm is
    interpolated in that of the coefficient; where one end stays put, the middle is taken.
    """

    nats: float
    coefficient: float = _START
    low: tuple[float, float] | None = None
    high: tuple[float, float] | None = None
    last: tuple[float, float] = (0.0, math.inf)
    power: float = 2.0
    steps: int = 0
    same_side: int = 0
    why_not: str = ""

    def tell(self, kl: float, tolerance: float) -> bool:
        """Whether the coefficient that was asked for will do; else there is another one, or `why_not`."""
        self.steps += 1
        if math.isfinite(kl) and abs(kl - self.nats) <= tolerance * self.nats:
            return True
        # Beyond what the model's numbers hold there is no law, and less is to be tried.
        excess = math.log(max(kl, 1e-12) / self.nats) if math.isfinite(kl) else math.inf
        if math.isfinite(excess) and math.isfinite(self.last[1]) and self.last[0] != self.coefficient:
            power = (excess - self.last[1]) / math.log(self.coefficient / self.last[0])
            self.power = min(max(power, 1.0), 4.0)
        self.last = (self.coefficient, excess)
        side = 1 if excess > 0 else -1
        self.same_side = self.same_side + side if self.same_side * side > 0 else side
        if excess > 0:
            self.high = (self.coefficient, excess)
        else:
            self.low = (self.coefficient, excess)
        if self.low is not None and self.low[0] >= LARGEST:
            self.why_not = f"{kl:.3g} nats at {LARGEST:g} times the vector"
        elif self.steps >= _MOST_STEPS:
            self.why_not = f"no coefficient found in {_MOST_STEPS} steps, {kl:.3g} nats at {self.coefficient:.3g}"
        else:
            self.coefficient = self._next()
        return False

    def _next(self) -> float:
        if self.low is None or self.high is None:
            coefficient, excess = self.last
            wanted = min(max(-excess / self.power, -math.log(_STEP)), math.log(_STEP))
            return min(coefficient * math.exp(wanted), LARGEST)
        (below, lack), (above, excess) = self.low, self.high
        part = -lack / (excess - lack) if math.isfinite(excess) and abs(self.same_side) < 3 else 0.5
        part = min(max(part, 0.05), 0.95)
        return math.exp((1 - part) * math.log(below) + part * math.log(above))


class EqualKL:
    """Coefficients of vectors at equal KL divergence of the next-token laws, on average over prompts.

    Example::

        equal = EqualKL(model, tokenizer, geo.steering.load_prompts("neutral").beginnings, nats=0.5)
        for found in equal.find([vector.relative(1), other.relative(1)]):
            print(found.index, found.coefficient)

    All but the last token of every prompt run once, unsteered; a vector is added at the last. Several vectors run side
    by side, each with a coefficient of its own.

    Parameters:
        nats: the mean over prompts of KL(steered ‖ unsteered) that is looked for, met to `tolerance` of it.
        most_rows: prompts that are run at a time, over all vectors.

    Raises SteeringError: no prompts, nats or a tolerance that are no positive numbers, or what `NextToken` refuses.
    """

    @checked
    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        prompts: Sequence[str],
        nats: float,
        *,
        tolerance: float = TOLERANCE,
        most_rows: int = 192,
    ) -> None:
        if not prompts:
            raise SteeringError("there are no prompts; give beginnings of sentences such as 'I saw a'")
        if not (nats > 0 and math.isfinite(nats)):
            raise SteeringError(f"nats: the KL divergence to be reached is a positive number, not {nats}")
        if not 0 < tolerance < 1:
            raise SteeringError(f"tolerance: a part of the KL divergence between 0 and 1, not {tolerance}")
        self.model = model
        self.prompts = tuple(prompts)
        self.nats = float(nats)
        self.tolerance = tolerance
        self._next_token = SideBySide(model, tokenizer, self.prompts, most_rows=most_rows)
        self.unsteered = self._next_token.unsteered

    def find(self, vectors: Sequence[SteeringVector]) -> Iterator[AtKL]:
        """Each vector at its coefficient, in whatever order they are found.

        The coefficient is searched up to 64 times the vector: give vectors relative to the residual norm,
        `vector.relative(1)`. Where the divergence does not grow with the coefficient throughout, there may be several
        that meet it; found is the one between the last that is too small and the first that is too large.

        Raises SteeringError: what `steer` refuses, or a vector at work in the model.
        """
        waiting = list(range(len(vectors)))[::-1]
        searches = {index: _Search(self.nats) for index in waiting}
        running: list[int] = []
        while waiting or running:
            while waiting and len(running) < self._next_token.at_once:
                running.append(waiting.pop())
            laws = self.laws([searches[index].coefficient * vectors[index] for index in running])
            for index, law in zip(tuple(running), laws, strict=True):
                search, kl = searches[index], kl_divergence(law, self.unsteered)
                if search.tell(float(kl.mean()), self.tolerance):
                    yield AtKL(index, search.coefficient, kl, law)
                elif search.why_not:
                    nothing = np.full(len(self.prompts), np.nan)
                    yield AtKL(index, math.nan, nothing, None, search.why_not)
                else:
                    continue
                running.remove(index)

    def laws(self, vectors: Sequence[SteeringVector]) -> list[torch.Tensor]:
        """log P(y | prompt) in nats under each vector, each of shape (n, V)."""
        return self._next_token.laws(vectors)


def off_target_kl(steered: torch.Tensor, unsteered: torch.Tensor, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    """KL(steered ‖ unsteered) in nats of the laws of all other tokens, renormalised; shape (n,) from (n, V).

    What a vector does to words that it is not about, whatever it gives to those that it is.
    """
    others = torch.ones(steered.shape[1], dtype=torch.bool)
    others[torch.from_numpy(np.asarray(tokens, dtype=np.int64))] = False
    return kl_divergence(*(law[:, others].log_softmax(dim=1) for law in (steered, unsteered)))
