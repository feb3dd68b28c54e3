import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry import SteeringVector
from geometry.steering import NextToken
from tests.steering import families, tiny

MIXED = ["w2 w3 w4 w5", "w6", "w7 w8 w9 w10 w11 w12 w13 w14", "w15 w16"]


def ids_of(prompt: str) -> list[int]:
    return [int(word[1:]) for word in prompt.split()]


def at_work(model: Any, vector: SteeringVector | None, positions: Any = None) -> AbstractContextManager[Any]:
    return nullcontext() if vector is None else geo.steer(model, vector, positions=positions)


def alone(model: Any, prompts: list[str], vector: SteeringVector | None = None) -> torch.Tensor:
    """Each prompt in one plain pass of its own, with the vector at its last token."""
    rows = []
    for prompt in prompts:
        with torch.no_grad(), at_work(model, vector, "last"):
            logits = model(torch.tensor([ids_of(prompt)])).logits
        rows.append(torch.log_softmax(logits[0, -1], dim=-1))
    return torch.stack(rows)


@pytest.mark.parametrize("prompts", [MIXED, ["w6", "w9"], ["w6"], ["w2 w3"], MIXED[::-1]], ids=lambda p: str(len(p)))
def test_next_tokens_are_those_of_each_prompt_alone(model: Any, prompts: list[str]) -> None:
    asked = NextToken(model, tiny.tokenizer(), prompts)
    plain = asked.log_probabilities()
    assert plain.shape == (len(prompts), tiny.VOCABULARY)
    torch.testing.assert_close(plain, alone(model, prompts), rtol=1e-4, atol=1e-4)
    vectors = [tiny.vector(site) for site in ("input.1", "output.2", "before_norm", "after_norm")]
    vectors.append(tiny.vector("output.1", "after_norm").relative(0.5))
    for vector in vectors:
        with geo.steer(model, vector, positions="all"):
            steered = asked.log_probabilities()
        torch.testing.assert_close(steered, alone(model, prompts, vector), rtol=1e-4, atol=1e-4)
        assert (steered - plain).abs().max() > 0.01
    # The past is asked again and again, and stays as it was.
    assert torch.equal(asked.log_probabilities(), plain)


def test_the_real_model_is_asked_as_if_alone(smollm2_model: tuple[Any, Any]) -> None:
    model, tokenizer = smollm2_model
    prompts = ["In the garden I saw a", "Yes", "The child drew a picture of a small but very angry"]
    vector = SteeringVector({"output.20": torch.randn(576, generator=torch.Generator().manual_seed(0)) * 8})
    asked = NextToken(model, tokenizer, prompts)
    for steering in (None, vector):
        rows = []
        for prompt in prompts:
            batch = tokenizer(prompt, return_tensors="pt")
            with torch.no_grad(), at_work(model, steering, "last"):
                logits = model(**batch).logits
            rows.append(torch.log_softmax(logits[0, -1], dim=-1))
        with at_work(model, steering, "all"):
            found = asked.log_probabilities()
        torch.testing.assert_close(found, torch.stack(rows), rtol=1e-4, atol=1e-3)


def test_a_vector_for_the_end_of_the_prompt_acts_or_is_refused(llama: Any) -> None:
    # Whether the model was called before must not decide in silence whether there is steering.
    asked = NextToken(llama, tiny.tokenizer(), MIXED)
    plain = asked.log_probabilities()
    with geo.steer(llama, tiny.vector("output.1"), positions="last"):
        llama(tiny.tokens(2, 3))
        try:
            steered = asked.log_probabilities()
        except geo.errors.SteeringError:
            return
    assert not torch.equal(steered, plain)


def test_rows_are_log_probabilities_in_float32_from_bfloat16_too() -> None:
    model = tiny.build("llama", torch.bfloat16)
    rows = NextToken(model, tiny.tokenizer(), MIXED).log_probabilities()
    assert rows.dtype == torch.float32
    torch.testing.assert_close(rows.double().exp().sum(dim=1), torch.ones(4, dtype=torch.float64))


def test_probability_sums_over_tokens() -> None:
    rows = torch.tensor([[0.5, 0.25, 0.125, 0.125], [0.1, 0.2, 0.3, 0.4]]).log()
    np.testing.assert_allclose(geo.steering.probability(rows, np.array([0, 3])), [0.625, 0.5], rtol=1e-6)
    np.testing.assert_allclose(geo.steering.probability(rows, np.array([2])), [0.125, 0.3], rtol=1e-6)
    np.testing.assert_allclose(geo.steering.probability(rows, np.arange(4)), [1, 1], rtol=1e-6)
    assert geo.steering.probability(rows, np.array([], dtype=np.int64)).tolist() == [0, 0]
    assert geo.steering.probability(rows, np.array([1])).dtype == np.float64


def test_kl_divergence_by_hand() -> None:
    p = torch.tensor([[0.5, 0.5], [0.9, 0.1]]).log()
    q = torch.tensor([[0.25, 0.75], [0.9, 0.1]]).log()
    expected = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    np.testing.assert_allclose(geo.steering.kl_divergence(p, q), [expected, 0], atol=1e-6)
    # It is not symmetric: the first argument weighs.
    turned = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    np.testing.assert_allclose(geo.steering.kl_divergence(q, p), [turned, 0], atol=1e-6)


def test_tokens_without_a_chance_do_not_count_in_divergence() -> None:
    p = torch.tensor([[0.5, 0.5, 0.0]]).log()
    for q in (torch.tensor([[0.25, 0.75, 0.0]]).log(), torch.tensor([[0.2, 0.6, 0.2]]).log()):
        expected = geo.steering.kl_divergence(p[:, :2], q[:, :2])
        np.testing.assert_allclose(geo.steering.kl_divergence(p, q), expected, rtol=1e-6)
    impossible = torch.tensor([[1.0, 0.0, 0.0]]).log()
    assert geo.steering.kl_divergence(p, impossible).tolist() == [math.inf]


def test_kl_divergence_agrees_with_scipy_over_a_real_vocabulary(smollm2_model: tuple[Any, Any]) -> None:
    model, tokenizer = smollm2_model
    asked = NextToken(model, tokenizer, ["In the garden I saw a", "Yes"])
    plain = asked.log_probabilities()
    for size in (0.1, 20.0, 300.0):
        drawn = torch.randn(576, generator=torch.Generator().manual_seed(1)) * size
        with geo.steer(model, SteeringVector({"output.28": drawn}), positions="all"):
            steered = asked.log_probabilities()
        p, q = steered.double().numpy(), plain.double().numpy()
        np.testing.assert_allclose(
            geo.steering.kl_divergence(steered, plain), (np.exp(p) * (p - q)).sum(axis=1), rtol=1e-4
        )


def test_excess_kl_by_hand() -> None:
    q = np.array([0.4, 0.2, 0.3, 0.1])
    inside = np.array([0, 1])

    def excess_kl(p: np.ndarray) -> float:
        whole = float((p * np.log(p / q)).sum())
        ends = np.array([p[inside].sum()]), np.array([q[inside].sum()])
        return float(geo.steering.excess_kl(np.array([whole]), *ends)[0])

    # Both halves only scaled: all of the divergence is what the change takes.
    assert excess_kl(np.array([0.6, 0.3, 0.075, 0.025])) == pytest.approx(0, abs=1e-12)
    # The same change with the set's own tokens reordered: 0.9 KL((1/3, 2/3) ‖ (2/3, 1/3)) more.
    reordered = 0.9 * (math.log(0.5) / 3 + 2 * math.log(2) / 3)
    assert excess_kl(np.array([0.3, 0.6, 0.075, 0.025])) == pytest.approx(reordered)
    # Nothing gained, much spent.
    swapped = np.array([0.2, 0.4, 0.3, 0.1])
    assert excess_kl(swapped) == pytest.approx(float((swapped * np.log(swapped / q)).sum()))


def test_excess_kl_is_never_negative_at_the_ends() -> None:
    steered, unsteered = np.array([0.0, 1.0, 1.0 + 1e-7, 0.5]), np.array([0.3, 0.3, 1.0 + 1e-7, 0.5])
    least = np.array([-math.log(0.7), -math.log(0.3), 0, 0])
    np.testing.assert_allclose(geo.steering.excess_kl(least + 2, steered, unsteered), 2, rtol=1e-6)
    assert (geo.steering.excess_kl(least - 1e-9, steered, unsteered) >= 0).all()


def test_the_effect_of_a_vector_is_what_its_parts_say(llama: Any) -> None:
    asked = NextToken(llama, tiny.tokenizer(), MIXED)
    sets = {"few": np.array([3, 4]), "many": np.arange(10, 40)}
    vector = tiny.vector("output.2")
    effect = asked.effect(vector, sets)
    before, after = alone(llama, MIXED).double().numpy(), alone(llama, MIXED, vector).double().numpy()
    np.testing.assert_allclose(effect.kl, (np.exp(after) * (after - before)).sum(axis=1), rtol=1e-3, atol=1e-4)
    assert effect.top1.tolist() == after.argmax(axis=1).tolist()
    for name, tokens in sets.items():
        p, q = (np.exp(rows[:, tokens]).sum(axis=1) for rows in (after, before))
        np.testing.assert_allclose(effect.probability[name], p, rtol=1e-3)
        least = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
        np.testing.assert_allclose(effect.excess_kl[name], effect.kl - least, rtol=1e-2, atol=1e-3)
        assert (effect.kl >= least - 1e-4).all()
        assert effect.top1_rate(tokens) == sum(int(token) in tokens for token in after.argmax(axis=1)) / len(MIXED)


def test_the_effect_of_nothing_is_nothing_and_leaves_no_steering(llama: Any) -> None:
    asked = NextToken(llama, tiny.tokenizer(), MIXED)
    some = {"some": np.array([3, 4])}
    plain = asked.log_probabilities()
    asked.effect(tiny.vector("output.2"), some)
    unsteered = asked.effect(None, some)
    assert not unsteered.kl.any()
    assert unsteered.excess_kl["some"] == pytest.approx(0, abs=1e-9)
    assert torch.equal(asked.unsteered, plain)
    with pytest.raises(geo.errors.SteeringError):
        asked.effect(SteeringVector({"output.2": torch.ones(tiny.WIDTH + 1)}), some)
    assert torch.equal(asked.log_probabilities(), plain)


def test_perplexity_by_hand(model: Any) -> None:
    texts = ["w2 w3 w4 w5", "w6 w7", "w8 w9 w10 w11 w12 w13"]
    for vector in (None, tiny.vector("output.1")):
        losses = []
        for text in texts:
            ids = ids_of(text)
            with torch.no_grad(), at_work(model, vector):
                rows = model(torch.tensor([ids])).logits[0].double().log_softmax(dim=-1)
            losses += [-float(rows[place, token]) for place, token in enumerate(ids[1:])]
        # The mean is over tokens, not over texts.
        assert len(losses) == 3 + 1 + 5
        with at_work(model, vector):
            found = geo.steering.perplexity(model, tiny.tokenizer(), texts)
        assert found == pytest.approx(math.exp(sum(losses) / len(losses)), rel=1e-4)


def test_a_model_that_does_not_heed_padding_is_given_none() -> None:
    model, tokenizer = families.build("rwkv"), tiny.tokenizer()
    each = [geo.steering.perplexity(model, tokenizer, [text]) for text in ("w2 w3 w4", "w9 w8 w7")]
    together = geo.steering.perplexity(model, tokenizer, ["w2 w3 w4", "w9 w8 w7"])
    assert together == pytest.approx(math.prod(each) ** 0.5, rel=1e-4)
    with pytest.raises(geo.errors.SteeringError, match="does not heed the attention mask"):
        geo.steering.perplexity(model, tokenizer, ["w2 w3 w4", "w9 w8"])
    with pytest.raises(geo.errors.SteeringError, match="keeps no KV-cache"):
        NextToken(model, tokenizer, ["w2 w3"])


@pytest.mark.parametrize("name", ["bloom", "mpt"])
def test_models_that_take_no_position_ids_are_measured_too(name: str) -> None:
    model, tokenizer, prompts = families.build(name), tiny.tokenizer(), ["w2 w3 w4", "w9 w8"]
    asked = NextToken(model, tokenizer, prompts).unsteered
    for row, prompt in zip(asked, prompts, strict=True):
        with torch.no_grad():
            alone = model(torch.tensor([ids_of(prompt)])).logits[0, -1].log_softmax(dim=-1)
        torch.testing.assert_close(row, alone, atol=1e-4, rtol=1e-4)
    assert geo.steering.perplexity(model, tokenizer, prompts) > 1


def hierarchy() -> geo.ConceptHierarchy:
    words = {"thing": [1, 2, 3, 4, 5, 6], "animal": [1, 2, 3, 4], "bird": [1, 2], "tree": [4, 5], "rock": [5]}
    concepts = tuple(geo.concepts.Concept(name, tuple(f"x{i}" for i in ids), tuple(ids)) for name, ids in words.items())
    parents = {"animal": ("thing",), "tree": ("thing",), "bird": ("animal",), "rock": ("thing",)}
    return geo.ConceptHierarchy("h", concepts, parents)


def test_tokens_of_unrelated_concepts_count_for_neither() -> None:
    def found(*names: str) -> dict[str, list[int]]:
        return {name: ids.tolist() for name, ids in geo.steering.concept_tokens(hierarchy(), names).items()}

    assert found("animal", "tree") == {"animal": [1, 2, 3], "tree": [5]}
    # Only the concepts asked for tell each other apart, and ancestors share what is theirs.
    assert found("animal") == {"animal": [1, 2, 3, 4]}
    assert found("thing", "animal", "bird") == {"thing": [1, 2, 3, 4, 5, 6], "animal": [1, 2, 3, 4], "bird": [1, 2]}
    assert found("bird", "tree") == {"bird": [1, 2], "tree": [4, 5]}
    with pytest.raises(geo.errors.SteeringError, match=r"'rock' shares all of its words with .*tree"):
        found("animal", "rock", "tree")
    with pytest.raises(geo.errors.HierarchyError, match="stone"):
        found("animal", "stone")


def test_nonsense_is_refused(llama: Any) -> None:
    tokenizer = tiny.tokenizer()
    for attempt in (
        lambda: NextToken(llama, tokenizer, []),
        lambda: NextToken(llama, tokenizer, "w2 w3"),
        lambda: NextToken(llama, tokenizer, ["w2", ""]),
        lambda: geo.steering.perplexity(llama, tokenizer, []),
        lambda: geo.steering.perplexity(llama, tokenizer, ["w2 w3", "w2"]),
        lambda: geo.steering.perplexity(llama, tokenizer, "w2 w3"),
    ):
        with pytest.raises(geo.errors.SteeringError):
            attempt()


@pytest.mark.parametrize(
    "tokens",
    [[], [5, 5], [5.7], [-1], [10**6], ["w3"], np.zeros(tiny.VOCABULARY, dtype=bool), [[5, 6]]],
    ids=["empty", "twice", "float", "negative", "beyond", "words", "mask", "nested"],
)
def test_token_sets_are_ids_or_refused(llama: Any, tokens: Any) -> None:
    asked = NextToken(llama, tiny.tokenizer(), MIXED)
    with pytest.raises(geo.errors.SteeringError, match=r"token set 'odd' must be ids from 0 to \d+, each once"):
        asked.effect(tiny.vector("output.1"), {"odd": tokens})
    listed, array = (asked.effect(None, {"two": ids}).probability["two"] for ids in ([5, 6], np.array([6, 5])))
    np.testing.assert_allclose(listed, array)
