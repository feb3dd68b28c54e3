"""Norm sweeps: what survives of a vector's change and of its meaning as it shrinks, and what larger norms add."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.display import short_repr
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.search.kinds import RANDOM, SEARCHED, Kinds
from geometry.experiments.search.labels import (
    CHANGE,
    COORDINATES,
    COSINE,
    FACTORS,
    FULL,
    KEPT,
    KL,
    LARGEST_COORDINATES,
    MEANING,
    OF_PROMPTS,
    PER_NORM,
)  # fmt: skip
from geometry.experiments.search.laws import LawReader, agreement
from geometry.experiments.search.setup import Bench
from geometry.intervals import interval_of, said_mean, summarise
from geometry.search import LaterChanges, later_changes

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class NormsPart(Part):
    """Vectors of the study's first search, and random ones, at multiples of their norm.

    Attributes:
        norm: × residual norm, at a factor of 1.
        measured: kind → measure → shape (factors, k, n).
        dimensions: kind → effective dimension of a vector's changes over prompts, shape (factors, k).
    """

    norm: float
    measured: Mapping[str, Mapping[str, Array]]
    dimensions: Mapping[str, Array]

    __repr__ = short_repr

    def by_prompt(self, kind: str, measure: str) -> Array:
        """Mean over vectors, shape (factors, n)."""
        return np.asarray(self.measured[kind][measure].mean(axis=1))

    def mean(self, kind: str, measure: str, factor: float) -> float:
        """At one factor."""
        return float(self.measured[kind][measure][FACTORS.index(factor)].mean())

    def summary(self) -> list[str]:
        """What survives."""
        said = []
        for kind in (SEARCHED, RANDOM):
            cells = [
                f"{factor:g}: {self.cell(kind, COSINE, index)} and {self.cell(kind, MEANING, index)}"
                for index, factor in enumerate(FACTORS)
                if factor != 1
            ]
            said.append(
                f"{kind[0].upper()}{kind[1:]} vectors at multiples of their norm, cosine of the change at the read site"
                f" with that at full norm, and correlation of what they do to concepts' log-odds with that at full norm"
                f" on other prompts ({self.cell(kind, MEANING, FULL)} at full norm itself): {'; '.join(cells)}."
            )
        gains = [self.mean(kind, CHANGE, 1.0) / self.mean(kind, CHANGE, 0.125) for kind in (SEARCHED, RANDOM)]
        said.append(
            f"From an eighth of the norm to the whole, the change grows {gains[0]:.0f} times for searched vectors and"
            f" {gains[1]:.0f} times for random ones (8 times if it were linear)."
        )
        return said

    def cell(self, kind: str, measure: str, index: int) -> str:
        """Mean and interval over prompts."""
        return said_mean(self.by_prompt(kind, measure)[index])

    def to_dict(self) -> dict[str, Any]:
        """Every measure at every factor."""
        return {
            "norm": self.norm,
            "factors": list(FACTORS),
            "vectors": {
                kind: {
                    **{name: [summarise(row) for row in self.by_prompt(kind, name)] for name in by},
                    "effective dimension (interval over vectors)": [summarise(row) for row in self.dimensions[kind]],
                }
                for kind, by in self.measured.items()
            },
        }

    def figures(self) -> list[FigureSpec]:
        """All measures over the norm."""
        from geometry.experiments.search.norms_figures import norms

        return [norms(self)]

    def tables(self) -> list[TableSpec]:
        """Kind and factor × measure."""
        rows = []
        for kind in self.measured:
            for index, factor in enumerate(FACTORS):
                low, high = interval_of(self.dimensions[kind][index])
                own = f"{self.dimensions[kind][index].mean():.2f} [{low:.2f}, {high:.2f}]"
                cells = [self.cell(kind, name, index) for name in OF_PROMPTS]
                rows.append([kind, f"{factor:g} × {self.norm:g}", *cells, own])
        return [
            TableSpec(
                "What survives as the norm shrinks, mean over vectors [95% over prompts]",
                ["vectors", "norm", *OF_PROMPTS, "effective dimension"],
                rows,
                f"Held-out prompts. Coordinates: participation ratio of the change. Largest: the {LARGEST_COORDINATES}"
                " coordinates that carry most of the change at full norm on other prompts. Effective dimension:"
                " directions that the changes after all prompts fill; its interval is over vectors.",
            )
        ]

    def arrays(self) -> dict[str, ArrayLike]:
        """All of it."""
        flat: dict[str, ArrayLike] = {
            f"{kind}/{name}": rows for kind, by in self.measured.items() for name, rows in by.items()
        }
        return flat | {f"{kind}/effective dimension": rows for kind, rows in self.dimensions.items()}


def sweep_norms(bench: Bench, kinds: Kinds, held_out: LawReader) -> NormsPart:
    """Searched and random vectors at every factor, on held-out prompts."""
    measured: dict[str, dict[str, Array]] = {}
    dimensions = {}
    for kind in (SEARCHED, RANDOM):
        scaled = [[factor * vector for vector in kinds.vectors[kind]] for factor in FACTORS]
        changes = [
            later_changes(bench.model, bench.tokenizer, vectors, bench.held_out, bench.read_site) for vectors in scaled
        ]
        laws = [held_out.at(vectors) for vectors in scaled]
        full = changes[FULL]
        moved = np.stack([each.moved() for each in changes])
        measured[kind] = {
            CHANGE: moved,
            PER_NORM: moved / (np.array(FACTORS)[:, None, None] * kinds.searches[0].norm),
            COSINE: np.stack([each.cosine(full) for each in changes]),
            COORDINATES: np.stack([each.coordinates for each in changes]),
            KEPT: np.stack([_kept(each, full) for each in changes]),
            MEANING: np.stack([agreement(each.odds, laws[FULL].odds) for each in laws]),
            KL: np.stack([each.kl for each in laws]),
        }
        dimensions[kind] = np.stack([each.effective_dimension for each in changes])
    return NormsPart(norm=kinds.searches[0].norm, measured=measured, dimensions=dimensions)


def _kept(changes: LaterChanges, full: LaterChanges) -> Array:
    """Share of the squared change in the coordinates that are largest at full norm over all other prompts, (k, n)."""
    squares = full.displacement.double().square().numpy()
    squares /= squares.sum(axis=2, keepdims=True)
    others = squares.sum(axis=1, keepdims=True) - squares
    largest = np.argpartition(-others, LARGEST_COORDINATES - 1, axis=2)[..., :LARGEST_COORDINATES]
    own = changes.displacement.double().square().numpy()
    return np.asarray(np.take_along_axis(own, largest, axis=2).sum(axis=2) / own.sum(axis=2))
