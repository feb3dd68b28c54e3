"""The study of tuning: whole on a tiny model, its concepts on the real vocabulary; the real model in the long tier."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

import geometry as geo
from geometry.errors import EstimationError, GeometryError, SteeringError
from geometry.experiments import TuningStudy, session
from geometry.experiments.study import Step
from geometry.experiments.tuning import against_grid, measure
from geometry.experiments.tuning.forecasts import ALL, GEOMETRY, WORDS, Measured
from geometry.experiments.tuning.result import TuningResult
from geometry.experiments.tuning.setup import MADE_ON, Setup, words_apart
from geometry.steering import NextToken
from geometry.tuning import SteeringFeatures
from geometry.tuning.features import FEATURES
from geometry.tuning.search import STRENGTHS
from tests.experiments import block_steering_worlds as worlds
from tests.experiments.block_steering_worlds import CLASSES, PROMPTS, TEXTS


@pytest.fixture(scope="module")
def result() -> TuningResult:
    """On a model of two blocks; as it has four concepts only, forecasts are of made-up numbers."""
    world = worlds.world()
    study = TuningStudy(n_tuned=2, n_concepts=12, behaviours=("none",), n_permutations=19)
    steering = geo.ConceptSteering(world.causal, world.directions)
    setup = Setup(
        study, world.model, world.tokenizer, world.causal, world.directions.hierarchy, steering, CLASSES,
        ("bird", "tree"), tuple(PROMPTS[:5]), tuple(PROMPTS[5:]),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        texts = geo.steering.PromptSet("neutral", tuple(PROMPTS), tuple(TEXTS))
        patch.setattr(against_grid, "load_prompts", lambda _: texts)
        patch.setattr("geometry.tuning.choosing.load_prompts", lambda _: texts)
        found = measure.measure_with(setup, Step())
    assert found.forecasts == {}
    assert "takes 12 measured concepts" in found.skipped["at a block"]
    rng = np.random.default_rng(0)
    values = rng.standard_normal((40, len(FEATURES)))
    features = SteeringFeatures(tuple(map(str, range(40))), FEATURES, values, np.arange(40) % 10)
    told = {"after the final norm": values[:, 0] * 2 + rng.standard_normal(40), "at a block": rng.standard_normal(40)}
    made = {part: Measured(features, effects, "output.1", "nats").forecasts(19, 0) for part, effects in told.items()}
    return replace(found, forecasts=made)


def test_both_ways_are_measured_on_prompts_that_chose_nothing(result: TuningResult) -> None:
    world = worlds.world()
    steering = geo.ConceptSteering(world.causal, world.directions)
    for one in result.tuned:
        tokens = {"words": np.array(world.directions.hierarchy[one.name].tokens)}
        reporting = NextToken(world.model, world.tokenizer, result.reporting)
        effect = reporting.effect(one.tuned.vector, tokens)
        np.testing.assert_allclose(effect.probability["words"], one.reported["tuned"], rtol=1e-3)
        assert one.reported_kl["tuned"] == pytest.approx(effect.kl.mean(), rel=1e-3)
        grid = one.grid.strength * (
            steering[one.name]
            if one.grid.site.block is None
            else geo.pull_back(steering[one.name], world.model, one.grid.site).relative(1)
        )
        effect = reporting.effect(grid, tokens)
        np.testing.assert_allclose(effect.probability["words"], one.reported["grid"], rtol=1e-3)
        assert max(one.tuned.cost, one.grid.cost, one.sharpened.cost) <= 0.5
        assert one.grid_passes == 5 + 2 * len(STRENGTHS) * 5  # of one token, so that no beginning is kept
        ratio = one.reported["tuned"].mean() / one.reported["grid"].mean()
        assert one.ratio() == pytest.approx(ratio)
        assert one.ratio() >= 0.9
        assert one.sharpened.effect >= one.grid.effect
        assert one.reported["tuned"].mean() > 1.5 * one.reported["random"].mean()
    low, high = result.tuned[0].ratio_interval()
    assert low <= result.tuned[0].ratio() <= high
    assert result.median_ratio()[0] == pytest.approx(np.median([one.ratio() for one in result.tuned]))


def test_the_strength_at_a_block_is_where_the_grid_passes_the_bound(result: TuningResult) -> None:
    for one in result.tuned:
        for column in range(2):
            there = [trial for trial in one.grid_trials if trial.site.block == column]
            below = max(trial.strength for trial in there if trial.cost <= 0.97 * 0.5)
            above = min(trial.strength for trial in there if trial.cost > 0.97 * 0.5)
            assert below < one.strengths[column] < above


def test_it_says_what_was_found_and_what_was_not(result: TuningResult, tmp_path: Path) -> None:
    said = "\n".join(result.summary())
    assert "Geometry forecasts what steering brings, after the final norm" in said
    assert "Geometry alone does not forecast what steering brings, at a block" in said
    assert result.forecasts["after the final norm"][GEOMETRY].predictive
    assert not result.forecasts["after the final norm"][WORDS].predictive
    assert "in the median of 2 concepts" in said
    table = result.tables()[0]
    assert [row[0] for row in table.rows] == ["bird", "tree"]
    assert len(result.tables()[1].rows) == 6
    for spec in result.figures():
        spec.figure()
    plt.close("all")
    titles = {spec.name: spec.title for spec in result.figures()}
    assert set(titles) == {"tuned_against_grid", "pareto", "what_geometry_predicts", "forecasts", "strengths"}
    assert titles["forecasts"].startswith("Geometry alone forecasts what steering brings after the final norm (R²")
    assert "; the words' number and probability do not (R²" in titles["forecasts"]
    numbers = result.to_dict()
    assert numbers["concepts"]["bird"]["ratio"] == pytest.approx(result.tuned[0].ratio())
    assert numbers["forecasts"]["at a block"][ALL]["predictive"] is False
    arrays = result.arrays()
    assert np.shape(arrays["reported"]) == (2, 5, 5)


def test_concepts_share_no_word(smollm2_nouns: Any) -> None:
    hierarchy, names = words_apart(smollm2_nouns)
    lemma = dict(zip(hierarchy.tokens.tolist(), hierarchy.lemmas.tolist(), strict=True))
    owned: dict[int, str] = {}
    for name in names:
        for own in {lemma[token] for token in hierarchy[name].tokens}:
            assert owned.setdefault(own, name) == name
        assert len({lemma[token] for token in hierarchy[name].tokens}) >= 8
        assert set(hierarchy[name].tokens) < set(hierarchy[hierarchy.parents[name][0]].tokens)
    assert len(names) >= 96
    assert set(MADE_ON) <= set(smollm2_nouns.names)


def test_bad_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EstimationError, match="bound: a positive number"):
        TuningStudy(bound=0.0)
    with pytest.raises(EstimationError, match="the 20 that are tuned are among them, not 12"):
        TuningStudy(n_tuned=20, n_concepts=12)
    few = tmp_path / "few.json"
    few.write_text('{"prompts": {"beginnings": ["a", "b"], "texts": ["a b"]}}')
    with pytest.raises(SteeringError, match="at least 8 beginnings"):
        TuningStudy(prompts=str(few)).run()
    # Before anything is read, not after all the tuning.
    for options, said in (({"behaviours": ("nope",)}, "'nope'"), ({"bound": 1e-12}, "at least 1e-05, not 1e-12")):
        with pytest.raises(GeometryError, match=said), pytest.MonkeyPatch.context() as patch:
            patch.setattr(session.Session, "unembedding", lambda *_: pytest.fail("the unembedding was read"))
            TuningStudy(**options).run()
    with pytest.raises(GeometryError):
        TuningStudy(model="glove-6b-100d").run()


@pytest.mark.long
def test_on_the_real_model_tuning_reaches_the_grid_at_a_tenth_of_its_passes(smollm2_model: Any) -> None:
    from geometry.experiments import session

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "load_model", lambda _, **__: smollm2_model)
        found = TuningStudy(n_tuned=3, n_concepts=30, behaviours=("none",), n_permutations=49).run()
    assert found.holds
    assert found.passes_fraction <= 0.1
    for one in found.tuned:
        assert one.ratio() >= 0.9
        assert one.tuned.cost <= 0.5
        assert one.reported["tuned"].mean() > 3 * one.reported["random"].mean()
