"""Models of the Hugging Face hub: which commit of which repository, downloaded once and found offline afterwards."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geometry.errors import ModelError, shown
from geometry.models.catalogue import CATALOGUE
from geometry.models.checkpoint import ADAPTER, INDEX, SINGLE, TOKENIZER, Side, read_config, read_index
from geometry.models.tying import choose

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w.][\w./-]*)?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHORTEST_COMMIT = 7
_DEFAULT = "main"


class UnknownRepositoryError(ModelError):
    """No repository can be had by that name; the message says why."""


@dataclass(frozen=True)
class HubId:
    """A repository, and a branch, tag or commit of it: "owner/name" or "owner/name@revision"."""

    repository: str
    revision: str = _DEFAULT

    @classmethod
    def parse(cls, model: str) -> "HubId":
        """
        >>> HubId.parse("lab/tiny"), HubId.parse("lab/tiny@v1")
        (HubId(repository='lab/tiny', revision='main'), HubId(repository='lab/tiny', revision='v1'))
        """
        repository, _, revision = model.partition("@")
        return cls(repository, revision or _DEFAULT)


def is_hub_id(model: str) -> bool:
    """Whether this could be a repository's name, with or without a revision."""
    return _HUB_ID.fullmatch(model) is not None and ".." not in model


def with_revision(model: str | Path, revision: str | None) -> str | Path:
    """The model's name with the branch, tag or commit in it; ModelError where it cannot have one.

    >>> with_revision("lab/tiny", "v1"), with_revision("lab/tiny", None)
    ('lab/tiny@v1', 'lab/tiny')
    """
    if revision is None:
        return model
    named = f"{model}@{revision}"
    if str(model) in CATALOGUE or "@" in str(model) or not is_hub_id(named) or Path(model).exists():
        raise ModelError(
            f"{shown(str(model))} with revision {shown(revision)}: a hub id takes one, once, and nothing else"
        )
    return named


def commit_of(path: Path) -> str:
    """The commit that a folder of the hub's cache, or a file in it, belongs to; empty for any other."""
    for folder in (path, path.parent):
        if folder.parent.name == "snapshots" and _COMMIT.fullmatch(folder.name):
            return folder.name
    return ""


def download(model: str, side: Side) -> Path:
    """The folder that holds what is needed of a repository, in the hub's own cache.

    ModelError: it lacks something, access is gated, or a download failed. UnknownRepositoryError: there is none, or the
    hub cannot be reached and nothing of it is here.
    """
    # Imported here: most runs read local files, and the hub client takes a second to import.
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    hub_id = HubId.parse(model)
    try:
        info = HfApi().model_info(hub_id.repository, revision=hub_id.revision, timeout=10)
    except GatedRepoError as error:
        raise ModelError(f"{model}: access is gated; accept its licence on the hub, then run: hf auth login") from error
    except RevisionNotFoundError as error:
        raise ModelError(f"{model}: the repository has no branch, tag or commit {shown(hub_id.revision)}") from error
    except RepositoryNotFoundError as error:
        raise UnknownRepositoryError("the hub does not know it") from error
    except Exception as error:  # whatever the HTTP backend raises when there is no connection
        if (folder := _cached(hub_id)) is None:
            raise UnknownRepositoryError(f"the hub cannot be reached ({error})") from error
        return folder
    names = {sibling.rfilename for sibling in info.siblings or []}
    return _downloaded(model, hub_id, str(info.sha), names, side)


def _downloaded(model: str, hub_id: HubId, commit: str, names: set[str], side: Side) -> Path:
    # As transformers prefers them.
    weights = SINGLE if SINGLE in names else INDEX if INDEX in names else SINGLE
    needed = {weights, TOKENIZER, "config.json"}
    if missing := needed - names:
        raise ModelError(f"{model}: the hub repository lacks {', '.join(sorted(missing))}{_hint(names)}")
    paths = [_file(model, hub_id, name, commit) for name in sorted(needed)]
    folder = paths[0].parent
    if weights == INDEX:
        for name in _shards(folder, side):
            _file(model, hub_id, name, commit)
    _remember(folder, hub_id.revision)
    return folder


def _file(model: str, hub_id: HubId, name: str, commit: str) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        # One commit for all files, so that they belong together and lie in one folder.
        return Path(hf_hub_download(hub_id.repository, name, revision=commit))
    except Exception as error:
        raise ModelError(f"{model}: could not download {name}: {error}") from error


def _shards(folder: Path, side: Side) -> set[str]:
    """The file of the wanted tensor, and of the other side's where the two may turn out to be one."""
    index, config = folder / INDEX, read_config(folder)
    files = read_index(index)
    choice = choose(dict.fromkeys(files), config, side, index)
    wanted = {files[choice.name]}
    if choice.other is not None and config.get("tie_word_embeddings") is True:
        wanted.add(files[choice.other])
    return wanted


def _remember(folder: Path, revision: str) -> None:
    """Note which commit the revision is, as the hub's client does for what is not named by its commit."""
    if revision == folder.name or not _COMMIT.fullmatch(folder.name) or ".." in revision:
        return
    # A cache that cannot be written is still one that was read.
    with suppress(OSError):
        reference = folder.parent.parent / "refs" / revision
        reference.parent.mkdir(parents=True, exist_ok=True)
        if not reference.is_file() or reference.read_text() != folder.name:
            written = reference.with_name(f"{reference.name}.incomplete")
            written.write_text(folder.name)
            written.replace(reference)


def _cached(hub_id: HubId) -> Path | None:
    """The snapshot of that revision in the hub's cache; None if it is not there.

    ModelError: several are, and it cannot be told which one the revision is.
    """
    from huggingface_hub import constants

    cache: Any = constants.HF_HUB_CACHE
    folder = Path(cache) / f"models--{hub_id.repository.replace('/', '--')}"
    reference = folder / "refs" / hub_id.revision
    snapshots = [path for path in sorted(folder.glob("snapshots/*")) if _COMMIT.fullmatch(path.name)]
    if reference.is_file():
        commit = reference.read_text().strip()
        return next((path for path in snapshots if path.name == commit), None)
    if hub_id.revision == _DEFAULT:
        found = snapshots
    elif len(hub_id.revision) >= _SHORTEST_COMMIT:
        found = [path for path in snapshots if path.name.startswith(hub_id.revision)]
    else:
        found = []
    if len(found) > 1:
        commits = ", ".join(path.name[:12] for path in found)
        raise ModelError(
            f"{hub_id.repository}: the hub cannot be reached, and several commits are here ({commits}); name one of"
            f" them: {hub_id.repository}@{found[0].name[:12]}"
        )
    return found[0] if found else None


def _hint(names: set[str]) -> str:
    if ADAPTER in names:
        return "; it is an adapter: merge it into its model first (merge_and_unload)"
    if any(name.endswith(".gguf") for name in names):
        return "; it holds GGUF files: download one and name the file"
    if any(name.endswith(".bin") for name in names):
        return " (pickled weights are not read: convert them to safetensors)"
    return ""
