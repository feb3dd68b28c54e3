"""What a structure test measures: a pure function of concept vectors, with the nulls it is read beside.

One number per concept, edge or pair, so that every statistic runs on every null model.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.directions import ConceptDirections
from geometry.evidence.splits import Split

FEWEST = 3  # a mean, an AUC or a correlation over fewer tokens or pairs says nothing


@dataclass(frozen=True)
class Statistic:
    """A named measurement, one of the package's or of one's own.

    >>> def norms(directions):
    ...     return directions.vectors.norm(dim=1).numpy()
    >>> statistic = Statistic("norms", "whole", 0.0, norms, lambda directions: directions.hierarchy.names)

    Attributes:
        name: its key among results: what the user called.
        split: of tokens, on whose training part the vectors are fitted.
        unstructured: its value where there is no structure: 0 for a cosine, 0.5 for an AUC.
        evaluate: from directions to one number per label; nan where there is too little data. After the split "halves"
            it is given the directions of both.
        labels: what the numbers belong to.
        not_beside: names of null models that it means nothing on.
        resample: bootstrap of the mean, from what `evaluate` is given and a random generator to one mean a resample,
            where the labels are not the units; default, the labels are drawn again.
    """

    name: str
    split: Split
    unstructured: float
    evaluate: Callable[..., NDArray[np.float64]]
    labels: Callable[[ConceptDirections], tuple[str, ...]]
    not_beside: tuple[str, ...] = ()
    resample: Callable[..., NDArray[np.float64]] | None = None


def keyed(name: str, option: str, default: str) -> str:
    """The key of a statistic: its function's name, and an option that is not the default."""
    return name if option == default else f"{name}_{option}".replace("-", "_")
