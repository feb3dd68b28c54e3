"""What a safetensors checkpoint consists of: its files, its configuration, and which tensor is wanted. No weights."""

import json
from pathlib import Path
from typing import Any, Literal

from geometry.errors import ModelError

# Which of a model's two token matrices is meant: the unembedding or the input embedding.
Side = Literal["output", "input"]

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
TOKENIZER = "tokenizer.json"

# Names by which checkpoints call the tensor, without the prefix a wrapping model adds.
HEADS = ("lm_head.weight", "embed_out.weight")
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")


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


def read_index(path: Path) -> dict[str, str]:
    """Tensor name → file name of the shard that holds it; ModelError for an index that is no such mapping."""
    try:
        weight_map = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        shards = {str(name): str(file) for name, file in weight_map.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path}: not a readable safetensors index: {error}") from error
    if outside := [file for file in shards.values() if Path(file).name != file]:
        raise ModelError(f"{path}: points outside its folder, to {outside[0]!r}")
    return shards


def shard_holding(index: Path, config: dict[str, Any], side: Side = "output") -> str:
    """The file name of the shard that holds the unembedding or input embedding, according to an index file."""
    shards = read_index(index)
    return shards[wanted_tensor(list(shards), config, index, side)[0]]


def wanted_tensor(names: list[str], config: dict[str, Any], path: Path, side: Side) -> tuple[str, bool]:
    """The name of that side's tensor, and whether both sides are one; ModelError if it is not among `names`."""
    head, embedding = _first_ending_with(names, HEADS), _first_ending_with(names, EMBEDDINGS)
    # Some checkpoints store a head that their configuration overrides by the embedding.
    if head is not None and not (embedding is not None and config.get("tie_word_embeddings") is True):
        if side == "output":
            return head, False
        if embedding is None:
            raise ModelError(f"{path}: no input embedding among the tensors (looked for {', '.join(EMBEDDINGS)})")
        return embedding, False
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
            f"{path}: no unembedding among the tensors{kind} (looked for {', '.join(HEADS)}, or a tied embedding);"
            " a causal language model is needed"
        )
    return embedding, True


def _first_ending_with(names: list[str], endings: tuple[str, ...]) -> str | None:
    for ending in endings:
        for name in sorted(names, key=len):
            if name == ending or name.endswith("." + ending):
                return name
    return None
