"""The study of dictionaries: whole on a tiny model with real words, resumed after a stop; refusals of the console."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.cli import main
from geometry.dictionaries import training as trainer
from geometry.experiments import DictionariesStudy
from geometry.experiments.dictionaries import classes
from geometry.experiments.dictionaries.setup import COMPONENTS, RANDOM, SAE, _lines
from geometry.experiments.dictionaries.vectors import CAA, EVERY, MEAN, RANDOM_VECTOR
from geometry.models.catalogue import CATALOGUE
from geometry.models.fetching import cached_path
from tests.experiments.actadd_models import DEPTH, WIDTH, needs_gpt2, random_gpt2
from tests.steering.conftest import _one_thread  # noqa: F401

SMALL: dict[str, Any] = {
    "hierarchy": "organisms", "n_tokens": 1200, "n_features": 24, "k": 3, "epochs": 2, "n_held_out": 100,
    "n_replaced": 50, "n_concepts": 8, "n_permutations": 2, "n_random": 1, "n_classes": 2, "n_prompts": 3,
    "behaviour": "",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not cached_path(CATALOGUE["gpt2-tokenizer"]).exists():
        pytest.skip("run: concept-geometry fetch gpt2-tokenizer")
    return random_gpt2(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def result(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Stopped in the middle of training once, and run again."""
    study = DictionariesStudy(model=str(folder), **SMALL)
    steps, real = [0], trainer.take_step

    def stops(*given: Any, **named: Any) -> float:
        steps[0] += 1
        if steps[0] == 3:
            raise KeyboardInterrupt
        return real(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr("geometry.dictionaries.from_texts.EVERY", 1)
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(trainer, "take_step", stops)
            with pytest.raises(KeyboardInterrupt):
                study.run()
        said: list[str] = []
        found = study.run(said.append)
        model, tokenizer = geo.load_model(str(folder))
        whole = geo.dictionaries.text_dictionary(
            model, tokenizer, n_tokens=1200, n_features=24, k=3, epochs=2, cache=False
        )
    np.testing.assert_array_equal(found.parts["quality"].training.unexplained, whole.unexplained)
    assert torch.equal(found.parts["quality"].training.dictionary.encoder, whole.dictionary.encoder)
    assert any("training a dictionary of 24 features at output.2" in line for line in said)
    return found


@needs_gpt2
def test_every_part_is_measured_said_and_tabulated(result: Any) -> None:
    assert list(result.parts) == ["quality", "concepts", "steering", "decomposition"], result.left_out
    assert "dictionary style" in result.notes[0]
    assert any("post hoc" in sentence for sentence in result.summary())
    assert all(sentence.endswith(".") and "nan" not in sentence for sentence in result.summary())
    titles = [spec.title for spec in result.figures()]
    assert len(set(titles)) == len(titles) >= 5
    assert not any("nan" in title for title in titles)
    for table in result.tables():
        assert all(len(row) == len(table.head) for row in table.rows)
    assert [row[0] for row in result.parts["steering"].tables()[0].rows] == list(EVERY)
    assert json.dumps(result.to_dict(), allow_nan=True)


@needs_gpt2
def test_what_is_kept_is_measured_on_texts_that_nothing_was_fitted_to(result: Any) -> None:
    part = result.parts["quality"]
    assert part.quality[SAE].l0 <= 3
    assert part.quality[COMPONENTS].l0 == pytest.approx(3)
    assert part.explained(SAE)[0] > part.explained(RANDOM)[0]
    # Random weights: the loss need not be recovered, but KL is 0 for none.
    assert all(part.losses.divergence(name)[0] > 0 for name in part.quality)


@needs_gpt2
def test_vectors_are_compared_at_equal_kl(result: Any) -> None:
    part = result.parts["steering"]
    assert len(part.classes) == 2
    reached = np.isfinite(part.effects)
    assert reached[EVERY.index(MEAN), 0].all()
    assert reached[EVERY.index(RANDOM_VECTOR), 0].all()
    total = part.off_target[:, 0][reached[:, 0]]
    assert (total < 0.6).all()
    assert (part.coefficients[:, 1] > part.coefficients[:, 0])[reached.all(axis=1)].all()
    assert part.difference(MEAN, CAA, 0) == pytest.approx(
        part.of(part.effects, MEAN, 0) - part.of(part.effects, CAA, 0)
    )


def saved(folder: Path, width: int, site: str = "output.2", model: str = "") -> Path:
    generator = torch.Generator().manual_seed(0)
    decoder = torch.randn(20, width, generator=generator)
    dictionary = geo.dictionaries.FeatureDictionary(
        decoder.T, decoder, torch.zeros(20), torch.zeros(width), "topk", k=4, site=geo.Site.parse(site), model=model
    )
    return geo.dictionaries.save_dictionary(dictionary, folder)


def hostile(folder: Path, tmp_path: Path) -> list[tuple[list[str], str]]:
    """Options of a run on the tiny model, and what the refusal says."""
    vector, pickled = tmp_path / "vector", tmp_path / "pickled"
    vector.mkdir()
    pickled.mkdir()
    geo.save_vector(geo.SteeringVector({"output.1": torch.ones(WIDTH)}), vector / "vector.safetensors")
    (pickled / "ae.pt").write_bytes(b"x")
    (tmp_path / "empty.txt").write_text("\n\n")
    (tmp_path / "same.txt").write_text("The dog runs in the garden.\n" * 2000)
    own = str(saved(tmp_path / "own", WIDTH))
    return [
        (["--dictionary", str(saved(tmp_path / "wide", WIDTH + 1))], f"is for width {WIDTH + 1}"),
        (["--dictionary", str(vector)], "no sparse autoencoder of"),
        (["--texts", "empty.txt"], "holds no text"),
        (["--texts", "same.txt", "--n-tokens", "1000"], "the 1 texts have"),
        (["--n-held-out", "100000000"], "100,000,000 are asked for"),
        (["--site", "output.1.relative"], "write output.1"),
        (["--dictionary", str(saved(tmp_path / "deep", WIDTH, f"output.{DEPTH}"))], f"no block {DEPTH}"),
        (["--dictionary", str(pickled)], "pickled"),
        (["--dictionary", str(folder)], "no sparse autoencoder of"),
        (["--dictionary", str(tmp_path / "nowhere" / "there")], "no such folder"),
        (["--dictionary", own, "--dictionary-folder", "layer_9"], "has no folder"),
        (["--dictionary", own, "--site", "output.1"], "is for output.2, not for output.1"),
        (["--dictionary-folder", "layer_9"], "no dictionary"),
        (["--site", "output.77"], "no block 77"),
        (["--site", "nowhere"], "unknown place"),
        (["--texts", "nowhere.txt"], "cannot be read"),
        (["--n-features", "16", "--k", "17"], "k is at most"),
        (["--prompts", "nowhere"], "nowhere"),
        (["--behaviour", "nowhere"], "nowhere"),
        (["--hierarchy", "nowhere"], "nowhere"),
    ]


@needs_gpt2
@pytest.mark.parametrize("count", [3, pytest.param(None, marks=pytest.mark.long)])
def test_what_does_not_fit_is_refused_in_one_line(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    count: int | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments, says in hostile(folder, tmp_path)[:count]:
        given = ["run", "dictionaries", str(folder), "--hierarchy", "organisms", "--out", str(tmp_path / "out")]
        assert main([*given, *arguments]) == 2, arguments
        error = capsys.readouterr().err.splitlines()[-1]
        assert says in error, error
        assert not (tmp_path / "out").exists()


def test_a_line_that_is_there_twice_is_not_both_trained_on_and_held_out(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("a dog\nA cat\n\n a dog \nA cat\nA bird\n")
    assert _lines(str(tmp_path / "texts.txt")) == ["a dog", "A cat", "A bird"]


def test_a_dictionary_of_another_model_is_refused_by_name(tmp_path: Path) -> None:
    own = saved(tmp_path / "own", 576, model="gemma-2-2b")
    with pytest.raises(geo.errors.SteeringError, match="is for gemma-2-2b, not for smollm2-135m"):
        DictionariesStudy(dictionary=str(own)).run()


@needs_gpt2
@pytest.mark.long
def test_a_dictionary_that_is_given_takes_the_place_of_a_trained_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("geometry.experiments.dictionaries.setup.REFERENCE", 800)
    monkeypatch.setattr(classes, "_FEWEST_TOKENS", 10_000)
    own = saved(tmp_path / "own", WIDTH, "output.1")
    lines = tmp_path / "mine.txt"
    lines.write_text("\n".join(geo.concepts.load_glosses(seed=3)[:300]))
    study = DictionariesStudy(
        model=str(folder), dictionary=str(own), texts=str(lines), **(SMALL | {"behaviour": "", "n_classes": 2})
    )
    found = study.run()
    assert found.parts["quality"].site == "output.1"
    assert found.parts["quality"].sizes[SAE] == 20
    assert found.parts["quality"].training is None
    assert "as given, measured on lines of" in found.parts["quality"].says
    # No siblings have so many words, and there are no behaviours: that is said, and nothing else is lost.
    assert "nothing to steer to" in found.left_out["steering"]
    assert "Not measured: steering" in found.summary()[-1]


def test_siblings_are_of_the_smallest_families_and_hold_no_other_class() -> None:
    names = {"big": range(120), "small": range(60), "a": range(28), "b": range(28, 56), "c": range(60, 100)}
    names |= {"d": range(90, 116), "few": range(56, 60)}
    vocabulary = geo.Vocabulary([f" w{number}" for number in range(400)])
    rest = {"rest": range(120, 400)}
    concepts = tuple(
        geo.concepts.Concept.from_words(name, [f"w{i}" for i in span], vocabulary)
        for name, span in (names | rest).items()
    )
    parents = {"a": ("small",), "b": ("small",), "few": ("small",), "small": ("big",), "c": ("big",), "d": ("big",)}
    hierarchy = geo.ConceptHierarchy("made", concepts, parents)
    assert classes.sibling_pairs(hierarchy, 4) == [("small", "a"), ("small", "b"), ("big", "c"), ("big", "d")]
    assert classes.sibling_pairs(hierarchy, 3) == [("small", "a"), ("small", "b")]


def test_dense_directions_score_held_out_words_as_by_hand() -> None:
    from sklearn.metrics import roc_auc_score

    from geometry.evidence import lemma_folds
    from geometry.experiments.dictionaries.concepts import dense_auc
    from geometry.randomness import generator

    rng = np.random.default_rng(0)
    words = [f"w{number}" for number in range(40)]
    vocabulary = geo.Vocabulary([f" {word}" for word in words])
    concepts = tuple(
        geo.concepts.Concept.from_words(name, words[part], vocabulary)
        for name, part in {"all": slice(None), "a": slice(0, 15), "b": slice(15, 30)}.items()
    )
    hierarchy = geo.ConceptHierarchy("made", concepts, {"a": ("all",), "b": ("all",)})
    rows = rng.standard_normal((40, 6))
    rows[:15, 0] += 1.0
    found = dense_auc(rows, hierarchy, 0)
    folds, inside = lemma_folds(hierarchy, 2, generator(0, "halves of words")), np.arange(40) < 15
    ways = []
    for held_out in (0, 1):
        train, test = folds != held_out, folds == held_out
        direction = rows[train & inside].mean(axis=0) - rows[train & ~inside].mean(axis=0)
        ways.append(roc_auc_score(inside[test], rows[test] @ direction))
    assert len(found) == 2  # the one that holds all words has no others
    assert found[0] == pytest.approx(np.mean(ways))


@pytest.mark.long
def test_on_a_real_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = DictionariesStudy(model="stories15m", **(DictionariesStudy.quick | {"behaviour": "emotion"}))
    found = study.run()
    quality = found.parts["quality"]
    assert quality.explained(SAE)[1][0] > quality.explained(COMPONENTS)[1][1] > quality.explained(RANDOM)[1][1]
    assert quality.recovered(SAE)[0] > quality.recovered(RANDOM)[0]
    found.write(tmp_path / "out")
    assert len(found.parts["steering"].classes) > 8
    assert json.loads((tmp_path / "out" / "results.json").read_text())["results"]["quality"]
