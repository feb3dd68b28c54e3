"""Whole files of a hub's repository that are no model of ours, such as dictionaries: those that are asked for."""

from collections.abc import Callable, Iterable
from pathlib import Path

from geometry.errors import ModelError
from geometry.models.hub import HubId, UnreachableError, contents, whole_file
from geometry.models.hub_caches import COMMIT, their_cache


def download_files(model: str, choose: Callable[[set[str]], Iterable[str]]) -> Path:
    """The folder of a commit in the hub client's own cache, which holds the files that `choose` picks of their names.

    Where the hub cannot be reached, `choose` is given the names of what is here.

    ModelError: there is no such repository, access is gated, or a download failed.
    """
    hub_id = HubId.parse(model)
    try:
        commit, names = contents(model)
    except UnreachableError as error:
        if (folder := _kept(hub_id)) is None:
            raise ModelError(f"{model}: nothing of it is here, and {error}") from error
        try:
            list(choose({path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}))
        except ModelError as lacking:
            raise ModelError(f"{lacking}, as far as it is here; {error}") from error
        return folder
    except ModelError as error:
        raise ModelError(f"{model}: {str(error).removeprefix(f'{model}: ')}") from error
    folder = their_cache(hub_id.repository) / "snapshots" / commit
    for name in choose(names):
        whole_file(model, hub_id.repository, name, commit)
    return folder


def _kept(hub_id: HubId) -> Path | None:
    """What the hub's client has of a revision, as when it last heard of it."""
    cache = their_cache(hub_id.repository)
    reference = cache / "refs" / hub_id.revision
    commit = reference.read_text(encoding="utf-8").strip() if reference.is_file() else hub_id.revision
    if not COMMIT.fullmatch(commit):
        here = sorted(path.name for path in cache.glob("snapshots/*"))
        commit = here[0] if len(here) == 1 and hub_id.revision == "main" else ""
    folder = cache / "snapshots" / commit
    return folder if commit and folder.is_dir() else None
