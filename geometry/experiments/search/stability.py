"""Do searches from different random vectors find the same? Vectors, their changes and their effects on concepts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
from scipy.spatial.distance import squareform

from geometry.concepts import short_name
from geometry.display import short_repr
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.search.kinds import FILTERED, SEARCHED, Kinds
from geometry.experiments.search.labels import BY_CHANGE, BY_MEANING, BY_VECTOR, TOGETHER, WAYS
from geometry.experiments.search.laws import NATS, LawReader
from geometry.experiments.search.setup import Bench
from geometry.intervals import said_mean, summarise
from geometry.search import FoundVectors, later_changes

Array = NDArray[np.float64]
_DRAWS = 200


@dataclass(frozen=True, eq=False, kw_only=True)
class StabilityPart(Part):
    """s searches of k vectors each, and as many filtered random sets.

    Attributes:
        seeds: of the searches.
        search: which one each of the s·k vectors is of, shape (s·k,).
        alike: kind → way → similarity of every two vectors, shape (s·k, s·k).
        overlap: kind → ‖A Bᵀ‖²/k of every two searches' orthonormal directions: 1 for the same span.
        width: d; by chance spans overlap by k/d.
        profiles: kind → mean change of the log-odds of each of c concepts at equal KL, nan where a vector does not
            reach it, shape (s·k, c).
        names: of the concepts.
    """

    seeds: tuple[int, ...]
    search: NDArray[np.int64]
    alike: Mapping[str, Mapping[str, Array]]
    overlap: Mapping[str, Array]
    width: int
    profiles: Mapping[str, Array]
    names: tuple[str, ...]

    __repr__ = short_repr

    @property
    def n_vectors(self) -> int:
        """k."""
        return int((self.search == self.search[0]).sum())

    def best(self, kind: str, way: str) -> Array:
        """Each vector's similarity with its most similar one of another search, mean over searches, shape (s·k,)."""
        matrix = self.alike[kind][way]
        others = np.unique(self.search)
        rows = [np.where(self.search == other, np.nan, matrix[:, self.search == other].max(axis=1)) for other in others]
        return np.asarray(np.nanmean(rows, axis=0))

    def within(self, kind: str) -> Array:
        """Each vector's mean cosine of changes with the others of its own search, shape (s·k,)."""
        same = self.search[:, None] == self.search
        np.fill_diagonal(same, val=False)
        return np.asarray((self.alike[kind][BY_CHANGE] * same).sum(axis=1) / same.sum(axis=1))

    def order(self, kind: str) -> NDArray[np.int64]:
        """Vectors by clusters of their changes."""
        return np.asarray(leaves_list(_tree(self.alike[kind][BY_CHANGE])))

    @cached_property
    def clusters(self) -> dict[str, NDArray[np.int64]]:
        """Kind → the cluster of each vector, by average linkage of their changes, joined down to a cosine of 0.5."""
        return {
            kind: np.asarray(fcluster(_tree(by[BY_CHANGE]), 1 - TOGETHER, criterion="distance"))
            for kind, by in self.alike.items()
        }

    def largest(self, kind: str) -> int:
        """How many vectors the largest cluster holds."""
        return int(np.bincount(self.clusters[kind]).max())

    def shared(self, kind: str) -> tuple[int, int]:
        """How many clusters there are, and how many hold a vector of every search."""
        groups = self.clusters[kind]
        each = [len(np.unique(self.search[groups == group])) for group in np.unique(groups)]
        return len(each), sum(count == len(self.seeds) for count in each)

    def named(self) -> list[tuple[int, int, str, float, float]]:
        """The clusters of searched vectors, largest first: vectors, searches, concepts that rise and fall most against
        filtered random vectors, the largest |z| over concepts, and its mean for as many of those, drawn 200 times."""
        groups, reached = self.clusters[SEARCHED], np.isfinite(self.profiles[SEARCHED]).all(axis=1)
        random = self.profiles[FILTERED][np.isfinite(self.profiles[FILTERED]).all(axis=1)]
        rng, found = np.random.default_rng(0), []
        for group in np.unique(groups):
            chosen = np.flatnonzero(groups == group)
            own = self.profiles[SEARCHED][(groups == group) & reached]
            said, largest, null = "–", np.nan, np.nan
            if len(own) and len(random) > 3:
                row = _z(own, random)
                order = np.argsort(-row, kind="stable")
                up, down = (", ".join(short_name(self.names[k]) for k in part) for part in (order[:3], order[::-1][:3]))
                said, largest, count = f"+ {up}; − {down}", float(np.abs(row).max()), min(len(own), len(random) // 2)
                drawn = [rng.permutation(len(random)) for _ in range(_DRAWS)]
                null = float(np.mean([np.abs(_z(random[d[:count]], random[d[count:]])).max() for d in drawn]))
            found.append((len(chosen), len(np.unique(self.search[chosen])), said, largest, null))
        return sorted(found, key=lambda each: -each[0])

    def summary(self) -> list[str]:
        """Whether seeds agree."""
        cells = [
            f"{way} {said_mean(self.best(SEARCHED, way))} (filtered random {said_mean(self.best(FILTERED, way))})"
            for way in WAYS
        ]
        (total, common), (null_total, null_common) = self.shared(SEARCHED), self.shared(FILTERED)
        own, random = (said_mean(self.within(kind)) for kind in (SEARCHED, FILTERED))
        _, _, concepts, largest, null = self.named()[0]
        said = [
            f"Of {len(self.seeds)} searches of {self.n_vectors} vectors, a vector and the most similar one of another"
            f" search: {'; '.join(cells)}.",
            f"Their spans overlap by {self.overlap[SEARCHED].mean():.2f} (filtered random"
            f" {self.overlap[FILTERED].mean():.3f}, by chance {self.n_vectors / self.width:.3f}; 1: the same span).",
            f"Orthogonal vectors of one search make changes of cosine {own} (filtered random {random}). By their"
            f" changes the {len(self.search)} vectors form {total} clusters, the largest of {self.largest(SEARCHED)},"
            f" and {common} of them with vectors of every search; filtered random ones {null_total}, the largest of"
            f" {self.largest(FILTERED)}, and {null_common} of every search.",
        ]
        if np.isfinite(largest):
            said.append(
                f"At {NATS:g} nats of KL the largest cluster's vectors change concepts' log-odds, against filtered"
                f" random ones: {concepts} (largest |z| {largest:.1f}; as many random vectors {null:.1f})."
            )
        return said

    def to_dict(self) -> dict[str, Any]:
        """Similarities with the most similar, overlaps, clusters."""
        return {
            "seeds": list(self.seeds),
            "vectors": {
                kind: {
                    **{way: summarise(self.best(kind, way)) for way in WAYS},
                    "overlap": self.overlap[kind].tolist(),
                    "within a search": summarise(self.within(kind)),
                    "clusters": self.shared(kind)[0],
                    "largest_cluster": self.largest(kind),
                    "clusters_of_every_search": self.shared(kind)[1],
                }
                for kind in self.alike
            },
            "overlap_by_chance": self.n_vectors / self.width,
            "clusters": [
                {
                    "vectors": count,
                    "searches": searches,
                    "concepts": concepts,
                    "largest_z": None if np.isnan(z) else z,
                    "largest_z_random": None if np.isnan(null) else null,
                }
                for count, searches, concepts, z, null in self.named()
            ],
        }

    def figures(self) -> list[FigureSpec]:
        """All pairs, in the order of the clusters."""
        from geometry.experiments.search.stability_figures import stability

        return [stability(self)]

    def tables(self) -> list[TableSpec]:
        """Kind × way."""
        rows = [
            [kind, *(said_mean(self.best(kind, way)) for way in WAYS), f"{self.overlap[kind].mean():.3f}",
             "{} ({})".format(*self.shared(kind))]
            for kind in self.alike
        ]  # fmt: skip
        return [
            TableSpec(
                "Do searches with different seeds find the same? The most similar vector of another search, mean [95%]",
                ["vectors", *WAYS, "overlap of spans", "clusters (of every search)"],
                rows,
                f"Seeds {', '.join(map(str, self.seeds))}; intervals over vectors; clusters by average linkage of"
                f" changes down to a cosine of {TOGETHER:g}.",
            ),
            TableSpec(
                "Clusters of searched vectors by their changes, named through concepts",
                ["cluster", "vectors", "of searches", "concepts", "largest |z|", "of random vectors"],
                [
                    [
                        str(number),
                        str(count),
                        str(searches),
                        concepts,
                        *(f"{x:.1f}" if np.isfinite(x) else "–" for x in (z, null)),
                    ]
                    for number, (count, searches, concepts, z, null) in enumerate(self.named(), 1)
                ],
                f"Mean change of log-odds over held-out prompts and a cluster's vectors, all at {NATS:g} nats of KL,"
                " less that of filtered random vectors, in standard errors of a mean of as many of these; of random"
                f" vectors, some against the others, the mean of {_DRAWS} draws, seed 0.",
            ),
        ]

    def arrays(self) -> dict[str, ArrayLike]:
        """All similarities."""
        flat: dict[str, ArrayLike] = {
            f"{kind}/{way}": rows for kind, by in self.alike.items() for way, rows in by.items()
        }
        flat |= {f"{kind}/log-odds of concepts": rows for kind, rows in self.profiles.items()}
        return flat | {"search": self.search, "names": np.array(self.names)}


def _z(rows: Array, others: Array) -> Array:
    """Mean of rows (m, c) less that of others, in standard errors of a mean of m of the others, shape (c,)."""
    return np.asarray((rows.mean(axis=0) - others.mean(axis=0)) / (others.std(axis=0, ddof=1) / np.sqrt(len(rows))))


def _tree(similarity: Array) -> Array:
    distance = np.clip(1 - (similarity + similarity.T) / 2, 0, None)
    np.fill_diagonal(distance, 0)
    return np.asarray(linkage(squareform(distance, checks=False), method="average"))


def compare_searches(bench: Bench, kinds: Kinds, held_out: LawReader) -> StabilityPart:
    """All vectors of all searches against each other, on held-out prompts."""
    alike, overlap, profiles = {}, {}, {}
    for kind, found in ((SEARCHED, kinds.searches), (FILTERED, kinds.filtered)):
        vectors = [vector for each in found for vector in each]
        changes = later_changes(bench.model, bench.tokenizer, vectors, bench.held_out, bench.read_site).displacement
        unit = changes.double() / changes.double().norm(dim=2, keepdim=True)
        directions = np.concatenate([each.directions for each in found])
        profiles[kind] = held_out.at_equal_kl(vectors).profile
        alike[kind] = {
            BY_VECTOR: np.abs(directions @ directions.T),
            BY_CHANGE: _cosines(unit.mean(dim=1).numpy()),
            BY_MEANING: np.corrcoef(held_out.at(vectors).profile),
        }
        overlap[kind] = _overlaps(found)
    first = kinds.searches[0]
    return StabilityPart(
        seeds=tuple(each.seed for each in kinds.searches), alike=alike, overlap=overlap, width=first[0].width,
        search=np.repeat(np.arange(len(kinds.searches)), len(first)), profiles=profiles, names=bench.hierarchy.names,
    )  # fmt: skip


def _cosines(rows: Array) -> Array:
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.clip(unit @ unit.T, -1, 1))


def _overlaps(found: Sequence[FoundVectors]) -> Array:
    spans = [each.directions for each in found]
    pairs = [(a, b) for index, a in enumerate(spans) for b in spans[index + 1 :]]
    return np.array([np.square(a @ b.T).sum() / len(a) for a, b in pairs])
