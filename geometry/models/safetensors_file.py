"""Read a safetensors checkpoint: find the unembedding among its shards and read that tensor alone."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from geometry.errors import ModelError
from geometry.models.sides import Side
from geometry.models.vocabulary import Vocabulary

__all__ = ["INDEX", "SINGLE", "TOKENIZER", "read_config", "read_safetensors", "shard_holding"]

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
TOKENIZER = "tokenizer.json"

# Names by which checkpoints call the tensor, without the prefix a wrapping model adds.
_HEADS = ("lm_head.weight", "embed_out.weight")
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")
# Special tokens of a multimodal sibling may lie beyond the matrix, a few at most.
_MOST_TOKENS_BEYOND = 10_000
_FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def read_safetensors(path: Path, side: Side = "output") -> tuple[torch.Tensor, Vocabulary, bool, str]:
    """Return (matrix, vocabulary, tied, family) of a folder, a file, a shard or an index.

    The matrix keeps its stored dtype, shape (V, d). The vocabulary comes from `tokenizer.json`
    beside the weights and the family from `config.json`. `tied` tells that unembedding and input embedding are one.

    Raises
    ------
    ModelError
        A file is missing, corrupt or truncated, or the checkpoint holds no unembedding.
    """
    folder = path if path.is_dir() else path.parent
    config = read_config(folder)
    names = _tensor_names(path)
    name, tied = _wanted(list(names), config, path, side)
    matrix = _read_tensor(names[name], name)
    return matrix, _read_vocabulary(folder, len(matrix)), tied, str(config.get("model_type", "unknown"))


def shard_holding(index: Path, config: dict[str, Any], side: Side = "output") -> str:
    """The file name of the shard that holds the unembedding or input embedding, according to an index file."""
    weight_map = _weight_map(index)
    name, _ = _wanted(list(weight_map), config, index, side)
    return weight_map[name]


def _tensor_names(path: Path) -> dict[str, Path]:
    """Tensor name → file that holds it."""
    folder = path if path.is_dir() else path.parent
    index = path if path.name.endswith(".index.json") else folder / INDEX
    single = folder / SINGLE if path.is_dir() else path
    is_shard = path.is_dir() or path == index or "-of-" in path.name
    if is_shard and index.exists():
        return {name: folder / file for name, file in _weight_map(index).items()}
    if not single.exists():
        hint = ""
        if list(folder.glob("*.bin")):
            hint = " (pickled weights are not read: convert them to safetensors)"
        elif gguf := sorted(folder.glob("*.gguf")):
            hint = f"; name the file itself: {gguf[0]}"
        raise ModelError(f"{path}: holds neither {SINGLE} nor {INDEX}{hint}")
    with _open(single) as file:
        return dict.fromkeys(file.keys(), single)


def _weight_map(index: Path) -> dict[str, str]:
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        shards = {str(name): str(file) for name, file in weight_map.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{index}: not a readable safetensors index: {error}") from error
    if astray := [file for file in shards.values() if Path(file).name != file]:
        raise ModelError(f"{index}: points outside its folder, to {astray[0]!r}")
    return shards


def _unembedding_name(names: list[str], config: dict[str, Any], path: Path) -> tuple[str, bool]:
    head, embedding = _first_ending_with(names, _HEADS), _first_ending_with(names, _EMBEDDINGS)
    # Some checkpoints store a head that their configuration overrides by the embedding.
    if head is not None and not (embedding is not None and config.get("tie_word_embeddings") is True):
        return head, False
    listed = config.get("architectures")
    architectures = [str(name) for name in listed] if isinstance(listed, list) else []
    # A checkpoint leaves the head out when it equals the embedding, or when there is no head at all.
    headless = config.get("tie_word_embeddings") is False or (
        bool(architectures)
        and not any("LMHead" in name or "Causal" in name or "Conditional" in name for name in architectures)
    )
    if embedding is None or headless:
        kind = f" of {architectures[0]}" if architectures else ""
        raise ModelError(
            f"{path}: no unembedding among the tensors{kind} (looked for {', '.join(_HEADS)}, or a tied embedding);"
            " a causal language model is needed"
        )
    return embedding, True


def _wanted(names: list[str], config: dict[str, Any], path: Path, side: Side) -> tuple[str, bool]:
    """The tensor of that side, and whether both sides are one."""
    name, tied = _unembedding_name(names, config, path)
    return (_embedding_name(names, path) if side == "input" and not tied else name), tied


def _embedding_name(names: list[str], path: Path) -> str:
    name = _first_ending_with(names, _EMBEDDINGS)
    if name is None:
        raise ModelError(f"{path}: no input embedding among the tensors (looked for {', '.join(_EMBEDDINGS)})")
    return name


def _first_ending_with(names: list[str], endings: tuple[str, ...]) -> str | None:
    for ending in endings:
        for name in sorted(names, key=len):
            if name == ending or name.endswith("." + ending):
                return name
    return None


def read_config(folder: Path) -> dict[str, Any]:
    """The model's `config.json`, or an empty mapping where the folder has none."""
    path = folder / "config.json"
    if not path.exists():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not readable JSON: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path}: expected a JSON object")
    return config


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
