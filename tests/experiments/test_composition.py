"""The study of composition: its parts in planted worlds and on a tiny model, refusals, and the real model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.anatomy.linear_maps import position_map, successor_map
from geometry.anatomy.role_binding import role_maps, two_way_shares
from geometry.errors import GeometryError
from geometry.experiments import CompositionStudy, session
from geometry.experiments.composition.labels import MOVES, STEPS
from geometry.experiments.composition.maps_part import MapsPart
from geometry.experiments.composition.relations_part import PLACES, RelationsPart
from geometry.experiments.composition.series_part import SeriesPart, additive
from geometry.experiments.composition.setup import UNEMBEDDING, chosen_series, sites_read
from geometry.experiments.composition.steered_token import SteeredToken, matched
from geometry.experiments.composition.steps_part import StepsPart, main_tokens, position_steps
from tests.anatomy.test_linear_maps import planted
from tests.anatomy.test_role_binding import world
from tests.experiments.test_tasks import checked_part
from tests.steering import tiny

RNG = np.random.default_rng(0)


def additive_world(weight: float) -> dict[str, Any]:
    """Values that are a category plus so much of a position, and noise."""
    rng = np.random.default_rng(1)
    places, series = rng.normal(size=(8, 40)), {}
    for name in ("days", "months", "letters"):
        rows = rng.normal(size=40) + weight * places + 0.5 * rng.normal(size=(8, 40))
        series[name] = (tuple(f"{name}{k}" for k in range(8)), np.arange(8), rows)
    return series


def test_an_additive_world_is_recovered_and_no_other() -> None:
    random = RNG.normal(size=(60, 40))
    found = additive(additive_world(1), random, n_permutations=19, seed=0)
    assert found.rank.mean() > 0.95
    assert found.error.mean() < 0.6
    assert found.p_value() == 1 / 20
    assert found.shuffled["error"].min() > 1
    assert found.random["rank"].max() < 0.7
    nothing = additive(additive_world(0), None, n_permutations=19, seed=0)
    assert nothing.p_value() > 0.05
    assert nothing.error.mean() > 1
    assert not len(nothing.random["rank"])


def test_an_error_is_that_of_the_model_fitted_without_the_value() -> None:
    series = additive_world(1)
    found = additive(series, None, n_permutations=1, seed=0)
    rows = np.concatenate([vectors for _, _, vectors in series.values()])
    design = np.array([[*(c == k for k in range(3)), *(p == k for k in range(8))] for c in range(3) for p in range(8)])
    rest = np.arange(24) != 5
    weights = np.linalg.lstsq(design[rest].astype(float), rows[rest], rcond=None)[0]
    mean = rows[:8][np.arange(8) != 5].mean(axis=0)
    expected = ((rows[5] - design[5] @ weights) ** 2).sum() / ((rows[5] - mean) ** 2).sum()
    assert found.cells[5] == ("days", "days5")
    assert found.error[5] == pytest.approx(expected)


def test_what_is_said_of_series_and_maps() -> None:
    inside = ("input.0", "mlp.0", "output.3")
    worlds = {UNEMBEDDING: additive_world(0.5)} | {place: additive_world(k / 2) for k, place in enumerate(inside)}
    random = RNG.normal(size=(60, 40))
    at = {
        place: additive(each, random if place in inside else None, n_permutations=3, seed=0)
        for place, each in worlds.items()
    }
    part = SeriesPart(at, inside, None)
    assert part.best == "output.3"
    assert "Category + position at output.3" in checked_part(part)
    steps = {place: successor_map(planted(), n_permutations=1) for place in worlds}
    jumps = {place: position_map(each, n_permutations=1) for place, each in worlds.items()}
    maps = MapsPart(steps, jumps, inside, None)
    assert maps.best("successor") == "input.0"
    assert "fitted to the other categories, finds" in checked_part(maps)


def test_a_step_is_the_mean_of_the_other_categories() -> None:
    rows = {"a": np.array([[0.0], [1.0]]), "b": np.array([[5.0], [8.0], [9.0]]), "c": np.array([[1.0], [2.0]])}
    positions = {"a": np.array([0, 1]), "b": np.array([0, 1, 2]), "c": np.array([1, 2])}
    assert position_steps(rows, positions, "a", 0) == [3.0]
    assert position_steps(rows, positions, "c", 0) == [2.0]
    assert position_steps(rows, positions, "a", 1) == [1.0]
    assert position_steps(rows, positions, "b", 3) is None


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_token_in_the_middle_is_steered_as_by_hand(family: str) -> None:
    model, ids = tiny.build(family), tiny.tokens(3, 7)
    vectors = [tiny.vector("output.1", seed=seed) for seed in range(3)]
    asked = SteeredToken(model, ids, 4)
    for row, (law, vector) in enumerate(zip(asked.law(vectors), vectors, strict=True)):
        with torch.no_grad(), geo.steer(model, vector, positions=[4]):
            alone = model(input_ids=ids[row : row + 1]).logits[0, -1].log_softmax(dim=-1)
        torch.testing.assert_close(law, alone, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        unsteered = model(input_ids=ids).logits[:, -1].log_softmax(dim=-1)
    torch.testing.assert_close(asked.law(), unsteered, rtol=1e-4, atol=1e-4)
    assert [vector.norm() for vector in matched(vectors, [1.0, 2.0, 3.0])] == pytest.approx([1, 2, 3])


def test_sites_and_series() -> None:
    assert list(map(str, sites_read(7, 3))) == ["input.0", "mlp.0", "output.0", "output.3", "output.6"]
    assert list(map(str, sites_read(1, 3)))[2:] == ["output.0"]
    vocabulary = geo.Vocabulary([f" {word}" for word in ("Monday", "Tuesday", "Sunday", "one", "two", "three", "One")])
    found = chosen_series(vocabulary, "series", ["weekdays", "number words", "letters"])
    assert list(found) == ["weekdays", "number words"]
    assert [vocabulary.text(token).strip() for token in main_tokens(found["number words"])] == ["one", "two", "three"]
    with pytest.raises(GeometryError, match="there is no set 'planets'; it has weekdays"):
        chosen_series(vocabulary, "series", ["weekdays", "planets"])
    with pytest.raises(GeometryError, match=r"two series at least, not 1; letters: 0 of its values"):
        chosen_series(vocabulary, "series", ["weekdays", "letters"])


def test_what_is_said_of_steps_and_relations() -> None:
    sites = (geo.Site("output", 0), geo.Site("output", 3))
    rows = {way: np.full((2, 6), value) for way, value in zip(STEPS, (1.5, 4.0, 0.1, 0.0), strict=True)}
    steps = StepsPart((("months", "april"),) * 6, sites, rows, rows, rows, np.ones(6))
    assert "by +1.50 [+1.50, +1.50] nats" in checked_part(steps)
    pairs, nouns = world("roles")
    shares = {place: {site: two_way_shares(pairs, n_permutations=2) for site in sites} for place in PLACES}
    maps = {place: {site: role_maps(pairs, nouns, n_permutations=2) for site in sites} for place in PLACES}
    moved = {way: np.full((2, 5), 0.25) for way in MOVES}
    names = tuple("abcdefgh")
    part = RelationsPart(names, shares, maps, {"on top": np.ones(8), "below": np.ones(8)}, sites, moved)
    assert part.able
    assert "the model answers by order" in checked_part(part)
    unable = RelationsPart(names, shares, maps, {"on top": np.ones(8), "below": np.zeros(8)}, sites, moved)
    assert not unable.able
    assert "cannot tell by order" in checked_part(unable)
    assert "steering its answer says little" in " ".join(unable.summary())


SHORT = (
    "sets: {a: {values: {one: [one], two: [two], three: [three]}}, b: {values: {x: [qqqqq], y: [zzzzz], z: [xxxxxx]}}}"
)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sets": ("planets", "weekdays")}, "there is no set 'planets'"),
        ({"sets": ("weekdays",)}, "two series at least, not 1"),
        ({"n_nouns": 2}, "n_nouns must be"),
        ({"n_nouns": 17}, "n_nouns: there are 16 nouns, and 17"),
        ({"series": "nowhere.yaml"}, "no such file or packaged name"),
        ({"series": SHORT, "sets": ("a", "b")}, "two series at least, not 1; b: 0 of its values"),
    ],
)
def test_bad_input_is_refused_before_the_model_is_loaded(
    options: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, smollm2: geo.Unembedding
) -> None:
    monkeypatch.setattr(session, "load_model", lambda *_, **__: pytest.fail("the model was loaded"))
    monkeypatch.setattr(geo.Unembedding, "load", lambda *_, **__: smollm2)
    if options.get("series") == SHORT:
        (tmp_path / "short.yaml").write_text(SHORT)
        options = {**options, "series": str(tmp_path / "short.yaml")}
    with pytest.raises(GeometryError, match=said) as refused:
        CompositionStudy(**options, control="none").run()
    assert "\n" not in str(refused.value)


@pytest.mark.long
def test_on_the_real_model_a_step_of_position_moves_towards_the_next(smollm2_model: Any, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "load_model", lambda *_, **__: smollm2_model)
        result = CompositionStudy(every=10, n_permutations=19, n_nouns=6, n_random=2, control="none").run()
    steps: Any = result.parts["steps"]
    assert steps.direction[STEPS[0]][0].mean() > 5 * abs(steps.direction["random"][0].mean())
    successor: Any = result.parts["maps"].successor  # type: ignore[attr-defined]
    assert successor["output.10"].p_value == 1 / 20
    folder = result.write(tmp_path / "composition")
    document = json.loads((folder / "results.json").read_text())
    names = {"series", "maps", "steps", "relations", "relation-steering"}
    assert {figure["name"] for figure in document["figures"]} == names
    assert "NaN" not in (folder / "results.json").read_text()
