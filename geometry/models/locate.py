"""Turn whatever a user calls a model (name, hub id, folder, file) into files on this machine."""

import difflib
import re
from pathlib import Path

from geometry.errors import ModelError
from geometry.models.catalogue import CATALOGUE
from geometry.models.fetching import cached_path, verify
from geometry.models.safetensors_file import INDEX, SINGLE, TOKENIZER, read_config, shard_holding

__all__ = ["display_name", "locate"]

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def locate(model: str | Path) -> Path:
    """Return the folder or file that holds `model`.

    A catalogued name must have been fetched; a hub id is downloaded into the hub's own cache (only
    the configuration, the tokenizer and the shard with the unembedding).

    Raises
    ------
    ModelError
        Nothing goes by that name, it has not been fetched, or its checksum is wrong.
    """
    resource = CATALOGUE.get(str(model))
    if resource is not None:
        path = cached_path(resource)
        if not path.exists():
            raise ModelError(f"{model} has not been fetched; run: concept-geometry fetch {model}")
        verify(resource, path)
        return path
    path = Path(model).expanduser()
    if str(model).strip() and (path.is_dir() or path.is_file()):
        return path
    if _HUB_ID.fullmatch(str(model)) and path.suffix not in {".gguf", ".safetensors", ".json", ".bin"}:
        return _from_hub(str(model))
    raise ModelError(f"{str(model)!r}: no such file or folder")


def display_name(model: str | Path) -> str:
    """What results call a model: its name or hub id as given, or the last telling part of a path."""
    path = Path(model).expanduser()
    if str(model) in CATALOGUE or not path.exists():
        return str(model)
    path = path.resolve()
    # Weight files are mostly called "model"; their folder says which.
    return path.parent.name if path.is_file() and path.suffix != ".gguf" else path.stem


def _from_hub(model: str) -> Path:
    files = _hub_files(model)
    weights = INDEX if INDEX in files else SINGLE
    wanted = {weights, TOKENIZER, "config.json"}
    if missing := wanted - files:
        raise ModelError(f"{model}: the hub repository lacks {', '.join(sorted(missing))}")
    paths = {name: _hub_file(model, name) for name in sorted(wanted)}
    if weights == INDEX:
        _hub_file(model, shard_holding(paths[INDEX], read_config(paths[INDEX].parent)))
    return paths[weights].parent


def _hub_files(model: str) -> set[str]:
    """The names of the files of a hub repository, or of its cached copy when the hub is out of reach."""
    # Imported here: most runs read local files, and the hub client takes a second to import.
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        siblings = HfApi().model_info(model, timeout=10).siblings or []
        return {sibling.rfilename for sibling in siblings}
    except GatedRepoError as error:
        raise ModelError(f"{model}: access is gated; accept its licence on the hub, then run: hf auth login") from error
    except RepositoryNotFoundError as error:
        raise ModelError(_unknown(model, "the hub does not know it")) from error
    except Exception as error:  # whatever the HTTP backend raises when there is no connection
        try:
            folder = Path(snapshot_download(model, local_files_only=True))
        except Exception:
            raise ModelError(_unknown(model, f"the hub cannot be reached ({error})")) from error
        return {path.name for path in folder.iterdir()}


def _hub_file(model: str, name: str) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(model, name)
    if isinstance(cached, str):
        return Path(cached)
    try:
        return Path(hf_hub_download(model, name))
    except Exception as error:  # see _hub_files
        raise ModelError(f"{model}: could not download {name}: {error}") from error


def _unknown(model: str, reason: str) -> str:
    names = [name for name, resource in CATALOGUE.items() if resource.kind == "model"]
    close = difflib.get_close_matches(model, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"packaged models: {', '.join(names)}"
    return f"unknown model {model!r}: no such file or folder here, and {reason}; {hint}"
