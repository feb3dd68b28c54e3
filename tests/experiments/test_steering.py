"""The steering analysis as a script: what it writes, what it measures on the real model, and what it refuses."""

import json
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import geometry as geo
from analysis import steering
from tests.analysis.scripts import nonsense, run_analysis

CONDITIONS = {"none", "parent", "child", "parent_child", "own", "random", "random_residual", "before_norm", "block"}
ANIMAL, MAMMAL, BIRD, PLANT = "animal.n.01", "mammal.n.01", "bird.n.01", "plant.n.02"

analyse = partial(run_analysis, "steering")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "steering"
    done = analyse("--draws", 9, "--every", 10, "--out", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "parent_child" in done.stdout
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))["results"]


def test_there_are_four_figures_a_page_and_the_numbers(folder: Path) -> None:
    figures = {
        f"{name}.{ending}" for name in ("conditions", "words", "coefficients", "blocks") for ending in ("png", "svg")
    }
    assert {path.name for path in folder.iterdir()} == figures | {"completions.html", "results.json", "results.npz"}


def test_every_condition_has_a_probability_of_every_synset(results: dict[str, Any]) -> None:
    assert set(results["probability"]) >= CONDITIONS
    for found in results["probability"].values():
        assert set(found) == {ANIMAL, MAMMAL, BIRD, PLANT}
        assert all(0 <= value <= 1 for value in found.values())
        assert found[ANIMAL] >= max(found[MAMMAL], found[BIRD]) - 1e-9
    assert results["prompts"]["reported"] >= 24


def test_composing_parent_and_child_reaches_the_child_and_random_vectors_do_not(results: dict[str, Any]) -> None:
    p, top = results["probability"], results["child_on_top"]
    assert top["none"] == 0
    assert top["parent_child"] > 0.75
    assert top["random"] < 0.05
    assert p["parent_child"][ANIMAL] > 0.7 > 10 * p["none"][ANIMAL] > 0
    assert p["parent_child"][BIRD] > 0.5
    assert max(p["random"][BIRD], p["random_residual"][BIRD]) < 0.02
    assert p["parent"][BIRD] < 0.1 < p["parent"][ANIMAL]
    assert results["p_value"]["random"] == 0.1


def test_words_that_the_vector_never_saw_rise_too_but_not_those_of_nonsense(results: dict[str, Any]) -> None:
    before, after = (results["probability_held_out"][name][BIRD] for name in ("none", "parent_child"))
    assert before < 0.01 < 0.2 < after
    assert results["nonsense"]["fitted"] > 5 * results["nonsense"]["fitted_unsteered"]
    assert results["nonsense"]["held_out"] < 0.02


def test_kinds_of_words_divide_the_whole(results: dict[str, Any]) -> None:
    for name, found in results["probability"].items():
        for synset, whole in found.items():
            parts = (results[f"probability_{kind}"][name][synset] for kind in ("fitted", "held_out"))
            assert sum(parts) == pytest.approx(whole, abs=1e-6)


def test_the_price_stands_beside_the_gain(results: dict[str, Any]) -> None:
    assert results["perplexity"]["none"] == pytest.approx(41, abs=2)
    assert results["perplexity"]["parent_child"] > 2 * results["perplexity"]["none"]
    for name, excess in results["excess_divergence"].items():
        assert 0 <= excess <= results["divergence"][name] + 1e-6
    assert results["divergence"]["none"] == 0


def test_the_whole_sweep_is_kept_with_its_blanks(folder: Path, results: dict[str, Any]) -> None:
    with np.load(folder / "results.npz") as arrays:
        child = arrays["blocks/child"]
        assert child.shape == (30, 8)
        assert np.flatnonzero(np.isfinite(child).all(axis=1)).tolist() == [9, 19, 29]
        assert np.nanmax(child[:15]) < 0.25
    assert results["chosen"]["block"][0] in (9, 19)


def test_the_page_loads_nothing_and_holds_every_completion(folder: Path, results: dict[str, Any]) -> None:
    page = (folder / "completions.html").read_text(encoding="utf-8")
    tags: list[tuple[str, list[Any]]] = []
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, attributes: tags.append((tag, attributes))  # type: ignore[method-assign]
    reader.feed(page)
    assert {tag for tag, _ in tags} <= set(
        "html head meta link title style body h1 p table thead tbody tr th td mark small br".split()
    )
    assert [value for _, attributes in tags for name, value in attributes if name in ("src", "href")] == ["data:,"]
    assert sum(tag == "td" for tag, _ in tags) == sum(len(by) for by in results["completions"].values())


@pytest.mark.parametrize(
    ("depth", "every", "quick", "blocks"),
    [(30, 1, True, [5, 15, 25]), (2, 1, True, [0, 1]), (1, 1, True, [0]), (6, 4, False, [1, 5]), (3, 9, False, [2])],
)
def test_a_quick_sweep_is_three_blocks_where_they_exist(
    monkeypatch: pytest.MonkeyPatch, depth: int, every: int, quick: bool, blocks: list[int]
) -> None:
    monkeypatch.setattr(geo.steering.Architecture, "of", lambda _: SimpleNamespace(blocks=range(depth)))
    assert steering.swept(SimpleNamespace(model=None), every, quick=quick) == blocks  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--quick", "--every", "2"), "not allowed with"),
        (("--child", "plant.n.02"), "no ancestor"),
        (("--child", "brid.n.01"), "did you mean bird.n.01"),
        (("--prompts", "nothing.yaml"), "no such file"),
        (("--draws", "0"), "at least 1"),
    ],
)
def test_bad_input_is_refused_in_one_line_before_the_model_is_loaded(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = analyse(*arguments, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_model_without_the_concepts_is_refused(tmp_path: Path) -> None:
    model, _ = nonsense(tmp_path, words=60)
    done = analyse("--model", model, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.startswith("error: WordNet nouns")


def test_prompt_sets_are_read_and_malformed_ones_refused(tmp_path: Path) -> None:
    neutral = geo.steering.load_prompts("neutral")
    assert len(neutral.beginnings) == len(set(neutral.beginnings)) >= 36
    assert all(text.endswith(".") for text in neutral.texts)
    path = tmp_path / "own.yaml"
    for content in ("prompts: {beginnings: []}", "prompts: {beginnings: [a], texts: 3}", "prompts: {x: [a]}", "- a"):
        path.write_text(content)
        with pytest.raises(geo.errors.SteeringError, match="own"):
            geo.steering.load_prompts(path)
    path.write_text("prompts: {beginnings: ['A  b'], texts: [c]}")
    assert geo.steering.load_prompts(path) == geo.steering.PromptSet("own.yaml", ("A b",), ("c",))
