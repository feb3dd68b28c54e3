"""What decides the claims of a checkpoint: weights, settings and code; the file in the cache that is called by it."""

import pkgutil
import secrets
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy
import torch
import transformers

from geometry.cache import Entry, Key
from geometry.models import Unembedding, cache_folder
from geometry.models.locating import local_path
from geometry.output import file_sha256

if TYPE_CHECKING:
    from geometry.experiments.training.study import TrainingStudy

KIND = "claims"
_ROOMS = ("concepts", "evidence", "layers", "steering")
_MODULES = ("causal", "directions", "estimators", "frames", "gram", "gram_batches", "gram_kernels", "intervals")
_MORE = ("moments", "nested_sets", "randomness", "significance", "symmetric", "token_cloud")
_OWN = ("experiments.layers.setup", "experiments.training.measure", "experiments.training.measured")
_READ = {".safetensors", ".json", ".gguf", ".model", ".txt"}


def claims_file(study: "TrainingStudy", model: str, unembedding: Unembedding, sha256: str, n_twins: int) -> Entry:
    """The file of a checkpoint's claims; of other weights, settings, versions or code it is another file.

    Of a folder every file that a model is read from counts, with all its bytes; of a model from the hub the commit.
    """
    key = Key(KIND)
    key.add(_code(), torch.__version__, transformers.__version__, scipy.__version__, np.__version__)
    key.add(sha256, n_twins)
    path = local_path(model)
    if study.blocks and path is None:
        # Of a revision without a commit nobody knows what it holds: such a key is never found again.
        key.add(unembedding.commit or secrets.token_hex())
    elif study.blocks and path is not None:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        key.add([(each.name, file_sha256(each)) for each in files if each.is_file() and _counts(each, path)])
    left_out = ("steps", "revision", "control", "n_twins")
    for name, value in study.settings.items():
        if name not in left_out:
            key.add(name, value)
            if isinstance(value, str) and Path(value).is_file():  # concepts or contexts of one's own
                key.add(file_sha256(Path(value)))
    return Entry.within(cache_folder(), key)


def _counts(file: Path, path: Path) -> bool:
    return file == path or file.suffix.lower() in _READ


@cache
def _code() -> str:
    """Of all modules by which claims are computed, whether they are loaded by now or not."""
    key = Key(KIND)
    names = [f"geometry.{name}" for name in (*_MODULES, *_MORE, *_OWN)]
    for room in _ROOMS:
        package = import_module(f"geometry.{room}")
        names += [found.name for found in pkgutil.walk_packages(package.__path__, f"geometry.{room}.")]
    for name in names:
        import_module(name)
    key.add_code(*sorted(names))
    return key.sha256
