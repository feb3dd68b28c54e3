"""The battery as a script: what it writes, what it measures on the real model, and what it says of bad input."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import geometry as geo
from tests.analysis.scripts import nonsense, run_analysis

ROOT = Path(__file__).parents[2]
KEYS = {"claim", "hierarchy", "value", "interval", "nulls", "p_value", "q_value", "verdict"}
VERDICTS = {"supported", "weak", "by construction", "not found", "not orthogonal", "undecided", "beyond all draws"}
VERDICTS |= {"not measured", "not refuted"}


analyse = partial(run_analysis, "structure")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "structure"
    done = analyse("--hierarchies", "wordnet-verb", "organisms", "--quick", "--out", folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))["results"]


def claim(results: dict[str, Any], name: str, hierarchy: str) -> dict[str, Any]:
    (found,) = [entry for entry in results["claims"] if (entry["claim"], entry["hierarchy"]) == (name, hierarchy)]
    return found


def test_there_is_an_overview_and_a_page_for_each_claim(folder: Path) -> None:
    pages = {"overview", "logit-changes", "shapes", "composition", "contrasts", *(one.name for one in geo.CLAIMS)}
    expected = {f"{name}.{ending}" for name in pages for ending in ("png", "svg")}
    assert {path.name for path in folder.iterdir()} == expected | {"results.json", "results.npz"}


def test_every_claim_stands_beside_its_nulls(results: dict[str, Any]) -> None:
    for entry in results["claims"]:
        assert set(entry) >= KEYS
        assert entry["verdict"] in VERDICTS or entry["verdict"].startswith("rather a ") or " or " in entry["verdict"]
        assert "shuffled" in entry["nulls"]
    pairs = {(entry["claim"], entry["hierarchy"]) for entry in results["claims"]}
    assert pairs >= {(one.name, name) for one in geo.CLAIMS for name in ("wordnet-verb", "organisms")}
    assert results["p_floor"] == 1 / 20


def test_numbers_on_smollm2(results: dict[str, Any]) -> None:
    existence = claim(results, "existence", "wordnet-verb")
    assert existence["value"] == pytest.approx(0.44, abs=0.03)
    assert existence["nulls"]["random_subset"] == pytest.approx(0.29, abs=0.04)
    assert abs(existence["nulls"]["shuffled"]) < 0.02
    assert existence["p_value"] == 1 / 20
    orthogonality = claim(results, "orthogonality-a", "wordnet-verb")
    assert orthogonality["all_words"]["value"] == pytest.approx(0.027, abs=0.01)
    assert orthogonality["all_words"]["nulls"]["random_parent"] > 0.5
    assert orthogonality["verdict"] == "by construction"
    assert orthogonality["value"] > orthogonality["nulls"]["shuffled"]
    assert claim(results, "angle_deviation", "wordnet-verb")["verdict"] == "not found"
    winners = {name: found["winner"] for name, found in results["shapes"].items()}
    assert (winners["weekdays"], winners["months"], winners["ordinals"]) == ("circle", "circle", "line")
    assert winners["letters"] == "simplex"
    assert results["shapes"]["months"]["rivals"] == ["line", "tree"]
    assert results["composition"]["score"] > results["composition"]["shuffled_positions"] + 0.2
    assert results["composition"]["ranks"]["months: april"] == 1
    assert results["composition"]["by_series"]["months"] > results["composition"]["by_series"]["weekdays"]
    contrast = claim(results, "contrast", "positive – comparative")
    assert contrast["value"] > contrast["nulls"]["shuffled_partners"] > contrast["nulls"]["shuffled"]
    logits = results["logit_changes"]["wordnet-verb"]
    assert logits["parent"]["mean"] > 3 * logits["child"]["mean_absolute"] > 0


def test_the_arrays_are_those_of_the_report(folder: Path, results: dict[str, Any]) -> None:
    with np.load(folder / "results.npz", allow_pickle=False) as arrays:
        for name in ("existence", "separation", "quartets"):
            values = arrays[f"wordnet-verb.{name}:values"]
            assert np.nanmean(values) == pytest.approx(claim(results, name, "wordnet-verb")["value"])
            assert len(arrays[f"wordnet-verb.{name}:labels"]) == len(values)
            assert len(arrays[f"wordnet-verb.{name}:shuffled"]) == 19
        pairs = results["logit_changes"]["wordnet-verb"]["pairs"]
        assert np.isfinite(arrays["wordnet-verb.logit_changes:parent"]).all(axis=1).sum() >= pairs


def test_small_hierarchies_list_what_they_cannot_show(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "name: odd\nconcepts:\n  animal: {words: [animal, creature]}\n"
        "  mammal: {parents: [animal], words: [dog, cat, horse, cow, pig, sheep, goat, lion, tiger, bear]}\n"
        "  bird: {parents: [animal], words: [duck, goose, hen, eagle, hawk, owl, crow, parrot, pigeon]}\n"
        "  fowl: {parents: [bird], words: [hen]}\n  poultry: {parents: [fowl], words: [hen]}\n"
    )
    done = analyse("--hierarchies", path, "--draws", 1, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["results"]
    about = results["hierarchies"]["odd"]
    assert "'poultry'" in about["notes"][0]
    assert "exactly the words of its parent 'fowl'" in about["notes"][0]
    assert "single value, fowl" in about["skipped"]["bird"]
    assert "forms of one lemma" in about["skipped"]["fowl"]
    assert claim(results, "quartets", "odd")["verdict"] == "not measured"
    assert claim(results, "quartets", "odd")["value"] is None
    assert not (tmp_path / "out" / "quartets.png").exists()


def test_a_vocabulary_without_the_series_says_so_and_goes_on(tmp_path: Path) -> None:
    model, own = nonsense(tmp_path, words=300, beside=("monday",))
    options = ("--model", model, "--hierarchies", own, "--draws", 1, "--out", tmp_path / "out")
    done = analyse(*options)
    assert (done.returncode, done.stderr) == (0, "")
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["results"]
    assert "1 of its values have a token" in results["skipped"]["weekdays"]
    assert {"composition", "animal classes", "male – female"} <= set(results["skipped"])
    assert results["composition"] is None
    assert not (tmp_path / "out" / "shapes.png").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--hierarchies", "no-such"), "no-such"),
        (("--draws", "0"), "at least 1"),
        (("--draws", "9", "--quick"), "not allowed with"),
        (("--recipe", "own"), "--recipe"),
        (("--model", "no/such/model/at-all"), "no/such/model"),
    ],
)
def test_bad_arguments_are_one_line_status_2_and_no_trace(tmp_path: Path, arguments: tuple, complaint: str) -> None:
    done = analyse(*arguments, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert complaint in done.stderr
    assert not (tmp_path / "out").exists()
