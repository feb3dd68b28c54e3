"""The steering study on the real model: what it measures, chooses, says and writes; and what it refuses."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import geometry as geo
from geometry.experiments import SteeringStudy, session
from geometry.experiments.evaluator import BOUND, Evaluator, cell, times
from geometry.experiments.steering import measure
from geometry.experiments.steering.result import SteeringResult
from tests.experiments.scripts import nonsense

CONDITIONS = {"unsteered", "parent", "child", "parent_child", "direct", "random", "random_residual", "before_norm"}
CONDITIONS |= {"block", "block_strongest", "parent_norm_matched", "other_parent_child", "grandparent_parent_child"}
ANIMAL, MAMMAL, BIRD, PLANT = "animal.n.01", "mammal.n.01", "bird.n.01", "plant.n.02"
BEGINNINGS, TEXTS = 12, 2


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, smollm2_model: Any) -> SteeringResult:
    """A run on a quarter of the prompts with short texts, and the fewest random vectors that can decide."""
    neutral, generations = geo.steering.load_prompts("neutral"), Evaluator.generations
    prompts = tmp_path_factory.mktemp("prompts") / "fewer.json"
    fewer = {"beginnings": neutral.beginnings[::4], "texts": neutral.texts[:TEXTS]}
    prompts.write_text(json.dumps({"prompts": fewer}), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "load_model", lambda _, **__: smollm2_model)
        patch.setattr(measure, "GENERATED", 2)
        patch.setattr(Evaluator, "generations", lambda *few, **how: generations(*few, **how | {"max_new_tokens": 5}))
        return SteeringStudy(prompts=str(prompts), n_random=19, every=10).run()


@pytest.fixture(scope="module")
def numbers(result: SteeringResult) -> dict[str, Any]:
    return result.to_dict()


@pytest.fixture(scope="module")
def folder(result: SteeringResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result.write(tmp_path_factory.mktemp("out") / "steering")


def test_every_condition_has_a_probability_of_every_synset(numbers: dict[str, Any]) -> None:
    assert set(numbers["probability"]) == set(numbers["perplexity"]) == CONDITIONS
    for by_synset in numbers["probability"].values():
        assert set(by_synset) == {ANIMAL, MAMMAL, BIRD, PLANT}
        assert all(0 <= value <= 1 for value in by_synset.values())
        assert by_synset[ANIMAL] >= max(by_synset[MAMMAL], by_synset[BIRD]) - 1e-9
    assert numbers["prompts"] == {"choosing": BEGINNINGS // 3, "reported": BEGINNINGS - BEGINNINGS // 3}


def test_composing_parent_and_child_reaches_the_child_and_random_vectors_do_not(numbers: dict[str, Any]) -> None:
    p, top = numbers["probability"], numbers["top1_rate"]
    assert top["unsteered"] == 0
    assert top["parent_child"] > 0.3
    assert top["random"] < 0.05
    assert p["parent_child"][ANIMAL] > 0.35 > 3 * p["unsteered"][ANIMAL] > 0
    assert p["parent_child"][BIRD] > 0.2 > 10 * p["unsteered"][BIRD]
    assert max(p["random"][BIRD], p["random_residual"][BIRD]) < 0.02
    assert p["parent"][BIRD] < 0.1 < p["parent"][ANIMAL]
    assert p["parent_child"][BIRD] > 2 * max(p["parent_norm_matched"][BIRD], p["child"][BIRD])
    assert numbers["p_value"] == {"random": 0.05, "random_residual": 0.05}


def test_held_out_words_rise_too_but_not_those_of_random_tokens(
    result: SteeringResult, numbers: dict[str, Any]
) -> None:
    before, after = (numbers["probability_held_out"][name][BIRD] for name in ("unsteered", "parent_child"))
    assert before < 0.01 < 0.05 < after
    control = numbers["random_token_control"]
    assert control["fitted"] > 3 * control["fitted_unsteered"]
    assert control["held_out"] < 0.02
    test = result.tests["held_out_words"]
    assert test.value == pytest.approx(after - before)
    assert test.nulls["random_token_control"].values.shape == (19, 8)
    assert test.p_value == 0.05


def test_kinds_of_words_divide_the_whole(numbers: dict[str, Any]) -> None:
    for name, by_synset in numbers["probability"].items():
        for synset, whole in by_synset.items():
            parts = (numbers[f"probability_{kind}"][name][synset] for kind in ("fitted", "held_out"))
            assert sum(parts) == pytest.approx(whole, abs=1e-6)


def test_the_test_of_composition_is_made_of_prompts_and_random_vectors(
    result: SteeringResult, numbers: dict[str, Any]
) -> None:
    test = result.tests["composition"]
    assert test.value == pytest.approx(numbers["probability"]["parent_child"][BIRD])
    for name, null in test.nulls.items():
        assert null.values.shape == (19, len(test.labels)) == (19, 8)
        assert null.mean == pytest.approx(numbers["probability"][name][BIRD])


def test_the_cost_stands_beside_the_gain(numbers: dict[str, Any], smollm2_model: Any) -> None:
    texts = geo.steering.load_prompts("neutral").texts[:TEXTS]
    unsteered = geo.steering.perplexity(*smollm2_model, texts)
    assert numbers["perplexity"]["unsteered"] == pytest.approx(unsteered, rel=1e-4)
    assert numbers["perplexity"]["parent_child"] > 1.2 * unsteered
    for name, excess in numbers["excess_kl"].items():
        assert 0 <= excess <= numbers["kl"][name] + 1e-6
    assert numbers["kl"]["unsteered"] == 0


def test_settings_are_chosen_by_cost_and_the_strongest_cell_without_regard_to_it(
    result: SteeringResult, numbers: dict[str, Any]
) -> None:
    chosen, ratios = result.chosen, numbers["perplexity_ratio"]
    assert (chosen.coefficient.within, chosen.strength.within) == (True, True)
    assert max(ratios["parent_child"], ratios["block"]) <= BOUND
    assert ratios["parent_child"] == pytest.approx(chosen.coefficient.ratio, rel=1e-3)
    assert ratios["block"] == pytest.approx(chosen.strength.ratio, rel=1e-3)
    assert result.curves["parent_child"]["perplexity_ratio"][result.coefficients > chosen.coefficient.value][0] > BOUND
    maps, strengths = result.blocks, result.strengths.tolist()
    for block in (9, 19):
        measured = maps["perplexity_ratio"][block]
        within = [column for column, ratio in enumerate(measured) if ratio <= BOUND]
        assert within == list(range(len(within)))
        best = maps["child"][chosen.block, strengths.index(chosen.strength.value)]
        assert maps["child"][block, within[-1]] <= best
        assert maps["child"][block].max() <= maps["child"][chosen.block_strongest].max()
    assert ratios["block_strongest"] > BOUND


def test_the_whole_sweep_is_kept_with_its_blanks(folder: Path, result: SteeringResult) -> None:
    with np.load(folder / "results.npz") as arrays:
        child = arrays["blocks/child"]
        assert child.shape == (30, 8)
        assert np.flatnonzero(np.isfinite(child).all(axis=1)).tolist() == [9, 19, 29]
        assert np.nanmax(child[:15]) < 0.25
    assert result.chosen.block in (9, 19)


def test_there_are_four_figures_a_page_and_the_numbers(folder: Path) -> None:
    names = ("conditions", "words", "coefficients", "blocks")
    figures = {f"{name}.{ending}" for name in names for ending in ("png", "svg")}
    assert {path.name for path in folder.iterdir()} == figures | {"generations.html", "results.json", "results.npz"}
    document = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert [figure["name"] for figure in document["figures"]] == list(names)
    for figure in document["figures"]:
        assert len(figure["title"]) <= 140
        assert len(figure["caption"]) <= 380
        assert not re.search(r"e[+-]?\d\d|nan|stream|nothing", figure["title"] + figure["caption"])
    head, *_ = (table["head"] for table in document["tables"])
    assert head[1:3] == ["P(animal)", "P(bird)"]
    assert len(document["tables"][0]["rows"]) == len(CONDITIONS)


def test_the_summary_says_what_was_found_and_what_not(result: SteeringResult) -> None:
    first, *others = result.summary()
    assert first.startswith("animal + (bird − animal) makes a bird word the most probable")
    assert any("no better than the direct bird vector" in line for line in others)
    assert any("any strength" in line for line in others)
    assert "nan" not in str(result)


def test_the_page_loads_nothing_and_holds_every_generation(folder: Path, numbers: dict[str, Any]) -> None:
    page = (folder / "generations.html").read_text(encoding="utf-8")
    tags: list[tuple[str, list[Any]]] = []
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, attributes: tags.append((tag, attributes))  # type: ignore[method-assign]
    reader.feed(page)
    assert {tag for tag, _ in tags} <= set(
        "html head meta link title style body h1 p table thead tbody tr th td mark small br".split()
    )
    assert [value for _, attributes in tags for name, value in attributes if name in ("src", "href")] == ["data:,"]
    assert sum(tag == "td" for tag, _ in tags) == sum(len(texts) for texts in numbers["generations"].values()) > 0


@pytest.mark.parametrize(
    ("depth", "options", "blocks"),
    [
        (30, {"blocks": 3}, [5, 15, 25]),
        (2, {"blocks": 3}, [0, 1]),
        (1, {"blocks": 3}, [0]),
        (6, {"every": 4}, [1, 5]),
        (3, {"every": 9}, [2]),
        (4, {}, [0, 1, 2, 3]),
    ],
)
def test_blocks_are_swept_evenly(depth: int, options: dict[str, int], blocks: list[int]) -> None:
    assert SteeringStudy(**options).swept(depth) == blocks


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": 3, "every": 2}, "give one of them"),
        ({"child": "plant.n.02"}, "no ancestor"),
        ({"child": "brid.n.01"}, "did you mean bird.n.01"),
        ({"prompts": "nothing.yaml"}, "no such file"),
        ({"n_random": 0}, "at least 1"),
        ({"beside": ("mammal.n.01",)}, "2 values"),
    ],
)
def test_bad_input_is_refused_before_the_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(session, "CausalSpace", None)
    monkeypatch.setattr(session, "load_model", None)
    with pytest.raises(geo.GeometryError, match=message):
        SteeringStudy(**options).run()


def test_a_model_without_the_concepts_is_refused(tmp_path: Path) -> None:
    model, _ = nonsense(tmp_path, words=60)
    with pytest.raises(geo.GeometryError, match=r"^WordNet nouns"):
        SteeringStudy(model=str(model)).run()


@pytest.mark.parametrize(
    ("ratio", "said", "short"),
    [
        (1.72, "1.7 times", "1.72"),
        (57.3, "57 times", "57"),
        (12345.0, "12,000 times", "12,300"),
        (8e23, "more than a million times", "≥ 10⁶"),
    ],
)
def test_large_ratios_are_said_in_words(ratio: float, said: str, short: str) -> None:
    assert (times(ratio), cell(ratio)) == (said, short)
