from itertools import takewhile
from typing import Any

import pytest
import torch

import geometry as geo
from geometry.steering.padding import heeds_padding
from tests.steering import tiny


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_generation_with_and_without_cache_steers_the_same_positions(model: Any, kind: str) -> None:
    positions, _ = tiny.KINDS[kind]
    ids = tiny.tokens(1, tiny.PROMPT)
    wanted, _ = tiny.greedy(model, ids[0].tolist(), kind)
    with geo.steer(model, tiny.steering(kind), positions=positions):
        for cache in (True, False, True):
            assert tiny.generated(model, ids, use_cache=cache)[0].tolist() == wanted
            [[one]] = geo.generate(
                model, tiny.tokenizer(), [tiny.text(ids[0])], max_new_tokens=tiny.NEW, use_cache=cache
            )
            assert list(one.token_ids) == wanted
    if kind in ("all", "prompt"):
        assert tiny.generated(model, ids)[0].tolist() != wanted


@pytest.mark.parametrize("kind", [kind for kind in tiny.KINDS if kind != "mask"])
def test_a_padded_batch_gives_each_prompt_what_it_gets_alone(model: Any, kind: str) -> None:
    positions, _ = tiny.KINDS[kind]
    prompts = [tiny.tokens(length, seed=length).tolist() for length in (9, 4, 14, 6)]
    batch = geo.steering.encode(tiny.tokenizer(), [*map(tiny.text, prompts)])
    alone = [tiny.greedy(model, prompt, kind) for prompt in prompts]
    with geo.steer(model, tiny.steering(kind), positions=positions):
        for cache in (True, False):
            found = model.generate(
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                max_new_tokens=tiny.NEW,
                do_sample=False,
                use_cache=cache,
                return_dict_in_generate=True,
                output_logits=True,
            )
            for row, (tokens, logits) in enumerate(alone):
                assert found.sequences[row, batch.input_ids.shape[1] :].tolist() == tokens
                torch.testing.assert_close(torch.stack(found.logits)[:, row], logits, atol=1e-4, rtol=0)
        together = geo.generate(model, tiny.tokenizer(), [*map(tiny.text, prompts)], max_new_tokens=tiny.NEW)
    assert [(one.prompt, list(one.token_ids)) for [one] in together] == [
        (tiny.text(prompt), tokens) for prompt, (tokens, _) in zip(prompts, alone, strict=True)
    ]


@pytest.mark.parametrize("mode", ["add", "ablate"])
def test_parts_at_many_sites_write_the_same_with_and_without_cache(model: Any, mode: Any) -> None:
    ids = tiny.tokens(3, tiny.PROMPT)
    vector = tiny.vector("input.0", "output.1", "input.3", "before_norm", "after_norm") + tiny.vector(
        "output.1.relative", "before_norm.relative", size=0.3
    )
    for positions in ("all", "prompt", "generated", "first", "middle", "last", [1, -2]):
        with geo.steer(model, vector, positions=positions, mode=mode):
            cached = [tiny.generated(model, ids) for _ in range(2)]
            assert torch.equal(cached[0], tiny.generated(model, ids, use_cache=False))
        assert torch.equal(*cached)


@pytest.mark.parametrize("positions", ["all", "generated", [0, -1]], ids=str)
def test_smollm2_writes_the_same_in_a_batch_alone_and_without_cache(
    smollm2_model: tuple[Any, Any], positions: Any
) -> None:
    model, tokenizer = smollm2_model
    generator = torch.Generator().manual_seed(0)
    vector = geo.SteeringVector({"output.14.relative": torch.randn(model.config.hidden_size, generator=generator)})
    vector = vector.with_norm(0.5)
    prompts = ["The robin is a kind of", "Yesterday I", "In the middle of the night, a small dog"]
    plain = geo.generate(model, tokenizer, prompts, max_new_tokens=3)
    with geo.steer(model, vector, positions=positions):
        together = geo.generate(model, tokenizer, prompts, max_new_tokens=3)
        uncached = geo.generate(model, tokenizer, prompts, max_new_tokens=3, use_cache=False)
        alone = [geo.generate(model, tokenizer, [prompt], max_new_tokens=3)[0] for prompt in prompts]
        ids = [tokenizer(prompt, return_tensors="pt").input_ids for prompt in prompts]
        direct = [tiny.generated(model, each, max_new_tokens=3)[0].tolist() for each in ids]
    assert together == uncached == alone
    assert [list(one.token_ids) for [one] in together] == direct
    assert together != plain
    assert geo.generate(model, tokenizer, prompts, max_new_tokens=3) == plain


@pytest.mark.parametrize("cache", [True, False])
def test_a_mask_is_spread_over_all_generations_of_a_prompt(model: Any, cache: bool) -> None:
    batch = geo.steering.encode(tiny.tokenizer(), [tiny.text(tiny.tokens(4)), tiny.text(tiny.tokens(6))])
    mask = tiny.pattern("..0..0", "0...0.") >= 0
    where = tiny.pattern(*["..0..0"] * 3, *["0...0."] * 3)
    ids, real, places = (
        each.repeat_interleave(3, dim=0) for each in (batch.input_ids, batch.attention_mask, batch.position_ids)
    )
    plain = tiny.run(model, ids, attention_mask=real, position_ids=places)[tiny.SITE]
    # Measured once, by calls that the hook below would see.
    assert heeds_padding(geo.steering.Architecture.of(model))
    for options in ({"do_sample": True, "temperature": 0.9}, {"num_beams": 3}):
        seen: list[torch.Tensor] = []
        with geo.steer(model, tiny.steering("mask"), positions=mask, num_return_sequences=3):
            hook = tiny.blocks(model)[1].register_forward_hook(lambda _, __, output, seen=seen: seen.append(output))
            found = tiny.generated(
                model, batch.input_ids, batch.attention_mask, num_return_sequences=3, use_cache=cache, **options
            )
            hook.remove()
        assert found.shape == (6, tiny.NEW)
        assert torch.equal(seen[0][real > 0], tiny.moved(plain, tiny.steering("mask")[tiny.SITE], where)[real > 0])
        # Without a cache the prompts run again with every token.
        for later in [] if cache else seen[1:]:
            torch.testing.assert_close(later[:, :6][real > 0], seen[0][real > 0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cache", [True, False])
def test_beams_are_steered_as_single_texts_are(model: Any, cache: bool) -> None:
    ids, wrong = tiny.tokens(1, tiny.PROMPT), []
    for kind, (positions, _) in tiny.KINDS.items():
        with tiny.steered_by_hand(model, kind, tiny.PROMPT):
            wanted = tiny.generated(model, ids, num_beams=3, use_cache=False)
        with geo.steer(model, tiny.steering(kind), positions=positions, num_return_sequences=3):
            if not torch.equal(tiny.generated(model, ids, num_beams=3, use_cache=cache), wanted):
                wrong.append(kind)
    assert not wrong


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_calling_the_model_token_by_token_is_generation(model: Any, kind: str) -> None:
    positions, _ = tiny.KINDS[kind]
    ids = tiny.tokens(1, tiny.PROMPT)
    wanted, logits = tiny.greedy(model, ids[0].tolist(), kind)
    texts = torch.cat([ids, torch.tensor([wanted])], dim=1)
    with torch.no_grad(), geo.steer(model, tiny.steering(kind), positions=positions):
        for _ in range(2):
            past = None
            for step in range(tiny.NEW):
                now = (
                    texts[:, : tiny.PROMPT + step]
                    if past is None
                    else texts[:, tiny.PROMPT + step - 1 : tiny.PROMPT + step]
                )
                output = model(input_ids=now, past_key_values=past, use_cache=True)
                past = output.past_key_values
                torch.testing.assert_close(output.logits[0, -1], logits[step], atol=1e-4, rtol=0)
            for step in range(tiny.NEW):
                output = model(input_ids=texts[:, : tiny.PROMPT + step], use_cache=False)
                torch.testing.assert_close(output.logits[0, -1], logits[step], atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma3"])
@pytest.mark.parametrize(
    "options",
    [
        {"prefill_chunk_size": 4},
        {"prompt_lookup_num_tokens": 3},
        {"assistant_model": True},
        {"cache_implementation": "static"},
        {"inputs_embeds": True},
        {"inputs_embeds": True, "use_cache": False},
    ],
    ids=str,
)
def test_other_ways_to_generate_steer_the_same_positions_or_are_refused(name: str, options: dict[str, Any]) -> None:
    model, ids, wrong = tiny.build(name), tiny.tokens(1, tiny.PROMPT), []
    if "assistant_model" in options:
        # It proposes what the model would have written without steering.
        options = {"assistant_model": tiny.build(name)}
    if "inputs_embeds" in options:
        options = {**options, "inputs_embeds": model.get_input_embeddings()(ids).detach()}
    for kind, (positions, _) in tiny.KINDS.items():
        wanted, _ = tiny.greedy(model, ids[0].tolist(), kind)
        with geo.steer(model, tiny.steering(kind), positions=positions):
            try:
                found = tiny.generated(model, ids, **options)[0].tolist()
            except geo.errors.SteeringError:
                found = None if positions != "all" else []
        if found not in (wanted, None):
            wrong.append(kind)
    assert not wrong


PROMPTS = ["w5 w9 w9 w9 w5 w7", "w11 w9"]


def test_sampling_depends_on_its_seed_alone(model: Any) -> None:
    def sampled(seed: int) -> list[list[geo.steering.Generation]]:
        return geo.generate(
            model, tokens, PROMPTS, max_new_tokens=tiny.NEW, num_return_sequences=3, temperature=1.0, seed=seed
        )

    tokens = tiny.tokenizer()
    torch.manual_seed(123)
    wanted = torch.rand(4)
    torch.manual_seed(123)
    first = sampled(5)
    assert torch.equal(torch.rand(4), wanted)
    torch.rand(7)
    assert sampled(5) == first
    assert sampled(6) != first
    assert [[one.prompt for one in some] for some in first] == [[prompt] * 3 for prompt in PROMPTS]
    # Completions of one prompt differ among themselves.
    assert all(len({one.token_ids for one in some}) == 3 for some in first)


def nucleus(scores: torch.Tensor, top_p: float) -> torch.Tensor:
    """Probabilities of the fewest tokens that together have top_p, the others 0."""
    result = torch.zeros_like(scores)
    for row, probabilities in enumerate(scores.softmax(dim=-1)):
        total = 0.0
        for token in probabilities.argsort(descending=True).tolist():
            result[row, token] = probabilities[token]
            total += float(probabilities[token])
            if total >= top_p:
                break
    return result / result.sum(dim=-1, keepdim=True)


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.6])
@pytest.mark.parametrize("penalty", [0.0, 1.5, -0.5])
@pytest.mark.parametrize("top_p", [1.0, 0.8])
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_the_frequency_penalty_counts_real_tokens_before_top_p(
    name: str, top_p: float, penalty: float, temperature: float
) -> None:
    model = tiny.build(name)
    # Padding is written as token 0, which the first prompt holds and the second does not.
    prompts = ["<s> <s> w9 w9 w9 w5 w7", "w11 w9"]
    rows = [tiny.tokenizer().encode(prompt) for prompt in prompts]
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        for _ in range(12):
            logits = torch.stack([model(torch.tensor([row]), use_cache=False).logits[0, -1] for row in rows])
            counts = torch.stack([torch.bincount(torch.tensor(row), minlength=tiny.VOCABULARY) for row in rows])
            scores = logits / (temperature or 1.0) - penalty * counts
            if temperature:
                drawn = torch.multinomial(nucleus(scores, top_p), num_samples=1)[:, 0]
            else:
                drawn = scores.argmax(dim=-1)
            rows = [[*row, token] for row, token in zip(rows, drawn.tolist(), strict=True)]
    options = {"temperature": temperature, "top_p": top_p, "frequency_penalty": penalty, "seed": 3}
    found = geo.generate(model, tiny.tokenizer(), prompts, max_new_tokens=12, **options)
    # The tokenizer's end of text, token 1, ends a generation of a model that names none.
    wanted = [list(takewhile(lambda token: token != 1, row)) for row in (rows[0][7:], rows[1][2:])]
    assert [list(one.token_ids) for [one] in found] == wanted


@pytest.mark.parametrize("ends", [1, 2])
def test_end_of_text_cuts_one_generation_and_leaves_the_others(model: Any, ends: int) -> None:
    whole = [one for [one] in geo.generate(model, tiny.tokenizer(), PROMPTS, max_new_tokens=tiny.NEW)]
    ending = [token for token in whole[0].token_ids if token not in whole[1].token_ids][:1]
    ending = ending or [whole[0].token_ids[3]]
    model.generation_config.eos_token_id = ending[0] if ends == 1 else [0, *ending]
    for before, [after] in zip(
        whole, geo.generate(model, tiny.tokenizer(), PROMPTS, max_new_tokens=tiny.NEW), strict=True
    ):
        cut = [place for place, token in enumerate(before.token_ids) if token == ending[0]][:1] or [tiny.NEW]
        assert after.token_ids == before.token_ids[: cut[0]]
        assert after.text == tiny.text(list(after.token_ids))


@pytest.mark.parametrize(
    "default",
    [
        {"num_beams": 3},
        {"no_repeat_ngram_size": 1},
        {"suppress_tokens": list(range(2, 40))},
        {"min_p": 0.9},
        {"typical_p": 0.2},
        {"top_k": 1, "top_p": 0.1, "temperature": 0.01, "do_sample": True},
        {"repetition_penalty": 9.0},
        {"min_new_tokens": 4, "max_length": 5},
        {"prompt_lookup_num_tokens": 3},
        {"return_dict_in_generate": True},
    ],
    ids=lambda default: " ".join(default),
)
def test_generations_owe_nothing_to_the_defaults_of_the_model(llama: Any, default: dict[str, Any]) -> None:
    def both() -> list[Any]:
        prompts = [tiny.text([5, 9, 9, 9, 5, 7])]
        return [
            geo.generate(llama, tiny.tokenizer(), prompts, max_new_tokens=12, temperature=heat) for heat in (0.0, 1.0)
        ]

    wanted = both()
    llama.generation_config.update(**default)
    assert both() == wanted


@pytest.mark.parametrize(
    "bad",
    [
        {"prompts": []},
        {"prompts": ["w3", ""]},
        {"prompts": "w3"},
        {"prompts": [3]},
        {"max_new_tokens": 0},
        {"num_return_sequences": 0},
        {"num_return_sequences": 2},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"temperature": 1.0, "frequency_penalty": float("nan")},
        {"temperature": 1.0, "frequency_penalty": float("inf")},
        {"temperature": float("inf")},
        {"temperature": 1e-300},
        {"temperature": 1e300},
        {"temperature": 1.0, "num_return_sequences": 10_000_000},
        {"max_new_tokens": 10**8},
        {"seed": -1},
        {"seed": 10**30},
    ],
    ids=str,
)
def test_bad_numbers_and_prompts_are_refused(llama: Any, bad: dict[str, Any]) -> None:
    options = {"prompts": ["w3 w4"], **bad}
    with tiny.counting(llama) as ran, pytest.raises(geo.GeometryError):
        geo.generate(llama, tiny.tokenizer(), options.pop("prompts"), **options)
    assert not ran
