"""What a safetensors checkpoint consists of: its files and its configuration. No weights."""

import json
from pathlib import Path
from typing import Any, Literal

from geometry.errors import ModelError, shown

# Which of a model's two token matrices is meant: the unembedding or the input embedding.
Side = Literal["output", "input"]

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
TOKENIZER = "tokenizer.json"
ADAPTER = "adapter_config.json"

LARGEST_JSON = 64 << 20
_MOST_TENSORS = 500_000
_MOST_SHARDS = 10_000


def read_config(folder: Path) -> dict[str, Any]:
    """The model's `config.json`, or an empty mapping where the folder has none."""
    path = folder / "config.json"
    return read_json(path) if path.exists() else {}


def read_index(path: Path) -> dict[str, str]:
    """Tensor name → file name of the shard that holds it; ModelError for an index that is no such mapping."""
    weight_map = read_json(path).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise ModelError(f"{path}: not a readable safetensors index: no weight_map of tensors to files")
    if len(weight_map) > _MOST_TENSORS:
        raise ModelError(f"{path}: lists {len(weight_map)} tensors, where at most {_MOST_TENSORS} are read")
    if outside := [file for file in set(weight_map.values()) if Path(file).name != file or "\0" in file]:
        raise ModelError(f"{path}: points outside its folder, to {shown(outside[0])}")
    if (shards := len(set(weight_map.values()))) > _MOST_SHARDS:
        raise ModelError(f"{path}: names {shards} files, where at most {_MOST_SHARDS} are read")
    return weight_map


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; ModelError for anything else."""
    try:
        if not path.is_file():
            raise ModelError(f"{path}: not a file")
        if (size := path.stat().st_size) > LARGEST_JSON:
            raise ModelError(f"{path}: {size} bytes, where at most {LARGEST_JSON} are read")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not readable JSON: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: expected a JSON object")
    return content
