"""Read the unembedding of a model in GGUF, one file or several, dequantised in slices, and its vocabulary."""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf.constants import TokenType
from numpy.typing import NDArray

from geometry.errors import ModelError, shown
from geometry.models.checkpoint import Side
from geometry.models.gguf_container import GGUFFile, GGUFTensor, opened_gguf
from geometry.models.tensor_names import companions, head_like, listed
from geometry.models.vocabulary import Vocabulary

_UNEMBEDDING = "output.weight"
_EMBEDDING = "token_embd.weight"
# Encoders, classifiers, and models of sound and pictures carry a token embedding too, but predict no next token.
_OTHER_KINDS = re.compile(r".*bert.*|t5.*|.*embed(ding)?|clip|.*vision.*|wavtokenizer.*|whisper.*")
_SPECIAL = (TokenType.UNKNOWN, TokenType.CONTROL, TokenType.UNUSED)
_NAMED_SPECIAL = ("bos", "eos", "eot", "eom", "unknown", "seperator", "separator", "padding", "cls", "mask")
_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
_MOST_PARTS = 10_000
_SLICE = 1 << 20


def read_gguf(path: Path, side: Side = "output") -> tuple[torch.Tensor, Vocabulary, bool, str]:
    """Return (matrix, vocabulary, tied, architecture); only the one tensor is read.

    The matrix is float32, shape (V, d). `tied` tells that unembedding and input embedding are one: as the format has
    it, an `output.weight` that is in none of the model's files is its `token_embd.weight`. Of a model in several files
    any may be named.

    ModelError: a file is not GGUF, is corrupt, truncated or missing, holds another kind of model than a language
    model, or no unembedding or vocabulary.
    """
    with _opened(path) as (fields, tensors):
        architecture = _language_model(fields, path)
        tied = _UNEMBEDDING not in tensors
        if tied and (other := head_like(dict.fromkeys(tensors), _EMBEDDING)):
            raise ModelError(f"{path}: no {_UNEMBEDDING}, but {listed(other)}; a causal language model is needed")
        name = _EMBEDDING if tied or side == "input" else _UNEMBEDDING
        if name not in tensors:
            raise ModelError(
                f"{path}: no unembedding ({name}) among the tensors of this {shown(architecture)} file"
                f" ({listed(tensors)}); a causal language model is needed"
            )
        if beside := companions(name, tensors):
            raise ModelError(f"{path}: {name} is scaled by {listed(beside)}, which is not read; name another file")
        _require_width(tensors[name], tensors.get(_EMBEDDING), fields, path)
        matrix = _dequantised(tensors[name], path)
        return matrix, _vocabulary(fields, len(matrix), path), tied, architecture


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Mapping[str, Any], dict[str, GGUFTensor]]]:
    """The fields of the first file and the tensors of all that the model consists of."""
    with ExitStack() as files:
        file = files.enter_context(opened_gguf(path))
        count = file.fields.get("split.count", 1)
        if not isinstance(count, int) or not 0 <= count <= _MOST_PARTS:
            raise ModelError(f"{path}: says that it is one of {shown(count)} files")
        parts = [file if part == path else files.enter_context(opened_gguf(part)) for part in _parts(path, count)]
        tensors = {name: tensor for part in parts for name, tensor in part.tensors.items()}
        _require_all(file, parts, tensors, path)
        yield parts[0].fields, tensors


def _parts(path: Path, count: int) -> list[Path]:
    """All files of the model that this one belongs to, in order."""
    named = _PART.fullmatch(path.name)
    if count <= 1 and named is None:
        return [path]
    if named is None or (count > 1 and int(named["count"]) != count):
        raise ModelError(
            f"{path}: one of {count} files, and its name does not say where the others are; they are called"
            f" NAME-00001-of-{count:05}.gguf"
        )
    if not 1 <= int(named["number"]) <= int(named["count"]) <= _MOST_PARTS:
        raise ModelError(f"{path}: no part is called {named['number']} of {named['count']}")
    numbers = range(1, int(named["count"]) + 1)
    parts = [
        path
        if number == int(named["number"])
        else path.with_name(f"{named['stem']}-{number:05}-of-{named['count']}.gguf")
        for number in numbers
    ]
    if absent := [part.name for part in parts if not part.is_file()]:
        raise ModelError(
            f"{path}: one of {len(parts)} files, of which {listed(absent)} is missing; put all in one folder"
        )
    return parts


def _require_all(file: GGUFFile, parts: list[GGUFFile], tensors: Mapping[str, Any], path: Path) -> None:
    total = file.fields.get("split.tensors.count", len(tensors))
    found = sum(len(part.tensors) for part in parts)
    if len(parts) > 1 and (len(tensors) != found or total != found):
        raise ModelError(
            f"{path}: its {len(parts)} files hold {found} tensors, {len(tensors)} of different names, where"
            f" {shown(total)} were announced; they do not belong together"
        )
    for key in parts[0].fields:
        # The writers of parts repeat nothing, or the same.
        first, others = parts[0].fields[key], [part.fields[key] for part in parts[1:] if key in part.fields]
        if key != "split.no" and any(not np.array_equal(first, other) for other in others):
            raise ModelError(f"{path}: its {len(parts)} files disagree on {shown(key)}; they do not belong together")
    if len(parts) > 1 and [part.fields.get("split.no", number) for number, part in enumerate(parts)] != [
        *range(len(parts))
    ]:
        raise ModelError(f"{path}: its {len(parts)} files are not numbered as their names say")


def _require_width(tensor: GGUFTensor, embedding: GGUFTensor | None, fields: Mapping[str, Any], path: Path) -> None:
    """ModelError for a matrix that is not as wide as the model."""
    declared = fields.get(f"{fields.get('general.architecture')}.embedding_length")
    width = declared if declared is not None else (embedding or tensor).shape[-1]
    if len(tensor.shape) == 2 and tensor.shape[1] != width:
        raise ModelError(
            f"{path}: {tensor.name} is {tensor.shape[1]} wide, its model {shown(width)}; they do not belong together"
        )


def _language_model(fields: Mapping[str, Any], path: Path) -> str:
    """The architecture; ModelError for what is no causal language model."""
    architecture = _field(fields, "general.architecture", path)
    if not isinstance(architecture, str):
        raise ModelError(f"{path}: its general.architecture is {shown(architecture)}, no name")
    kind = fields.get("general.type", "model")
    pooling, causal = (
        fields.get(f"{architecture}.pooling_type", 0),
        fields.get(f"{architecture}.attention.causal", True),
    )
    if kind != "model":
        what = f"a file of type {shown(kind)}"
    elif _OTHER_KINDS.fullmatch(architecture):
        what = f"a model of architecture {shown(architecture)}"
    elif pooling != 0:
        what = f"an embedding or ranking model (pooling_type {shown(pooling)})"
    elif causal is False:
        what = "a model without causal attention"
    else:
        return architecture
    raise ModelError(f"{path}: {what} has no unembedding that predicts a next token; a causal language model is needed")


def _vocabulary(fields: Mapping[str, Any], rows: int, path: Path) -> Vocabulary:
    tokens = _field(fields, "tokenizer.ggml.tokens", path)
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise ModelError(f"{path}: its tokens are not a list of strings")
    kinds = fields.get("tokenizer.ggml.token_type")
    if kinds is None:
        # Older files tell only those that have a name.
        named = [fields.get(f"tokenizer.ggml.{name}_token_id") for name in _NAMED_SPECIAL]
        return Vocabulary(tokens, {index for index in named if isinstance(index, int) and 0 <= index < len(tokens)})
    if not isinstance(kinds, np.ndarray) or kinds.dtype.kind not in "iu" or len(kinds) != len(tokens):
        raise ModelError(f"{path}: the token list and the token types do not belong together")
    special: NDArray[np.bool_] = np.isin(kinds, _SPECIAL)
    # Added tokens, unlike others, may lie beyond the matrix.
    special[rows:] |= kinds[rows:] == TokenType.USER_DEFINED
    return Vocabulary(tokens, np.flatnonzero(special).tolist())


def _field(fields: Mapping[str, Any], key: str, path: Path) -> Any:
    if key not in fields:
        raise ModelError(f"{path}: the GGUF file lacks {key}")
    return fields[key]


def _dequantised(tensor: GGUFTensor, path: Path) -> torch.Tensor:
    if len(tensor.shape) != 2:
        raise ModelError(f"{path}: the unembedding has shape {tensor.shape[::-1]}, not width x vocabulary")
    matrix = torch.empty(tensor.shape, dtype=torch.float32)
    target, step = matrix.numpy(), max(1, _SLICE // tensor.shape[1])
    for start in range(0, len(matrix), step):
        stop = min(start + step, len(matrix))
        target[start:stop] = tensor.rows(start, stop)
    return matrix
