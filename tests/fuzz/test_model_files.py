"""Model files, changed at random: headers of safetensors and GGUF, tokenizers, configurations, steering vectors."""

import json
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from hypothesis import strategies as st
from safetensors.torch import save_file

import geometry as geo
from tests.fuzz.hostile import at_length, broken, changed, quick, survives
from tests.models.checkpoints import TOKENS, write_config, write_gguf, write_tokenizer
from tests.steering import tiny

SHAPE = (len(TOKENS), 8)


@cache
def checkpoint() -> dict[str, bytes]:
    """The files of a whole checkpoint: name → content."""
    rows = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    tensors = {"model.embed_tokens.weight": rows, "lm_head.weight": rows + 1}
    with TemporaryDirectory() as name:
        folder = Path(name)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        write_tokenizer(folder)
        write_config(folder, model_type="llama", tie_word_embeddings=False, vocab_size=SHAPE[0], hidden_size=SHAPE[1])
        return {path.name: path.read_bytes() for path in folder.iterdir()}


@cache
def gguf_model() -> bytes:
    rows = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        write_gguf(path, {"token_embd.weight": rows, "output.weight": rows + 1}, llama__embedding_length=8)
        return path.read_bytes()


@cache
def vector_file(suffix: str) -> bytes:
    with TemporaryDirectory() as folder:
        return geo.save_vector(tiny.vector("output.1", "output.2"), Path(folder) / f"v{suffix}").read_bytes()


def read_checkpoint(**files: bytes) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name) / "model"
        folder.mkdir()
        for file, content in {**checkpoint(), **files}.items():
            (folder / file).write_bytes(content)
        survives(lambda: use(geo.Unembedding.load(folder)))


def use(unembedding: geo.Unembedding) -> None:
    """As every study does first: what was accepted has words and rows."""
    geo.CausalSpace.fit(unembedding)
    len(unembedding.vocabulary.words)


def read_file(content: bytes, suffix: str, read: Callable[[Path], object]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"own{suffix}"
        path.write_bytes(content)
        survives(lambda: read(path))


def safetensors(header: object, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def split(content: bytes) -> tuple[object, bytes]:
    """The header of a safetensors file, and its data."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def safetensors_headers(data: st.DataObject) -> None:
    header, rest = split(checkpoint()["model.safetensors"])
    if data.draw(st.booleans()):
        content = safetensors(data.draw(changed(header)), rest)
    else:
        content = data.draw(broken(checkpoint()["model.safetensors"], near=400))
    read_checkpoint(**{"model.safetensors": content})


def gguf_headers(data: st.DataObject) -> None:
    read_file(data.draw(broken(gguf_model(), near=5000)), ".gguf", lambda path: use(geo.Unembedding.load(path)))


def tokenizers(data: st.DataObject) -> None:
    document = json.loads(checkpoint()["tokenizer.json"])
    document["model"]["vocab"] = dict(list(document["model"]["vocab"].items())[:20])
    read_checkpoint(**{"tokenizer.json": json.dumps(data.draw(changed(document))).encode()})


def configurations(data: st.DataObject) -> None:
    document = data.draw(changed(json.loads(checkpoint()["config.json"])))
    read_checkpoint(**{"config.json": json.dumps(document).encode()})


def steering_vectors(data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from([".gguf", ".safetensors"]))
    if suffix == ".safetensors" and data.draw(st.booleans()):
        header, rest = split(vector_file(suffix))
        content = safetensors(data.draw(changed(header)), rest)
    else:
        content = data.draw(broken(vector_file(suffix), near=1000))
    read_file(content, suffix, lambda path: repr(geo.load_vector(path)))


test_safetensors_headers, test_safetensors_headers_at_length = (
    quick(safetensors_headers, 150),
    at_length(safetensors_headers),
)
test_gguf_headers, test_gguf_headers_at_length = quick(gguf_headers, 150), at_length(gguf_headers)
test_tokenizers, test_tokenizers_at_length = quick(tokenizers, 100), at_length(tokenizers)
test_configurations, test_configurations_at_length = quick(configurations, 100), at_length(configurations)
test_steering_vectors, test_steering_vectors_at_length = quick(steering_vectors, 200), at_length(steering_vectors)
