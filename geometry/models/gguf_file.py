"""Read one GGUF file: its unembedding tensor, dequantised in slices, and the vocabulary it carries."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFReader, ReaderTensor, TokenType
from gguf.quants import dequantize

from geometry.errors import ModelError
from geometry.models.vocabulary import Vocabulary

__all__ = ["opened_gguf", "read_gguf"]

_UNEMBEDDING = "output.weight"
_EMBEDDING = "token_embd.weight"
# Encoders carry a token embedding too, but predict no next token from it.
_ENCODERS = ("bert", "t5encoder")
_SPECIAL = {TokenType.UNKNOWN, TokenType.CONTROL, TokenType.UNUSED}
_SLICE_ROWS = 16384


def read_gguf(path: Path) -> tuple[torch.Tensor, Vocabulary, bool, str]:
    """Return (unembedding, vocabulary, tied, architecture); only the one tensor is dequantised.

    The unembedding is float32, shape (V, d). `tied` tells that it is the input embedding.

    Raises
    ------
    ModelError
        The file is not GGUF, is corrupt or truncated, or holds no unembedding or vocabulary.
    """
    with opened_gguf(path) as reader:
        architecture = str(_field(reader, "general.architecture", path))
        tensors = {tensor.name: tensor for tensor in reader.tensors}
        tied = _UNEMBEDDING not in tensors
        tensor = tensors.get(_EMBEDDING if tied else _UNEMBEDDING)
        if tensor is None or any(name in architecture for name in _ENCODERS):
            raise ModelError(
                f"{path}: no unembedding ({_UNEMBEDDING} or {_EMBEDDING}) in this {architecture!r}"
                " file; a causal language model is needed"
            )
        tokens = _field(reader, "tokenizer.ggml.tokens", path)
        kinds = _field(reader, "tokenizer.ggml.token_type", path)
        if not isinstance(tokens, list) or not isinstance(kinds, list) or len(tokens) != len(kinds):
            raise ModelError(f"{path}: the token list and the token types do not belong together")
        special = [index for index, kind in enumerate(kinds) if kind in _SPECIAL]
        return _dequantise(tensor, path), Vocabulary(tokens, special), tied, architecture


@contextmanager
def opened_gguf(path: Path) -> Iterator[GGUFReader]:
    """A reader of the file; what goes wrong with it in the block is a ModelError.

    The library checks little, so a damaged file surfaces as whatever NumPy trips over.
    """
    try:
        if path.stat().st_size == 0:
            raise ModelError(f"{path}: the file is empty")
        yield GGUFReader(path)
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError, OSError, TypeError, RecursionError) as error:
        raise ModelError(f"{path}: not a readable GGUF file (corrupt or truncated?): {error}") from error


def _field(reader: GGUFReader, key: str, path: Path) -> Any:
    field = reader.get_field(key)
    if field is None:
        raise ModelError(f"{path}: the GGUF file lacks {key}")
    return field.contents()


def _dequantise(tensor: ReaderTensor, path: Path) -> torch.Tensor:
    if len(tensor.shape) != 2 or 0 in tensor.shape:
        raise ModelError(f"{path}: the unembedding has shape {tuple(map(int, tensor.shape))}, not width x vocabulary")
    width, rows = (int(size) for size in tensor.shape)
    matrix = torch.empty((rows, width), dtype=torch.float32)
    target = matrix.numpy()
    for start in range(0, rows, _SLICE_ROWS):
        stop = start + _SLICE_ROWS
        try:
            target[start:stop] = dequantize(np.asarray(tensor.data[start:stop]), tensor.tensor_type)
        except NotImplementedError as error:
            raise ModelError(f"{path}: cannot dequantise {tensor.tensor_type.name}: {error}") from error
    return matrix
