"""Fixtures: the real default model, and a small planted one whose geometry is known."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo


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
    return geo.load_model("smollm2-135m")


@dataclass(frozen=True)
class Planted:
    """A synthetic model in which `animal` ⊃ `mammal`, `bird` really are orthogonal directions plus noise."""

    unembedding: geo.Unembedding
    hierarchy: geo.ConceptHierarchy


WORDS_PER_CLASS = 30
FILLER = 3000
WIDTH = 48


@pytest.fixture(scope="session")
def planted() -> Planted:
    rng = np.random.default_rng(7)
    names = {"mammal": [], "bird": [], "tree": []}
    tokens, rows = [], []
    axes = dict(zip(["animal", "mammal", "bird", "tree"], np.eye(WIDTH)[:4] * 6, strict=True))
    parents = {"mammal": ["animal"], "bird": ["animal"], "tree": []}
    for kind, words in names.items():
        for number in range(WORDS_PER_CLASS):
            words.append(f"{kind}x{number}")
            tokens.append(f"Ġ{kind}x{number}")
            centre = axes[kind] + sum((axes[name] for name in parents[kind]), np.zeros(WIDTH))
            rows.append(centre + rng.standard_normal(WIDTH))
    tokens += [f"Ġfiller{number}" for number in range(FILLER)]
    rows += list(rng.standard_normal((FILLER, WIDTH)))
    matrix = torch.from_numpy(np.array(rows, dtype=np.float32))
    vocabulary = geo.Vocabulary(tokens)
    concepts = tuple(
        geo.concepts.Concept.from_words(name, words, vocabulary)
        for name, words in {
            "thing": names["mammal"] + names["bird"] + names["tree"],
            "animal": names["mammal"] + names["bird"],
            **names,
        }.items()
    )
    hierarchy = geo.ConceptHierarchy(
        "planted", concepts, {"animal": ("thing",), "tree": ("thing",), "mammal": ("animal",), "bird": ("animal",)}
    )
    return Planted(geo.Unembedding(matrix, vocabulary, "planted"), hierarchy)
