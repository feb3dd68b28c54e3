"""What is here already of a repository: in the cache of the hub's own client, or of single matrices in ours."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from geometry.errors import ModelError, OutputError
from geometry.models.checkpoint import INDEX, SINGLE, TOKENIZER, Side, read_config, read_index
from geometry.models.fetching import cache_folder
from geometry.models.kept_tensors import CONFIG, holds
from geometry.models.tying import choose
from geometry.output import replacing

COMMIT = re.compile(r"[0-9a-f]{40}")
DEFAULT = "main"
_SHORTEST_COMMIT = 7


@dataclass(frozen=True)
class Known:
    """The folders of commits of a repository that hold a side of its model."""

    repository: str
    side: Side

    def of_commit(self, commit: str) -> Path | None:
        """The folder of that commit from which the side can be read; None if neither cache has one."""
        theirs, ours = (cache / "snapshots" / commit for cache in _caches(self.repository))
        return theirs if _complete(theirs, self.side) else ours if holds(ours, self.side) else None

    def offline(self, revision: str) -> Path | None:
        """The same of a branch, tag or (the beginning of) a commit, as it was when the hub last said which it is.

        ModelError: there are several, and it cannot be told which one the revision is.
        """
        caches = _caches(self.repository)
        references = [cache / "refs" / revision for cache in caches]
        # The last that was heard first.
        told = sorted((path for path in references if path.is_file()), key=lambda path: -path.stat().st_mtime)
        commits = [commit for path in told if COMMIT.fullmatch(commit := path.read_text().strip())]
        if not told:
            here = {path.name for cache in caches for path in cache.glob("snapshots/*")}
            asked = revision if len(revision) >= _SHORTEST_COMMIT else None
            commits = sorted(
                commit
                for commit in here
                if COMMIT.fullmatch(commit) and (revision == DEFAULT or (asked and commit.startswith(asked)))
            )
        found = [folder for commit in commits if (folder := self.of_commit(commit)) is not None]
        if len(found) > 1 and not told:
            short = ", ".join(path.name[:12] for path in found)
            raise ModelError(
                f"{self.repository}: the hub cannot be reached, and several commits are here ({short}); name one of"
                f" them: {self.repository}@{found[0].name[:12]}"
            )
        # Of what is incomplete its reader says what is missing.
        incomplete = [folder for commit in commits if (folder := caches[0] / "snapshots" / commit).is_dir()]
        return next(iter([*found, *incomplete]), None)


def own_cache(repository: str) -> Path:
    """The folder of a repository in our cache; within it all is as in that of the hub's client."""
    return cache_folder() / "hub" / _folder_name(repository)


def their_cache(repository: str) -> Path:
    """The folder of a repository in the cache of the hub's own client."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / _folder_name(repository)


def remember(folder: Path, revision: str) -> None:
    """Note which commit the revision is, as the hub's client does for what is not named by its commit."""
    if revision == folder.name or not COMMIT.fullmatch(folder.name) or ".." in revision:
        return
    # A cache that cannot be written is still one that was read.
    with suppress(OSError, OutputError):
        reference = folder.parent.parent / "refs" / revision
        reference.parent.mkdir(parents=True, exist_ok=True)
        # Written anew even if it is so already: of two caches the later one is right.
        with replacing(reference) as written:
            written.write_text(folder.name)


def shards(folder: Path, side: Side) -> set[str]:
    """The file of the wanted tensor, and of the other side's where the two may turn out to be one."""
    index, config = folder / INDEX, read_config(folder)
    files = read_index(index)
    choice = choose(dict.fromkeys(files), config, side, index)
    wanted = {files[choice.name]}
    if choice.other is not None and config.get("tie_word_embeddings") is True:
        wanted.add(files[choice.other])
    return wanted


def _complete(folder: Path, side: Side) -> bool:
    """Whether the hub's client has downloaded what it takes to read that side."""
    if not all((folder / name).is_file() for name in (CONFIG, TOKENIZER)):
        return False
    if (folder / SINGLE).is_file():
        return True
    try:
        return (folder / INDEX).is_file() and all((folder / name).is_file() for name in shards(folder, side))
    except ModelError:
        return False


def _caches(repository: str) -> tuple[Path, Path]:
    return their_cache(repository), own_cache(repository)


def _folder_name(repository: str) -> str:
    return f"models--{repository.replace('/', '--')}"
