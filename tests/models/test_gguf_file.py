from pathlib import Path

import gguf
import numpy as np
import pytest

import geometry as geo
from geometry.models import cached_path
from geometry.models.catalogue import CATALOGUE
from tests.models.checkpoints import TOKENS, write_gguf

MATRIX = np.random.default_rng(0).standard_normal((len(TOKENS), 64)).astype(np.float32)


@pytest.mark.parametrize(("name", "tied"), [("token_embd.weight", True), ("output.weight", False)])
def test_tied_and_untied_heads(tmp_path: Path, name: str, tied: bool) -> None:
    other = {"token_embd.weight": np.zeros_like(MATRIX)}
    write_gguf(tmp_path / "m.gguf", {**other, name: MATRIX})
    model = geo.Unembedding.load(tmp_path / "m.gguf")
    assert model.tied is tied
    assert model.family == "llama"
    assert np.array_equal(model.matrix.numpy(), MATRIX)
    assert model.left_out == 2


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_1", "Q5_0"])
def test_quantised_tensors_come_back_as_the_reference_dequantises_them(tmp_path: Path, kind: str) -> None:
    quantisation = gguf.GGMLQuantizationType[kind]
    write_gguf(tmp_path / "m.gguf", {"output.weight": MATRIX}, kind=quantisation)
    expected = gguf.quants.dequantize(gguf.quants.quantize(MATRIX, quantisation), quantisation)
    assert np.array_equal(geo.Unembedding.load(tmp_path / "m.gguf").matrix.numpy(), expected)


def test_the_real_file_in_slices_equals_one_dequantisation(smollm2: geo.Unembedding) -> None:
    reader = gguf.GGUFReader(cached_path(CATALOGUE["smollm2-135m"]))
    tensor = next(tensor for tensor in reader.tensors if tensor.name == "token_embd.weight")
    assert np.array_equal(smollm2.matrix.numpy(), gguf.quants.dequantize(tensor.data, tensor.tensor_type))


@pytest.mark.parametrize("keep", [0, 3, 10, 200, 2000, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "m.gguf"
    write_gguf(path, {"output.weight": MATRIX})
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(geo.errors.ModelError, match=r"m\.gguf"):
        geo.Unembedding.load(path)


def test_noise_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(geo.errors.ModelError, match="GGUF"):
        geo.Unembedding.load(path)


@pytest.mark.parametrize(
    ("tensors", "architecture", "tokens", "complaint"),
    [
        ({"blk.0.attn_q.weight": MATRIX}, "llama", TOKENS, "no unembedding"),
        ({"token_embd.weight": MATRIX}, "llama", None, "tokenizer.ggml.tokens"),
        ({"token_embd.weight": MATRIX[0]}, "llama", TOKENS, "not width x vocabulary"),
        ({"token_embd.weight": MATRIX[:40]}, "llama", TOKENS, "tokenizer does not belong"),
    ],
)
def test_a_file_that_lacks_something_says_what(
    tmp_path: Path, tensors: dict, architecture: str, tokens: list[str] | None, complaint: str
) -> None:
    write_gguf(tmp_path / "m.gguf", tensors, architecture=architecture, tokens=tokens)
    with pytest.raises(geo.errors.ModelError, match=complaint):
        geo.Unembedding.load(tmp_path / "m.gguf")


@pytest.mark.parametrize(
    "architecture",
    ["nomic-bert-moe", "modern-bert", "gemma-embedding", "llama-embed", "t5", "t5encoder", "clip", "wavtokenizer-dec"],
)
def test_encoders_and_models_of_pictures_and_sound_are_refused_by_what_they_are(
    tmp_path: Path, architecture: str
) -> None:
    write_gguf(tmp_path / "m.gguf", {"token_embd.weight": MATRIX}, architecture=architecture)
    with pytest.raises(geo.errors.ModelError, match=f"a model of architecture '{architecture}' has no unembedding"):
        geo.Unembedding.load(tmp_path / "m.gguf")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"qwen3__pooling_type": 3}, "an embedding or ranking model .pooling_type 3."),
        ({"qwen3__attention__causal": False}, "a model without causal attention"),
        ({"general__type": "mmproj"}, "a file of type 'mmproj'"),
        ({"general__type": "adapter"}, "a file of type 'adapter'"),
    ],
)
def test_other_kinds_of_model_under_a_decoders_name_are_refused(tmp_path: Path, fields: dict, complaint: str) -> None:
    write_gguf(tmp_path / "m.gguf", {"token_embd.weight": MATRIX}, architecture="qwen3", **fields)
    with pytest.raises(geo.errors.ModelError, match=f"{complaint} has no unembedding"):
        geo.Unembedding.load(tmp_path / "m.gguf")
    usual = {"qwen3__pooling_type": 0, "qwen3__attention__causal": True, "general__type": "model"}
    write_gguf(tmp_path / "m.gguf", {"token_embd.weight": MATRIX}, architecture="qwen3", **usual)
    assert geo.Unembedding.load(tmp_path / "m.gguf").tied


@pytest.mark.parametrize("name", ["cls.output.weight", "lm_head.weight", "output.qweight", "score.weight"])
def test_a_head_of_another_kind_is_no_tied_one(tmp_path: Path, name: str) -> None:
    write_gguf(tmp_path / "m.gguf", {"token_embd.weight": MATRIX, name: MATRIX[:3]})
    with pytest.raises(geo.errors.ModelError, match=rf"no output\.weight, but {name}"):
        geo.Unembedding.load(tmp_path / "m.gguf")


def test_a_scaled_matrix_is_refused(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", {"output.weight": MATRIX, "output.scale": MATRIX[0, :1]})
    with pytest.raises(geo.errors.ModelError, match=r"scaled by output\.scale"):
        geo.Unembedding.load(tmp_path / "m.gguf")


def test_without_token_types_those_with_a_name_are_special(tmp_path: Path) -> None:
    ids = {"tokenizer__ggml__unknown_token_id": 0, "tokenizer__ggml__eos_token_id": 1}
    ids |= {"tokenizer__ggml__bos_token_id": 10**6}
    write_gguf(tmp_path / "m.gguf", {"token_embd.weight": MATRIX}, types=None, **ids)
    model = geo.Unembedding.load(tmp_path / "m.gguf")
    assert model.rows.tolist() == list(range(2, len(TOKENS)))
    assert model.vocabulary.word_id("cat") == 3
    write_gguf(tmp_path / "m.gguf", {"token_embd.weight": MATRIX}, types=None)
    assert geo.Unembedding.load(tmp_path / "m.gguf").left_out == 0


def test_tokens_that_are_no_utf8_are_read_as_a_decoder_shows_them(tmp_path: Path) -> None:
    tokens = [*(token.encode() for token in TOKENS[:-2]), b"\xff\xfe", b"\xc3"]
    write_gguf(tmp_path / "m.gguf", {"token_embd.weight": MATRIX}, tokens=tokens)
    model = geo.Unembedding.load(tmp_path / "m.gguf")
    assert model.vocabulary.tokens == (*TOKENS[:-2], "\ufffd\ufffd", "\ufffd")
    assert model.vocabulary.word_id("cat") == 3


def test_added_tokens_may_lie_beyond_the_matrix(tmp_path: Path) -> None:
    tokens = [*TOKENS, "<tool>", "</tool>", "<image>"]
    added, control = gguf.TokenType.USER_DEFINED, gguf.TokenType.CONTROL
    types = [gguf.TokenType.NORMAL] * len(TOKENS)
    write_gguf(tmp_path / "m.gguf", {"token_embd.weight": MATRIX}, tokens=tokens, types=[*types, added, added, control])
    model = geo.Unembedding.load(tmp_path / "m.gguf")
    assert model.rows.tolist() == list(range(len(TOKENS)))
    assert model.vocabulary.tokens[-3:] == ("<tool>", "</tool>", "<image>")
    # Within it they are tokens as others.
    more = np.concatenate([MATRIX, MATRIX[:2]])
    write_gguf(tmp_path / "m.gguf", {"token_embd.weight": more}, tokens=tokens[:-1], types=[*types, added, added])
    assert geo.Unembedding.load(tmp_path / "m.gguf").left_out == 0
