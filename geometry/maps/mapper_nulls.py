"""A Mapper graph beside those of null models that went through the same lens, cover and clusterer."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from tqdm import tqdm

from geometry.errors import EstimationError
from geometry.maps.lenses import Lens
from geometry.maps.mapper_algorithm import Clusterer, Cover, NoClusterError, mapper
from geometry.maps.mapper_graph import MapperGraph
from geometry.maps.mapper_nodes import node_concepts
from geometry.maps.null_points import POINT_NULLS, PointNull
from geometry.maps.points import LabelledPoints
from geometry.randomness import generator
from geometry.results import NullValues, TestResult


@dataclass(frozen=True, eq=False)
class MapperComparison:
    """Numbers of a Mapper graph beside those of its nulls.

    Attributes
    ----------
    graph : the graph of the points themselves.
    tests : statistic → result: nodes, edges, components, loops, holes, coverage and node purity ("purity"). Purity is
        tested for being larger than the null's, all else two-sided, with a p of at least 2/(1 + n_permutations).
    """

    graph: MapperGraph
    tests: Mapping[str, TestResult]

    def to_dict(self) -> dict[str, Any]:
        """Each statistic's entry with every null's p, for results.json."""
        return {
            name: test.to_dict() | {"p_values": {null: test.p_against(null) for null in test.nulls}}
            for name, test in self.tests.items()
        }

    def __repr__(self) -> str:
        return "Mapper: " + ", ".join(
            f"{name} {test.value:.3g} ({', '.join(f'{null} {values.mean:.3g}' for null, values in test.nulls.items())})"
            for name, test in self.tests.items()
        )


class _GraphStatistic(TestResult):
    def p_against(self, null: str) -> float:
        """As of every result, but nan where no permutation changes the number, as it does not enter there."""
        varies = (self.nulls[null].values != self.value).any()
        return super().p_against(null) if varies else float("nan")


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

    >>> points = np.random.default_rng(0).normal(size=(120, 5)) + 9 * (np.arange(120) < 60)[:, None]
    >>> labelled = LabelledPoints.of_classes(points, ["high"] * 60 + ["low"] * 60)
    >>> compare_mapper(labelled, lambda labelled: labelled.points[:, 0]).tests["purity"].p_value
    0.05

    Parameters
    ----------
    lens, cover, clusterer : see `mapper`.
    nulls : name → null model; default shuffled labels (for purity) and Gaussian points (for components and loops).
        For tokens add `token_null(space, cloud)`. A graph without a cluster has no components and a purity of nan.
    progress : show a progress bar; default, when standard error is a terminal.

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
    for null, index in tqdm(jobs, "Mapper: nulls", disable=None if progress is None else not progress, leave=False):
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
