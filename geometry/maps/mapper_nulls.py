"""A Mapper graph beside those of null models that went through the same lens, cover and clusterer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from geometry.errors import EstimationError
from geometry.maps.lenses import Lens
from geometry.maps.mapper import Clusterer, Cover, NoClusterError, mapper
from geometry.maps.mapper_graph import MapperGraph
from geometry.maps.node_concepts import node_concepts
from geometry.maps.null_points import PointNull, gaussian_points, shuffled_labels
from geometry.maps.points import LabelledPoints
from geometry.evidence import permutation_p, stream


@dataclass(frozen=True, eq=False)
class MapperComparison:
    """Numbers of a Mapper graph beside those of its nulls.

    Attributes
    ----------
    graph : the graph of the points themselves.
    values : name → number: nodes, edges, components, loops, holes, coverage and the mean purity of its nodes.
    nulls : null → name → the same number of each draw, shape (draws,); a draw without a cluster has no
        components and a purity of nan.
    """

    graph: MapperGraph
    values: Mapping[str, float]
    nulls: Mapping[str, Mapping[str, NDArray[np.float64]]]

    def p_value(self, name: str, null: str) -> float:
        """Permutation p: of purity that the null's is as large, of all else two-sided. nan if it never varies.

        The two-sided p is twice the smaller of the two, and so at least 2/(1 + draws).
        """
        value, draws = self.values[name], self.nulls[null][name]
        if not (draws != value).any():
            return float("nan")
        if name == "purity":
            return permutation_p(value, draws, "greater")
        return min(1.0, 2 * min(permutation_p(value, draws, "greater"), permutation_p(value, draws, "less")))

    def to_dict(self) -> dict[str, Any]:
        """Each number with every null's mean, standard deviation and p, for results.json."""
        return {
            name: {
                "value": value,
                "nulls": {
                    null: {
                        "mean": float(np.nanmean(drawn[name])) if np.isfinite(drawn[name]).any() else None,
                        "sd": float(np.nanstd(drawn[name])) if np.isfinite(drawn[name]).any() else None,
                        "draws": len(drawn[name]),
                        "p_value": self.p_value(name, null),
                    }
                    for null, drawn in self.nulls.items()
                },
            }
            for name, value in self.values.items()
        }

    def __str__(self) -> str:
        beside = ", ".join(
            f"{name} {value:.3g} ("
            + ", ".join(f"{null} {np.nanmean(drawn[name]):.3g}" for null, drawn in self.nulls.items())
            + ")"
            for name, value in self.values.items()
        )
        return f"Mapper: {beside}"


def compare_mapper(
    labelled: LabelledPoints,
    lens: Lens,
    *,
    cover: Cover | None = None,
    clusterer: Clusterer | None = None,
    nulls: Mapping[str, PointNull] | None = None,
    draws: int = 19,
    seed: int = 0,
    progress: bool | None = None,
) -> MapperComparison:
    """Mapper on the points and on draws of each null, whose lens is computed from the null's points and labels.

    Parameters
    ----------
    lens, cover, clusterer : see `mapper`.
    nulls : name → null model; default shuffled labels (for purity) and Gaussian points (for components and loops).
        For tokens add `token_null(space, cloud)`.
    progress : show a progress bar; default, when standard error is a terminal.

    Raises
    ------
    EstimationError
        No draws, or as `mapper`.
    """
    if draws < 1:
        raise EstimationError(f"a null model needs at least one draw, not {draws}")
    chosen = {"labels": shuffled_labels, "gaussian": gaussian_points} if nulls is None else nulls
    graph = mapper(labelled, lens, cover=cover, clusterer=clusterer)
    values = _numbers(graph, labelled)
    drawn: dict[str, list[dict[str, float]]] = {null: [] for null in chosen}
    jobs = [(null, number) for null in chosen for number in range(draws)]
    quiet = None if progress is None else not progress
    for null, number in tqdm(jobs, desc="Mapper: nulls", disable=quiet, leave=False):
        points = chosen[null](labelled, generator(seed, f"mapper {null}", number))
        try:
            found = _numbers(mapper(points, lens, cover=cover, clusterer=clusterer), points)
        except NoClusterError:
            found = dict.fromkeys(values, 0.0) | {"purity": float("nan")}
        drawn[null].append(found)
    nulled = {null: {name: np.array([one[name] for one in all_]) for name in values} for null, all_ in drawn.items()}
    return MapperComparison(graph, values, nulled)


def _numbers(graph: MapperGraph, labelled: LabelledPoints) -> dict[str, float]:
    return {**graph.summary(), "purity": node_concepts(graph, labelled).mean_purity}
