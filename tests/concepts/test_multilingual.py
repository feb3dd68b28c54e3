"""The Open Multilingual WordNet as NLTK reads it: a database of ten synsets, and their words in French and Japanese."""

from pathlib import Path
from typing import Any

import nltk
import pytest
from nltk.corpus.reader import CorpusReader
from nltk.corpus.reader.wordnet import WordNetCorpusReader

import geometry as geo

# Synset, the one above it, and its words in three languages.
SYNSETS: dict[str, tuple[str, str, str, str]] = {
    "entity": ("", "", "entité", ""),
    "animal": ("entity", "beast", "animal|bête", "動物"),
    "plant": ("entity", "", "plante", "植物"),
    "dog": ("animal", "", "chien", "犬"),
    "cat": ("animal", "", "chat", "猫"),
    "bird": ("animal", "", "oiseau", "鳥"),
    "crow": ("bird", "", "corbeau|corneille", "烏"),
    "hen": ("bird", "", "poule d'eau", ""),
    "oak": ("plant", "", "chêne", ""),
    "rose": ("plant", "", "rose", "薔薇"),
}
FRENCH = "entité animal bête Bête plante chien Chien chiens chat oiseau corbeau corneille chêne rose dog crow"


class Reader(WordNetCorpusReader):  # type: ignore[misc]  # NLTK has no types
    def get_version(self) -> str:
        return "3.0"

    def map_wn(self, version: str = "wordnet") -> None:
        """Nothing: the offsets are those of this database."""


def lines(offsets: dict[str, int]) -> dict[str, str]:
    made = {}
    for name, (above, other, _, _) in SYNSETS.items():
        words = [name, *filter(None, [other])]
        written = " ".join(f"{word} 0" for word in words)
        pointer = f"001 @ {offsets[above]:08d} n 0000" if above else "000"
        made[name] = f"{offsets[name]:08d} 03 n {len(words):02x} {written} {pointer} | a {name}\n"
    return made


@pytest.fixture
def wordnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    offsets = dict.fromkeys(SYNSETS, 0)
    position = 0
    for name, line in lines(offsets).items():
        offsets[name], position = position, position + len(line.encode())
    english, other = tmp_path / "wordnet", tmp_path / "omw"
    english.mkdir()
    for name in Reader._FILES:
        (english / name).write_bytes(b"")
    (english / "data.noun").write_text("".join(lines(offsets).values()))
    (english / "index.noun").write_text("".join(f"{name} n 1 1 @ 1 0 {at:08d}\n" for name, at in offsets.items()))
    (english / "lexnames").write_text("".join(f"{number:02d}\tnoun.{number}\t1\n" for number in range(4)))
    for column, language in enumerate(("fra", "jpn"), 2):
        (folder := other / language).mkdir(parents=True)
        rows = [
            f"{offsets[name]:08d}-n\t{language}:lemma\t{word}\n"
            for name, entry in SYNSETS.items()
            for word in filter(None, entry[column].split("|"))
        ]
        (folder / f"wn-data-{language}.tab").write_text("# Open Multilingual WordNet\n" + "".join(rows), "utf-8")
    monkeypatch.setattr(nltk.data, "path", [*nltk.data.path, str(tmp_path), str(english), str(other)])
    return Reader(str(english), CorpusReader(str(other), r".*/wn-data-[a-z]+\.tab", encoding="utf8"))


def test_ten_synsets_in_french(wordnet: Any) -> None:
    vocabulary = geo.Vocabulary([f"▁{word}" for word in FRENCH.split()])
    hierarchy = geo.concepts.wordnet_hierarchy(
        "noun", vocabulary, wordnet=wordnet, language="fra", recipe="complete", below="entity.n.01", min_words=1
    )
    assert hierarchy.name == "wordnet:entity.n.01-fra"
    assert "entity.n.01 of WordNet 3.0 (fra) nouns" in hierarchy.recipe
    assert hierarchy["dog.n.01"].words == ("chien", "Chien")  # not inflected as English, and no English word
    assert hierarchy["animal.n.01"].words == (
        *("animal", "bête", "Bête", "chien", "Chien", "chat", "oiseau", "corbeau", "corneille"),
    )
    assert hierarchy.parents["dog.n.01"] == ("animal.n.01",)
    assert "hen.n.01" not in hierarchy  # two words are never one token
    assert set(hierarchy.children["plant.n.01"]) == {"oak.n.01", "rose.n.01"}


def test_a_language_that_lacks_synsets_has_the_others(wordnet: Any) -> None:
    vocabulary = geo.Vocabulary([f"▁{word}" for word in "動物 植物 犬 猫 鳥 烏 薔薇".split()])
    hierarchy = geo.concepts.wordnet_hierarchy(
        "noun", vocabulary, wordnet=wordnet, language="jpn", recipe="complete", min_words=1
    )
    assert hierarchy.name == "wordnet-noun-jpn"
    assert hierarchy["animal.n.01"].words == ("動物", "犬", "猫", "鳥", "烏")
    assert "oak.n.01" not in hierarchy


def test_english_of_the_same_reader_is_inflected(wordnet: Any) -> None:
    vocabulary = geo.Vocabulary([f"▁{word}" for word in "animal beast dog dogs cat crow plant".split()])
    hierarchy = geo.concepts.wordnet_hierarchy(
        "noun", vocabulary, wordnet=wordnet, recipe="complete", below="animal.n.01", min_words=1
    )
    assert hierarchy["dog.n.01"].words == ("dog", "dogs")
    assert "plant" not in hierarchy.words


def test_what_a_language_or_a_threshold_lacks_is_said(wordnet: Any) -> None:
    vocabulary = geo.Vocabulary([f"▁{word}" for word in FRENCH.split()])
    with pytest.raises(
        geo.errors.HierarchyError, match=r"in language 'deu': .*not supported.*nltk\.download\('omw-1\.4'"
    ):
        geo.concepts.wordnet_hierarchy("noun", vocabulary, wordnet=wordnet, language="deu")
    with pytest.raises(geo.errors.HierarchyError, match=r"no synset has 51 words .*; lower min_words"):
        geo.concepts.wordnet_hierarchy("noun", vocabulary, wordnet=wordnet, language="fra")
    for wrong in (0, -1, "3", 1.5):
        with pytest.raises(geo.errors.HierarchyError, match="min_words must be a whole number from 1"):
            geo.concepts.wordnet_hierarchy("noun", vocabulary, wordnet=wordnet, language="fra", min_words=wrong)


def test_of_phrases_several_words_count_in_any_language(wordnet: Any) -> None:
    hierarchy = geo.concepts.wordnet_hierarchy(
        "noun", geo.concepts.AnyPhrase(), wordnet=wordnet, language="fra", recipe="complete", min_words=1
    )
    assert hierarchy["hen.n.01"].words == ("poule d'eau",)
    assert hierarchy["dog.n.01"].words == ("chien",)  # as it is written
