"""Null models of labelled points, in which points or labels mean nothing, and a Mapper graph beside theirs."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.directions import TokenCloud
from geometry.display import fitted, html_table, short_repr
from geometry.errors import EstimationError
from geometry.evidence.nulls import NULLS, NullModel
from geometry.maps.lenses import Lens
from geometry.maps.mapper_algorithm import Clusterer, Cover, NoClusterError, mapper
from geometry.maps.mapper_graph import MapperGraph
from geometry.maps.mapper_nodes import node_concepts
from geometry.maps.points import LabelledPoints, group_exchange
from geometry.progress import progress_bar
from geometry.randomness import generator
from geometry.results import NullValues, TestResult


@dataclass(frozen=True)
class PointNull:
    """A null model of labelled points; it owns how figures and tables show it.

    `draw` makes other labelled points of them with a generator; `label` and `marker` are for figures and tables.
    """

    draw: Callable[[LabelledPoints, np.random.Generator], LabelledPoints]
    label: str
    marker: str = "|"

    __repr__ = short_repr


@checked
def shuffled_labels(labelled: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
    """Each group gets the concepts of another of its size; all points stay, and with them what no label entered."""
    moved_to = np.argsort(group_exchange(labelled.groups)(rng))
    return replace(labelled, members={name: moved_to[points] for name, points in labelled.members.items()})


@checked
def gaussian_points(labelled: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
    """Normal points with the mean and the covariance of the real ones: one blob, without clusters, holes or labels."""
    mean = labelled.points.mean(axis=0, dtype=np.float64)
    _, spread, axes = np.linalg.svd(labelled.points - mean, full_matrices=False)
    centred = rng.standard_normal((len(labelled), len(spread))) @ (spread[:, None] * axes) / np.sqrt(len(labelled))
    return labelled.moved(mean + centred)


POINT_NULLS: dict[str, PointNull] = {
    "labels": PointNull(shuffled_labels, "shuffled labels", "."),
    "gaussian": PointNull(gaussian_points, "Gaussian points", "|"),
}


@checked
def token_null(space: CausalSpace, cloud: TokenCloud, null: str | NullModel = "shuffled") -> PointNull:
    """A null model of rows for tokens of a cloud's hierarchy, which their names, the words, tell.

    "shuffled" gives every word the row of another token of the whole vocabulary: it destroys what rows the words
    have, and keeps sizes, overlaps and the vocabulary's own cloud. `null` is a name of `geo.NULLS` or a `NullModel`.

    EstimationError: an unknown null, one that changes concepts instead of rows; when drawing, a name that is no word.
    """
    if isinstance(null, str):
        of_rows = sorted(set(NULLS) - {"random_subset", "random_parent", "mean_estimator"})
        if null not in of_rows:
            raise EstimationError(f"null model {null!r} does not draw rows; choose from {', '.join(of_rows)}")
        null = NULLS[null]
    model, hierarchy = null, cloud.hierarchy
    index = {word: position for position, word in enumerate(hierarchy.words)}

    def draw(labelled: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
        if unknown := [name for name in labelled.names if name not in index]:
            raise EstimationError(f"point {unknown[0]!r} is no word of hierarchy {hierarchy.name!r}")
        own = np.array([index[name] for name in labelled.names])
        return labelled.moved(model.draw(space, cloud, rng).at(own))

    return PointNull(draw, model.label, model.marker)


@dataclass(frozen=True, eq=False)
class MapperComparison:
    """Numbers of a Mapper graph beside those of its nulls.

    `tests` holds results by statistic: nodes, edges, components, loops, holes, coverage and node purity ("purity").
    Purity is tested for being larger than the null's, all else two-sided, with a p of at least 2/(1 + n_permutations).
    """

    graph: MapperGraph
    tests: Mapping[str, TestResult]

    def to_dict(self) -> dict[str, Any]:
        """Each statistic's entry with every null's p, for results.json."""
        return {
            name: test.to_dict() | {"p_values": {null: test.p_against(null) for null in test.nulls}}
            for name, test in self.tests.items()
        }

    def _repr_html_(self) -> str:
        nulls = {name: null.label for test in self.tests.values() for name, null in test.nulls.items()}
        rows = []
        for name, test in self.tests.items():
            means = (test.nulls[null].mean if null in test.nulls else None for null in nulls)
            rows.append((name, test.value, *means, test.p_value))
        return html_table(("", "graph", *nulls.values(), "p"), rows, repr(self.graph))

    def __repr__(self) -> str:
        beside = [
            f"{name} {test.value:.3g} ({', '.join(f'{null} {values.mean:.3g}' for null, values in test.nulls.items())})"
            for name, test in self.tests.items()
        ]
        return fitted("Mapper", beside, "")


class _GraphStatistic(TestResult):
    def p_against(self, null: str) -> float:
        """As of every result, but nan where no permutation changes the number, as it does not enter there."""
        varies = (self.nulls[null].values != self.value).any()
        return super().p_against(null) if varies else float("nan")


@checked
def compare_mapper(
    labelled: LabelledPoints,
    lens: Lens,
    *,
    cover: Cover | None = None,
    clusterer: Clusterer | None = None,
    nulls: Mapping[str, PointNull] | None = None,
    n_permutations: int = 19,
    seed: int = 0,
    progress: bool | None = None,
) -> MapperComparison:
    """Mapper on the points and on permutations of each null, whose lens is computed from its own points and labels.

    For `lens`, `cover` and `clusterer` see `mapper`. The default `nulls`, name → null model, are shuffled labels (for
    purity) and Gaussian points (for components and loops); for tokens add `token_null(space, cloud)`. A graph without a
    cluster has no components and a purity of nan. For `progress` see `nearest_neighbours`.

    EstimationError: no permutations, or as `mapper`.
    """
    if n_permutations < 1:
        raise EstimationError(f"a null model needs at least one permutation, not {n_permutations}")
    nulls = POINT_NULLS if nulls is None else nulls
    graph = mapper(labelled, lens, cover=cover, clusterer=clusterer)
    values = _statistics(graph, labelled)
    without_cluster = dict.fromkeys(values, 0.0) | {"purity": float("nan")}
    permuted = {null: {name: np.empty((n_permutations, 1)) for name in values} for null in nulls}
    jobs = list(product(nulls, range(n_permutations)))
    for null, index in progress_bar(jobs, "Mapper: nulls", progress=progress):
        points = nulls[null].draw(labelled, generator(seed, f"mapper {null}", index))
        numbers = without_cluster
        with suppress(NoClusterError):
            numbers = _statistics(mapper(points, lens, cover=cover, clusterer=clusterer), points)
        for name, number in numbers.items():
            permuted[null][name][index] = number
    tests = {
        name: _GraphStatistic(
            name=name,
            labels=("graph",),
            values=np.array([value], dtype=np.float64),
            nulls={null: NullValues(permuted[null][name], model.label, model.marker) for null, model in nulls.items()},
            measure="node purity" if name == "purity" else name,
            alternative="greater" if name == "purity" else "two-sided",
        )
        for name, value in values.items()
    }
    return MapperComparison(graph, tests)


def _statistics(graph: MapperGraph, labelled: LabelledPoints) -> dict[str, float]:
    return {**graph.summary(), "purity": node_concepts(graph, labelled).mean_purity}
