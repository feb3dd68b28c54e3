"""Read one GGUF file: its unembedding tensor, dequantised in slices, and the vocabulary it carries."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf.constants import TokenType

from geometry.errors import ModelError
from geometry.models.checkpoint import Side
from geometry.models.gguf_container import GGUFFile, GGUFTensor, opened_gguf
from geometry.models.vocabulary import Vocabulary

_UNEMBEDDING = "output.weight"
_EMBEDDING = "token_embd.weight"
# Encoders carry a token embedding too, but predict no next token from it.
_ENCODERS = ("bert", "t5encoder")
_SPECIAL = (TokenType.UNKNOWN, TokenType.CONTROL, TokenType.UNUSED)
_SLICE = 1 << 20


def read_gguf(path: Path, side: Side = "output") -> tuple[torch.Tensor, Vocabulary, bool, str]:
    """Return (matrix, vocabulary, tied, architecture); only the one tensor is read.

    The matrix is float32, shape (V, d). `tied` tells that unembedding and input embedding are one.

    ModelError: the file is not GGUF, is corrupt or truncated, or holds no unembedding or vocabulary.
    """
    with opened_gguf(path) as file:
        architecture = str(_field(file, "general.architecture", path))
        tied = _UNEMBEDDING not in file.tensors
        tensor = file.tensors.get(_EMBEDDING if tied or side == "input" else _UNEMBEDDING)
        if tensor is None or any(name in architecture for name in _ENCODERS):
            raise ModelError(
                f"{path}: no unembedding ({_UNEMBEDDING} or {_EMBEDDING}) in this {architecture!r}"
                " file; a causal language model is needed"
            )
        tokens = _field(file, "tokenizer.ggml.tokens", path)
        kinds = _field(file, "tokenizer.ggml.token_type", path)
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise ModelError(f"{path}: its tokens are not a list of strings")
        if not isinstance(kinds, np.ndarray) or kinds.dtype.kind not in "iu" or len(kinds) != len(tokens):
            raise ModelError(f"{path}: the token list and the token types do not belong together")
        special = np.flatnonzero(np.isin(kinds, _SPECIAL))
        return _dequantised(tensor, path), Vocabulary(tokens, special.tolist()), tied, architecture


def _field(file: GGUFFile, key: str, path: Path) -> Any:
    if key not in file.fields:
        raise ModelError(f"{path}: the GGUF file lacks {key}")
    return file.fields[key]


def _dequantised(tensor: GGUFTensor, path: Path) -> torch.Tensor:
    if len(tensor.shape) != 2:
        raise ModelError(f"{path}: the unembedding has shape {tensor.shape[::-1]}, not width x vocabulary")
    matrix = torch.empty(tensor.shape, dtype=torch.float32)
    target, step = matrix.numpy(), max(1, _SLICE // tensor.shape[1])
    for start in range(0, len(matrix), step):
        stop = min(start + step, len(matrix))
        target[start:stop] = tensor.rows(start, stop)
    return matrix
