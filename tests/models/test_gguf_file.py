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
        ({"token_embd.weight": MATRIX}, "nomic-bert", TOKENS, "causal language model"),
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
