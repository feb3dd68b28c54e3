"""Directions of the planted model, fitted to all words and to some, and on shuffled rows."""

import pytest

import geometry as geo
from geometry.randomness import generator
from tests.planted import Planted


@pytest.fixture(scope="session")
def space(planted: Planted) -> geo.CausalSpace:
    return geo.CausalSpace.fit(planted.unembedding)


@pytest.fixture(scope="session")
def directions(planted: Planted, space: geo.CausalSpace) -> geo.ConceptDirections:
    return geo.ConceptDirections.fit(space, planted.hierarchy)


@pytest.fixture(scope="session")
def held_out(planted: Planted, space: geo.CausalSpace) -> geo.ConceptDirections:
    train = geo.evidence.train_mask(planted.hierarchy, "token", generator(0, "token"))
    return geo.ConceptDirections.fit(space, planted.hierarchy, train=train)


@pytest.fixture(scope="session")
def flat(planted: Planted, space: geo.CausalSpace) -> geo.ConceptDirections:
    return geo.ConceptDirections.fit(space, planted.hierarchy.only(["mammal", "bird", "tree"]))
