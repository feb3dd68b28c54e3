"""The study of vectors: its parts on planted worlds, and as a whole on a small model."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.cli.main import main
from geometry.dictionaries import FeatureDictionary, text_dictionary
from geometry.errors import GeometryError, SteeringError
from geometry.experiments import AnatomyStudy
from geometry.experiments.anatomy.candidates import active_difference
from geometry.experiments.anatomy.neutral_texts import NeutralTexts, by_set, crossed
from geometry.experiments.anatomy.pair_components import ComponentsPart, SetOfPairs
from geometry.experiments.anatomy.pruning import log_odds
from geometry.experiments.anatomy.pruning_part import PruningPart
from geometry.experiments.anatomy.readings import OUTPUT, RANDOM, ReadingPart, shuffled_labels
from geometry.experiments.anatomy.setup import Subject, chosen_concepts, dictionary_of, roles
from geometry.experiments.anatomy.verdicts import BETTER, OPEN, SAME, TRADE, WORSE
from geometry.experiments.dictionaries.study import DictionariesStudy
from geometry.experiments.parts import Part
from geometry.steering import load_prompts
from geometry.steering.prompts import encode
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
        whole = clean.results["whole"]
        made = {m: whole[m] + by + 1e-3 * rng.standard_normal(6) for m, by in (("effect", effect), ("cost", cost))}
        ones = np.ones((len(NAMES), 7))
        texts = {"whole": ones, basis: ones + text + spread * np.resize([1.0, -1.0], len(NAMES))[:, None]}
        return replace(clean, results={**clean.results, basis: made}, texts=texts, sets={"a": 7}).verdict(basis)

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
    named = AnatomyStudy(dictionary="small")
    fitting = small_dictionary(16, "output.1")
    assert dictionary_of(named, fitting, model, tokenizer, middle) == (fitting, "")
    for other, says in ((small_dictionary(8, "output.1"), "width"), (small_dictionary(16, "mlp.1"), "read at mlp.1")):
        with pytest.raises(SteeringError, match=says):
            dictionary_of(named, other, model, tokenizer, middle)


def test_the_dictionary_that_the_study_of_dictionaries_keeps_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path))
    model, tokenizer, middle = tiny.build("llama"), tiny.tokenizer(), geo.Site("output", 2)
    # As that study asks for it, of fewer tokens and features.
    small: dict[str, Any] = {"n_tokens": 2500, "n_features": 24, "k": 3, "epochs": 1}
    monkeypatch.setattr("geometry.experiments.anatomy.setup.DictionariesStudy", partial(DictionariesStudy, **small))
    texts = [tiny.text(tiny.tokens(30, seed=seed)) for seed in range(90)]
    monkeypatch.setattr("geometry.dictionaries.from_texts.load_glosses", lambda **_: texts)
    assert dictionary_of(AnatomyStudy(), None, model, tokenizer, middle) == (
        None, "no dictionary of these settings is kept; concept-geometry run dictionaries MODEL trains it"
    )  # fmt: skip
    kept = text_dictionary(model, tokenizer, middle, **small)
    found, why = dictionary_of(AnatomyStudy(), None, model, tokenizer, middle)
    assert why == ""
    assert found is not None
    assert torch.equal(found.decoder, kept.dictionary.decoder)
    assert dictionary_of(AnatomyStudy(seed=1), None, model, tokenizer, middle)[0] is None


def test_losses_of_texts_rise_by_what_a_model_steered_by_hand_loses() -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    texts = NeutralTexts(model, tokenizer, 8)
    assert texts.sets == {"neutral": 6, "encyclopedia": 2}
    drawn = torch.randn((2, 16), generator=torch.Generator().manual_seed(0))
    vectors = [geo.SteeringVector({"output.1": part}) for part in drawn]
    found = texts.rises(vectors)
    assert found.shape == (2, 8)
    passages = [*load_prompts("neutral").texts, *load_prompts("encyclopedia").texts[:2]]
    for place, text in enumerate(passages):
        ids = encode(tokenizer, [text]).input_ids[:, : texts.scored + 2]
        every = torch.arange(ids.shape[1])[None] > 0
        laws = []
        for vector in (None, *vectors):
            with torch.no_grad(), geo.steering.steer_each(model, [vector], positions=every):
                laws.append(model(ids).logits.double().log_softmax(dim=2)[0, 1:-1].gather(1, ids[0, 2:, None]).mean())
        np.testing.assert_allclose(found[:, place], [float(laws[0] - law) for law in laws[1:]], atol=1e-5)


def test_intervals_are_over_vectors_and_texts() -> None:
    rng = np.random.default_rng(0)
    of_vectors, of_texts = np.full((30, 1), 1.0), rng.standard_normal((1, 8))
    found = crossed(of_vectors + of_texts)
    low, high = found["interval"]
    assert found["mean"] == pytest.approx(1 + of_texts.mean())
    # All the vectors are alike: what is uncertain is the texts alone.
    assert high - low == pytest.approx(2 * 1.96 * of_texts.std() / np.sqrt(8), rel=0.1)
    both = crossed(rng.standard_normal((30, 1)) + of_texts)["interval"]
    assert both[1] - both[0] > high - low
    gap = np.concatenate([of_vectors + of_texts, np.full((3, 8), np.nan)])
    assert crossed(gap) == found
    assert crossed(np.empty((0, 0)))["mean"] is None
    assert by_set(of_vectors + of_texts, {"a": 3, "b": 5}.items())["b"]["mean"] == pytest.approx(
        1 + of_texts[0, 3:].mean()
    )


def test_shuffled_labels_keep_nothing_of_the_classes() -> None:
    rng = np.random.default_rng(0)
    rows, others = rng.standard_normal((8, 5)) + 10, rng.standard_normal((32, 5))
    found = shuffled_labels(rows, others, 400, rng)
    assert found.shape == (400, 5)
    assert np.abs(found.mean(axis=0)).max() < 1
    assert np.abs(found).max() < 8 < (rows.mean(axis=0) - others.mean(axis=0)).min()
    # One row that differs is in either part as often as the parts are large.
    odd = shuffled_labels(np.array([[40.0], [0.0]]), np.zeros((6, 1)), 4000, rng)
    np.testing.assert_allclose(np.unique(odd), [-40 / 6, 20.0])
    assert (odd > 0).mean() == pytest.approx(2 / 8, abs=0.03)


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
    # What the study of dictionaries has kept on this machine is found, and on others said to be missing.
    assert "SAE features" in part.bases or "run dictionaries" in part.left_out["SAE features"]
    assert part.texts["whole"].shape == (len(part.subjects), 16)
    assert len(list(result.write(tmp_path / "out").glob("*.png"))) == 6
