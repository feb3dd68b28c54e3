"""Where in the depth a task's vector answers: its accuracy block by block beside its controls."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.display import short_repr
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec
from geometry.experiments.tasks.setup import Bench
from geometry.intervals import interval_of, summarise
from geometry.steering import Site

Array = NDArray[np.float64]
WAYS = ("residual", "shuffled labels", "random")


@dataclass(frozen=True, eq=False)
class DepthPart(Part):
    """Accuracy by block on held-out questions, b sites.

    Attributes:
        sites: where vectors were added, each made there.
        correct: task → way → shape (b, n), of n questions.
        zero_shot: task → accuracy without a vector.
        n_blocks: of the model.
    """

    sites: tuple[Site, ...]
    correct: Mapping[str, Mapping[str, Array]]
    zero_shot: Mapping[str, float]
    n_blocks: int

    __repr__ = short_repr

    @property
    def blocks(self) -> list[float]:
        """Numbers of the blocks."""
        return [float(site.block or 0) for site in self.sites]

    def leads(self, task: str) -> int:
        """The index of the site where the vector is furthest above that of shuffled labels, the first of them."""
        ways = self.correct[task]
        return int((ways["residual"].mean(axis=1) - ways["shuffled labels"].mean(axis=1)).argmax())

    def band(self, task: str, way: str) -> tuple[Array, Array]:
        """Ends of 95% intervals over questions, shape (b,)."""
        low, high = np.array([interval_of(row) for row in self.correct[task][way]]).T
        return low, high

    def summary(self) -> list[str]:
        """Where each answers most, and where no longer."""
        lines = []
        for task, ways in self.correct.items():
            rates = ways["residual"].mean(axis=1)
            best = int(rates.argmax())
            low, high = (float(end[best]) for end in self.band(task, "residual"))
            lead = self.leads(task)
            lines.append(
                f"{task}: the vector answers most after block {self.blocks[best]:.0f} of {self.n_blocks},"
                f" {rates[best]:.0%} [{low:.0%}, {high:.0%}] (shuffled labels there"
                f" {ways['shuffled labels'][best].mean():.0%}, random {ways['random'][best].mean():.0%}), and leads the"
                f" vector of shuffled labels by most after block {self.blocks[lead]:.0f} ({rates[lead]:.0%} against"
                f" {ways['shuffled labels'][lead].mean():.0%})."
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Site → task → way → accuracy with its interval."""
        return {
            str(site): {
                task: {way: summarise(rows[index]) for way, rows in ways.items()} for task, ways in self.correct.items()
            }
            for index, site in enumerate(self.sites)
        }

    def figures(self) -> list[FigureSpec]:
        """A panel a task."""
        from geometry.experiments.tasks.figures import depth

        return [depth(self)]

    def arrays(self) -> dict[str, ArrayLike]:
        """What the figure is drawn from."""
        return {f"{task}/{way}": rows for task, ways in self.correct.items() for way, rows in ways.items()}


def by_block(bench: Bench) -> DepthPart:
    """Every able task's residual vectors where they were read, at the strength chosen on training questions."""
    correct, zero_shot = {}, {}
    for name, found in bench.able.items():
        questions = bench.questions(name)
        zero_shot[name] = questions.answers().accuracy
        own = [found.residual(site) for site in bench.sites]
        ways = {
            "residual": own,
            "shuffled labels": [found.residual(site, shuffled=True) for site in bench.sites],
            "random": [vector.random(bench.study.seed + index) for index, vector in enumerate(own)],
        }
        correct[name] = {
            way: np.stack([got.correct for got in questions.ask(vectors)]) for way, vectors in ways.items()
        }
    blocks = len(next(iter(bench.found.values())).by_site)
    return DepthPart(tuple(bench.sites), correct, zero_shot, blocks)
