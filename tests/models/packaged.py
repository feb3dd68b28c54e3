"""Packages to fetch, made on the spot: wheels and source packages in a folder, archives of npm."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

CONTENT = [b"first half, ", b"second half"]


def wheel(folder: Path, name: str, content: bytes) -> str:
    """A wheel of version 1.0 that holds `name`/data.bin; returns its sha256."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/data.bin", content)
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def source_package(folder: Path, name: str, files: dict[str, str]) -> str:
    """A source package of version 1.0 with these files; returns its sha256."""
    path = folder / f"{name}-1.0.tar.gz"
    files = {"PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", **files}
    path.write_bytes(tarball({f"{name}-1.0/{inside}": text.encode() for inside, text in files.items()}))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def npm_package(content: bytes) -> bytes:
    """As npm keeps packages: everything under package/."""
    return tarball({"package/package.json": b"{}", "package/data/half.bin": content})


def tarball(files: dict[str, bytes]) -> bytes:
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return kept.getvalue()


NPM = {"@toy/half0": npm_package(CONTENT[0]), "half1": npm_package(CONTENT[1])}
