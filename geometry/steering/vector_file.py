"""Write and read steering vectors: safetensors, exactly and with all that is on record, or GGUF control vectors.

In safetensors each part stands under its site's name, the record in the metadata.
"""

import json
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError, safe_open

from geometry.errors import SteeringError
from geometry.output import replacing
from geometry.steering.control_vector import load_control_vector, save_control_vector
from geometry.steering.vector import SteeringVector

_FORMAT = "concept-geometry steering vector 1"


def save_vector(vector: SteeringVector, path: str | Path) -> Path:
    """Write a vector, wholly or not at all.

    >>> import tempfile, torch
    >>> folder, vector = tempfile.TemporaryDirectory(), SteeringVector({"output.6": torch.ones(4)}, "ones")
    >>> load_vector(save_vector(2 * vector, f"{folder.name}/ones.safetensors"))
    SteeringVector(2 × ones; output.6; norm 4)
    >>> folder.cleanup()

    Parameters:
        path: `.safetensors`, which `load_vector` gives back bit for bit with its record; or `.gguf`, a control vector
            as llama.cpp reads it, bit for bit too, but with absolute parts at the outputs of blocks ≥ 1 alone.

    Raises SteeringError: another ending, or what a control vector cannot express.
    Raises OutputError: the file cannot be written.
    """
    if _ending(path) == ".gguf":
        return save_control_vector(vector, path)
    tensors = {str(site): part.contiguous().cpu() for site, part in vector.parts.items()}
    record = {"provenance": vector.provenance, "model": vector.model, "notes": json.dumps(vector.notes)}
    with replacing(path) as unfinished:
        try:
            safetensors.torch.save_file(tensors, unfinished, metadata={"format": _FORMAT, **record})
        except SafetensorError as error:
            raise OSError(str(error)) from error
    return Path(path)


def load_vector(path: str | Path) -> SteeringVector:
    """Read what `save_vector` wrote, or a `.gguf` control vector of another program (repeng, llama.cpp).

    Example::

        vector = geo.load_vector("bird.safetensors")
        with geo.steer(model, vector):
            generations = geo.generate(model, tokenizer, ["In the garden I saw a"])

    Raises SteeringError: no such file, corrupt or truncated, or safetensors of something else.
    """
    if _ending(path) == ".gguf":
        return load_control_vector(path)
    try:
        with safe_open(path, framework="pt") as file:
            record = file.metadata() or {}
            if record.get("format") != _FORMAT:
                raise SteeringError(f"{path}: a safetensors file, but not a steering vector written by this package")
            parts = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        notes = tuple(str(note) for note in json.loads(record.get("notes", "[]")))
        # Files of earlier versions say "made".
        provenance = record.get("provenance", record.get("made", "vector"))
        return SteeringVector(parts, provenance, record.get("model", ""), notes)
    except SteeringError as error:
        raise SteeringError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error
    except (OSError, SafetensorError, ValueError, TypeError, RecursionError, NotImplementedError) as error:
        raise SteeringError(f"{path}: not a readable steering vector (corrupt or truncated?): {error}") from error


def _ending(path: str | Path) -> str:
    ending = Path(path).suffix.lower()
    if ending not in (".safetensors", ".gguf"):
        raise SteeringError(f"{path}: vectors are kept in .safetensors or .gguf files")
    return ending
