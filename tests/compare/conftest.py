"""Models whose concepts are known: a tree of latent vectors, seen by every model in axes of its own."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.compare import ModelProfile, model_profile

LATENT = 24
WORDS = 8
FILLER = 400
GROUPS, BRANCHES, LEAVES = 3, 3, 2


def tree_words() -> dict[str, list[str]]:
    """Concept → words: thing ⊃ 3 groups ⊃ 3 branches each ⊃ 2 leaves each."""
    words: dict[str, list[str]] = {"thing": []}
    for g in range(GROUPS):
        for b in range(BRANCHES):
            for leaf in range(LEAVES):
                own = [f"w{g}{b}{leaf}x{n}" for n in range(WORDS)]
                for name in ("thing", f"g{g}", f"g{g}b{b}"):
                    words.setdefault(name, []).extend(own)
                words[f"g{g}b{b}l{leaf}"] = own
    return words


def tree_parents() -> dict[str, tuple[str, ...]]:
    return {name: (name[:-2] or "thing",) for name in tree_words() if name != "thing"}


def latent(seed: int, tree: bool = True) -> dict[str, np.ndarray]:
    """Word → its place: the sum of what its concepts have been given; without a tree, its leaf alone."""
    rng = np.random.default_rng(seed)
    places: dict[str, np.ndarray] = {}
    for name, own in tree_words().items():
        shift = (tree or "l" in name) * 4 * rng.standard_normal(LATENT) / np.sqrt(LATENT)
        for word in own:
            places[word] = places.get(word, np.zeros(LATENT)) + shift
    return places


def planted_model(
    structure: int, name: str, width: int = 32, *, order: int = 0, tree: bool = True, marker: str = "Ġ"
) -> tuple[geo.CausalSpace, geo.ConceptHierarchy]:
    """A model of the latent structure of this seed; width and structure are the seed of its axes and its noise."""
    places = latent(structure, tree)
    words = [*places, *(f"filler{number}" for number in range(FILLER))]
    words = [words[index] for index in np.random.default_rng(order).permutation(len(words))]
    rng = np.random.default_rng([width, structure])
    axes = np.linalg.qr(rng.standard_normal((width, LATENT)))[0]
    rows = [axes @ places.get(word, np.zeros(LATENT)) + 0.5 * rng.standard_normal(width) for word in words]
    vocabulary = geo.Vocabulary([marker + word for word in words])
    concepts = tuple(geo.concepts.Concept.from_words(name, own, vocabulary) for name, own in tree_words().items())
    hierarchy = geo.ConceptHierarchy("tree", concepts, tree_parents())
    return geo.CausalSpace.fit(geo.Unembedding(torch.tensor(np.array(rows)), vocabulary, name)), hierarchy


@pytest.fixture(scope="session")
def profile() -> Callable[..., ModelProfile]:
    known: dict[str, ModelProfile] = {}

    def make(structure: int, name: str, *arguments: object, n_permutations: int = 9, **options: object) -> ModelProfile:
        key = repr((structure, name, arguments, n_permutations, options))
        if key not in known:
            space, hierarchy = planted_model(structure, name, *arguments, **options)  # type: ignore[arg-type]
            known[key] = model_profile(
                space, hierarchy, hierarchy, n_permutations=n_permutations, n_twins=0, max_tokens=16, progress=False
            )
        return known[key]

    return make
