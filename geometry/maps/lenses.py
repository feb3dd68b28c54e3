"""Lenses of Mapper: functions from points to one or a few numbers each, by which the points are covered.

A lens is computed from labelled points, so that a null model's points get a lens of their own, fitted as the
model's was. That matters most of projections on concept vectors: words reach far along a vector that was fitted
to them, in noise too.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.concepts import ConceptHierarchy
from geometry.errors import EstimationError
from geometry.estimators import Estimator, concept_vector
from geometry.maps.embedding import umap_embedding
from geometry.maps.points import LabelledPoints
from geometry.randomness import generator

LensFunction = Callable[[LabelledPoints], NDArray[np.float64]]
Lens = LensFunction | Collection[Any]  # or the values themselves, which points elsewhere keep


@checked
def projection_lens(concepts: Sequence[str] | None = None, *, estimator: Estimator = "lda") -> LensFunction:
    """Projections ⟨ℓ, g⟩/‖ℓ‖ on the vectors of labels (default the first two), each fitted to its points.

    Shape (n, concepts). For the estimators see `concept_vector`.
    """

    def lens(labelled: LabelledPoints) -> NDArray[np.float64]:
        names = list(labelled.members)[:2] if concepts is None else list(concepts)
        if not names:
            raise EstimationError("a projection needs a concept to project on; or None for the first two")
        if unknown := [name for name in names if name not in labelled.members]:
            raise EstimationError(f"no points are labelled {unknown[0]!r}; there are {', '.join(labelled.members)}")
        points = torch.from_numpy(labelled.points).double()
        vectors = [concept_vector(points[torch.from_numpy(labelled.members[name])], estimator) for name in names]
        units = torch.nn.functional.normalize(torch.stack([fit.vector for fit in vectors]), dim=1)
        return np.asarray((points @ units.T).numpy())

    return lens


@checked
def pca_lens(dimensions: int = 2) -> LensFunction:
    """The first principal components of the points, each with its largest loading positive; shape (n, dimensions)."""

    def lens(labelled: LabelledPoints) -> NDArray[np.float64]:
        points = labelled.points.astype(np.float64)
        points -= points.mean(axis=0)
        if not 1 <= dimensions <= min(points.shape):
            raise EstimationError(f"points of shape {points.shape} have no {dimensions} principal components")
        axes = np.linalg.eigh(points.T @ points)[1][:, ::-1][:, :dimensions]
        return np.asarray(points @ (axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(dimensions)])))

    return lens


@checked
def umap_lens(dimensions: int = 2, *, neighbours: int = 15, epochs: int = 200, seed: int = 0) -> LensFunction:
    """UMAP coordinates of the points; see `umap_embedding`."""

    def lens(labelled: LabelledPoints) -> NDArray[np.float64]:
        coordinates = umap_embedding(
            labelled.points, dimensions=dimensions, neighbours=neighbours, epochs=epochs, seed=seed, progress=False
        )
        return coordinates.astype(np.float64)

    return lens


@checked
def eccentricity_lens(*, sample: int = 1000, seed: int = 0) -> LensFunction:
    """Mean distance of each point to a seeded sample of the points, shape (n, 1): small in the middle of a cloud."""

    def lens(labelled: LabelledPoints) -> NDArray[np.float64]:
        if sample < 1:
            raise EstimationError(f"eccentricity needs a sample of at least one point, not {sample}")
        points = torch.from_numpy(labelled.points)
        landmarks = points[torch.from_numpy(np.sort(generator(seed, "eccentricity").permutation(len(points))[:sample]))]
        return torch.cdist(points, landmarks).double().mean(dim=1, keepdim=True).numpy()

    return lens


@checked
def depth_lens(hierarchy: ConceptHierarchy, concept: str) -> LensFunction:
    """For each token of a concept the depth of the deepest concept that holds it, shape (n, 1).

    It depends on the words, not on where they lie, so a null model has the same. HierarchyError: an unknown concept.
    """
    deepest = np.zeros(len(hierarchy.tokens))
    for members, depth in zip(hierarchy.members, hierarchy.depths, strict=True):
        deepest[members] = np.maximum(deepest[members], depth)
    return _given(deepest[hierarchy.members[hierarchy.index(concept)]])


def _given(values: Any) -> LensFunction:
    """Numbers known beforehand, shape (n,) or (n, c), which points elsewhere keep."""
    try:
        array = np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values)
    except ValueError as error:  # rows of different lengths
        raise EstimationError(f"the values of a lens must be numbers, one or a row a point: {error}") from error
    if array.dtype.kind not in "biuf":
        raise EstimationError(f"the values of a lens must be numbers, not {array.dtype}")
    array = array.astype(np.float64)
    return lambda _: array


@checked
def lens_values(lens: Lens, labelled: LabelledPoints) -> NDArray[np.float64]:
    """The lens at every point, shape (n, c); a lens is a function of the points, or an array of its values.

    EstimationError: another number of values than points, NaN or infinite values, or the same at all points.
    """
    given = (lens if callable(lens) else _given(lens))(labelled)
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EstimationError(f"a lens must give each of {len(labelled)} points a number or a row: {error}") from error
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or len(values) != len(labelled) or not values.shape[1]:
        raise EstimationError(f"a lens must give each of {len(labelled)} points a number or a row, not {values.shape}")
    if not np.isfinite(values).all():
        raise EstimationError("the lens gives NaN or infinite values; leave those points out or mend the lens")
    if constant := [column for column, spread in enumerate(np.ptp(values, axis=0)) if not spread > 0]:
        raise EstimationError(f"lens {constant[0]} is the same at all points, so nothing can be covered by it")
    return values
