"""Models of the Hugging Face hub: which commit of which repository, fetched once and found offline afterwards."""

import re
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from geometry.errors import ModelError, shown
from geometry.models.catalogue import CATALOGUE
from geometry.models.checkpoint import ADAPTER, INDEX, SINGLE, TOKENIZER, Side
from geometry.models.hub_caches import COMMIT, DEFAULT, Known, own_cache, remember, shards
from geometry.models.kept_tensors import CONFIG, keep
from geometry.models.remote_file import NoRangesError, RemoteFile, gated

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w.][\w./-]*)?", re.ASCII)


class UnknownRepositoryError(ModelError):
    """No repository can be had by that name; the message says why."""


class UnreachableError(UnknownRepositoryError):
    """The hub cannot be asked."""


@dataclass(frozen=True)
class HubId:
    """A repository, and a branch, tag or commit of it: "owner/name" or "owner/name@revision"."""

    repository: str
    revision: str = DEFAULT

    @classmethod
    def parse(cls, model: str) -> "HubId":
        """
        >>> HubId.parse("lab/tiny"), HubId.parse("lab/tiny@v1")
        (HubId(repository='lab/tiny', revision='main'), HubId(repository='lab/tiny', revision='v1'))
        """
        repository, _, revision = model.partition("@")
        return cls(repository, revision or DEFAULT)


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
    """The commit that a folder of the hub's cache or of ours, or a file in it, belongs to; empty for any other."""
    for folder in (path, path.parent):
        if folder.parent.name == "snapshots" and COMMIT.fullmatch(folder.name):
            return folder.name
    return ""


def download(model: str, side: Side) -> Path:
    """The folder that holds what is needed of a repository: the hub's own cache where that has it, else ours.

    ModelError: it lacks something, access is gated, or a download failed. UnknownRepositoryError: there is none, or the
    hub cannot be reached and nothing of it is here.
    """
    hub_id = HubId.parse(model)
    known = Known(hub_id.repository, side)
    if COMMIT.fullmatch(hub_id.revision) and (folder := known.of_commit(hub_id.revision)):
        return folder
    try:
        commit, names = contents(model)
    except UnreachableError:
        if (folder := known.offline(hub_id.revision)) is None:
            raise
        return folder
    folder = known.of_commit(commit) or _downloaded(model, hub_id.repository, commit, names, side)
    remember(folder, hub_id.revision)
    return folder


def contents(model: str) -> tuple[str, set[str]]:
    """The commit that a hub id means, and the names of its files.

    ModelError: access is gated, or there is no such revision. UnknownRepositoryError: there is no such repository.
    UnreachableError: the hub cannot be asked.
    """
    # Imported here: most runs read local files, and the hub client takes a second to import.
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    hub_id = HubId.parse(model)
    try:
        info = HfApi().model_info(hub_id.repository, revision=hub_id.revision, timeout=10)
    except GatedRepoError as error:
        raise ModelError(gated(model)) from error
    except RevisionNotFoundError as error:
        raise ModelError(f"{model}: the repository has no branch, tag or commit {shown(hub_id.revision)}") from error
    except RepositoryNotFoundError as error:
        says = "the hub does not know it (a private one it shows to who is logged in: hf auth login)"
        raise UnknownRepositoryError(says) from error
    except Exception as error:  # whatever the HTTP backend raises when there is no connection
        raise UnreachableError(f"the hub cannot be reached ({error})") from error
    if not COMMIT.fullmatch(commit := str(info.sha)):
        raise ModelError(f"{model}: the hub names no commit of it, but {shown(info.sha)}")
    return commit, {sibling.rfilename for sibling in info.siblings or []}


def _downloaded(model: str, repository: str, commit: str, names: set[str], side: Side) -> Path:
    # As transformers prefers them.
    weights = SINGLE if SINGLE in names else INDEX if INDEX in names else SINGLE
    if missing := {weights, TOKENIZER, CONFIG} - names:
        raise ModelError(f"{model}: the hub repository lacks {', '.join(sorted(missing))}{_hint(names)}")
    folder = own_cache(repository) / "snapshots" / commit
    try:
        keep(partial(RemoteFile, model, repository, commit), weights, side, folder)
    except NoRangesError:
        print(f"{model}: this hub sends whole files only; downloading those that hold the matrix", file=sys.stderr)
        return _whole_files(model, repository, commit, weights, side)
    return folder


def _whole_files(model: str, repository: str, commit: str, weights: str, side: Side) -> Path:
    """The same by the hub's own client, into its cache."""
    paths = [whole_file(model, repository, name, commit) for name in sorted({weights, TOKENIZER, CONFIG})]
    folder = paths[0].parent
    for name in shards(folder, side) if weights == INDEX else ():
        whole_file(model, repository, name, commit)
    return folder


def whole_file(model: str, repository: str, name: str, commit: str) -> Path:
    """A file at a commit by the hub's own client, in its cache; ModelError where it cannot be had."""
    from huggingface_hub import hf_hub_download

    try:
        # One commit for all files, so that they belong together and lie in one folder.
        return Path(hf_hub_download(repository, name, revision=commit))
    except Exception as error:
        raise ModelError(f"{model}: could not download {name}: {error}") from error


def _hint(names: set[str]) -> str:
    if ADAPTER in names:
        return "; it is an adapter: merge it into its model first (merge_and_unload)"
    if any(name.endswith(".gguf") for name in names):
        return "; it holds GGUF files: download one and name the file"
    if any(name.endswith(".bin") for name in names):
        return " (pickled weights are not read: convert them to safetensors)"
    return ""
