"""A parent and some of its children at some layers: which they are, their vectors, their numbers beside a null."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import geometry.evidence as evidence
from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections, TokenCloud
from geometry.display import short_repr
from geometry.errors import EstimationError
from geometry.experiments.claims.illustrations import Fits, first_fits
from geometry.frames import Frame
from geometry.results import TestResult
from geometry.steering import Site

_ANIMALS = (("animal.n.01", "mammal.n.01", "bird.n.01"), ("animal", "mammal", "bird"))
_FEWEST = 10  # phrases of a concept that is shown, of which 3 are held out
_LARGEST = 0.5  # of all phrases, if there are others: a concept that holds all is the same however they are permuted
_OVERLAP = 0.2
NULL = "permuted"


@dataclass(frozen=True, eq=False)
class Family:
    """A parent and some of its children.

    Attributes:
        names: the parent, then the children.
        tests: site → results of these concepts alone, beside permutations of all phrases.
        fits: site → the model's vectors and those of the first permutation, fitted to 70% of the lemmas.
    """

    names: tuple[str, ...]
    tests: Mapping[Site, Sequence[TestResult]]
    fits: Mapping[Site, Fits]

    __repr__ = short_repr

    def held_out(self) -> dict[str, NDArray[np.int64]]:
        """Concept → the phrases that its vector was not fitted to; of the parent those of none of the children."""
        directions, (parent, *children) = next(iter(self.fits.values()))[0], self.names
        held = {name: directions.held_out(directions.hierarchy.index(name)) for name in self.names}
        return held | {parent: np.setdiff1d(held[parent], np.concatenate([held[child] for child in children]))}

    def to_dict(self) -> dict[str, Any]:
        """Concepts, and numbers by site."""
        by_site = {str(site): {test.name: test.to_dict() for test in tests} for site, tests in self.tests.items()}
        return {"concepts": list(self.names), "sites": by_site}


def animals(hierarchy: ConceptHierarchy) -> tuple[str, ...]:
    """Animal, mammal and bird where the hierarchy has them and enough phrases of each, else its best pair of siblings.

    Raises EstimationError: there is none.
    """
    for names in _ANIMALS:
        if all(name in hierarchy and len(hierarchy[name]) >= _FEWEST for name in names):
            return names
    return siblings(hierarchy, 2, 2)


def siblings(hierarchy: ConceptHierarchy, least: int, most: int) -> tuple[str, ...]:
    """The parent whose `least` largest children have most phrases, and up to `most` children that hardly share any.

    Raises EstimationError: no concept has as many children of 10 phrases.
    """
    shared, sizes = hierarchy.shared_tokens(), np.array([len(members) for members in hierarchy.members])
    best: tuple[Any, tuple[int, ...]] | None = None
    for parent, children in hierarchy.families.items():
        chosen: list[int] = []
        for child in sorted(children, key=lambda child: -sizes[child]):
            apart = shared[child, chosen] <= _OVERLAP * np.minimum(sizes[child], sizes[chosen])
            if sizes[child] >= _FEWEST and apart.all() and len(chosen) < most:
                chosen.append(child)
        if len(chosen) >= least:
            rank = (sizes[parent] <= _LARGEST * len(hierarchy.tokens), sizes[chosen[least - 1]])
            best = (rank, (parent, *chosen)) if best is None or rank > best[0] else best
    if best is None:
        raise EstimationError(
            f"no concept of {hierarchy.name!r} has {least} children of {_FEWEST} phrases, few of them shared"
        )
    return tuple(hierarchy.names[index] for index in best[1])


def measure_family(
    names: tuple[str, ...],
    hierarchy: ConceptHierarchy,
    spaces: Mapping[Site, CausalSpace],
    statistics: Sequence[evidence.Statistic],
    *,
    n_permutations: int,
    seed: int,
) -> Family:
    """Statistics of a family at some sites, beside permutations of all phrases of the hierarchy.

    Raises EstimationError: the first statistic cannot be measured of it, or vectors that span no plane or simplex.
    """
    # Roots keep all phrases among those that permutations exchange.
    own = hierarchy.only({*names, *(name for name in hierarchy.names if not hierarchy.parents[name])})
    labels = {*names, f"{names[0]} ({len(names) - 1})"}
    tests, fits = {}, {}
    options: Any = {"nulls": (NULL,), "n_permutations": n_permutations, "missing": "nan", "progress": False}
    for site, space in spaces.items():
        cloud = TokenCloud.of(space, own)
        results = evidence.test_against_nulls(space, cloud, statistics, seed=seed, **options)
        tests[site] = [_of_labels(test, labels) for test in results]
        if not tests[site][0].measured:
            raise EstimationError(f"{results[0].title}: too few held-out phrases of {', '.join(names)}")
        fits[site] = first_fits(space, cloud, "lemma", seed, NULL)
        for fit in fits[site]:
            _check_span(fit, *names)
    return Family(names, tests, fits)


def _of_labels(test: TestResult, labels: set[str]) -> TestResult:
    """The result of some labels alone."""
    kept = [index for index, label in enumerate(test.labels) if label in labels]
    nulls = {name: replace(null, values=null.values[:, kept]) for name, null in test.nulls.items()}
    names = tuple(test.labels[index] for index in kept)
    clusters = None if test.clusters is None else test.clusters[kept]
    nan = float("nan")
    return replace(
        test, labels=names, values=test.values[kept], nulls=nulls, clusters=clusters, lost=(), p_adjusted=nan
    )


def _check_span(fit: ConceptDirections, parent: str, first: str, *others: str) -> None:
    """Children span a simplex, and a pair of them with the parent a plane."""
    contrasts = [fit[other] - fit[first] for other in others]
    Frame.spanned_by(*([fit[parent]] if len(others) == 1 else []), *contrasts)
