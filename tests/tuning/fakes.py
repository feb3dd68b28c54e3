"""A bench without a model, whose costs and effects are given by formulas: the truth about the best site is known."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from geometry.steering import Site
from geometry.tuning.bench import Trial


class Formulas:
    """Blocks whose cost is `cost(block, strength)` in nats and whose effect's log-odds are `level(block, strength)`."""

    def __init__(
        self, n: int, cost: Callable[[int, float], float], level: Callable[[int, float], float], free: int = 0
    ) -> None:
        self._cost, self._level = cost, level
        sites = [Site("output", block) for block in range(n)]
        self.paid, self.free = sites[: n - free], sites[n - free :]
        self.unsteered_level = level(0, 0.0)
        self.asked: list[tuple[int, float]] = []

    def unit(self, _: Site) -> float:
        return 1.0

    def trials(self, wanted: Sequence[tuple[Site, float]]) -> list[Trial]:
        found = []
        for site, strength in wanted:
            block = int(site.block or 0)
            if site in self.paid:
                self.asked.append((block, strength))
            cost, level = self._cost(block, strength), self._level(block, strength)
            effect = 1 / (1 + math.exp(-level))
            found.append(Trial(site, strength, np.array([effect]), np.array([cost]), level, int(site in self.paid)))
        return found
