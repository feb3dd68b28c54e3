"""Directions on the real and on the planted model, fitted once for all tests of this folder."""

import numpy as np
import pytest

import geometry as geo
from tests.planted import Planted


@pytest.fixture(scope="session")
def organisms(smollm2: geo.Unembedding) -> geo.ConceptHierarchy:
    return geo.load_hierarchy("organisms", smollm2.vocabulary)


@pytest.fixture(scope="session")
def directions(smollm2_space: geo.CausalSpace, organisms: geo.ConceptHierarchy) -> geo.ConceptDirections:
    train = geo.evidence.train_mask(organisms, "lemma", np.random.default_rng(0))
    return geo.ConceptDirections.fit(smollm2_space, organisms, train=train)


@pytest.fixture(scope="session")
def halves(
    smollm2_space: geo.CausalSpace, organisms: geo.ConceptHierarchy
) -> tuple[geo.ConceptDirections, geo.ConceptDirections]:
    mask = geo.evidence.train_mask(organisms, "halves", np.random.default_rng(0))
    one, other = (
        geo.ConceptDirections.fit(smollm2_space, organisms, train=part)
        for part in geo.evidence.training_parts("halves", mask)
    )
    return one, other


@pytest.fixture(scope="session")
def overlapping(planted: Planted) -> geo.ConceptDirections:
    """Siblings that share words, and children of theirs that do: 30 words of each kind, a third held out."""
    words = {kind: [f"{kind}x{number}" for number in range(30)] for kind in ("mammal", "bird", "tree")}
    own = {
        "thing": words["mammal"] + words["bird"] + words["tree"],
        "furry": words["mammal"] + words["bird"][:12],
        "flying": words["bird"] + words["mammal"][:9],
        "big": words["mammal"][:20],
        "small": words["mammal"][12:] + words["bird"][:2],
        "odd": words["bird"][:12],
        "rare": words["bird"][12:16],
    }
    parents = {"furry": ("thing",), "flying": ("thing",), "rare": ("flying",), "odd": ("furry", "flying")}
    parents |= {"big": ("furry",), "small": ("furry",)}
    concepts = tuple(
        geo.concepts.Concept.from_words(name, some, planted.unembedding.vocabulary) for name, some in own.items()
    )
    hierarchy = geo.ConceptHierarchy("overlapping", concepts, parents)
    train = np.arange(90) % 3 != 0
    return geo.ConceptDirections.fit(geo.CausalSpace.fit(planted.unembedding), hierarchy, train=train)


def held_out(directions: geo.ConceptDirections, index: int) -> list[int]:
    return [token for token in directions.hierarchy.members[index] if not directions.train[token]]
