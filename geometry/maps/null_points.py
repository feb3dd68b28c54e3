"""Null models of labelled points: what a map or graph looks like where points or labels mean nothing."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from geometry.causal import CausalSpace
from geometry.directions import TokenCloud
from geometry.errors import EstimationError
from geometry.evidence.nulls import NULLS, NullModel
from geometry.maps.exchange import GroupExchange
from geometry.maps.points import LabelledPoints


@dataclass(frozen=True)
class PointNull:
    """A null model of labelled points; it owns how figures and tables show it.

    >>> def mirrored(labelled, rng):
    ...     return labelled.moved(labelled.points * rng.choice([-1, 1], size=labelled.points.shape))
    >>> nulls = {**POINT_NULLS, "mirrored": PointNull(mirrored, label="mirrored points", marker="*")}

    `draw` makes other labelled points of them with a generator; `label` and `marker` are for figures and tables.
    """

    draw: Callable[[LabelledPoints, np.random.Generator], LabelledPoints]
    label: str
    marker: str = "|"


def shuffled_labels(labelled: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
    """Each group gets the concepts of another of its size; all points stay, and with them what no label entered."""
    moved_to = np.argsort(GroupExchange(labelled.groups).order(rng))
    return replace(labelled, members={name: moved_to[points] for name, points in labelled.members.items()})


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


def token_null(space: CausalSpace, cloud: TokenCloud, null: str | NullModel = "shuffled") -> PointNull:
    """A null model of rows for tokens of a cloud's hierarchy, which their names, the words, tell.

    "shuffled" gives every word the row of another token of the whole vocabulary: it destroys what rows the words
    have, and keeps sizes, overlaps and the vocabulary's own cloud. `null` is a name of `geo.NULLS` or a `NullModel`.

    EstimationError: an unknown null, or one that changes concepts instead of rows; when drawing, a name that is no word
    of the hierarchy.
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
        own = torch.tensor([index[name] for name in labelled.names])
        return labelled.moved(model.draw(space, cloud, rng).points[own])

    return PointNull(draw, model.label, model.marker)
