"""Read a safetensors checkpoint: the one wanted tensor, in whichever shard it lies, and the vocabulary beside it."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from geometry.errors import ModelError
from geometry.models.checkpoint import INDEX, SINGLE, TOKENIZER, Side, read_config, read_index, wanted_tensor
from geometry.models.vocabulary import Vocabulary

# Special tokens of a multimodal sibling may lie beyond the matrix, a few at most.
_MOST_TOKENS_BEYOND = 10_000
_FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def read_safetensors(path: Path, side: Side = "output") -> tuple[torch.Tensor, Vocabulary, bool, str]:
    """Return (matrix, vocabulary, tied, family) of a folder, a file, a shard or an index.

    The matrix keeps its stored dtype, shape (V, d). The vocabulary comes from `tokenizer.json`
    beside the weights and the family from `config.json`. `tied` tells that unembedding and input embedding are one.

    ModelError: a file is missing, corrupt or truncated, or the checkpoint holds no unembedding.
    """
    folder = path if path.is_dir() else path.parent
    config = read_config(folder)
    files = _tensor_files(path)
    name, tied = wanted_tensor(list(files), config, path, side)
    matrix = _read_tensor(files[name], name)
    return matrix, _read_vocabulary(folder, len(matrix)), tied, str(config.get("model_type", "unknown"))


def _tensor_files(path: Path) -> dict[str, Path]:
    """Tensor name → file that holds it."""
    folder = path if path.is_dir() else path.parent
    index = path if path.name.endswith(".index.json") else folder / INDEX
    single = folder / SINGLE if path.is_dir() else path
    is_shard = path.is_dir() or path == index or "-of-" in path.name
    if is_shard and index.exists():
        return {name: folder / file for name, file in read_index(index).items()}
    if not single.exists():
        hint = ""
        if list(folder.glob("*.bin")):
            hint = " (pickled weights are not read: convert them to safetensors)"
        elif gguf := sorted(folder.glob("*.gguf")):
            hint = f"; name the file itself: {gguf[0]}"
        raise ModelError(f"{path}: holds neither {SINGLE} nor {INDEX}{hint}")
    with _open(single) as file:
        return dict.fromkeys(file.keys(), single)


def _open(path: Path) -> Any:
    if not path.exists():
        raise ModelError(f"{path}: the file is missing")
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a readable safetensors file (corrupt or truncated?): {error}") from error


def _read_tensor(path: Path, name: str) -> torch.Tensor:
    with _open(path) as file:
        try:
            matrix: torch.Tensor = file.get_tensor(name)
        except SafetensorError as error:
            raise ModelError(f"{path}: cannot read {name}: {error}") from error
    if matrix.dtype not in _FLOATS:
        raise ModelError(f"{path}: {name} is stored as {matrix.dtype}; bf16, fp16 or fp32 is needed")
    return matrix


def _read_vocabulary(folder: Path, rows: int) -> Vocabulary:
    path = folder / TOKENIZER
    if not path.exists():
        raise ModelError(
            f"{folder}: {TOKENIZER} is missing; put the model's there"
            " (AutoTokenizer.from_pretrained(...).save_pretrained(folder) writes it)"
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise ModelError(f"{path}: not a readable tokenizer: {error}") from error
    ids = tokenizer.get_vocab(with_added_tokens=True)
    # Looked at before room is made: an id can be any number.
    if max(ids.values(), default=-1) >= rows + _MOST_TOKENS_BEYOND or len(set(ids.values())) < len(ids):
        raise ModelError(
            f"{path}: token ids repeat or run far beyond the {rows} unembedding rows;"
            " the tokenizer does not belong to these weights"
        )
    tokens: list[str | None] = [None] * (max(ids.values(), default=-1) + 1)
    for token, index in ids.items():
        tokens[index] = token
    special = [index for index, token in tokenizer.get_added_tokens_decoder().items() if token.special]
    return Vocabulary(tokens, special)
