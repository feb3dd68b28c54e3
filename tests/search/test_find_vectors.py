"""The search: a planted direction is found, the set stays orthogonal and on its sphere, and bad input is refused."""

from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.errors import SteeringError
from geometry.search import FoundVectors, find_vectors, later_changes
from tests.steering import tiny

PROMPTS = ["w5 w9 w30", "w7 w12 w3 w44 w21"]
NEUTRAL = ["w40 w41 w2", "w8 w8 w9"]
HERE: dict[str, Any] = {"site": "output.0", "read_site": "output.3"}


def found(model: Any, **options: Any) -> FoundVectors:
    given: dict[str, Any] = {
        "prompts": PROMPTS, **HERE, "n_vectors": 3, "n_steps": 6, "neutral": NEUTRAL, "n_random": 12, **options
    }  # fmt: skip
    return find_vectors(model, tiny.tokenizer(), given.pop("prompts"), **given)


def planted() -> tuple[Any, torch.Tensor]:
    """A Llama in whose block 2 one direction switches on a large neuron, and all else is faint."""
    model = tiny.build("llama")
    direction = torch.zeros(tiny.WIDTH)
    direction[[3, 10]] = torch.tensor([0.8, -0.6])
    with torch.no_grad():
        for block in tiny.blocks(model)[1:]:
            for weight in block.parameters():
                if weight.ndim == 2:
                    weight *= 0.05
        block = tiny.blocks(model)[2]
        block.mlp.gate_proj.weight[0] = 4 * direction / block.post_attention_layernorm.weight
        block.mlp.up_proj.weight[0] = 4 * direction / block.post_attention_layernorm.weight
        block.mlp.down_proj.weight[:, 0] = torch.linspace(-2, 2, tiny.WIDTH)
    return model, direction


@pytest.mark.parametrize("method", ["ascent", "jacobian"])
def test_a_planted_direction_is_found_and_no_other_vector_has_a_part_of_it(method: Any) -> None:
    model, direction = planted()
    result = found(model, method=method, n_steps=40, neutral=[], norm=0.1, n_vectors=2)
    cosines = np.abs(result.directions @ direction.numpy())
    assert cosines[0] > 0.9
    assert cosines[1] < 0.4
    either = [geo.SteeringVector({"output.0.relative": sign * 0.1 * direction}) for sign in (1, -1)]
    planted_change = later_changes(model, tiny.tokenizer(), either, PROMPTS, "output.3").moved().mean(axis=1).max()
    assert result.change[0].mean() > 0.95 * planted_change
    assert result.change[0].mean() > result.random_change.mean(axis=1).max()


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
@pytest.mark.parametrize("method", ["ascent", "jacobian"])
def test_vectors_are_orthogonal_and_of_the_norm_asked_for(family: str, method: Any) -> None:
    result = found(tiny.build(family), method=method, norm=0.37, n_vectors=5)
    assert result.orthogonality < 1e-6
    assert [vector.norm() for vector in result] == pytest.approx([0.37] * 5, rel=1e-6)
    assert {str(site) for vector in result for site in vector.sites} == {"output.0.relative"}
    assert result.objective.shape == (7, 5)
    assert (np.diff(_objective(result)) <= 1e-9).all()  # the largest first


def _objective(result: FoundVectors) -> Any:
    return result.change.mean(axis=1) - result.penalty * result.neutral_change.mean(axis=1)


def test_the_search_climbs_and_what_it_says_is_what_steering_does() -> None:
    model = tiny.build("llama")
    result = found(model, n_steps=25)
    assert _objective(result).mean() > 1.2 * result.random_objective.max()
    np.testing.assert_allclose(np.sort(result.objective[-1]), np.sort(_objective(result)), rtol=1e-4)
    assert result.objective[-1].mean() > result.objective[0].mean()
    for texts, said in ((PROMPTS, result.change), (NEUTRAL, result.neutral_change)):
        changes = later_changes(model, tiny.tokenizer(), result.vectors, texts, result.read_site)
        np.testing.assert_allclose(changes.moved(), said, rtol=1e-4)
    laws = geo.steering.next_token_laws(model, tiny.tokenizer(), NEUTRAL)
    with geo.steer(model, result[0], positions="last"):
        # By the model itself: one text after the other, so that no batch is padded.
        steered = [model(**tiny.tokenizer()(text, return_tensors="pt")).logits[0, -1] for text in NEUTRAL]
    kl = geo.steering.kl_divergence(torch.stack(steered).detach().log_softmax(dim=1), laws)
    np.testing.assert_allclose(result.neutral_kl[0], kl, rtol=1e-3, atol=1e-5)


def test_without_steps_the_filtered_random_vectors_are_given() -> None:
    model = tiny.build("llama")
    result = found(model, n_steps=0, neutral=[], n_vectors=1)
    assert result.method == "filtered random"
    assert result.change.mean() == pytest.approx(result.random_change.mean(axis=1).max(), rel=1e-5)
    assert result.neutral_kl.shape == (1, 0)
    several = found(model, n_steps=0, n_vectors=4)
    assert several.orthogonality < 1e-6
    assert several.objective.shape == (1, 4)


def test_the_same_seed_gives_the_same_and_another_another() -> None:
    model = tiny.build("gpt2")
    first, again, other = (found(model, seed=seed) for seed in (4, 4, 5))
    assert np.array_equal(first.directions, again.directions)
    assert np.array_equal(first.objective, again.objective)
    assert not np.allclose(first.directions, other.directions)


def test_a_penalty_lowers_the_change_on_neutral_text() -> None:
    model = tiny.build("llama")
    free, bound = (found(model, n_steps=20, penalty=penalty) for penalty in (0.0, 2.0))
    assert bound.neutral_change.mean() < 0.8 * free.neutral_change.mean()
    assert bound.change.mean() <= free.change.mean()


def test_directions_are_searched_as_such() -> None:
    result = found(tiny.build("llama"), measure="direction", n_steps=15)
    assert result.change.max() <= 2
    assert result.change.mean() > result.random_change.mean()


def test_a_result_reads_as_a_table_and_as_sentences() -> None:
    result = found(tiny.build("llama"))
    frame = result.to_frame()
    assert list(frame["vector"]) == [0, 1, 2]
    np.testing.assert_allclose(frame["change"], result.change.mean(axis=1))
    assert result.gain == pytest.approx(result.change.mean() / result.random_change.mean())
    assert "3 orthogonal vectors" in str(result)
    assert "12 random ones" in str(result)
    with pytest.raises(SteeringError, match="no vector 3"):
        result[3]


def test_half_precision_is_searched_in_as_steering_computes_it() -> None:
    model = tiny.build("llama", torch.bfloat16)
    result = found(model, n_steps=10, n_vectors=2)
    assert [vector.norm() for vector in result] == pytest.approx([0.25] * 2, rel=1e-6)
    changes = later_changes(model, tiny.tokenizer(), result.vectors, PROMPTS, result.read_site)
    np.testing.assert_allclose(changes.moved(), result.change, rtol=0.05)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"prompts": []}, "no prompts"),
    ({"prompts": ["w5", ""]}, "has no tokens"),
    ({"site": "output.3"}, "no block between"),
    ({"site": "output.2", "read_site": "input.3"}, "no block between"),
    ({"site": "output.9"}, "no block 9"),
    ({"read_site": "output.9"}, "no block 9"),
    ({"site": "after_norm"}, "searched at blocks"),
    ({"site": "mlp.1"}, "no place in the residual"),
    ({"read_site": "output.3.relative"}, "no place in the residual"),
    ({"n_vectors": tiny.WIDTH + 1, "n_random": 64}, "16 dimensions"),
    ({"n_vectors": 0}, "from 1 to"),
    ({"n_vectors": 13}, "as many random ones"),
    ({"n_steps": -1}, "at least 0"),
    ({"norm": 0.0}, "positive multiple"),
    ({"norm": float("nan")}, "positive multiple"),
    ({"penalty": -1.0}, "at least 0"),
    ({"penalty": float("inf")}, "at least 0"),
]


@pytest.fixture(scope="module")
def llama() -> Any:
    return tiny.build("llama")


@pytest.mark.parametrize(("options", "says"), REFUSED, ids=[str(options) for options, _ in REFUSED])
def test_bad_input_is_refused_in_one_line(llama: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(SteeringError, match=says) as refused:
        found(llama, **options)
    assert "\n" not in str(refused.value)
    assert tiny.hook_count(llama) == 0


def test_a_steered_model_and_one_of_inference_mode_are_refused(llama: Any) -> None:
    vector = tiny.vector("output.1")
    with geo.steer(llama, vector), pytest.raises(SteeringError, match="remove those at work"):
        found(llama)
    with geo.steer(llama, vector), pytest.raises(SteeringError, match="remove those"):
        later_changes(llama, tiny.tokenizer(), [vector], PROMPTS, "output.3")
    with torch.inference_mode():
        made = tiny.build("llama")
    with pytest.raises(SteeringError, match="inference_mode"):
        found(made)
    with torch.inference_mode(), pytest.raises(SteeringError, match="search outside of it"):
        found(llama)


def test_an_interval_that_there_is_none_of_is_not_printed(llama: Any) -> None:
    assert "nan" not in str(found(llama, n_steps=0))
    assert "[–]" in str(found(llama, n_steps=0))


@pytest.mark.parametrize(
    ("vector", "site", "says"),
    [
        (tiny.vector("output.1"), "output.3.relative", "write output.3"),
        (tiny.vector("output.1"), "output.9", "no block 9"),
        (geo.SteeringVector({"output.1": torch.ones(2, tiny.WIDTH)}), "output.3", "rows for several tokens"),
    ],
)
@pytest.mark.parametrize("prompts", [PROMPTS, ["w5"]])
def test_changes_that_cannot_be_read_are_refused(
    llama: Any, vector: Any, site: str, says: str, prompts: list[str]
) -> None:
    with pytest.raises(SteeringError, match=says):
        later_changes(llama, tiny.tokenizer(), [vector], prompts, site)


def test_changes_on_other_prompts_have_no_cosine(llama: Any) -> None:
    both, one = (
        later_changes(llama, tiny.tokenizer(), [tiny.vector("output.1")], some, "output.3")
        for some in (PROMPTS, PROMPTS[:1])
    )
    with pytest.raises(SteeringError, match="same prompts"):
        both.cosine(one)


@pytest.mark.parametrize(("vectors", "prompts"), [([], PROMPTS), ([tiny.vector("output.1")], [])])
def test_changes_of_nothing_are_refused(llama: Any, vectors: Any, prompts: Any) -> None:
    with pytest.raises(SteeringError, match="no vectors, or no prompts"):
        later_changes(llama, tiny.tokenizer(), vectors, prompts, "output.3")


@pytest.mark.long
def test_on_the_real_model_the_gain_is_large(smollm2_model: Any) -> None:
    model, tokenizer = smollm2_model
    prompts = geo.steering.load_prompts("neutral").beginnings[:4]
    result = find_vectors(model, tokenizer, prompts, site="output.7", read_site="output.22", n_steps=30)
    assert result.gain > 3
    assert result.orthogonality < 1e-6
