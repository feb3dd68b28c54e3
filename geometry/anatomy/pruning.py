"""Rebuild a vector from its strongest parts and drop the rest; take away what the vectors of several classes share."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from geometry.anatomy.components import Components
from geometry.anatomy.decomposition import pursued, weights_of
from geometry.arguments import checked
from geometry.errors import EstimationError, SteeringError
from geometry.steering import Site, SteeringVector

Array = NDArray[np.float64]


@checked
def prune(
    vector: SteeringVector,
    by: Components | ArrayLike,
    k: int,
    *,
    coefficients: ArrayLike | None = None,
    called: str = "atoms",
) -> SteeringVector:
    """The part of a vector that its k strongest components make; the rest is dropped.

    Example::

        found = geo.anatomy.components(differences)
        prune(vector, found, 2)                              # its projection on two singular directions
        prune(vector, concept_vectors, 4, called="concepts")  # the four concepts that make most of it
        prune(vector, dictionary.decoder, 8, coefficients=active - inactive, called="features")

    Parameters:
        vector: with one part of shape (d,); a relative one stays relative.
        by: `Components`, on whose first k directions it is projected; or atoms (m, d), of which k are found by
            orthogonal matching pursuit with coefficients of at least 0, as by `decompose` without its test.
        coefficients: shape (m,), if the atoms have some already, such as a dictionary's features: then the k terms
            coefficient × atom of the largest norm are summed, and the vector itself gives the site alone.
        called: what the atoms are, for the provenance.

    Returns SteeringVector: of the same site. Its norm is what is left: compare it at equal KL divergence.
    Raises EstimationError: more parts than there are, atoms of another width, zero or not finite ones, or none that
        points along the vector. SteeringError: a vector with several parts or rows, or a zero one.
    """
    return prunings(vector, by, [k], coefficients=coefficients, called=called)[k]


def prunings(
    vector: SteeringVector,
    by: Components | ArrayLike,
    counts: Sequence[int],
    *,
    coefficients: ArrayLike | None = None,
    called: str = "atoms",
) -> dict[int, SteeringVector]:
    """`prune` for several k at the price of the largest."""
    site, v = _part(vector)
    if isinstance(by, Components):
        called = f"{'principal components' if by.centred else 'singular directions'} of {len(by.scores)} pairs"
    rows = by.directions if isinstance(by, Components) else np.asarray(by, dtype=np.float64)
    largest = max(counts, default=0)
    if rows.ndim != 2 or rows.shape[1] != len(v):
        raise EstimationError(f"{vector.provenance} is {len(v)} wide, the {called} have shape {rows.shape}")
    if min(counts, default=0) < 1 or largest > len(rows):
        raise EstimationError(f"k: there are {len(rows)} {called}; keep 1 to {len(rows)} of them, not {list(counts)}")
    if not np.isfinite(rows).all():
        raise EstimationError(f"the {called} hold NaN or infinity")
    if isinstance(by, Components):
        made = {k: (v @ rows[:k].T) @ rows[:k] for k in counts}
    elif coefficients is None:
        lengths = np.linalg.norm(rows, axis=1)
        if not lengths.all():
            raise EstimationError(f"the {called} hold zero vectors, which are part of nothing; leave them out")
        unit = rows / lengths[:, None]
        order = pursued(v, unit, largest)
        made = {k: weights_of(v, unit[order[:k]]) @ unit[order[:k]] for k in counts}
    else:
        weights = np.asarray(coefficients, dtype=np.float64)
        if weights.shape != (len(rows),) or not np.isfinite(weights).all():
            raise EstimationError(f"{len(rows)} {called} need as many finite coefficients, not {weights.shape}")
        strongest = np.argsort(-np.abs(weights) * np.linalg.norm(rows, axis=1), kind="stable")
        made = {k: weights[strongest[:k]] @ rows[strongest[:k]] for k in counts}
    if not all(part.any() for part in made.values()):
        raise EstimationError(f"none of the {called} points along {vector.provenance}: nothing of it would be left")
    return {
        k: replace(
            vector,
            parts={site: torch.from_numpy(part)},
            provenance=f"({vector.provenance}) pruned to {k} of {len(rows)} {called}",
        )
        for k, part in made.items()
    }


@checked
def without_shared(
    vectors: Mapping[str, SteeringVector], how: Literal["mean", "projection"] = "mean"
) -> dict[str, SteeringVector]:
    """The vectors of several classes without what they share: less their mean, or less their projection on it.

    Example::

        own = without_shared({name: mean_difference(activations, hierarchy, name, site) for name in names})

    Less the mean, classes that have none of the shared part get its opposite; the projection leaves every vector
    orthogonal to the mean, and those that were so before as they are.

    Parameters:
        vectors: class → vector with one part of shape (d,), all at one site; 3 classes at least, as two without their
            mean are each other's opposites.

    Raises SteeringError: fewer classes, other sites, or a mean of zero.
    """
    if len(vectors) < 3:
        raise SteeringError(f"what classes share is taken from 3 vectors at least, not {len(vectors)}")
    parts = {name: _part(vector) for name, vector in vectors.items()}
    if len(sites := {site for site, _ in parts.values()}) > 1:
        raise SteeringError(f"the classes' vectors are at {', '.join(sorted(map(str, sites)))}; take one site")
    if len({len(part) for _, part in parts.values()}) > 1:
        raise SteeringError("the classes' vectors have different widths")
    mean = np.mean([part for _, part in parts.values()], axis=0)
    square = float(mean @ mean)
    if not square > 1e-20 * max(float(part @ part) for _, part in parts.values()):
        raise SteeringError("the classes' vectors share nothing: their mean is zero")
    return {
        name: replace(
            vectors[name],
            parts={site: torch.from_numpy(part - (mean if how == "mean" else (part @ mean / square) * mean))},
            provenance=f"({vectors[name].provenance}) without the {how} of {len(vectors)} classes",
        )
        for name, (site, part) in parts.items()
    }


def _part(vector: SteeringVector) -> tuple[Site, Array]:
    if len(vector.parts) != 1 or next(iter(vector.parts.values())).ndim != 1:
        raise SteeringError(f"{vector.provenance}: one part of shape (d,) is taken apart, not several parts or rows")
    ((site, part),) = vector.parts.items()
    if not bool(part.any()):
        raise SteeringError(f"{vector.provenance}: a zero vector has no parts to keep")
    return site, part.double().cpu().numpy()
