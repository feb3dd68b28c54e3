"""Category + position, block by block: retrieval and error of left-out values, beside nulls and the output layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from geometry.display import short_repr
from geometry.evidence.series.composition import additive_composition
from geometry.experiments.composition.setup import UNEMBEDDING, Bench, Vectors
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.intervals import central, interval_of, mean_of, summarise

Array = NDArray[np.float64]
MEASURES = ("rank", "error")


@dataclass(frozen=True, eq=False)
class Additive:
    """The two-way model at one place; m cells that can be left out.

    Attributes:
        cells: (series, value).
        rank: normalised rank of the true value by cosine with the prediction, 1 the best, shape (m,).
        error: squared error over squared distance from the mean of the category's others, shape (m,); 1: the
            position adds nothing.
        shuffled, random: measure → means with positions permuted within series; of random words; shape (draws,).
    """

    cells: tuple[tuple[str, str], ...]
    rank: Array
    error: Array
    shuffled: Mapping[str, Array]
    random: Mapping[str, Array]

    __repr__ = short_repr

    def p_value(self) -> float:
        """How often permuted positions retrieve as well."""
        null = self.shuffled["rank"]
        return float((1 + (null >= self.rank.mean()).sum()) / (1 + len(null)))

    def to_dict(self) -> dict[str, Any]:
        """Means with intervals over cells, and nulls."""
        owners = np.array([name for name, _ in self.cells])
        return {
            "rank": summarise(self.rank),
            "error": summarise(self.error),
            "p": self.p_value(),
            "shuffled_positions": {name: float(values.mean()) for name, values in self.shuffled.items()},
            "random_words": {name: mean_of(values) if len(values) else None for name, values in self.random.items()},
            "by_series": {name: float(self.rank[owners == name].mean()) for name in dict.fromkeys(owners.tolist())},
        }


@dataclass(frozen=True, eq=False)
class SeriesPart(Part):
    """The additive model everywhere.

    Attributes:
        at: place → the model there. inside: the places that are sites. control: name of word vectors, or None.
    """

    at: Mapping[str, Additive]
    inside: tuple[str, ...]
    control: str | None

    __repr__ = short_repr

    @property
    def best(self) -> str:
        """The site inside where left-out values are retrieved best, the first of them."""
        return max(self.inside, key=lambda place: self.at[place].rank.mean())

    def summary(self) -> list[str]:
        """At the embedding, the first MLP, the best site, and outside."""
        lines = []
        shown = dict.fromkeys([*self.inside[:2], self.best, UNEMBEDDING, *([self.control] if self.control else [])])
        for place in shown:
            found = self.at[place]
            (low, high), (below, above) = interval_of(found.rank), interval_of(found.error)
            lines.append(
                f"Category + position at {place}: normalised rank {found.rank.mean():.2f} [{low:.2f}, {high:.2f}]"
                f" (positions permuted {found.shuffled['rank'].mean():.2f}, p = {found.p_value():.2g}"
                + (f"; random words {found.random['rank'].mean():.2f}" if len(found.random["rank"]) else "")
                + f"), squared error {found.error.mean():.2f} [{below:.2f}, {above:.2f}] of the category mean's"
                f" ({found.shuffled['error'].mean():.2f})."
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Place → its numbers."""
        return {place: found.to_dict() for place, found in self.at.items()}

    def figures(self) -> list[FigureSpec]:
        """Both measures by site."""
        from geometry.experiments.composition.figures import series

        return [series(self)]

    def tables(self) -> list[TableSpec]:
        """By place and by series."""
        names = list(dict.fromkeys(name for name, _ in next(iter(self.at.values())).cells))
        rows = []
        for place, found in self.at.items():
            (low, high), (below, above) = interval_of(found.rank), interval_of(found.error)
            own = found.to_dict()["by_series"]
            rows.append(
                [place, f"{found.rank.mean():.2f} [{low:.2f}, {high:.2f}]", f"{found.shuffled['rank'].mean():.2f}",
                 f"{found.p_value():.2g}", f"{found.error.mean():.2f} [{below:.2f}, {above:.2f}]",
                 *(f"{own[name]:.2f}" if name in own else "–" for name in names)]
            )  # fmt: skip
        return [
            TableSpec(
                "A value as category + position",
                ["place", "normalised rank", "permuted", "p", "squared error", *names],
                rows,
                "Leave-one-out retrieval in the value's own series, 1: always first. Permuted positions stay below ½,"
                " as a category's mean without the value points away from it. Squared error against that mean's. 95%"
                " intervals over values.",
            )
        ]

    def arrays(self) -> dict[str, ArrayLike]:
        """Both measures of every cell."""
        return {f"{place}/{name}": getattr(found, name) for place, found in self.at.items() for name in MEASURES}

    def band(self, place: str, name: str) -> tuple[float, float]:
        """95% of permuted positions."""
        return central(self.at[place].shuffled[name])


def by_place(bench: Bench) -> SeriesPart:
    """The additive model at every place."""
    study = bench.study
    at = {}
    with threadpool_limits(1):
        for place, vectors in bench.vectors.items():
            at[place] = additive(vectors, bench.random.get(place), n_permutations=study.n_permutations, seed=study.seed)
    control = study.control if study.control in bench.vectors else None
    return SeriesPart(at, tuple(map(str, bench.inside)), control)


def additive(vectors: Vectors, random: Array | None, *, n_permutations: int, seed: int) -> Additive:
    """The additive model, with positions permuted within series, and with random rows (n, d) in the values' place."""
    cells, rank, error = _fit(vectors, seed)
    rng = np.random.default_rng(seed)
    nulls: dict[str, dict[str, list[float]]] = {
        null: {name: [] for name in MEASURES} for null in ("shuffled", "random")
    }
    for _ in range(n_permutations):
        moved = {name: (values, rng.permutation(places), rows) for name, (values, places, rows) in vectors.items()}
        _append(nulls["shuffled"], _fit(moved, seed))
        if random is not None:
            drawn = {}
            order = rng.permutation(len(random))
            for name, (values, places, _) in vectors.items():
                drawn[name] = (values, places, random[order[: len(values)]])
                order = order[len(values) :]
            _append(nulls["random"], _fit(drawn, seed))
    shuffled, others = ({name: np.array(values) for name, values in null.items()} for null in nulls.values())
    return Additive(cells, rank, error, shuffled, others)


def _append(null: dict[str, list[float]], fitted: tuple[Any, Array, Array]) -> None:
    for name, values in zip(MEASURES, fitted[1:], strict=True):
        null[name].append(float(values.mean()))


def _fit(vectors: Vectors, seed: int) -> tuple[tuple[tuple[str, str], ...], Array, Array]:
    """Cells, normalised ranks and relative errors."""
    found = additive_composition(vectors, n_permutations=1, seed=seed)
    errors = []
    for (name, value), composed in zip(found.cells, found.composed, strict=True):
        values, _, rows = vectors[name]
        index = values.index(value)
        mean = np.delete(rows, index, axis=0).mean(axis=0)
        errors.append(((rows[index] - composed) ** 2).sum() / max(((rows[index] - mean) ** 2).sum(), 1e-300))
    return found.cells, found.values, np.array(errors)
