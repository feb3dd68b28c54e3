"""Rewrite a llama2.c checkpoint followed by its tokenizer as a GGUF file, which everything else reads.

Format (legacy export of github.com/karpathy/llama2.c, little-endian): seven int32 (width, hidden width, layers,
heads, key-value heads, vocabulary, context; a negative vocabulary marks an untied head), the float32 tensors in a
fixed order, two rotary tables; then the longest piece's length and for each token a float32 score, an int32
length and its bytes. Queries and keys are interleaved as llama.cpp has them, so nothing needs permuting.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import gguf
import numpy as np

from geometry.errors import ModelError

_SPACE = "▁"
_BYTES = range(3, 259)
_CONTROL = {0: "<unk>", 1: "<s>", 2: "</s>"}
_NORM_EPSILON = 1e-5
_ROTARY_BASE = 10_000.0


def is_llama2c(path: Path) -> bool:
    """Whether the file is of this format, by its ending."""
    return path.suffix.lower() == ".llama2c" and path.is_file()


@contextmanager
def as_gguf(path: Path) -> Iterator[Path]:
    """A GGUF copy of the model that lasts as long as the block.

    ModelError: the file is not a llama2.c checkpoint with its tokenizer, or is truncated.
    """
    with TemporaryDirectory() as folder:
        target = Path(folder) / f"{path.stem}.gguf"
        try:
            with path.open("rb") as file:
                _rewrite(file, target)
        except (ValueError, OSError) as error:
            raise ModelError(f"{path}: not a readable llama2.c model (corrupt or truncated?): {error}") from error
        yield target


def _rewrite(file: BinaryIO, target: Path) -> None:
    width, hidden, layers, heads, groups, tokens, context = struct.unpack("<7i", _read(file, 28))
    tied, tokens = tokens > 0, abs(tokens)
    if min(width, hidden, layers, heads, groups, context) < 1 or width % heads or heads % groups:
        raise ValueError("its sizes make no sense")
    if tokens <= len(_CONTROL):
        raise ValueError(f"it has {tokens} tokens")
    keys = width // heads * groups
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(groups)
    writer.add_layer_norm_rms_eps(_NORM_EPSILON)
    writer.add_rope_dimension_count(width // heads)
    writer.add_rope_freq_base(_ROTARY_BASE)
    writer.add_vocab_size(tokens)
    writer.add_tensor("token_embd.weight", _floats(file, tokens, width))
    for name, shape in (
        ("attn_norm", (width,)),
        ("attn_q", (width, width)),
        ("attn_k", (keys, width)),
        ("attn_v", (keys, width)),
        ("attn_output", (width, width)),
        ("ffn_norm", (width,)),
        ("ffn_gate", (hidden, width)),
        ("ffn_down", (width, hidden)),
        ("ffn_up", (hidden, width)),
    ):
        for layer, tensor in enumerate(_floats(file, layers, *shape)):
            writer.add_tensor(f"blk.{layer}.{name}.weight", tensor)
    writer.add_tensor("output_norm.weight", _floats(file, width))
    _floats(file, 2, context, width // heads // 2)
    if not tied:
        writer.add_tensor("output.weight", _floats(file, tokens, width))
    _add_tokenizer(writer, file, tokens)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _floats(file: BinaryIO, *shape: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    return np.frombuffer(_read(file, 4 * prod(shape)), dtype="<f4").reshape(shape)


def _read(file: BinaryIO, size: int) -> bytes:
    # Looked at before room is made: a header can announce any number.
    left = os.fstat(file.fileno()).st_size - file.tell()
    if not 0 <= size <= left:
        raise ValueError(f"{size} bytes are announced and {left} left")
    return file.read(size)


def _add_tokenizer(writer: gguf.GGUFWriter, file: BinaryIO, tokens: int) -> None:
    _read(file, 4)
    pieces, scores = [], []
    for _ in range(tokens):
        score, length = struct.unpack("<fi", _read(file, 8))
        pieces.append(_read(file, length).decode("utf-8", errors="replace").replace(" ", _SPACE))
        scores.append(score)
    if file.read(1):
        raise ValueError("it goes on after its tokenizer")
    # Some files write a byte as <0x2C> and some as the character, which then stands there twice.
    names = _CONTROL | {index: f"<0x{index - _BYTES.start:02X}>" for index in _BYTES if index < tokens}
    for index, name in names.items():
        pieces[index] = name
    kinds = [gguf.TokenType.BYTE if index in _BYTES else gguf.TokenType.NORMAL for index in range(tokens)]
    kinds[:3] = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
