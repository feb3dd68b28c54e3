"""Turn whatever a user calls a model (name, hub id, folder, file) into files on this machine."""

import difflib
import re
from pathlib import Path

from geometry.errors import ModelError, shown
from geometry.models.catalogue import CATALOGUE
from geometry.models.checkpoint import Side
from geometry.models.fetching import cached_path, verify
from geometry.models.hub import HubId, UnknownRepositoryError, download, is_hub_id

VECTORS_SUFFIX = re.compile(r"\.(npz|(txt|vec)(\.gz)?)$", re.IGNORECASE)

_FILES = {".gguf", ".safetensors", ".json", ".bin"}


def locate(model: str | Path, side: Side = "output") -> Path:
    """Return the folder or file that holds `model`: `locate("smollm2-135m")`, `locate("openai-community/gpt2@main")`.

    A catalogued name must have been fetched. Of a hub id the configuration, the tokenizer and the bytes of the
    unembedding (or the input embedding) are fetched into our cache, unless the hub's own has the model, and found there
    when the hub cannot be reached.

    ModelError: nothing goes by that name, it has not been fetched, or its checksum is wrong.
    """
    path = local_path(model)
    return _from_hub(str(model), side) if path is None else path


def local_path(model: str | Path) -> Path | None:
    """The folder or file on this machine that holds a model or word vectors; None for what can only be a hub id.

    ModelError: neither, a catalogued model that has not been fetched, or one whose checksum is wrong.
    """
    resource = CATALOGUE.get(str(model))
    if resource is not None and resource.kind == "source":
        raise ModelError(f"{model} is not a model; see: concept-geometry models")
    if resource is not None:
        path = cached_path(resource)
        if not path.exists():
            raise ModelError(f"{model} has not been fetched; run: concept-geometry fetch {model}")
        verify(resource, path)
        return path
    try:
        path = Path(model).expanduser()
        if str(model).strip() and (path.is_dir() or path.is_file()):
            return path
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"{shown(str(model))}: cannot be looked up: {error}") from error
    repository = HubId.parse(str(model)).repository
    named = Path(repository).suffix.lower() in _FILES or VECTORS_SUFFIX.search(repository)
    if is_hub_id(str(model)) and not named:
        return None
    raise ModelError(f"{shown(str(model))}: no such file or folder")


def is_word_vectors(model: str | Path) -> bool:
    """Whether this names word vectors: a catalogued name of that kind, or a file by its ending."""
    if (resource := CATALOGUE.get(str(model))) is not None:
        return resource.kind == "vectors"
    try:
        return VECTORS_SUFFIX.search(str(model)) is not None and not Path(model).expanduser().is_dir()
    except (OSError, RuntimeError):
        return False


def require_language_model(model: str | Path) -> None:
    """Raise ModelError for word vectors, by the name alone, where a whole model is to be loaded later."""
    if is_word_vectors(model):
        raise ModelError(f"{model}: word vectors have no language model behind them that could be loaded or steered")


def display_name(model: str | Path) -> str:
    """What results call a model: its name or hub id as given, or the last telling part of a path."""
    try:
        path = Path(model).expanduser()
        if str(model) in CATALOGUE or not path.exists():
            return str(model)
    except (OSError, RuntimeError):
        return str(model)
    path = path.resolve()
    # Weight files are mostly called "model"; their folder says which.
    if path.is_dir():
        return path.name
    if is_word_vectors(path):
        return VECTORS_SUFFIX.sub("", path.name)
    return path.stem if path.suffix.lower() == ".gguf" else path.parent.name


def _from_hub(model: str, side: Side) -> Path:
    try:
        return download(model, side)
    except UnknownRepositoryError as error:
        raise ModelError(_unknown(model, str(error))) from error


def suggestion(model: str | Path) -> str:
    """The packaged model that is written almost so, as a question; empty where there is none."""
    names = [name for name, resource in CATALOGUE.items() if resource.kind != "source"]
    close = difflib.get_close_matches(str(model), names, n=1)
    return f"did you mean {close[0]!r}?" if close and close[0] != str(model) else ""


def _unknown(model: str, reason: str) -> str:
    names = [name for name, resource in CATALOGUE.items() if resource.kind != "source"]
    hint = suggestion(model) or f"packaged models: {', '.join(names)}"
    return f"unknown model {model!r}: no such file or folder here, and {reason}; {hint}"
