"""Steering vectors of features: of one, and of those in which two classes of rows differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from geometry.arguments import checked
from geometry.dictionaries.dictionary import Dictionary
from geometry.dictionaries.feature_dictionary import FeatureDictionary
from geometry.display import html_table, listed, short_repr
from geometry.errors import EstimationError, SteeringError, shown
from geometry.randomness import generator
from geometry.steering.vector import READ_ONLY, Site, SiteLike, SteeringVector

if TYPE_CHECKING:
    from pandas import DataFrame

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FeatureDifference:
    """The features in which two classes differ beyond permuted classes, and the vector that they make.

    Attributes:
        vector: Σ (mean z of one class − mean z of the other) × the feature's direction, over these features.
        features: their numbers, the largest difference (in standard errors) first, shape (s,).
        differences: of their mean activations, shape (s,).
        p: of each, against the largest of all features in permutations, shape (s,).
        n: rows of the two classes.
        kept: squared norm of the vector over that of the difference over all features.
        cosine: of the vector and the difference of the classes' mean activations.
    """

    vector: SteeringVector
    features: NDArray[np.int64]
    differences: Array
    p: Array
    n: tuple[int, int]
    kept: float
    cosine: float

    __repr__ = short_repr

    def to_frame(self) -> "DataFrame":
        """A row for each feature: difference, p."""
        from pandas import DataFrame

        return DataFrame({"difference": self.differences, "p": self.p}, index=self.features)

    def _repr_html_(self) -> str:
        return html_table(
            ("feature", "difference", "p"), zip(self.features, self.differences, self.p, strict=True), repr(self.vector)
        )


@checked
def feature_vector(dictionary: Dictionary, feature: int, site: SiteLike | None = None) -> SteeringVector:
    """The direction of one feature, to be added where the dictionary reads.

    Example::

        with geo.steer(model, 8 * feature_vector(dictionary, 1024)):
            model.generate(...)

    Parameters:
        feature: its number, from 0.
        site: where to add it; default, the dictionary's own. What an MLP puts out is read at "mlp.l" and can be added
            at "output.l" in models whose blocks add it as it is.

    The coefficient is the feature's activation. Where a dictionary scales each row by its norm, the part is relative to
    the residual norm (of rows that are centred too, to the norm without their mean).

    Raises EstimationError: no such feature. SteeringError: a dictionary without a site, or one that is read only.
    """
    direction = dictionary.decoder[dictionary.feature(feature)]
    return _vector(dictionary, direction, f"feature {feature} of {dictionary.source}", site)


@checked
def feature_difference(
    dictionary: Dictionary,
    rows: ArrayLike,
    labels: Sequence[object],
    target: object,
    *,
    of: object = None,
    n_permutations: int = 199,
    level: float = 0.05,
    seed: int = 0,
    site: SiteLike | None = None,
) -> FeatureDifference:
    """What one class of rows has more and less of than another, by the features in which they differ beyond chance.

    Example::

        difference = feature_difference(dictionary, activations["output.12"], labels, "angry", of="calm")
        with geo.steer(model, difference.vector):
            model.generate(...)

    A feature counts if the difference of its means, over its standard error, exceeds what the largest of all features
    reaches when rows change their classes (p ≤ level): then all taken by chance together are at most that likely.

    Parameters:
        rows: shape (n, d), one for each prompt or phrase, so that they may change classes.
        labels: the class of each row.
        target, of: the class, and the one that it is compared with; None compares with all other rows.

    Raises EstimationError: no rows, no such class, fewer than 2 rows in one, too few permutations for the level, no
        feature in which they differ. SteeringError: as of `feature_vector`.
    Source: Westfall and Young 1993, for the largest of all as null.
    """
    features = dictionary.encode_sparse(rows)
    first, second = _classes(labels, target, of, features.shape[0])
    if not 0 < level < 1 or n_permutations + 1 < 1 / level:
        raise EstimationError(f"a level between 0 and 1 and at least 1/level − 1 permutations are needed, not {level}")
    used = np.concatenate([first, second])
    z = csr_array(features[used])
    size, rest = len(first), len(second)
    signs = np.concatenate([np.full(size, 1 / size), np.full(rest, -1 / rest)])
    difference = np.asarray(signs @ z, dtype=np.float64)
    error = _spread(z) * np.sqrt(1 / size + 1 / rest)
    rng = generator(seed, "classes of rows")
    largest = np.array([_score(rng.permutation(signs) @ z, error).max() for _ in range(n_permutations)])
    score = _score(difference, error)
    # How many permutations reach each score, without a matrix of all features by all permutations.
    reaching = n_permutations - np.searchsorted(np.sort(largest), score - 1e-9)
    p = (1 + reaching) / (1 + n_permutations)
    chosen = np.flatnonzero((p <= level) & (score > 0))
    if not len(chosen):
        against = "all others" if of is None else shown(of)
        raise EstimationError(
            f"{shown(target)} and {against}: no feature of {dictionary.source} differs beyond what permuted classes"
            f" give ({size} and {rest} rows); give more rows"
        )
    chosen = chosen[np.argsort(-score[chosen], kind="stable")]
    weights = torch.from_numpy(difference).float()
    whole = weights @ dictionary.decoder
    direction = weights[chosen] @ dictionary.decoder[chosen]
    name = f"{target} − {'the rest' if of is None else of}"
    vector = _vector(
        dictionary, direction, f"{name} by {len(chosen)} features of {dictionary.source}", site,
        f"features {listed([str(number) for number in chosen[:8]])}, which differ beyond {n_permutations} permutations",
    )  # fmt: skip
    means = torch.as_tensor(np.asarray(rows)[used] if not isinstance(rows, torch.Tensor) else rows[used]).float()
    apart = torch.from_numpy(signs).float() @ means
    return FeatureDifference(
        vector, chosen, difference[chosen], p[chosen], (size, rest), float(direction @ direction / (whole @ whole)),
        float(torch.nn.functional.cosine_similarity(direction, apart, dim=0)),
    )  # fmt: skip


def _score(difference: Array, error: Array) -> Array:
    return np.asarray(np.divide(np.abs(difference), error, out=np.zeros_like(error), where=error > 0))


def _spread(z: csr_array) -> Array:
    """Standard deviation of every feature over all rows of both classes, which permutations leave as it is."""
    mean = np.asarray(z.mean(axis=0), dtype=np.float64).ravel()
    square = np.asarray(z.multiply(z).mean(axis=0), dtype=np.float64).ravel()
    return np.asarray(np.sqrt(np.maximum(square - mean**2, 0.0)))


def _classes(
    labels: Sequence[object], target: object, of: object, n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the rows of the one class and of the other."""
    if len(labels) != n:
        raise EstimationError(f"{n} rows need as many labels, not {len(labels)}")
    if not n:
        raise EstimationError("there are no rows; give some of the class and some of another")
    known = list(labels)
    for name in (target, *([] if of is None else [of])):
        if name not in known:
            raise EstimationError(
                f"no row has the label {shown(name)}; there are {listed(sorted({str(x) for x in known}))}"
            )
    if target == of:
        raise EstimationError(f"{shown(target)} is compared with itself")
    first = np.array([row for row, label in enumerate(known) if label == target])
    second = np.array([row for row, label in enumerate(known) if (label == of if of is not None else label != target)])
    if min(len(first), len(second)) < 2:
        raise EstimationError(f"each class needs 2 rows at least, not {len(first)} and {len(second)}")
    return first, second


def _vector(
    dictionary: Dictionary, direction: torch.Tensor, provenance: str, site: SiteLike | None, *notes: str
) -> SteeringVector:
    place = dictionary.site if site is None else Site.parse(site)
    if place is None:
        raise SteeringError(f"{dictionary.source}: has no site at which a vector could be added; give site=")
    if place.place in READ_ONLY:
        raise SteeringError(
            f"{dictionary.source}: {place} can be read, not steered; in models whose blocks add it as it is, give"
            f' site="output.{place.block}"'
        )
    normalisation = dictionary.normalisation if isinstance(dictionary, FeatureDictionary) else "none"
    if normalisation in ("norm", "layer"):
        # Rows have norm √d after "norm", and √(d − 1) after "layer", whose standard deviation divides by d − 1.
        norm = (dictionary.width - (normalisation == "layer")) ** 0.5
        place, direction = Site(place.place, place.block, relative=True), direction / norm
    return SteeringVector({place: direction}, f"{provenance} at {place}", notes=(*notes, *dictionary.notes))
