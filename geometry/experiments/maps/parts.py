"""What the study of maps measures: maps of the vocabulary, maps of its concepts, a Mapper graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.display import short_repr
from geometry.maps import Bridge, LabelledPoints, MapperComparison, NodeConcepts, StabilitySweep, Trustworthiness
from geometry.results import TestResult
from geometry.views import ConceptMap as ConceptMap

PRODUCTS = {"causal": "causal inner product", "euclidean": "Euclidean inner product"}


@dataclass(frozen=True, eq=False)
class VocabularyMap:
    """One map of the vocabulary: shape (n, 2), how far to trust it, kNN purity "in space" and "on the map"."""

    coordinates: NDArray[np.float32]
    trust: Trustworthiness
    purity: Mapping[str, TestResult]

    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class MappedVocabulary:
    """All n usable tokens of a model, and their maps by product.

    `members` is concept → positions among the n rows, `typical` the same, the farthest along its vector first.
    """

    model: str
    hierarchy: ConceptHierarchy
    tokens: NDArray[np.int64]
    texts: Sequence[str]
    members: Mapping[str, NDArray[np.int64]]
    typical: Mapping[str, NDArray[np.int64]]
    maps: Mapping[str, VocabularyMap]

    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class MapperOfConcept:
    """The Mapper graph of a concept's words, its nulls, and the settings that were tried before."""

    concept: str
    labelled: LabelledPoints
    comparison: MapperComparison
    concepts: NodeConcepts
    bridges: Sequence[Bridge]
    sweep: StabilitySweep

    __repr__ = short_repr
