"""Turn whatever a user calls a model (name, hub id, folder, file) into files on this machine."""

import difflib
import re
from pathlib import Path

from geometry.errors import ModelError
from geometry.models.catalogue import CATALOGUE
from geometry.models.checkpoint import INDEX, SINGLE, TOKENIZER, Side, read_config, shard_holding
from geometry.models.fetching import cached_path, verify

VECTORS_SUFFIX = re.compile(r"\.(npz|(txt|vec)(\.gz)?)$", re.IGNORECASE)

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
_FILES = {".gguf", ".safetensors", ".json", ".bin"}


def locate(model: str | Path, side: Side = "output") -> Path:
    """Return the folder or file that holds `model`: `locate("smollm2-135m")`, `locate("openai-community/gpt2")`.

    A catalogued name must have been fetched; a hub id is downloaded into the hub's own cache (only
    the configuration, the tokenizer and the shard with the unembedding, or the input embedding).

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
        raise ModelError(f"{str(model)!r}: cannot be looked up: {error}") from error
    named = path.suffix.lower() in _FILES or VECTORS_SUFFIX.search(path.name)
    if _HUB_ID.fullmatch(str(model)) and not named:
        return None
    raise ModelError(f"{str(model)!r}: no such file or folder")


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
    # Imported here: most runs read local files, and the hub client takes a second to import.
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        info = HfApi().model_info(model, timeout=10)
    except GatedRepoError as error:
        raise ModelError(f"{model}: access is gated; accept its licence on the hub, then run: hf auth login") from error
    except RepositoryNotFoundError as error:
        raise ModelError(_unknown(model, "the hub does not know it")) from error
    except Exception as error:  # whatever the HTTP backend raises when there is no connection
        try:
            return Path(snapshot_download(model, local_files_only=True))
        except Exception:
            raise ModelError(_unknown(model, f"the hub cannot be reached ({error})")) from error

    def download(name: str) -> Path:
        try:
            # One commit for all files, so that they belong together and lie in one folder.
            return Path(hf_hub_download(model, name, revision=info.sha))
        except Exception as error:
            raise ModelError(f"{model}: could not download {name}: {error}") from error

    files = {sibling.rfilename for sibling in info.siblings or []}
    weights = INDEX if INDEX in files else SINGLE
    needed = {weights, TOKENIZER, "config.json"}
    if missing := needed - files:
        raise ModelError(f"{model}: the hub repository lacks {', '.join(sorted(missing))}")
    paths = [download(name) for name in sorted(needed)]
    folder = paths[0].parent
    if weights == INDEX:
        download(shard_holding(folder / INDEX, read_config(folder), side))
    return folder


def _unknown(model: str, reason: str) -> str:
    names = [name for name, resource in CATALOGUE.items() if resource.kind != "source"]
    close = difflib.get_close_matches(model, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"packaged models: {', '.join(names)}"
    return f"unknown model {model!r}: no such file or folder here, and {reason}; {hint}"
