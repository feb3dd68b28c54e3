"""The study of vectors: its parts on planted worlds, and as a whole on a small model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.cli.main import main
from geometry.dictionaries import FeatureDictionary
from geometry.errors import GeometryError, SteeringError
from geometry.experiments import AnatomyStudy
from geometry.experiments.anatomy.candidates import active_difference
from geometry.experiments.anatomy.pair_components import ComponentsPart, SetOfPairs
from geometry.experiments.anatomy.pruning import log_odds
from geometry.experiments.anatomy.pruning_part import PruningPart
from geometry.experiments.anatomy.readings import OUTPUT, RANDOM, ReadingPart
from geometry.experiments.anatomy.setup import Subject, chosen_concepts, dictionary_of, roles
from geometry.experiments.anatomy.verdicts import BETTER, OPEN, SAME, TRADE, WORSE
from geometry.experiments.parts import Part
from tests.anatomy.test_reading import directions, llama, space
from tests.experiments.anatomy_worlds import NAMES, measured
from tests.steering import tiny

__all__ = ["directions", "llama", "space"]  # fixtures


@pytest.fixture(scope="module")
def noisy() -> PruningPart:
    return measured(1.5)


@pytest.fixture(scope="module")
def clean() -> PruningPart:
    return measured(0.0)


def components_part() -> ComponentsPart:
    rng = np.random.default_rng(0)
    sets = []
    for name in ("one", "two"):
        rows = rng.standard_normal((10, 12)) + 2
        singular, centred = (geo.anatomy.components(rows, centred=way, n_random=19) for way in (False, True))
        aside = geo.anatomy.components(rng.standard_normal((10, 12)), n_random=19)
        words = (((" a", 3.0), (" b", 2.0)), ((" c", -3.0), (" d", -2.0)))
        sets.append(SetOfPairs(name=name, singular=singular, principal=centred, one_side=aside, words=(words, words)))
    return ComponentsPart(sets=sets, most=6, seed=0)


def test_where_a_vector_holds_noise_along_other_atoms_pruning_is_a_pareto_improvement(noisy: PruningPart) -> None:
    for basis in noisy.bases:
        assert noisy.verdict(basis) == BETTER
        assert noisy.difference(basis, "effect")["interval"][0] > 0.05
        assert noisy.difference(basis, "cost")["interval"][1] < 0
        assert noisy.difference(basis, "effect", against=f"random {basis}")["interval"][0] > 0
    assert "Pareto improvement by" in noisy.figures()[0].title
    assert any("a Pareto improvement" in sentence for sentence in noisy.summary())


def test_where_a_vector_is_one_atom_pruning_is_none_and_it_is_said(clean: PruningPart) -> None:
    for basis in clean.bases:
        assert clean.verdict(basis) in (SAME, WORSE)
        assert abs(clean.difference(basis, "effect")["mean"]) < 0.05
    assert "no better than whole ones" in clean.figures()[0].title
    assert not any(": a Pareto improvement" in sentence for sentence in clean.summary())


def test_what_is_reported_is_the_curve_at_the_chosen_k(noisy: PruningPart) -> None:
    for basis in noisy.bases:
        at = [noisy.counts.index(k) for k in noisy.chosen[basis]]
        np.testing.assert_array_equal(
            noisy.results[basis]["effect"][0], noisy.curve[basis]["effect"][at, np.arange(len(NAMES))]
        )


def test_verdicts_of_made_up_numbers(clean: PruningPart) -> None:
    basis = clean.bases[0]

    def verdict(effect: float, cost: float, text: float = 0.0, spread: float = 1e-3) -> str:
        rng = np.random.default_rng(0)
        whole = dict(clean.results["whole"]) | {"text": np.array([[1.0] * len(NAMES), [np.nan] * len(NAMES)])}
        made = {m: whole[m] + by + 1e-3 * rng.standard_normal(6) for m, by in (("effect", effect), ("cost", cost))}
        made["text"] = whole["text"] + text + spread * np.resize([1.0, -1.0], len(NAMES))
        return replace(clean, results={**clean.results, "whole": whole, basis: made}).verdict(basis)

    assert verdict(0.5, 0.0) == BETTER
    assert verdict(0.0, -0.1) == BETTER
    assert verdict(0.5, 0.1) == TRADE
    assert verdict(-0.5, 0.0) == WORSE
    assert verdict(0.0, 0.0) == SAME
    assert verdict(0.5, 0.0, text=0.5) == TRADE
    assert verdict(0.5, 0.0, text=0.05, spread=1.0) == OPEN
    assert verdict(0.0, 0.0, text=-0.5) == BETTER
    # Less than the tolerance of the KL divergence could make of it.
    assert verdict(0.0, -0.004) == SAME


def test_log_odds_by_hand() -> None:
    law = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log()
    none = np.empty(0, dtype=np.int64)
    assert log_odds(law, (np.array([0, 1]), none))[0] == pytest.approx(np.log(0.3 / 0.7))
    assert log_odds(law, (np.array([0, 1]), np.array([3])))[0] == pytest.approx(np.log(0.3 / 0.4))


@pytest.mark.parametrize("which", ["noisy", "components"])
def test_every_part_says_draws_and_tabulates_what_it_found(which: str, request: pytest.FixtureRequest) -> None:
    part: Part = components_part() if which == "components" else request.getfixturevalue(which)
    assert all(sentence.endswith(".") for sentence in part.summary())
    titles = [spec.title for spec in part.figures()]
    assert len(set(titles)) == len(titles)
    for spec in part.figures():
        assert spec.figure().axes
    for table in part.tables():
        assert all(len(row) == len(table.head) for row in table.rows)
    assert part.to_dict()
    assert all(np.asarray(values).size for values in part.arrays().values())


def test_readings_are_counted_beside_their_controls(space: Any, directions: Any) -> None:
    steering, given = geo.ConceptSteering(space, directions), {"n_random": 19}
    bird = geo.anatomy.explain(steering["bird"], space, directions, **given)  # type: ignore[arg-type]
    drawn = [steering.random(steering["bird"], seed) for seed in range(6)]
    controls = tuple(geo.anatomy.explain(each, space, directions, **given) for each in drawn)  # type: ignore[arg-type]
    readings = {"bird": bird, f"bird, {OUTPUT}": bird, RANDOM: controls[0]}
    part = ReadingPart(readings=readings, controls={RANDOM: controls}, n_random=19)
    counts = part.counts("parts")
    assert counts["vectors"] == counts[OUTPUT] == (1, 1)
    assert counts[RANDOM][0] <= 2
    assert counts[RANDOM][1] == 6
    assert set(part.shown) == {"bird", RANDOM}
    assert [spec.figure().axes for spec in part.figures()]
    assert "1 of 1 vectors" in part.summary()[2]
    assert part.to_dict()["beyond"]["parts"][OUTPUT] == (1, 1)


def test_components_beside_texts_of_one_side_are_counted() -> None:
    part = components_part()
    assert "Pairs share a direction in 2 of 2 sets" in part.figures()[0].title
    assert part.means["mean share"].mean() > part.means["one side"].mean()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"dictionary": "nowhere/at/all"}, "no such folder"),
        ({"prompts": "unheard-of"}, "unheard-of"),
    ],
    ids=["dictionary", "prompts"],
)
def test_what_does_not_fit_is_refused_before_any_steering(given: dict[str, Any], says: str) -> None:
    with pytest.raises(GeometryError, match=says):
        AnatomyStudy(model="stories15m", n_concepts=3, **given).run()


def test_the_console_says_in_one_line_what_does_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "anatomy", "stories15m", "--hierarchy", "organisms", "--out", str(tmp_path / "out")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("error: ")] == lines[-1:]
    assert "add words or drop the concept" in lines[-1]
    assert not (tmp_path / "out").exists()


def test_a_hierarchy_without_enough_words_is_refused() -> None:
    vocabulary = geo.Vocabulary([f" w{number}" for number in range(60)])
    words = {"all": range(60), "few": range(6), "many": range(10, 55)}
    concepts = tuple(
        geo.concepts.Concept.from_words(name, [f"w{i}" for i in ids], vocabulary) for name, ids in words.items()
    )
    hierarchy = geo.ConceptHierarchy("small", concepts, {"few": ("all",), "many": ("all",)})
    role = roles(hierarchy, {"w1", "w2"}, seed=0)
    assert (role[:3] == [role[0], -1, -1]).all()
    with pytest.raises(SteeringError, match=r"hierarchy 'small': 0 concepts .* 3 are needed"):
        chosen_concepts(hierarchy, role, 3)


def small_dictionary(width: int, site: str) -> FeatureDictionary:
    rows = torch.nn.functional.normalize(torch.randn((24, width), generator=torch.Generator().manual_seed(0)), dim=1)
    return FeatureDictionary(
        rows.T.contiguous(), rows, torch.zeros(24), torch.zeros(width), activation="topk", k=4,
        subtract_decoder_bias=True, site=geo.Site.parse(site), model="", source="small", notes=(),
    )  # fmt: skip


def test_a_dictionary_is_of_the_models_width_and_of_a_blocks_output() -> None:
    model, tokenizer, middle = tiny.build("llama"), tiny.tokenizer(), geo.Site("output", 2)
    assert "--dictionary FOLDER" in dictionary_of(AnatomyStudy(), None, model, tokenizer, middle)[1]
    named = AnatomyStudy(dictionary="small")
    fitting = small_dictionary(16, "output.1")
    assert dictionary_of(named, fitting, model, tokenizer, middle) == (fitting, "")
    for other, says in ((small_dictionary(8, "output.1"), "width"), (small_dictionary(16, "mlp.1"), "read at mlp.1")):
        with pytest.raises(SteeringError, match=says):
            dictionary_of(named, other, model, tokenizer, middle)


def test_features_that_differ_are_those_of_the_rows() -> None:
    dictionary, subject = small_dictionary(16, "output.1"), measured_subject()
    by_hand = dictionary.encode(subject.rows).mean(dim=0) - dictionary.encode(subject.others).mean(dim=0)
    np.testing.assert_allclose(active_difference(dictionary, subject), by_hand.numpy(), atol=1e-6)


def measured_subject() -> Subject:
    rng, none = np.random.default_rng(0), np.empty(0, dtype=np.int64)
    first, second = rng.standard_normal((2, 6, 16))
    vector = geo.SteeringVector({geo.Site("output", 1): torch.from_numpy(first.mean(axis=0))})
    return Subject("x", True, vector, first, first, second, (none, none), (none, none), none)


@pytest.mark.long
def test_the_study_runs_on_a_real_model(tmp_path: Path) -> None:
    result = AnatomyStudy(model="smollm2-135m", n_concepts=3, n_prompts=6, n_random=19, n_sets=2, n_atoms=40).run()
    assert set(result.parts) == {"reading", "components", "pruning"}
    part = result.parts["pruning"]
    assert isinstance(part, PruningPart)
    whole, drawn = (part.results[kind]["effect"][0].mean() for kind in ("whole", "random"))
    assert whole > drawn
    assert "--dictionary" in part.left_out["SAE features"]
    assert len(list(result.write(tmp_path / "out").glob("*.png"))) == 6
