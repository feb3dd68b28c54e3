"""A class's steering vectors by every method, controls among them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from geometry.dictionaries import Dictionary, FeatureDifference, feature_difference, feature_vector
from geometry.dictionaries.feature_scores import auc, best
from geometry.display import short_repr
from geometry.errors import GeometryError, SteeringError
from geometry.experiments.dictionaries.classes import SteeredClass
from geometry.experiments.dictionaries.setup import Bench
from geometry.randomness import generator
from geometry.steering import SteeringVector

CAA, MEAN, FEATURES, SINGLE, CODES = (
    "CAA: class − siblings", "class mean − grand mean", "feature difference", "single best feature", "codebook codes",
)  # fmt: skip
RANDOM_FEATURES, SHUFFLED, RANDOM_VECTOR = "random dictionary's features", "shuffled labels", "random vector"
METHODS = (CAA, MEAN, FEATURES, CODES, SINGLE)
CONTROLS = (RANDOM_FEATURES, SHUFFLED, RANDOM_VECTOR)
EVERY = (*METHODS, *CONTROLS)
NATS = (0.5, 2.0)
_OWN, _REST = "class", "rest"


@dataclass(frozen=True, eq=False)
class ClassVectors:
    """Method → vector in units of the residual norm, or why there is none; what the autoencoder's is made of."""

    name: str
    vectors: dict[str, SteeringVector]
    why_not: dict[str, str]
    difference: FeatureDifference | None
    single: int

    __repr__ = short_repr


def class_vectors(bench: Bench, each: SteeredClass) -> ClassVectors:
    """All methods on the same rows; what one refuses is left out of it alone."""
    site = bench.site
    rows = torch.cat([each.own, each.others])
    labels = [_OWN] * len(each.own) + [_REST] * len(each.others)
    rng = generator(bench.study.seed, f"shuffled {each.name}")
    chosen = np.zeros(len(rows), dtype=bool)
    chosen[rng.permutation(len(rows))[: len(each.own)]] = True
    single = single_feature(bench.dictionary, rows, len(each.own))
    differences: dict[str, FeatureDifference] = {}

    def of_features(name: str, dictionary: Dictionary) -> SteeringVector:
        differences[name] = feature_difference(dictionary, rows, labels, _OWN, seed=bench.study.seed)
        return differences[name].vector

    def mean_of(part: torch.Tensor) -> torch.Tensor:
        return part.double().mean(dim=0).float()

    def between(first: torch.Tensor, second: torch.Tensor, how: str) -> SteeringVector:
        return SteeringVector({site: mean_of(first) - mean_of(second)}, f"{each.name}: {how}")

    made: dict[str, Callable[[], SteeringVector]] = {
        CAA: lambda: between(each.own, each.siblings, CAA),
        MEAN: lambda: between(each.own, rows, MEAN),
        FEATURES: lambda: of_features(FEATURES, bench.dictionary),
        CODES: lambda: of_features(CODES, bench.codebook),
        SINGLE: lambda: _feature(bench.dictionary, single),
        RANDOM_FEATURES: lambda: of_features(RANDOM_FEATURES, bench.random),
        SHUFFLED: lambda: between(rows[chosen], rows[~chosen], SHUFFLED),
        RANDOM_VECTOR: lambda: between(each.own, rows, MEAN).random(int(rng.integers(2**31))),
    }
    vectors, why_not = {}, {}
    for name, make in made.items():
        try:
            vectors[name] = make().relative(1)
        except GeometryError as error:
            why_not[name] = str(error)
    return ClassVectors(each.name, vectors, why_not, differences.get(FEATURES), single)


def single_feature(dictionary: Dictionary, rows: torch.Tensor, size: int) -> int:
    """The feature that discriminates the first `size` rows from the others best, −1 if none does."""
    z = dictionary.encode_sparse(rows)
    members = (np.arange(len(rows)) < size)[None, :]
    return int(best(auc(z, members))[0])


def _feature(dictionary: Dictionary, feature: int) -> SteeringVector:
    if feature < 0:
        raise SteeringError(f"{dictionary.source}: no feature is ever active on these rows")
    return feature_vector(dictionary, feature)


def shared(found: Sequence[ClassVectors], name: str) -> list[str]:
    """The classes that have a vector by this method."""
    return [each.name for each in found if name in each.vectors]
