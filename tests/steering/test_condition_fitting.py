"""Conditions fitted to prompts, and those of concepts: directions, scores and thresholds by hand; what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.errors import GeometryError, HierarchyError, SteeringError
from geometry.steering import Condition
from tests.planted import Planted
from tests.steering import tiny
from tests.steering.test_condition import DIRECTION, VECTOR, condition

POSITIVES = [tiny.text(tiny.tokens(5, seed=seed)) for seed in (1, 2, 3)]
NEGATIVES = [tiny.text(tiny.tokens(length, seed=seed)) for seed, length in ((4, 3), (5, 8), (6, 6), (7, 6))]


def states(model: Any, prompt: str, site: str) -> torch.Tensor:
    ids = torch.tensor([tiny.tokenizer().encode(prompt)])
    return tiny.run(model, ids)[site][0].double()


@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_between_is_the_difference_of_means_and_the_midpoint(llama: Any, pooling: Any, cosine: bool) -> None:
    fitted = Condition.between(llama, tiny.tokenizer(), POSITIVES, NEGATIVES, 1, pooling=pooling, cosine=cosine)
    read = [[states(llama, prompt, "output.1") for prompt in group] for group in (POSITIVES, NEGATIVES)]
    if cosine and pooling == "last":
        # The direction is that of the states as they are; only what is asked is of unit length.
        lasts = [torch.stack([rows[-1] for rows in group]).mean(0) for group in read]
    if cosine:
        read = [[rows / rows.norm(dim=1, keepdim=True) for rows in group] for group in read]
    summed = [
        torch.stack([rows[-1] if pooling == "last" else rows.mean(0) for rows in group]).mean(0) for group in read
    ]
    direction = lasts[0] - lasts[1] if cosine and pooling == "last" else summed[0] - summed[1]
    direction = direction / direction.norm()
    assert torch.allclose(fitted.directions[0].double(), direction, atol=1e-5)
    pool = {"last": lambda rows: rows[-1], "mean": lambda rows: rows.mean(), "max": lambda rows: rows.max()}[pooling]
    scores = [[float(pool(rows @ direction)) for rows in group] for group in read]
    assert fitted.threshold == pytest.approx((np.mean(scores[0]) + np.mean(scores[1])) / 2, abs=1e-4)
    assert fitted.prompt_scores(llama, tiny.tokenizer(), NEGATIVES) == pytest.approx(scores[1], abs=1e-4)
    assert (fitted.scope, str(fitted.site), fitted.model) == ("prompt", "output.1", "llama")


@pytest.mark.parametrize(("rate", "passing"), [(0.0, 0), (0.25, 1), (0.5, 2), (0.74, 2)])
@pytest.mark.parametrize("above", [True, False])
def test_at_most_that_share_of_the_negatives_passes(rate: float, passing: int, above: bool) -> None:
    scores = np.array([3.0, 1.0, 4.0, 2.0])
    fitted = condition("output.0", 0.0, above=above).with_threshold([], scores, rate)
    assert int(fitted.holds(torch.from_numpy(scores)).sum()) == passing


def test_a_rate_of_equal_scores_lets_none_pass_rather_than_all() -> None:
    fitted = condition("output.0", 0.0).with_threshold([], np.ones(4), 0.25)
    assert not bool(fitted.holds(torch.ones(4)).any())


def test_offline_scores_are_those_at_work(model: Any) -> None:
    when = Condition.between(model, tiny.tokenizer(), POSITIVES, NEGATIVES, 0, pooling="max")
    scores = when.prompt_scores(model, tiny.tokenizer(), NEGATIVES)
    when = replace(when, threshold=float(np.median(scores)))
    offline = scores > when.threshold
    prompts = geo.steering.encode(tiny.tokenizer(), NEGATIVES)
    with geo.steer(model, VECTOR, when=when) as handle, torch.no_grad():
        model(**prompts.arguments)
    assert handle.decisions is not None
    assert handle.decisions.tolist() == offline.tolist()


def test_a_concept_is_read_in_the_causal_inner_product(planted: Planted) -> None:
    """By hand: l(x) = Σ^(1/2) λ(x), its projection on ℓ, in standard deviations above the texts' tokens."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    matrix = planted.unembedding.matrix
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(matrix),
            hidden_size=matrix.shape[1],
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
        )
    ).eval()
    model.lm_head.weight.data.copy_(matrix)
    space = geo.CausalSpace.fit(planted.unembedding)
    concepts = geo.ConceptSteering(space, geo.ConceptDirections.fit(space, planted.hierarchy))
    texts = [*POSITIVES, *NEGATIVES]
    fitted = {
        subtree: Condition.of_concept(concepts, "animal", model, tiny.tokenizer(), texts, subtree=subtree)
        for subtree in (True, False)
    }
    hidden = torch.cat([states_of(model, torch.tensor([tiny.tokenizer().encode(text)])) for text in texts])
    unified = space.unify_hidden(hidden)
    names = ["animal", "mammal", "bird"]
    projections = torch.stack([unified @ concepts.directions[name] for name in names], dim=1)
    scores = (projections - projections.mean(0)) / projections.std(0)
    for subtree, expected in ((True, scores.amax(1)), (False, scores[:, 0])):
        found = np.concatenate(fitted[subtree].token_scores(model, tiny.tokenizer(), texts))
        assert found == pytest.approx(expected.numpy(), abs=1e-3)
        assert 0 < (found > fitted[subtree].threshold).mean() <= 0.05
    assert fitted[True].directions.shape[0] == 3
    # The last block's output, through the final norm, is the same state.
    early = Condition.of_concept(concepts, "animal", model, tiny.tokenizer(), texts, site="output.1")
    assert early.lens
    assert early.threshold == pytest.approx(fitted[True].threshold, abs=1e-3)
    with pytest.raises(HierarchyError, match="gryphon"):
        Condition.of_concept(concepts, "gryphon", model, tiny.tokenizer(), texts)
    with pytest.raises(SteeringError, match="too few"):
        Condition.of_concept(concepts, "animal", model, tiny.tokenizer(), texts[:1])
    # Another unembedding than the model's.
    model.lm_head.weight.data.normal_()
    with pytest.raises(SteeringError, match="is not the unembedding of this"):
        geo.steer(model, concepts["bird"], when=fitted[True])


def states_of(model: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.model(input_ids=ids).last_hidden_state[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threshold": float("nan")}, "threshold must be a finite number, not nan"),
        ({"threshold": float("inf")}, "finite number"),
        ({"threshold": "high"}, "threshold must be a number"),
        ({"site": "output.1.relative"}, "plain site"),
        ({"site": "block 3"}, "unknown place"),
        ({"directions": torch.zeros(16)}, "zero direction"),
        ({"directions": torch.full((16,), torch.nan)}, "NaN or infinite"),
        ({"directions": torch.ones(2, 2, 16)}, r"shape \(d,\) or \(k, d\), not \(2, 2, 16\)"),
        ({"directions": torch.ones(16, dtype=torch.int64)}, "floating-point"),
        ({"directions": "north"}, "tensor of shape"),
        ({"offsets": torch.zeros(3)}, "3 offsets for 1 directions"),
        ({"scope": "batch"}, "scope must be one of"),
        ({"pooling": "median"}, "pooling must be one of"),
        ({"site": "after_norm", "lens": True}, "before the final norm"),
    ],
)
def test_what_is_no_condition_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(GeometryError, match=said) as refused:
        Condition(**{"directions": DIRECTION, "site": "output.0", "threshold": 0.0, **options})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (condition("output.2", 0.0), "read at output.2, after the vector acts at output.1.*at output.1 or before"),
        (condition("after_norm", 0.0), "after the vector acts at output.1"),
        (condition("output.9", 0.0), "no block 9"),
        (Condition(torch.ones(8), "output.0", 0.0), "is 8 wide, LlamaForCausalLM 16"),
        (condition("output.0", 0.0, model="gpt2"), "is for a gpt2, this is a llama"),
        (0.5, "when must be"),
    ],
)
def test_what_does_not_suit_model_or_vector_is_refused(llama: Any, when: Any, said: str) -> None:
    with pytest.raises(GeometryError, match=said):
        geo.steer(llama, VECTOR, when=when)
    assert tiny.hook_count(llama) == 0


def test_nothing_to_fit_is_refused(llama: Any) -> None:
    words = tiny.tokenizer()
    with pytest.raises(SteeringError, match="positives are a list of prompts, and not empty"):
        Condition.between(llama, words, [], NEGATIVES, 1)
    with pytest.raises(SteeringError, match="empty prompt"):
        Condition.between(llama, words, POSITIVES, [""], 1)
    with pytest.raises(SteeringError, match=r"do not differ at output\.1"):
        Condition.between(llama, words, POSITIVES[:1], POSITIVES[:1], 1)
    with pytest.raises(SteeringError, match="from 0 to below 1, not 1"):
        Condition.between(llama, words, POSITIVES, NEGATIVES, 1, false_positive_rate=1.0)
    with pytest.raises(SteeringError, match="shapes"):
        Condition.from_states(torch.zeros(0, 4), torch.ones(2, 4), 1)
    with pytest.raises(SteeringError, match="shapes"):
        Condition.from_states(torch.zeros(2, 3), torch.ones(2, 4), 1)
    with pytest.raises(SteeringError, match="NaN or infinity"):
        Condition.from_states(torch.full((2, 4), torch.nan), torch.ones(2, 4), 1)
    with pytest.raises(SteeringError, match="without a condition"):
        _ = geo.steer(llama, VECTOR).fired
    changed = replace(condition("output.0", 0.0), threshold=2.0)
    assert "projection > 2 at output.0, each token" in repr(changed)
