"""FoundVectors: vectors that were searched for by what they change later in the model, beside random ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.display import html_table, short_repr
from geometry.errors import SteeringError
from geometry.intervals import interval_of
from geometry.search.measures import Measure
from geometry.steering import Site, SteeringVector

if TYPE_CHECKING:
    from pandas import DataFrame

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FoundVectors:
    """k orthogonal vectors, the largest objective first; n prompts, m neutral texts, b random vectors.

    Attributes:
        vectors: relative to the residual norm, each of the same norm.
        method: how they were searched for.
        site, read_site: where they are added, and where their change is read.
        norm: × residual norm.
        measure, penalty: of the objective: mean measure over prompts less `penalty` times that over neutral texts.
        objective: before the first step and after each, shape (steps + 1, k), in the order of the search.
        change: measure on every prompt, shape (k, n).
        neutral_change: the same on every neutral text, shape (k, m).
        neutral_kl: KL(steered ‖ unsteered) of the next token there, in nats, shape (k, m).
        random_change, random_neutral_change: of random vectors of the same norm, shapes (b, n) and (b, m).
        prompts, neutral: the texts.
    """

    vectors: tuple[SteeringVector, ...]
    method: str
    site: Site
    read_site: Site
    norm: float
    measure: Measure
    penalty: float
    objective: Array
    change: Array
    neutral_change: Array
    neutral_kl: Array
    random_change: Array
    random_neutral_change: Array
    prompts: tuple[str, ...]
    neutral: tuple[str, ...]
    seed: int

    __repr__ = short_repr

    def __len__(self) -> int:
        return len(self.vectors)

    def __iter__(self) -> Iterator[SteeringVector]:
        return iter(self.vectors)

    def __getitem__(self, index: int) -> SteeringVector:
        if not -len(self) <= index < len(self):
            raise SteeringError(f"there are vectors 0 to {len(self) - 1}, no vector {index}")
        return self.vectors[index]

    @property
    def directions(self) -> Array:
        """Unit vectors, float64, shape (k, d)."""
        rows = torch.stack([part for vector in self for part in vector.parts.values()]).double()
        return np.asarray((rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)).numpy())

    @property
    def orthogonality(self) -> float:
        """The largest |cosine| between two of the vectors; 0 of one."""
        cosines = np.abs(self.directions @ self.directions.T)
        np.fill_diagonal(cosines, 0.0)
        return float(cosines.max())

    @property
    def random_objective(self) -> Array:
        """Of every random vector, shape (b,)."""
        cost = self.random_neutral_change.mean(axis=1) if self.neutral else 0.0
        return np.asarray(self.random_change.mean(axis=1) - self.penalty * cost)

    @property
    def gain(self) -> float:
        """Mean change on the prompts over that of random vectors."""
        return float(self.change.mean() / self.random_change.mean())

    def summary(self) -> list[str]:
        """What was found, in sentences."""
        low, high = interval_of(self.change)
        interval = f"[{low:.2f}, {high:.2f}]" if np.isfinite([low, high]).all() else "[–]"
        said = [
            f"{len(self)} orthogonal vectors of {self.norm:g} × residual norm at {self.site} change {self.read_site} by"
            f" {self.change.mean():.2f} {interval} on the {len(self.prompts)} prompts they were searched"
            f" on ({self.method}, {self.measure}, seed {self.seed}), {len(self.random_change)} random ones by"
            f" {self.random_change.mean():.2f}, {self.random_change.mean(axis=1).max():.2f} at most"
        ]
        if self.neutral:
            said.append(
                f"on {len(self.neutral)} neutral texts by {self.neutral_change.mean():.2f}, random"
                f" {self.random_neutral_change.mean():.2f}; next-token KL there {self.neutral_kl.mean():.2g} nats"
            )
        return said

    def __str__(self) -> str:
        return "\n".join(self.summary())

    def to_frame(self) -> "DataFrame":
        """A row for each vector: change with its 95% interval over prompts, neutral change, neutral KL."""
        from pandas import DataFrame

        heads = ["vector", "change", "low", "high", "neutral_change", "neutral_kl"]
        return DataFrame(self._rows(), columns=heads)

    def _rows(self) -> list[tuple[object, ...]]:
        costs = [self.neutral_change, self.neutral_kl]
        means = [part.mean(axis=1) if self.neutral else np.full(len(self), np.nan) for part in costs]
        return [
            (index, float(row.mean()), *interval_of(row), *(float(mean[index]) for mean in means))
            for index, row in enumerate(self.change)
        ]

    def _repr_html_(self) -> str:
        heads = ("vector", "change", "low", "high", "neutral change", "neutral KL")
        return html_table(heads, self._rows(), self.summary()[0])
