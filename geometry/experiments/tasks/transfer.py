"""Whose vector answers whose questions, and how similar the vectors of tasks are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from geometry.display import short_repr
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.tasks.labels import rate
from geometry.experiments.tasks.setup import Bench
from geometry.intervals import summarise
from geometry.steering import Site

Array = NDArray[np.float64]
_RESAMPLES = 500


@dataclass(frozen=True, eq=False)
class TransferPart(Part):
    """k tasks.

    Attributes:
        tasks: whose vectors and questions.
        accuracy: of the questions of a task (rows) under the vector of another (columns), shape (k, k).
        zero_shot: without a vector, shape (k,).
        site: where vectors are compared.
        cosines: of residual vectors there; `form_removed`: less those of shuffled labels; shape (k, k) each.
        bounds, bounds_removed: their 95% bootstrap intervals over prompts, shape (2, k, k).
        chance: 95% of the cosines of random vectors are below it in absolute value.
    """

    tasks: tuple[str, ...]
    accuracy: Array
    zero_shot: Array
    site: Site
    cosines: Array
    form_removed: Array
    bounds: Array
    bounds_removed: Array
    chance: float

    __repr__ = short_repr

    @property
    def off(self) -> NDArray[np.bool_]:
        """Pairs of different tasks."""
        return ~np.eye(len(self.tasks), dtype=np.bool_)

    def summary(self) -> list[str]:
        """Own and foreign vectors, and cosines."""
        if len(self.tasks) < 2:
            return ["Transfer takes two tasks that the model can do; there are fewer."]
        own, other = self.accuracy.diagonal(), self.accuracy[self.off]
        most = other.max()
        row, column = np.unravel_index(np.where(self.off, self.accuracy, -1).argmax(), self.accuracy.shape)
        cosines, removed = self.cosines[self.off], self.form_removed[self.off]
        return [
            f"The task's vector answers {own.mean():.0%} of its held-out questions, the vectors of other tasks"
            f" {rate(other)}, no vector {self.zero_shot.mean():.0%}"
            + (
                f"; most of all that of {self.tasks[column]} those of {self.tasks[row]}, {most:.0%}."
                if most > 0
                else "."
            ),
            f"At {self.site} vectors of different tasks have cosines of {cosines.min():.2f} to {cosines.max():.2f},"
            f" mean {cosines.mean():.2f}; less the vectors of shuffled labels, {removed.min():.2f} to"
            f" {removed.max():.2f}, mean {removed.mean():.2f} (random vectors: below {self.chance:.2f}).",
        ]

    def to_dict(self) -> dict[str, Any]:
        """Matrices with intervals."""
        off = self.off
        return {
            "tasks": list(self.tasks),
            "accuracy": self.accuracy.tolist(),
            "zero_shot": self.zero_shot.tolist(),
            "own": summarise(self.accuracy.diagonal()),
            "other": summarise(self.accuracy[off]),
            "site": str(self.site),
            "cosines": self.cosines.tolist(),
            "cosine_intervals": self.bounds.tolist(),
            "cosines_less_shuffled_labels": self.form_removed.tolist(),
            "cosine_intervals_less_shuffled_labels": self.bounds_removed.tolist(),
            "random_cosine": self.chance,
        }

    def figures(self) -> list[FigureSpec]:
        """Accuracy and cosines as matrices."""
        from geometry.experiments.tasks.figures import transfer

        return [transfer(self)] if len(self.tasks) > 1 else []

    def tables(self) -> list[TableSpec]:
        """Cosines with their intervals."""
        rows = [
            [f"{self.tasks[i]} – {self.tasks[j]}",
             *(f"{values[i, j]:.2f} [{ends[0, i, j]:.2f}, {ends[1, i, j]:.2f}]"
               for values, ends in ((self.cosines, self.bounds), (self.form_removed, self.bounds_removed)))]
            for i in range(len(self.tasks)) for j in range(i)
        ]  # fmt: skip
        caption = f"At {self.site}; 95% intervals over prompts; random vectors: below {self.chance:.2f}."
        return [TableSpec("Cosines of task vectors", ["tasks", "cosine", "less shuffled labels"], rows, caption)]

    def arrays(self) -> dict[str, ArrayLike]:
        """The matrices."""
        return {"accuracy": self.accuracy, "cosines": self.cosines, "form_removed": self.form_removed}


def transferred(bench: Bench) -> TransferPart:
    """Every able task's held-out questions under every able task's vector."""
    names = tuple(bench.able)
    accuracy, zero_shot = [], []
    for name in names:
        questions = bench.questions(name)
        zero_shot.append(questions.answers().accuracy)
        accuracy.append([got.accuracy for got in questions.ask([bench.vector(other) for other in names])])
    sites = next(iter(bench.found.values())).by_site
    site = max(sites, key=lambda place: sum(bench.found[name].by_site[place] for name in names))
    shifts = [bench.found[name].shifts for name in names]
    demonstrated = [each["demonstrations"][site] for each in shifts]
    removed = [each["demonstrations"][site] - each["shuffled labels"][site] for each in shifts]
    width = demonstrated[0].shape[1] if names else 1
    seed = bench.study.seed
    return TransferPart(
        names, np.array(accuracy).reshape(len(names), -1), np.array(zero_shot), site, _cosines(demonstrated),
        _cosines(removed), _bounds(demonstrated, seed), _bounds(removed, seed), 1.96 / np.sqrt(width),
    )  # fmt: skip


def _cosines(rows: list[torch.Tensor]) -> Array:
    """Of the means of rows (n, d), shape (k, k)."""
    means = torch.stack([each.double().mean(dim=0) for each in rows])
    unit = means / torch.linalg.vector_norm(means, dim=1, keepdim=True)
    return np.clip((unit @ unit.T).numpy(), -1, 1)


def _bounds(rows: list[torch.Tensor], seed: int) -> Array:
    """95% bootstrap intervals of the same over the prompts of each, shape (2, k, k)."""
    rng = np.random.default_rng(seed)
    means = []
    for each in rows:
        weights = torch.from_numpy(rng.multinomial(len(each), np.full(len(each), 1 / len(each)), size=_RESAMPLES))
        drawn = weights.double() @ each.double() / len(each)
        means.append(drawn / torch.linalg.vector_norm(drawn, dim=1, keepdim=True))
    stacked = torch.stack(means)
    cosines = torch.einsum("arc,brc->rab", stacked, stacked).numpy()
    return np.asarray(np.quantile(cosines, [0.025, 0.975], axis=0))
