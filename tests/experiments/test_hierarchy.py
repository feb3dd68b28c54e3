"""The whole analysis on the real models, against numbers measured independently, and its refusals."""

import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.spatial.distance import squareform

from geometry.models import CATALOGUE, cached_path
from tests.analysis.scripts import nonsense, run_analysis
from tests.models.checkpoints import TOKENS, write_tokenizer

ROOT = Path(__file__).parents[2]
FIGURES = ("existence", "heatmap", "orthogonality", "planes", "simplex")


analyse = partial(run_analysis, "hierarchy")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "hierarchy"
    done = analyse("--out", folder, "--draws", 1, PYTHONHASHSEED="1")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_everything_is_written_and_nothing_else(folder: Path) -> None:
    expected = {f"{name}.{ending}" for name in FIGURES for ending in ("png", "svg")}
    assert {path.name for path in folder.iterdir()} == expected | {"results.json", "results.npz"}


def test_the_report_says_what_was_measured(report: dict[str, Any]) -> None:
    assert report["analysis"] == "hierarchy"
    model = report["model"]
    assert (model["name"], model["family"], model["vocabulary"], model["width"]) == (
        "smollm2-135m",
        "llama",
        49152,
        576,
    )
    assert len(model["sha256"]) == 64
    assert report["settings"] == {"seed": 0, "hierarchy": "wordnet-noun", "draws": 1}
    assert report["seconds"] > 0


def test_numbers_on_smollm2(report: dict[str, Any]) -> None:
    results = report["results"]
    assert 400 <= results["concepts"] <= 407
    assert results["edges"] >= results["concepts"] - 1
    existence = results["existence"]
    assert existence["token_split"]["held_out_projection"]["mean"] == pytest.approx(0.81, abs=0.02)
    assert existence["lemma_split"]["held_out_projection"]["mean"] == pytest.approx(0.58, abs=0.03)
    assert existence["token_split"]["shuffled"]["mean"] == pytest.approx(0.00, abs=0.02)
    parent = results["orthogonality"]["parent"]
    assert 0.04 <= parent["abs_cos"]["mean"] <= 0.06
    assert 0.03 <= parent["shuffled"]["abs_cos"]["mean"] <= 0.04
    assert 0.03 <= parent["random_subset"]["abs_cos"]["mean"] <= 0.06
    assert results["separation"]["lemma_split"]["auc"]["mean"] == pytest.approx(0.78, abs=0.02)
    assert results["separation"]["token_split"]["auc"]["mean"] == pytest.approx(0.90, abs=0.02)
    # What belonging to the parent alone gives, in part by its lemmas on both sides of a token split.
    assert existence["lemma_split"]["random_subset"]["mean"] == pytest.approx(0.44, abs=0.03)
    assert results["separation"]["lemma_split"]["random_subset"]["mean"] == pytest.approx(0.50, abs=0.02)
    assert results["separation"]["token_split"]["random_subset"]["mean"] == pytest.approx(0.73, abs=0.03)
    assert parent["verdict"] == "by construction"
    tree = results["tree_correlation"]
    assert tree["all_pairs"]["model"] == pytest.approx(0.39, abs=0.02)
    assert tree["word_disjoint_pairs"]["model"] == pytest.approx(0.20, abs=0.02)
    assert abs(tree["word_disjoint_pairs"]["shuffled"]["mean"]) < 0.05
    assert "bird.n.01" in results["per_concept"]


def test_the_arrays_are_those_of_the_report(folder: Path, report: dict[str, Any]) -> None:
    with np.load(folder / "results.npz", allow_pickle=False) as arrays:
        mean = np.nanmean(arrays["projection_lemma"])
        assert squareform(arrays["cosines_whole"]).shape == (report["results"]["concepts"],) * 2
    assert mean == pytest.approx(report["results"]["existence"]["lemma_split"]["held_out_projection"]["mean"])


def test_the_readmes_table_is_what_is_measured(report: dict[str, Any]) -> None:
    results = report["results"]
    lemma, token = results["existence"]["lemma_split"], results["existence"]["token_split"]
    parent, tree = results["orthogonality"]["parent"], results["tree_correlation"]
    auc = results["separation"]["lemma_split"]
    nulls = ("shuffled", "gaussian", "random_subset")
    measured = [
        [token["held_out_projection"]["mean"], *(token[null]["mean"] for null in nulls)],
        [lemma["held_out_projection"]["mean"], *(lemma[null]["mean"] for null in nulls)],
        [parent["abs_cos"]["mean"], *(parent[null]["abs_cos"]["mean"] for null in nulls)],
        [auc["auc"]["mean"], *(auc[null]["mean"] for null in nulls)],
        [tree["all_pairs"]["model"], *(tree["all_pairs"][null]["mean"] for null in nulls[:2])],
        [tree["word_disjoint_pairs"]["model"], *(tree["word_disjoint_pairs"][null]["mean"] for null in nulls[:2])],
    ]
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## What SmolLM2-135M shows")[1].split("##")[0]
    rows = [line.replace("\\|", "").split("|")[2:6] for line in section.splitlines() if line.startswith("| ")][1:]
    stated = [[float(cell.replace("\N{MINUS SIGN}", "-")) for cell in row if cell.strip()] for row in rows]
    assert [len(row) for row in stated] == [len(row) for row in measured]
    for said, found in zip(stated, measured, strict=True):
        np.testing.assert_allclose(said, found, atol=0.025)


def test_independent_of_hash_seed_and_threads_up_to_rounding(tmp_path: Path) -> None:
    for seed, threads in (("1", "2"), ("2", "1")):
        small = ("--hierarchy", "organisms", "--draws", 1, "--out", tmp_path / seed)
        done = analyse(*small, PYTHONHASHSEED=seed, OMP_NUM_THREADS=threads, MKL_NUM_THREADS=threads)
        assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "1" / "results.npz") as first, np.load(tmp_path / "2" / "results.npz") as second:
        assert first.files == second.files
        for name in first.files:
            if first[name].dtype.kind == "U":
                assert np.array_equal(first[name], second[name])
            else:
                np.testing.assert_allclose(first[name], second[name], rtol=1e-6, atol=1e-8)


@pytest.mark.skipif(
    not cached_path(CATALOGUE["gemma3-270m"]).exists(), reason="run: concept-geometry fetch gemma3-270m"
)
def test_gemma_end_to_end(tmp_path: Path) -> None:
    done = analyse("--model", "gemma3-270m", "--hierarchy", "organisms", "--out", tmp_path, "--draws", 1)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert (report["model"]["family"], report["model"]["vocabulary"], report["model"]["width"]) == (
        "gemma3",
        262144,
        640,
    )
    assert report["model"]["rows_left_out"] > 6000
    assert report["results"]["concepts"] == 15
    assert report["results"]["separation"]["lemma_split"]["auc"]["mean"] > 0.8


def broken_model(folder: Path, **change: torch.Tensor) -> Path:
    save_file(change, folder / "model.safetensors")
    write_tokenizer(folder)
    return folder


def nan_rows() -> torch.Tensor:
    matrix = torch.randn(len(TOKENS), 8)
    matrix[2] = torch.nan
    return matrix


def refused(done: subprocess.CompletedProcess[str], complaint: str) -> None:
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert complaint in done.stderr


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"lm_head.weight": nan_rows()}, "NaN"),
        ({"layer.weight": torch.zeros(2, 2)}, "no unembedding"),
        ({"lm_head.weight": torch.randn(len(TOKENS), 8)}, "no synset has more than 50"),
    ],
)
def test_a_bad_model_is_one_line_status_2_and_no_trace(tmp_path: Path, change: dict, complaint: str) -> None:
    (tmp_path / "model").mkdir()
    done = analyse("--model", broken_model(tmp_path / "model", **change), "--out", tmp_path / "out" / "deep")
    refused(done, complaint)
    assert not (tmp_path / "out").exists()


def test_truncated_files_and_wrong_sums_are_refused(tmp_path: Path) -> None:
    whole = cached_path(CATALOGUE["smollm2-135m"]).read_bytes()
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(whole[: len(whole) // 3])
    refused(analyse("--model", damaged, "--out", tmp_path / "out"), "corrupt or truncated")
    folder = broken_model(tmp_path, **{"lm_head.weight": torch.randn(len(TOKENS), 8)})
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    refused(analyse("--model", weights, "--out", tmp_path / "out"), "corrupt or truncated")
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / CATALOGUE["smollm2-135m"].filename).write_bytes(whole[:-1])
    refused(analyse("--out", tmp_path / "out", CONCEPT_GEOMETRY_CACHE=str(cache)), "sha256")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("concepts", "complaint"),
    [
        ("a: {parents: [b], words: [dog]}, b: {parents: [a], words: [cat]}", "has a cycle"),
        ("a: {words: [floccinaucinihilipilification]}", "none of the words of 'a'"),
        ("a: {words: [dog]}, a: {words: [cat]}", "duplicate entry 'a'"),
    ],
)
def test_a_bad_hierarchy_is_one_line_status_2_and_no_trace(tmp_path: Path, concepts: str, complaint: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(f"concepts: {{{concepts}}}")
    refused(analyse("--hierarchy", path, "--out", tmp_path / "out"), complaint)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments", [("--model", "no/such/model/at-all"), ("--draws", 0), ("--seed", -1), ("--what",)]
)
def test_bad_arguments_are_one_line_status_2_and_no_trace(tmp_path: Path, arguments: tuple) -> None:
    done = analyse(*arguments, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_unwritable_folder_is_refused_before_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = analyse("--model", "does-not-matter.gguf", "--out", tmp_path / "file" / "out")
    assert done.returncode == 2
    assert "cannot write results there" in done.stderr


def test_a_small_hierarchy_of_ones_own_runs_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "name: two levels\nconcepts:\n  animal: {words: [animal, creature]}\n"
        "  mammal: {parents: [animal], words: [dog, cat, horse, cow, pig, sheep, goat, lion, tiger, bear]}\n"
        "  bird: {parents: [animal], words: [duck, goose, hen, eagle, hawk, owl, crow, parrot, pigeon]}\n"
    )
    done = analyse("--hierarchy", path, "--out", tmp_path / "out", "--draws", 1)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert report["results"]["hierarchy"]["name"] == "two levels"
    assert report["results"]["tree_correlation"]["word_disjoint_pairs"]["model"] is None


def test_a_model_too_small_for_the_pictures_says_so_and_goes_on(tmp_path: Path) -> None:
    model, own = nonsense(tmp_path, words=400)
    done = analyse("--model", model, "--hierarchy", own, "--out", tmp_path / "out", "--draws", 1)
    assert done.returncode == 0
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["planes", "simplex"]
    report = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert set(report["results"]["skipped"]) == {"planes", "simplex"}
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == {"existence", "heatmap", "orthogonality"}
