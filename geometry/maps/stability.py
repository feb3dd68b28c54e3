"""Choosing Mapper's cover and clusterer: settings under which a sample of the points gives the same graph."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import comb

from geometry.arguments import checked
from geometry.display import html_table, short_repr
from geometry.errors import EstimationError
from geometry.maps.lenses import Lens, lens_values
from geometry.maps.mapper_algorithm import Clustered, Clusterer, Cover, NoClusterError, mapper_of_values
from geometry.maps.neighbours import MutualNeighbours
from geometry.maps.points import LabelledPoints
from geometry.progress import progress_bar
from geometry.randomness import generator

COVERS = tuple(Cover(cubes, overlap) for cubes in (6, 12) for overlap in (0.3, 0.5))
# A graph that leaves out most points, or puts most into one node, says little however stable it is.
_COVERAGE = 0.5
_LARGEST_NODE = 0.5


@dataclass(frozen=True)
class StabilitySetting:
    """One setting of Mapper, its graph of all points, and how those of samples differ.

    From `nodes` to `largest_node` (the share of points in it) the numbers are of the graph of all points.

    `agreement` is the adjusted Rand index of the clusters, all points' against a sample's, pooled within the cover's
    intervals and averaged over samples: 1 is the same clusters, 0 chance or one cluster in every interval. What the
    cover alone puts together does not count. Noise counts as a cluster. The rest is over the samples' graphs.
    """

    cover: Cover
    clusterer: Clusterer
    nodes: int
    components: int
    loops: int
    coverage: float
    largest_node: float
    agreement: float
    standard_error: float
    components_mean: float
    components_sd: float
    loops_mean: float
    loops_sd: float

    __repr__ = short_repr

    @property
    def informative(self) -> bool:
        """Whether at least half of the points are in nodes and no node holds more than half of them."""
        return self.coverage >= _COVERAGE and self.largest_node <= _LARGEST_NODE

    def to_dict(self) -> dict[str, Any]:
        """A row of the table, for results.json."""
        numbers = {name: value for name, value in vars(self).items() if name not in ("cover", "clusterer")}
        return {**vars(self.cover), "clusterer": str(self.clusterer), **numbers, "informative": self.informative}


@dataclass(frozen=True)
class StabilitySweep:
    """All settings that were tried and found any cluster, in the order tried."""

    settings: tuple[StabilitySetting, ...]

    __repr__ = short_repr

    @property
    def choice(self) -> StabilitySetting:
        """The setting of most nodes among those whose agreement is within one standard error of the best.

        Settings that are not `informative` are passed over while there are others.
        """
        candidates = [setting for setting in self.settings if setting.informative] or list(self.settings)
        best = max(candidates, key=lambda setting: setting.agreement)
        as_good = [setting for setting in candidates if setting.agreement >= best.agreement - best.standard_error]
        return max(as_good, key=lambda setting: setting.nodes)

    def _repr_html_(self) -> str:
        heads = ("cover", "clusterer", "nodes", "components", "loops", "coverage", "agreement", "informative", "chosen")
        choice, rows = self.choice, []
        for each in self.settings:
            numbers = (each.nodes, each.components, each.loops, each.coverage, each.agreement, each.informative)
            rows.append((repr(each.cover), repr(each.clusterer), *numbers, "✓" if each is choice else ""))
        return html_table(heads, rows, f"{len(rows)} settings of Mapper, the most stable chosen")

    def to_dict(self) -> dict[str, Any]:
        """The table and the number of the chosen row."""
        choice = self.settings.index(self.choice)
        return {"settings": [setting.to_dict() for setting in self.settings], "choice": choice}


@checked
def stability_sweep(
    labelled: LabelledPoints,
    lens: Lens,
    *,
    covers: Sequence[Cover] = COVERS,
    clusterers: Sequence[Clusterer] | None = None,
    resamples: int = 5,
    sample_fraction: float = 0.8,
    seed: int = 0,
    progress: bool | None = None,
) -> StabilitySweep:
    """Mapper on all points and on samples of them, for every cover with every clusterer.

    The lens is evaluated and covered once, on all points, so that the samples' intervals are the same. Labels do
    not enter but through the lens. The default clusterers are `MutualNeighbours` of 5, 10 and 20 neighbours. All
    settings have the same samples, `resamples` in number, of a `sample_fraction` of the points (between 0 and 1).

    EstimationError: no setting, fewer than 2 samples, a fraction out of range, a lens as in `mapper`, or no cluster.
    """
    combinations = list(product(covers, clusterers or [MutualNeighbours(k) for k in (5, 10, 20)]))
    if not combinations or resamples < 2 or not 0 < sample_fraction < 1:
        raise EstimationError(
            f"a sweep needs a cover, at least 2 samples and a fraction between 0 and 1,"
            f" not {len(covers)}, {resamples} and {sample_fraction:g}"
        )
    values, n = lens_values(lens, labelled), len(labelled)
    size = max(2, round(sample_fraction * n))
    samples = [np.sort(generator(seed, "mapper sample", index).permutation(n)[:size]) for index in range(resamples)]
    bar = progress_bar(combinations, "Mapper: settings", progress=progress)
    measured = [_setting(labelled.points, values, samples, *combination) for combination in bar]
    if settings := tuple(setting for setting in measured if setting is not None):
        return StabilitySweep(settings)
    raise NoClusterError(f"none of {len(combinations)} settings finds a cluster among {n} points; take fewer cubes")


def _setting(
    points: NDArray[Any], values: NDArray[Any], samples: Sequence[NDArray[np.int64]], cover: Cover, clusterer: Clusterer
) -> StabilitySetting | None:
    try:
        intervals: list[Clustered] = []
        whole = mapper_of_values(points, values, cover, clusterer, intervals=intervals)
    except NoClusterError:
        return None
    agreement, components, loops = np.zeros((3, len(samples)))
    for index, rows in enumerate(samples):
        of_sample: list[Clustered] = []
        with suppress(NoClusterError):
            graph = mapper_of_values(points, values, cover, clusterer, rows, of_sample)
            components[index], loops[index] = graph.components, graph.loops
        agreement[index] = pooled_agreement(intervals, [(rows[numbers], labels) for numbers, labels in of_sample])
    return StabilitySetting(
        cover=cover,
        clusterer=clusterer,
        nodes=len(whole),
        components=whole.components,
        loops=whole.loops,
        coverage=whole.coverage,
        largest_node=max(map(len, whole.nodes)) / len(points),
        agreement=float(np.mean(agreement)),
        standard_error=float(np.std(agreement, ddof=1) / np.sqrt(len(samples))),
        components_mean=float(np.mean(components)),
        components_sd=float(np.std(components, ddof=1)),
        loops_mean=float(np.mean(loops)),
        loops_sd=float(np.std(loops, ddof=1)),
    )


def pooled_agreement(whole: Sequence[Clustered], sample: Sequence[Clustered]) -> float:
    """Rand index adjusted for chance, its numerator and denominator summed over intervals; 0 where it is 0/0.

    Pairs of points of the same interval are counted, in the intervals' common order. Source of the adjustment:
    Hubert & Arabie, J. Classification 2 (1985).
    """
    ahead = possible = 0.0
    intervals = iter(whole)
    for rows, labels in sample:
        # Intervals with less than two points of the sample were not clustered, and so never hold its rows.
        all_rows, all_labels = next(interval for interval in intervals if np.isin(rows, interval[0]).all())
        _, before = np.unique(all_labels[np.searchsorted(all_rows, rows)], return_inverse=True)
        _, after = np.unique(labels, return_inverse=True)
        table = np.zeros((before.max() + 1, after.max() + 1))
        np.add.at(table, (before, after), 1)
        pairs, first, second = (comb(counts, 2).sum() for counts in (table, table.sum(axis=1), table.sum(axis=0)))
        expected = first * second / comb(len(rows), 2)
        ahead += pairs - expected
        possible += (first + second) / 2 - expected
    return float(ahead / possible) if possible > 1e-9 else 0.0
