"""The study of maps: nothing is found in noise, all files are there, what is coloured and named separates."""

import json
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch

import geometry as geo
from analysis import maps
from geometry.experiments import MapsStudy
from geometry.experiments.maps.result import MapsResult
from geometry.views.colouring import by_concept, by_depth, by_kind, disjoint_concepts
from tests.experiments.scripts import nonsense

FIGURES = ("vocabulary", "purity", "concepts", "mapper")
PAGES = {"vocabulary.html", "concepts.html", "mapper.html"}


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """240 nonsense words in twelve kinds, and a token that is markup."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("noise")
    model, hierarchy = nonsense(folder, words=240, beside=("</script><img src=x onerror=alert(1)>",))
    words = ", ".join(f"w{n}" for n in range(240))
    kinds = [f"  k{k}: {{parents: [all], words: [{', '.join(f'w{n}' for n in range(k, 240, 12))}]}}" for k in range(12)]
    hierarchy.write_text("\n".join(["forms: none", "concepts:", f"  all: {{words: [{words}]}}", *kinds]))
    return model, hierarchy


@pytest.fixture(scope="module")
def result(noise: tuple[Path, Path]) -> MapsResult:
    model, hierarchy = noise
    result = MapsStudy(model=str(model), hierarchy=str(hierarchy), concept="all", n_permutations=5).run()
    assert isinstance(result, MapsResult)
    return result


@pytest.fixture(scope="module")
def folder(result: MapsResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result.write(tmp_path_factory.mktemp("out") / "maps")


@pytest.fixture(scope="module")
def content(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return read


def test_in_a_vocabulary_of_noise_nothing_is_found(content: dict[str, Any]) -> None:
    results = content["results"]
    for product in ("causal", "euclidean"):
        mapped = results["vocabulary"][product]
        purity = mapped["knn_purity"]["in space"]
        assert purity["value"] == pytest.approx(purity["nulls"]["shuffled"], abs=0.06)
        assert purity["p_value"] > 0.01
        assert mapped["trustworthiness"]["nulls"]["permuted"] == pytest.approx(0.5, abs=0.1)
        assert mapped["trustworthiness"]["p_value"] == 1 / 20
        assert mapped["neighbourhood_preservation"]["value"] > mapped["neighbourhood_preservation"]["null"]
    assert set(results["concepts"]) == {"causal inner product", "Euclidean inner product", "shuffled rows"}
    assert results["mapper"]["numbers"]["purity"]["n_permutations"] == {"shuffled": 5, "labels": 5}
    assert results["mapper"]["numbers"]["purity"]["p_value"] > 0.05
    assert "no more than those of its null" in content["summary"][-1]


def test_all_files_are_there_and_agree(folder: Path, content: dict[str, Any]) -> None:
    figures = {f"{name}.{end}" for name in FIGURES for end in ("png", "svg")}
    files = figures | PAGES | {"mapper.graphml", "results.json", "results.npz"}
    assert {path.name for path in folder.iterdir()} == files
    assert [figure["name"] for figure in content["figures"]] == list(FIGURES)
    assert {page["name"] for page in content["pages"]} == PAGES
    for figure in content["figures"]:
        assert len(figure["title"]) <= 140
        assert len(figure["caption"]) <= 380
    numbers = content["results"]["mapper"]["numbers"]
    graph = nx.read_graphml(folder / "mapper.graphml")
    assert graph.number_of_nodes() == numbers["nodes"]["value"]
    assert graph.number_of_edges() == numbers["edges"]["value"]
    assert "<img" not in (folder / "vocabulary.html").read_text(encoding="utf-8")
    with np.load(folder / "results.npz", allow_pickle=False) as arrays:
        assert arrays["vocabulary:causal"].shape == (len(arrays["tokens"]), 2)
        assert arrays["concepts:shuffled rows"].shape == (13, 2)


def test_tables_show_every_measure_beside_its_null(result: MapsResult) -> None:
    maps_table, graph_table = result.tables()
    assert len(maps_table.rows) == 2 * 4
    assert [row[0] for row in graph_table.rows] == [test.measure for test in result.mapper.comparison.tests.values()]
    assert list(graph_table.head) == [
        "measure", "value", "shuffled rows", "p, shuffled rows", "shuffled labels", "p, shuffled labels",
    ]  # fmt: skip
    for table in (maps_table, graph_table):
        assert all(len(row) == len(table.head) for row in table.rows)


def test_coloured_concepts_are_disjoint_and_those_of_the_highest_scores(result: MapsResult) -> None:
    hierarchy = result.vocabulary.hierarchy
    scores = np.arange(len(hierarchy), dtype=float)
    chosen = disjoint_concepts(hierarchy, scores, most=4)
    # "all" has more than a seventh of all words, whatever its score.
    assert chosen == list(hierarchy.names[:-5:-1])
    assert disjoint_concepts(hierarchy, np.full(len(hierarchy), np.nan))[0] == "k0"
    colouring = by_concept(hierarchy, chosen, result.vocabulary.members, len(result.vocabulary.texts))
    for index, name in enumerate(chosen):
        assert (colouring.points[result.vocabulary.members[name]] == index).all()
    assert colouring.concepts is not None
    assert colouring.concepts[hierarchy.index("all")] == -1
    assert (colouring.points >= 0).sum() == 4 * 20


def test_depth_and_kinds_are_coloured(result: MapsResult) -> None:
    vocabulary = result.vocabulary
    hierarchy, n = vocabulary.hierarchy, len(vocabulary.texts)
    depth = by_depth(hierarchy, vocabulary.members, n)
    assert depth.categories == ["0", "1"]
    assert depth.ordered
    assert (depth.points[vocabulary.members["k3"]] == 1).all()
    kinds = by_kind(hierarchy, "all", vocabulary.members, n)
    assert kinds.name == "kinds of all"
    assert len(kinds.categories) == 11


def test_the_script_runs_and_the_same_seed_gives_the_same(
    noise: tuple[Path, Path], content: dict[str, Any], tmp_path: Path
) -> None:
    model, hierarchy = noise
    options = ["--concept", "all", "--n-permutations", "5", "--out", str(tmp_path / "out")]
    arguments = [str(model), "--hierarchy", str(hierarchy), *options]
    assert geo.cli.script(MapsStudy, maps.main, maps.__doc__, arguments) == 0
    again = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert again["results"] == content["results"]
    assert again["command"] == content["command"]


@pytest.mark.parametrize(
    ("words", "concept", "complaint"),
    [(10, "all", "too few to map"), (240, "unicorn", "no concept 'unicorn'")],
)
def test_what_cannot_be_mapped_is_one_line_and_no_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: int, concept: str, complaint: str
) -> None:
    model, hierarchy = nonsense(tmp_path, words=words)
    out = tmp_path / "out"
    arguments = [str(model), "--hierarchy", str(hierarchy), "--concept", concept, "--out", str(out)]
    assert geo.cli.script(MapsStudy, maps.main, maps.__doc__, arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert complaint in error
    assert not out.exists()


def test_a_concept_without_kinds_is_refused_before_the_long_work(noise: tuple[Path, Path]) -> None:
    model, hierarchy = noise
    steps: list[str] = []
    study = MapsStudy(model=str(model), hierarchy=str(hierarchy), concept="k1")
    with pytest.raises(geo.errors.EstimationError, match="'k1' has no children"):
        study.run(steps.append)
    assert not [step for step in steps if "mapping" in step]


@pytest.mark.parametrize(
    ("concepts", "reason"),
    [
        ("a: [w0, w1, w2, w3, w4]\nb: [w5, w6, w7, w8]\nc: [w9, w10, w11, w12]\n", "no concept has others below it"),
        ("top:\n  a: [w0, w1, w2]\n  b: [w5, w6, w7]\n  c: [w9, w10]\n", "top: "),
    ],
    ids=["three flat", "four"],
)
def test_a_few_concepts_are_mapped_and_what_mapper_lacks_is_said(
    noise: tuple[Path, Path], tmp_path: Path, concepts: str, reason: str
) -> None:
    (tmp_path / "own.yaml").write_text(concepts)
    result = MapsStudy(model=str(noise[0]), hierarchy=str(tmp_path / "own.yaml"), n_permutations=2).run()
    assert result.mapper is None
    assert result.summary()[-1].startswith(f"Mapper is left out: {reason}")
    folder = result.write(tmp_path / "out")
    files = {path.name for path in folder.iterdir()}
    assert {"vocabulary.png", "concepts.png", "vocabulary.html", "concepts.html", "results.json"} <= files
    assert not [name for name in files if "mapper" in name]
    assert json.loads((folder / "results.json").read_text())["results"]["mapper"]["left_out"].startswith(reason)
