"""Write and read erasers: safetensors, exactly and with all that is on record. Readers of vectors refuse them."""

import json
import os
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError, safe_open

from geometry.arguments import checked
from geometry.errors import GeometryError, SteeringError
from geometry.output import open_regular, replacing
from geometry.steering.eraser import Eraser

FORMAT = "concept-geometry eraser 1"
_TENSORS = ("left", "mean", "right")
_LARGEST_HEADER = 1 << 20  # bytes


@checked
def save_eraser(eraser: Eraser, path: str | Path) -> Path:
    """Write an eraser to a `.safetensors` file, wholly or not at all.

    >>> import tempfile, numpy as np
    >>> folder = tempfile.TemporaryDirectory()
    >>> eraser = Eraser.orthogonal(np.eye(1, 4), "output.6", name="first")
    >>> load_eraser(save_eraser(eraser, f"{folder.name}/first.safetensors"))
    Eraser(first; output.6; rank 1 of 4)
    >>> folder.cleanup()

    Raises SteeringError: another ending, or a file of that name that is no eraser.
    Raises OutputError: the file cannot be written.
    """
    if Path(path).suffix.lower() != ".safetensors":
        raise SteeringError(f"{path}: erasers are kept in .safetensors files")
    if os.path.exists(path) and not os.path.isdir(path):  # noqa: PTH110, PTH112 (of what cannot be, writing says why)
        try:
            load_eraser(path)
        except GeometryError as error:
            raise SteeringError(f"{path}: holds something else than an eraser; choose another name") from error
    record = {"name": eraser.name, "site": str(eraser.site), "model": eraser.model, "notes": json.dumps(eraser.notes)}
    record["reach"] = repr(eraser.reach)
    tensors = {name: getattr(eraser, name).contiguous() for name in _TENSORS}
    if eraser.left is eraser.right or tensors["left"].data_ptr() == tensors["right"].data_ptr():
        tensors["right"] = tensors["right"].clone()  # safetensors keeps no two views of one memory
    with replacing(path) as unfinished:
        try:
            safetensors.torch.save_file(tensors, unfinished, metadata={"format": FORMAT, **record})
        except SafetensorError as error:
            raise OSError(str(error)) from error
    return Path(path)


@checked
def load_eraser(path: str | Path) -> Eraser:
    """Read what `save_eraser` wrote, bit for bit.

    Example::

        eraser = geo.steering.Eraser.orthogonal(vector["after_norm"][None], "after_norm", name="bird")
        geo.steering.save_eraser(eraser, "without-birds.safetensors")
        with geo.steer(model, geo.steering.load_eraser("without-birds.safetensors")):
            geo.generate(model, tokenizer, ["The robin is a kind of"])

    Raises SteeringError: no such file, corrupt or truncated, or of something else.
    """
    if Path(path).suffix.lower() != ".safetensors":
        raise SteeringError(f"{path}: erasers are read from .safetensors files")
    if not os.path.lexists(path):
        raise SteeringError(f"{path}: no such file")
    if not Path(path).is_file():
        raise SteeringError(f"{path}: a folder, a pipe or a device, not an eraser's file")
    try:
        with open_regular(Path(path)) as file:
            size = int.from_bytes(file.read(8), "little")
        if size > _LARGEST_HEADER:
            raise SteeringError("its header is longer than an eraser's")
        with safe_open(path, framework="pt") as file:
            record = file.metadata() or {}
            if record.get("format") != FORMAT or set(file.keys()) != set(_TENSORS):
                raise SteeringError("a safetensors file, but not an eraser; geo.load_vector reads vectors")
            tensors = {name: file.get_tensor(name) for name in _TENSORS}
        notes = tuple(str(note) for note in json.loads(record.get("notes", "[]")))
        return Eraser(
            **tensors, site=record.get("site", ""), name=record.get("name", "concept"),
            model=record.get("model", ""), notes=notes, reach=float(record.get("reach", "inf")),
        )  # fmt: skip
    except SteeringError as error:
        raise SteeringError(f"{path}: {error}") from error
    except (OSError, SafetensorError, ValueError, TypeError, OverflowError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SteeringError(f"{path}: not a readable eraser (corrupt or truncated?): {reason}") from error
