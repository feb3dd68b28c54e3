"""The study of conditional steering: its arithmetic by hand, what it does to a tiny model, a run on the real one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score, roc_curve

import geometry as geo
from geometry.errors import GeometryError
from geometry.experiments import ConditionalStudy, session
from geometry.experiments.conditional import effects
from geometry.experiments.conditional.discrimination import Discrimination, split
from geometry.experiments.conditional.effects import Way, outcomes
from geometry.experiments.conditional.fitting import Prompts, _Fit, fit_topic
from geometry.experiments.conditional.result import ConditionalResult, _interval, _told
from geometry.steering.condition import token_states
from tests.steering import tiny
from tests.steering.conftest import _one_thread, llama  # noqa: F401
from tests.steering.test_condition import IDS, VECTOR, between, condition, scores_of

RNG = np.random.default_rng(1)
FOUND = Discrimination("made up", RNG.normal(1, 1, 15).round(1), RNG.normal(0, 1, 20).round(1))
LABELS = np.r_[np.ones(15), np.zeros(20)]


def test_the_area_and_the_curve_are_those_of_the_field() -> None:
    scores = np.r_[FOUND.positives, FOUND.negatives]
    assert FOUND.value == pytest.approx(roc_auc_score(LABELS, scores))
    low, high = FOUND.interval
    assert low < FOUND.value < high
    false, true, _ = roc_curve(LABELS, scores, drop_intermediate=False)
    assert FOUND.curve[0] == pytest.approx(false)
    assert FOUND.curve[1] == pytest.approx(true)
    assert Discrimination("all alike", np.ones(6), np.ones(6)).interval == (0.5, 0.5)


def test_a_split_is_into_halves_that_share_nothing() -> None:
    first, second = split(11, np.random.default_rng(0))
    assert sorted([*first, *second]) == list(range(11))
    assert (len(first), len(second)) == (5, 6)


@pytest.mark.parametrize("pooling", ["last", "max"])
def test_a_fit_is_that_of_the_condition_between_its_prompts(llama: Any, pooling: Any) -> None:  # noqa: F811
    texts = [tiny.text(tiny.tokens(6, seed=seed)) for seed in range(20)]
    prompts = Prompts("some", "others", pooling, texts[:10], texts[10:], ([], []))
    site = geo.Site("output", 1)
    read = token_states(llama, tiny.tokenizer(), texts, [site])[site]
    fit = _Fit(site, prompts, (read[:10], read[10:]))
    chosen = np.array([0, 2, 3, 5, 8]), np.array([1, 2, 4, 6, 7])
    names = [[texts[i] for i in chosen[0]], [texts[10 + i] for i in chosen[1]]]
    by_hand = geo.steering.Condition.between(
        llama, tiny.tokenizer(), *names, site, pooling=pooling, cosine=pooling == "max"
    )
    fitted = fit.condition(chosen)
    assert torch.allclose(fitted.directions, by_hand.directions, atol=1e-5)
    assert fitted.threshold == pytest.approx(by_hand.threshold, abs=1e-4)
    # The nulls are scored as the condition is.
    along = fit.along(fitted.directions.numpy(), chosen)
    for scores, expected in zip(along, fit.scores(fitted, chosen), strict=True):
        assert scores[:, 0] == pytest.approx(expected, abs=1e-4)
    shuffled, drawn = fit.null_directions(chosen, 7, np.random.default_rng(0))
    assert shuffled.shape == drawn.shape == (7, tiny.WIDTH)
    assert 0 <= fit.validated(chosen) <= 1


def test_a_vocabulary_without_the_concept_leaves_its_projection_out(llama: Any) -> None:  # noqa: F811
    texts = [tiny.text(tiny.tokens(6, seed=seed)) for seed in range(24)]
    prompts = Prompts("some", "others", "last", texts[:12], texts[12:], (texts[:3], texts[12:15]))
    topic = fit_topic(llama, tiny.tokenizer(), prompts, [0, 1], (None, None, []), n_random=2, seed=0)  # type: ignore[arg-type]
    assert [each.name for each in topic.beside] == ["words alone"]
    # Nor is there an interval of few texts.
    assert (_interval(float("nan"), float("nan")), _interval(0.1, 0.25)) == ("", " [0.10, 0.25]")
    assert (_told(0.5, "yes", "no"), _told(0.51, "yes", "no")) == ("no", "yes")


def test_outcomes_are_those_of_steering_by_hand(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(effects, "REFUSAL", "w5 w6")
    monkeypatch.setattr(effects, "REPLY", "w7 w8 w9")
    prompts = [tiny.text(row) for row in IDS]
    pooled = scores_of(llama, "output.0").amax(1)
    tokens = scores_of(llama, "output.0")
    ways = {
        "unsteered": Way(),
        "everywhere": Way(VECTOR),
        "prompt": Way(VECTOR, condition("output.0", between(pooled), scope="prompt")),
        "token": Way(VECTOR, condition("output.0", between(tokens))),
        "random": Way(VECTOR.random(0), condition("output.0", between(pooled), scope="prompt")),
        "never": Way(VECTOR, condition("output.0", 1e9)),
    }
    found = outcomes(llama, tiny.tokenizer(), prompts, ways)
    holds = (pooled > between(pooled)).numpy()
    assert found["prompt"].share.tolist() == holds.astype(float).tolist()
    assert found["token"].share == pytest.approx((tokens > between(tokens)).double().mean(1).numpy())
    assert found["prompt"].unchanged.tolist() == (~holds).tolist()
    assert found["prompt"].full.tolist() == holds.tolist()
    assert found["unsteered"].unchanged.all()
    assert found["never"].unchanged.all()
    assert not found["everywhere"].unchanged.any()
    for index, row in enumerate(IDS):
        for name, vector in {"everywhere": VECTOR, "random": ways["random"].vector}.items():
            acts = vector if name == "everywhere" or holds[index] else None
            expected = log_odds(llama, row, acts)
            assert found[name].refusal[index] == pytest.approx(expected, abs=1e-4)
    same = np.where(holds, found["everywhere"].refusal, found["unsteered"].refusal)
    assert found["prompt"].refusal == pytest.approx(same)
    assert found["never"].refusal == pytest.approx(found["unsteered"].refusal)


def log_odds(model: Any, prompt: torch.Tensor, vector: geo.SteeringVector | None) -> float:
    means = []
    for answer in ([5, 6], [7, 8, 9]):
        ids = torch.tensor([[*prompt.tolist(), *answer]])
        handle = None if vector is None else geo.steer(model, vector, positions="all")
        with torch.no_grad():
            chances = model(input_ids=ids).logits[0].double().log_softmax(dim=-1)
        if handle is not None:
            handle.remove()
        at = range(len(prompt) - 1, ids.shape[1] - 1)
        means.append(np.mean([float(chances[place, token]) for place, token in zip(at, answer, strict=True)]))
    return float(means[0] - means[1])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"topic": "alchemy"}, "alchemy"),
        ({"others": "chemistry"}, "prompts in common"),
        ({"n_prompts": 4}, "at least 12 prompts of either kind"),
        pytest.param({"concept": "gryphon.n.01"}, "gryphon", marks=pytest.mark.long),
        ({"every": 0}, "every must be"),
    ],
)
def test_bad_input_is_refused_before_the_model_is_loaded(
    options: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "load_model", lambda *_, **__: pytest.fail("the model was loaded"))
    with pytest.raises(GeometryError, match=said) as refused:
        ConditionalStudy(**options).run()
    assert "\n" not in str(refused.value)


@pytest.fixture(scope="module")
def result(smollm2_model: Any) -> ConditionalResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "load_model", lambda *_, **__: smollm2_model)
        return ConditionalStudy(n_prompts=24, n_random=19, n_generated=2, every=15).run()


@pytest.mark.long
def test_prompts_are_discriminated_and_the_others_left_alone(result: ConditionalResult) -> None:
    topic = result.topics[0]
    assert topic.condition.site == geo.Site("output", 15)
    assert topic.auc.value > 0.75
    for way in ("prompt", "token", "shuffled", "random"):
        unchanged, untouched = result.spared(way)
        assert unchanged == untouched
    assert result.whole("prompt")[0] == result.whole("prompt")[1] > 0
    assert result.rise("everywhere", "chemistry").mean() > 0.3


@pytest.mark.long
def test_what_is_written_is_whole(result: ConditionalResult, tmp_path: Path) -> None:
    folder = result.write(tmp_path / "conditional")
    document = json.loads((folder / "results.json").read_text())
    assert {figure["name"] for figure in document["figures"]} == {"effects", "roc", "blocks", "projections", "judges"}
    assert set(document["results"]["ways"]) == set(result.labels)
    assert set(document["results"]["topics"]) == {"chemistry", "geese"}
    page = (folder / "generations.html").read_text()
    assert result.shown[0][0] in page
    assert "NaN" not in (folder / "results.json").read_text()
