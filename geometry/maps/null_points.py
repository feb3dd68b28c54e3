"""Null models of labelled points: what a map or graph looks like where points or labels mean nothing."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.causal import CausalSpace
from geometry.directions import TokenCloud
from geometry.errors import EstimationError
from geometry.maps.exchange import GroupExchange
from geometry.maps.points import LabelledPoints
from geometry.evidence import NULLS


PointNull = Callable[[LabelledPoints, np.random.Generator], LabelledPoints]


def shuffled_labels(labelled: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
    """Each group gets the concepts of another of its size; all points stay, and with them what no label entered."""
    order = GroupExchange(labelled.groups).order(rng)
    place = np.argsort(order)
    members: dict[str, NDArray[np.int64]] = {name: place[positions] for name, positions in labelled.members.items()}
    return LabelledPoints(labelled.points, members, labelled.names, labelled.groups)


def gaussian_points(labelled: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
    """Normal points with the mean and the covariance of the real ones: one blob, without clusters, holes or labels."""
    mean = labelled.points.mean(axis=0, dtype=np.float64)
    _, spread, axes = np.linalg.svd(labelled.points - mean, full_matrices=False)
    drawn = rng.standard_normal((len(labelled), len(spread))) @ (spread[:, None] * axes) / np.sqrt(len(labelled))
    return labelled.moved(mean + drawn)


def token_null(space: CausalSpace, cloud: TokenCloud, null: str = "shuffled") -> PointNull:
    """A null model of `geo.NULLS` for tokens of a cloud's hierarchy, which their names, the words, tell.

    "shuffled" gives every word the row of another token of the whole vocabulary: it destroys what rows the words
    have, and keeps sizes, overlaps and the vocabulary's own cloud.

    Raises
    ------
    EstimationError
        An unknown null, or one that changes concepts instead of rows; when drawing, a name that is no word of the
        hierarchy.
    """
    rows = sorted(set(NULLS) - {"random_subset", "random_parent", "mean_estimator"})
    if null not in rows:
        raise EstimationError(f"null model {null!r} does not draw rows; choose from {', '.join(rows)}")
    hierarchy = cloud.hierarchy
    place = {word: position for position, word in enumerate(hierarchy.words)}

    def draw(labelled: LabelledPoints, rng: np.random.Generator) -> LabelledPoints:
        if strangers := [name for name in labelled.names if name not in place]:
            raise EstimationError(f"point {strangers[0]!r} is no word of hierarchy {hierarchy.name!r}")
        own = torch.tensor([place[name] for name in labelled.names])
        return labelled.moved(NULLS[null].draw(space, cloud, rng).points[own])

    return draw
