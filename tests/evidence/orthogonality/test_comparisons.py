from collections import Counter

import numpy as np
import pytest

import geometry as geo
from geometry.evidence.orthogonality.comparisons import CLAIMED, Comparisons, WordSets

CLAIMS = tuple(CLAIMED)


def made(lemmas: dict[str, set[int]], parents: dict[str, tuple[str, ...]], lacking: str = "") -> geo.ConceptHierarchy:
    """A hierarchy of numbered lemmas, each of a small and a capitalised word; of "a1" one word may be lacking."""
    words = [f"zq{lemma}y" for lemma in sorted(set().union(*lemmas.values()))]
    vocabulary = geo.Vocabulary([f"Ġ{word}" for word in [*words, *map(str.capitalize, words)]])
    concepts = []
    for name, own in lemmas.items():
        both = [spelled for lemma in sorted(own) for spelled in (f"zq{lemma}y", f"Zq{lemma}y")]
        kept = [word for word in both if name != "a1" or word != lacking]
        concepts.append(geo.concepts.Concept.from_words(name, kept, vocabulary))
    return geo.ConceptHierarchy("made", tuple(concepts), parents)


SMALL = {
    "r": set(range(120)),
    "a": set(range(60)),
    "b": set(range(60, 100)),
    "a1": set(range(20)),
    "a2": set(range(20, 40)),
    "a3": set(range(40, 50)),  # in twenty words
}
PARENTS = {"a": ("r",), "b": ("r",), "a1": ("a",), "a2": ("a",), "a3": ("a",)}
# Claim → upper, lower, reference and base by name and what they are without, and how many are left out.
EXPECTED = {
    "orthogonality-a": (
        {
            ("a", "r-a", "r-a", ""),
            ("b", "r-b", "r-b", ""),
            ("a1", "a-a1", "a-a1", ""),
            ("a2", "a-a2", "a-a2", ""),
        },
        1,
    ),
    "orthogonality-b": ({("b", "a", "r-a-b", ""), ("a2", "a1", "a-a1-a2", "")}, 2),
    "orthogonality-c": ({("a2", "a1", "b-a1-a2", "a-a1-a2")}, 2),
    "orthogonality-d": ({("a1", "a-a1", "a-a1", "r-a"), ("a2", "a-a2", "a-a2", "r-a")}, 1),
}


def lemmas_named(name: str) -> frozenset[int]:
    whole, *without = name.split("-")
    return frozenset(SMALL[whole].difference(*(SMALL[other] for other in without))) if name else frozenset()


def compared(hierarchy: geo.ConceptHierarchy, claim: str, seed: int = 0) -> tuple[Comparisons, list[np.ndarray]]:
    sets = WordSets(hierarchy)
    return sets.compare(claim, np.random.default_rng(seed)), sets.tokens()


def in_lemmas(hierarchy: geo.ConceptHierarchy, tokens: list[np.ndarray], numbers: np.ndarray) -> list[frozenset[int]]:
    """The numbers in the words of each set; no set has none."""
    texts = [[hierarchy.words[token] for token in tokens[number]] if number >= 0 else [] for number in numbers]
    return [frozenset(int(text.lower()[2:-1]) for text in own) for own in texts]


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_small_hierarchy_has_the_comparisons_listed_by_hand(claim: str) -> None:
    hierarchy = made(SMALL, PARENTS)
    found, tokens = compared(hierarchy, claim)
    listed, left_out = EXPECTED[claim]
    rows = [tuple(in_lemmas(hierarchy, tokens, row)) for row in found.contrasts]
    assert set(rows) == {tuple(map(lemmas_named, names)) for names in listed}
    assert len(found) == len(rows) == len(listed)
    assert found.left_out == left_out
    assert all(len(tokens[number]) == 2 * len(own) for row in found.contrasts for number, own in
               zip(row, in_lemmas(hierarchy, tokens, row), strict=True) if number >= 0)  # fmt: skip
    assert found.n_folds == (4 if claim[-1] in "ad" else 2)


def test_families_are_those_of_the_top_concept() -> None:
    hierarchy = made(SMALL, PARENTS)
    for claim, families in {"a": [0, 0, 1, 1], "b": [0, 1], "c": [0], "d": [0, 0]}.items():
        found, _ = compared(hierarchy, f"orthogonality-{claim}")
        assert sorted(found.family.tolist()) == families
        assert found.n_families == len(set(families))


def test_a_rest_has_no_form_of_a_lemma_of_the_child() -> None:
    hierarchy = made(SMALL, PARENTS, lacking="Zq0y")
    assert "Zq0y" not in hierarchy["a1"].words
    found, tokens = compared(hierarchy, "orthogonality-a")
    for upper, lower, _, _ in found.contrasts:
        words = [{hierarchy.words[token].lower() for token in tokens[number]} for number in (upper, lower)]
        assert not words[0] & words[1]


def test_children_of_two_siblings_are_compared_once() -> None:
    lemmas = {"r": set(range(140)), "a": set(range(80)), "b": set(range(40)) | set(range(80, 120))}
    lemmas |= {"s": set(range(20)), "t": set(range(20, 40))}
    hierarchy = made(lemmas, {"a": ("r",), "b": ("r",), "s": ("a", "b"), "t": ("a", "b")})
    found, tokens = compared(hierarchy, "orthogonality-c")
    (row,) = found.contrasts
    named = in_lemmas(hierarchy, tokens, row)
    assert named == [lemmas["t"], lemmas["s"], set(range(80, 120)), set(range(40, 80))]


def test_no_base_is_the_zero_vector_and_equal_sets_have_one_number() -> None:
    found, tokens = compared(made(SMALL, PARENTS), "orthogonality-a")
    assert (found.contrasts[:, 3] == -1).all()
    assert (found.contrasts[:, 1] == found.contrasts[:, 2]).all()
    assert len(tokens) == len(np.unique(found.contrasts[:, :3])) == 8


def test_too_few_comparisons_have_no_unrelated_ones() -> None:
    for claim in ("orthogonality-b", "orthogonality-c", "orthogonality-d"):
        assert (compared(made(SMALL, PARENTS), claim)[0].unrelated == -2).all()


def test_a_hierarchy_without_edges_has_none() -> None:
    for claim in CLAIMS:
        found, tokens = compared(made({"r": set(range(30))}, {}), claim)
        assert (len(found), found.n_families, found.left_out, len(tokens)) == (0, 0, 0, 0)
        assert found.unrelated.shape == (0, 2)


@pytest.fixture(scope="module")
def real(smollm2_nouns: geo.ConceptHierarchy) -> dict[str, tuple[Comparisons, list[frozenset[int]]]]:
    """Claim → its comparisons of real nouns, and the lemmas of its sets."""
    made = {claim: compared(smollm2_nouns, claim) for claim in CLAIMS}
    return {
        claim: (found, [frozenset(smollm2_nouns.lemmas[own].tolist()) for own in tokens])
        for claim, (found, tokens) in made.items()
    }


@pytest.mark.parametrize("claim", CLAIMS)
def test_real_sets_have_sixteen_lemmas(claim: str, real: dict) -> None:
    found, lemmas = real[claim]
    assert len(found) > 50
    assert min(map(len, lemmas)) >= 16
    assert sorted(np.unique(found.contrasts[found.contrasts >= 0])) == list(range(len(lemmas)))


@pytest.mark.parametrize("claim", CLAIMS)
def test_no_family_has_more_than_twelve(claim: str, real: dict) -> None:
    counts = Counter(real[claim][0].family.tolist())
    assert max(counts.values()) == 12
    assert set(counts) == set(range(real[claim][0].n_families))


@pytest.mark.parametrize("claim", ["orthogonality-b", "orthogonality-c"])
def test_contrasts_measured_in_two_folds_share_no_lemma(claim: str, real: dict) -> None:
    found, lemmas = real[claim]
    for upper, lower, reference, base in found.contrasts:
        others = lemmas[reference] | (lemmas[base] if base >= 0 else frozenset())
        assert not (lemmas[upper] | lemmas[lower]) & others


@pytest.mark.parametrize("claim", CLAIMS)
def test_unrelated_references_are_another_comparisons_and_share_no_lemma(claim: str, real: dict) -> None:
    found, lemmas = real[claim]
    ends = {tuple(pair) for pair in found.contrasts[:, 2:]}
    missing = found.unrelated[:, 0] == -2
    assert missing.mean() < (0.8 if claim[-1] == "d" else 0.3)
    for (upper, lower, *own), pair in zip(found.contrasts[~missing], found.unrelated[~missing], strict=True):
        assert tuple(pair) in ends
        assert tuple(pair) != tuple(own)
        others = frozenset().union(*(lemmas[number] for number in pair if number >= 0))
        assert not (lemmas[upper] | lemmas[lower]) & others


def test_generators_decide(smollm2_nouns: geo.ConceptHierarchy) -> None:
    one, same, other = (compared(smollm2_nouns, "orthogonality-c", seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(one.contrasts, same.contrasts)
    assert np.array_equal(one.unrelated, same.unrelated)
    assert not np.array_equal(one.unrelated, other.unrelated)


def test_word_sets_of_claims_with_as_many_folds_are_shared() -> None:
    sets = WordSets(made(SMALL, PARENTS))
    first = sets.compare("orthogonality-a", np.random.default_rng(0))
    before = len(sets.tokens())
    second = sets.compare("orthogonality-d", np.random.default_rng(0))
    assert set(np.unique(second.contrasts)) <= set(np.unique(first.contrasts))
    assert len(sets.tokens()) == before
