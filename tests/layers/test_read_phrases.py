"""Phrases read in contexts are what reading every text whole, up to the end of the phrase, gives."""

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn

import geometry as geo
from tests.loaded import loaded_once
from tests.steering import families, tiny

SITES = ["input.0", "output.0", "output.2", "output.3", "before_norm", "after_norm"]
PHRASES = ["w5", "w6 w7", "w8 w9 w10", "w11", "w6 w12", "w13 w14 w15 w16 w17 w18 w19 w20"]
LONG = "w30 w31 w32 w33 w34 w35 w36 w37 w38 {}"  # beyond the window that Gemma's odd blocks attend to
CONTEXTS = [LONG, "w21 {} w22", "{}", "{} w23"]


def read(model: Any, phrases: Sequence[str] = PHRASES, **options: Any) -> geo.layers.PhraseActivations:
    settings = {"contexts": CONTEXTS, "sites": SITES, "progress": False, **options}
    return geo.read_phrases(model, tiny.tokenizer(), phrases, **settings)


def whole(model: Any, template: str, phrases: Sequence[str] = PHRASES, **options: Any) -> dict[Any, torch.Tensor]:
    texts = [template[: template.index("{}")] + phrase for phrase in phrases]
    settings = {"sites": SITES, "batch_size": 1, **options}
    return geo.read_activations(model, tiny.tokenizer(), texts, **settings)


def assert_same(found: geo.layers.PhraseActivations, model: Any, contexts: Sequence[str], **options: Any) -> None:
    phrases, tolerance = found.phrases, options.pop("tolerance", 1e-5)
    for number, template in enumerate(contexts):
        for site, rows in whole(model, template, phrases, **options).items():
            torch.testing.assert_close(
                found[site][number], rows, rtol=tolerance, atol=tolerance * float(rows.abs().max())
            )


@pytest.mark.parametrize("kind", tiny.ALL)
def test_they_are_what_whole_texts_give(kind: str) -> None:
    model = tiny.build(kind)
    found = read(model)
    assert found["output.2"].shape == (len(CONTEXTS), len(PHRASES), tiny.WIDTH)
    assert found.phrases == tuple(PHRASES)
    assert found.contexts == tuple(CONTEXTS)
    assert_same(found, model, CONTEXTS)


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_whatever_the_size_of_a_batch(size: int) -> None:
    model = tiny.build("gemma2")
    assert_same(read(model, batch_size=size), model, CONTEXTS)


def test_one_phrase_and_one_context() -> None:
    model = tiny.build("gpt2")
    for phrase in ("w5", "w5 w6 w7"):
        for template in (LONG, "{}"):
            assert_same(read(model, [phrase], contexts=[template]), model, [template])


def test_phrases_that_begin_alike_and_one_that_another_begins_with() -> None:
    model, phrases = tiny.build("llama"), ["w5 w6", "w5 w6 w7", "w5", "w5 w6 w7 w8"]
    assert_same(read(model, phrases), model, CONTEXTS)


def test_the_tokens_that_all_share_are_run_once() -> None:
    model, phrases = tiny.build("llama"), [f"w{number}" for number in range(10, 40)]
    lengths: list[int] = []
    hooked = model.model.embed_tokens.forward

    def forward(ids: torch.Tensor) -> torch.Tensor:
        lengths.append(ids.numel())
        return hooked(ids)

    model.model.embed_tokens.forward = forward  # no hook, with which texts are run whole
    read(model, phrases, contexts=[LONG])
    assert sum(lengths) == 9 + len(phrases)


def test_texts_of_the_phrases_own() -> None:
    model = tiny.build("gemma3")
    own = {"w5": ["w6 w5 w7", "w5 w5"], "w8 w9": ["w8 w9", "w3 w4 w6 w8 w9 w10"]}
    found = geo.read_phrases(model, tiny.tokenizer(), list(own), contexts=own, sites=["output.3"], progress=False)
    ends = [["w6 w5", "w8 w9"], ["w5", "w3 w4 w6 w8 w9"]]  # where it stands first
    for number, texts in enumerate(ends):
        rows = geo.read_activations(model, tiny.tokenizer(), texts, ["output.3"], batch_size=1)["output.3"]
        torch.testing.assert_close(found["output.3"][number], rows)


@pytest.mark.parametrize("bos", [True, False])
def test_with_and_without_a_beginning_of_text(bos: bool) -> None:
    model = tiny.build("llama")
    assert_same(read(model, bos=bos), model, CONTEXTS, bos=bos)


def test_the_default_sites_are_the_embedding_and_every_block() -> None:
    found = read(tiny.build("gpt2"), sites=None)
    assert [str(site) for site in found.sites] == ["input.0", *(f"output.{block}" for block in range(tiny.DEPTH))]


def test_sites_come_in_the_order_of_the_model() -> None:
    found = read(tiny.build("gpt2"), sites=["after_norm", "mlp.1", 1, "attention.1", "output.1", "input.1"])
    assert [str(site) for site in found.sites] == ["input.1", "attention.1", "mlp.1", "output.1", "after_norm"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_of_models_of_any_precision_they_are_float32(dtype: torch.dtype) -> None:
    model = tiny.build("llama", dtype)
    found = read(model)
    assert {rows.dtype for rows in found.samples.values()} == {torch.float32}
    assert_same(found, model, CONTEXTS, tolerance=1e-5 if dtype == torch.float64 else 0.1)


def test_a_model_in_training_is_read_without_dropout_and_left_in_training() -> None:
    model = tiny.build("gpt2")
    plain = read(model)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.5
    model.train()
    again = read(model)
    assert model.training
    assert all(torch.equal(plain[site], again[site]) for site in plain.sites)


def test_the_model_keeps_no_hooks_and_asks_for_no_gradients() -> None:
    model = tiny.build("llama")
    before = copy.deepcopy(model.state_dict())
    assert not any(rows.requires_grad for rows in read(model).samples.values())
    assert tiny.hook_count(model) == 0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("positions", ["last", "all", "front"])
def test_a_steered_model_is_read_steered(positions: str) -> None:
    model = tiny.build("llama")
    plain = read(model)
    with geo.steer(model, tiny.vector("output.1"), positions=positions):
        found = read(model)
        assert_same(found, model, CONTEXTS)
    assert not torch.allclose(found["output.3"], plain["output.3"], atol=0.1)
    torch.testing.assert_close(found["output.0"], plain["output.0"])


@pytest.mark.parametrize("bos", [True, False])
def test_prompts_begin_as_the_rows_of_a_vector_at_work_need(bos: bool) -> None:
    model, rows = tiny.build("gpt2"), torch.randn(2, tiny.WIDTH, generator=torch.Generator().manual_seed(0))
    vector = geo.SteeringVector({"output.0": 3 * rows}, bos=bos)
    with geo.steer(model, vector, positions="front"):
        assert_same(read(model, contexts=[LONG]), model, [LONG])
        with pytest.raises(geo.errors.SteeringError, match="beginning-of-text"):
            read(model, bos=not bos)


def test_a_text_that_brings_the_beginning_that_a_vector_counts_without_is_refused() -> None:
    model, vector = tiny.build("gpt2"), geo.SteeringVector({"output.0": torch.ones(2, tiny.WIDTH)}, bos=False)
    with (
        geo.steer(model, vector, positions="front"),
        pytest.raises(geo.errors.SteeringError, match="begins with the beginning-of-text token itself"),
    ):
        read(model, contexts=["<s> w3 {}"])


# What keeps other states than keys and values, whose tokens attend to later ones, or that counts positions otherwise.
_ODD = ("jamba", "falcon_h1", "recurrent_gemma", "qwen3_next", "paligemma", "opt", "minimax", "mamba2")
_QUICK = ("jamba", "falcon_h1", "paligemma", "opt")
_FAMILIES = [*families.FAMILIES, *families.WRAPPERS]
# Not models that are known here; of several residual streams; without one for batches of one token each.
_UNKNOWN = ("modernbert-decoder", "openai-gpt", "hrm_text", "bert", "hy_v4", "deepseek_v4", "gemma3n_text", "rwkv")


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(name, marks=() if name in _QUICK else pytest.mark.long)
        for name in _FAMILIES
        if name not in _UNKNOWN
    ],
)
def test_of_every_family_they_are_what_whole_texts_give(family: str) -> None:
    model, contexts = families.build(family), [LONG, "{} w3"]
    sites = ["output.0", "output.1"]
    found = read(model, PHRASES[:5], contexts=contexts, sites=sites)
    assert_same(found, model, contexts, sites=sites, tolerance=2e-5)


def test_those_odd_families_are_among_all() -> None:
    assert set(_QUICK) <= set(_ODD) <= set(_FAMILIES)


@pytest.mark.parametrize("name", ["stories15m", pytest.param("smollm2-135m", marks=pytest.mark.long)])
def test_of_a_real_model_they_are_what_whole_texts_give(name: str) -> None:
    model, tokenizer = loaded_once(name)
    phrases = ["polar bear", "oak", "crème brûlée", "gyrfalcon", "ice cream", "jack-o'-lantern"]
    contexts = ["She told me about the {}, and", "{} is what I saw"]
    found = geo.read_phrases(model, tokenizer, phrases, contexts=contexts, progress=False)
    for number, template in enumerate(contexts):
        texts = [template[: template.index("{}")] + phrase for phrase in phrases]
        for site, rows in geo.read_activations(model, tokenizer, texts, found.sites, batch_size=1).items():
            scale = float(rows.abs().max())
            torch.testing.assert_close(found[site][number], rows, rtol=1e-4, atol=1e-5 * scale)
