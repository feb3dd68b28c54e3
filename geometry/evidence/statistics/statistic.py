"""What a structure test measures: a pure function of concept vectors, with the nulls it is read beside.

One number per concept, edge or pair, so that every statistic runs on every null model.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.directions import ConceptDirections
from geometry.display import short_repr
from geometry.evidence.requirements import FEWEST as FEWEST
from geometry.evidence.requirements import Requirement
from geometry.evidence.splits import Split


@checked
@dataclass(frozen=True)
class Statistic:
    """A named measurement, one of the package's or of one's own.

    >>> def norms(directions):
    ...     return directions.vectors.norm(dim=1).numpy()
    >>> statistic = Statistic("norms", "whole", 0.0, norms, lambda directions: directions.hierarchy.names)

    Attributes:
        name: its key among results: what the user called.
        split: of tokens, on whose training part the vectors are fitted.
        unstructured: its value where there is no structure: 0 for a cosine, 0.5 for an AUC; nan where that depends on
            the width, so that null models alone say it.
        evaluate: from directions to one number per label; nan where there is too little data. After the split "halves"
            it is given the directions of both.
        labels: what the numbers belong to.
        not_beside: names of null models that it means nothing on.
        clusters: from directions to a number for each label: labels with one number are drawn again together in a
            bootstrap, as children of one parent share words. Default, each by itself.
        resample: bootstrap of the mean, from what `evaluate` is given and a random generator to one mean a resample,
            where the labels are not the units; default, the labels are drawn again.
        requires: what a hierarchy must have for anything to be measured.
    """

    name: str
    split: Split
    unstructured: float
    evaluate: Callable[..., NDArray[np.float64]]
    labels: Callable[[ConceptDirections], tuple[str, ...]]
    not_beside: tuple[str, ...] = ()
    resample: Callable[..., NDArray[np.float64]] | None = None
    clusters: Callable[[ConceptDirections], NDArray[np.int64]] | None = None
    requires: tuple[Requirement, ...] = ()

    __repr__ = short_repr


def concept_labels(directions: ConceptDirections) -> tuple[str, ...]:
    """Of one number for each reported concept."""
    return tuple(directions.hierarchy.labels[index] for index in directions.hierarchy.reported)


def concept_families(directions: ConceptDirections) -> NDArray[np.int64]:
    """Concepts by their first parent."""
    return directions.hierarchy.above[list(directions.hierarchy.reported)]


def edge_labels(directions: ConceptDirections) -> tuple[str, ...]:
    """Of one number for each reported edge."""
    labels = directions.hierarchy.labels
    return tuple(f"{labels[child]} < {labels[parent]}" for parent, child in directions.hierarchy.reported_edges)


def edge_families(directions: ConceptDirections) -> NDArray[np.int64]:
    """Edges by their parent."""
    return np.array([parent for parent, _ in directions.hierarchy.reported_edges], dtype=np.int64)


def keyed(name: str, option: str, default: str) -> str:
    """The key of a statistic: its function's name, and an option that is not the default."""
    return name if option == default else f"{name}_{option}".replace("-", "_")
