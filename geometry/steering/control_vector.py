"""GGUF control vectors, the files that llama.cpp adds to a running model: write and read them.

Format: `general.architecture` "controlvector", tensors `direction.N` (F32, 1-D) added to the output of the
0-based block N ≥ 1. It knows no positions, no relative strength and no place but a block's output.
"""

import re
from pathlib import Path

import gguf
import numpy as np
import torch

from geometry.errors import ModelError, SteeringError
from geometry.models.gguf_container import opened_gguf
from geometry.output import replacing
from geometry.steering.block_outputs import CONTROL_VECTOR
from geometry.steering.vector import Site, SteeringVector

_ARCHITECTURE = "controlvector"
_DIRECTION = re.compile(r"direction\.(\d+)", re.ASCII)


def save_control_vector(vector: SteeringVector, path: str | Path) -> Path:
    """Write a `.gguf` control vector: the input of block l is written as the output of block l − 1.

    Raises SteeringError: what the format cannot express: block 0, rows for positions, relative parts, places at the
        final norm.
    Raises OutputError: the file cannot be written.
    Source: repeng (github.com/vgel/repeng) and llama.cpp, which define the format by what they write and read.
    """
    directions = CONTROL_VECTOR.summed(vector)
    with replacing(path) as unfinished:
        writer = gguf.GGUFWriter(unfinished, _ARCHITECTURE)
        writer.add_string(f"{_ARCHITECTURE}.model_hint", vector.model)
        writer.add_uint32(f"{_ARCHITECTURE}.layer_count", len(directions))
        writer.add_description(vector.provenance)
        for block, part in directions.items():
            writer.add_tensor(f"direction.{block}", part.numpy().astype(np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return Path(path)


def load_control_vector(path: str | Path) -> SteeringVector:
    """Read a control vector, by whatever program it was written: parts at the outputs of blocks.

    Raises SteeringError: not GGUF, corrupt or truncated, another kind of GGUF file, or malformed directions.
    """
    try:
        with opened_gguf(Path(path)) as file:
            if file.fields.get("general.architecture") != _ARCHITECTURE:
                raise SteeringError(f"{path}: a GGUF file, but not a control vector")
            parts = {}
            for tensor in file.tensors.values():
                named = _DIRECTION.fullmatch(tensor.name)
                if not named or tensor.kind != gguf.GGMLQuantizationType.F32 or len(tensor.shape) != 1:
                    raise SteeringError(f"{path}: {tensor.name!r} is not a direction (direction.N, F32, 1-D)")
                if (site := Site("output", int(named[1]))) in parts:
                    raise SteeringError(f"{path}: two directions for block {site.block}")
                parts[site] = torch.from_numpy(tensor.rows(0, tensor.shape[0]).copy())
            provenance = file.fields.get("general.description", Path(path).stem)
            return SteeringVector(parts, str(provenance), str(file.fields.get(f"{_ARCHITECTURE}.model_hint", "")))
    except (ModelError, SteeringError) as error:
        raise SteeringError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error
