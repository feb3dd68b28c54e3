"""Fixtures: the real default model, and a small planted one whose geometry is known."""

from typing import Any

import pytest

import geometry as geo
from tests.loaded import loaded_once
from tests.planted import Planted, planted_classes


@pytest.fixture(scope="session")
def smollm2() -> geo.Unembedding:
    """The real default model; `make test` has fetched it."""
    return geo.Unembedding.load("smollm2-135m")


@pytest.fixture(scope="session")
def smollm2_space(smollm2: geo.Unembedding) -> geo.CausalSpace:
    return geo.CausalSpace.fit(smollm2)


@pytest.fixture(scope="session")
def smollm2_nouns(smollm2: geo.Unembedding) -> geo.ConceptHierarchy:
    return geo.concepts.wordnet_hierarchy("noun", smollm2.vocabulary)


@pytest.fixture(scope="session")
def smollm2_model() -> tuple[Any, Any]:
    """The real default model and its tokenizer; what a test does to them it undoes."""
    return loaded_once("smollm2-135m")


@pytest.fixture(scope="session")
def planted() -> Planted:
    return planted_classes()
