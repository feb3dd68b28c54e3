"""Matrices of models on a hub, fetched alone and kept in the user's cache as a checkpoint that is read as any other.

A commit's folder holds the configuration, the tokenizer, an index of all tensors of the model and a safetensors file of
each that was fetched. Other files of the index are not there, as in a folder of some shards.
"""

import json
import os
import re
import shutil
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from geometry.errors import ModelError
from geometry.models.checkpoint import INDEX, LARGEST_JSON, TOKENIZER, Side, read_config
from geometry.models.remote_file import RemoteFile
from geometry.models.tying import choose
from geometry.output import held, locked, sweep, unwinding
from geometry.progress import progress_bar

if TYPE_CHECKING:
    from geometry.models.remote_tensors import RemoteTensor, Wanted

CONFIG = "config.json"
_NOT_KEPT = "not-kept.safetensors"
# Bytes between two commands to the system to write what it has, which would else be lost with its power.
_SYNCED = 8 << 20


def holds(folder: Path, side: Side) -> bool:
    """Whether the folder of a commit has what it takes to read that side."""
    from geometry.models.safetensors_file import open_checkpoint  # and torch with it

    try:
        checkpoint = open_checkpoint(folder)
        choice = choose(checkpoint.shapes, read_config(folder), side, folder, checkpoint.missing)
    except ModelError:
        return False
    return checkpoint.shapes[choice.name] is not None and all((folder / name).is_file() for name in (CONFIG, TOKENIZER))


def keep(remote: Callable[[str], RemoteFile], weights: str, side: Side, folder: Path) -> None:
    """Have the folder of a commit hold that side, fetching what it lacks: whole, or not at all.

    What an interrupted run has fetched of a matrix is gone on with; who fetches the same meanwhile waits.

    Parameters:
        remote: gives a file of that commit by its name.
        weights: the name of the repository's single file of weights, or of its index.

    ModelError: no such tensor, one that is not plain, a download that failed, or no place for it. NoRangesError: the
    server sends whole files only.
    """
    if holds(folder, side):
        return
    model, work = remote(weights).model, folder.with_name(f"{folder.name}.parts")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with unwinding():
            try:
                with locked(work, float("inf"), partial(_say, f"{model}: another run is fetching it; waiting")):
                    if not holds(folder, side):
                        _fetch(remote, weights, side, folder, work)
                    with held():
                        sweep(work)
            finally:
                with held(), suppress(OSError):  # what has come, to go on with
                    work.rmdir()
    except OSError as error:
        raise ModelError(f"cannot store {model} in {folder}: {error}") from error


def _fetch(remote: Callable[[str], RemoteFile], weights: str, side: Side, folder: Path, work: Path) -> None:
    from geometry.models.remote_tensors import find  # and torch with it

    _have(remote(CONFIG), folder, work)
    wanted = find(remote, weights, read_config(folder), side, work)
    _have(remote(TOKENIZER), folder, work)
    file = _file_name(min(wanted.tensors))
    sweep(work, [file])
    _download(wanted.tensors, work / file)
    # The matrix comes last: where it is, all that tells what it is has been there before.
    (work / INDEX).write_text(json.dumps({"weight_map": _files(wanted)}))
    (work / INDEX).replace(folder / INDEX)
    (work / file).replace(folder / file)


def _have(file: RemoteFile, folder: Path, work: Path) -> None:
    if not (folder / file.name).is_file():
        (work / file.name).write_bytes(file.whole(LARGEST_JSON))
        (work / file.name).replace(folder / file.name)


def _files(wanted: "Wanted") -> dict[str, str]:
    """The file of each tensor: equal ones share one, the other side's has its own whether or not it is there yet."""
    files = dict.fromkeys(wanted.names, _NOT_KEPT)
    if wanted.choice.other is not None:
        files[wanted.choice.other] = _file_name(wanted.choice.other)
    return files | dict.fromkeys(wanted.tensors, _file_name(min(wanted.tensors)))


def _file_name(tensor: str) -> str:
    return re.sub(r"[^\w.-]", "_", tensor, flags=re.ASCII)[-100:].lstrip(".") + ".safetensors"


def _download(tensors: "dict[str, RemoteTensor]", path: Path) -> None:
    """Write a safetensors file of these tensors, going on where an interrupted run ended."""
    head = _head(tensors)
    total = len(head) + sum(tensor.stop - tensor.start for tensor in tensors.values())
    model = next(iter(tensors.values())).file.model
    with path.open("r+b" if path.exists() else "w+b") as sink:
        done = max(0, sink.seek(0, os.SEEK_END) - 2 * _SYNCED)
        sink.seek(0)
        if done < len(head) or sink.read(len(head)) != head:
            sink.seek(0)
            sink.write(head)
            done = len(head)
        sink.seek(done)
        sink.truncate()
        if (free := shutil.disk_usage(path.parent).free) < total - done:
            raise ModelError(
                f"{model}: {total - done} bytes are to be fetched into {path.parent}, where {free} are free"
            )
        options: dict[str, Any] = {"total": total, "initial": done, "unit": "B", "unit_scale": True}
        with progress_bar(desc=f"{model}: {' and '.join(tensors)}", **options) as bar:
            synced = done

            def write(piece: bytes) -> None:
                nonlocal synced
                sink.write(piece)
                bar.update(len(piece))
                if sink.tell() - synced >= _SYNCED:
                    _sync(sink)
                    synced = sink.tell()

            at = len(head)
            for tensor in tensors.values():
                length = tensor.stop - tensor.start
                there = min(max(done - at, 0), length)
                tensor.file.copy(write, tensor.start + there, tensor.stop, tensor.size)
                at += length
        _sync(sink)


def _sync(sink: BinaryIO) -> None:
    sink.flush()
    os.fsync(sink.fileno())


def _head(tensors: "dict[str, RemoteTensor]") -> bytes:
    described, at = {}, 0
    for name, tensor in tensors.items():
        length = tensor.stop - tensor.start
        described[name] = {"dtype": tensor.kind, "shape": tensor.shape, "data_offsets": [at, at + length]}
        at += length
    text = json.dumps(described).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
