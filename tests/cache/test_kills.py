"""Runs that are ended at any step of keeping, replacing and removing: the next has the right numbers."""

import signal
from pathlib import Path

import pytest

from geometry.cache import LIMIT
from tests.cache.kept import entry, everything, is_kept, numbers
from tests.killed import done, points, started, was_ended_by

# Room for three of five: what was used longest ago is removed on the way.
ROOM = "0.000026"
RUN = f"""
import os
from pathlib import Path
from tests.cache.kept import entry, is_kept, numbers
os.environ[{LIMIT!r}] = {ROOM!r}
cache = Path({{cache!r}})
entry(cache.with_name("other"), 0).write(numbers(0))  # whatever is imported on the way
steps = begin()
for number in range(5):
    if not is_kept(cache, number):
        entry(cache, number).write(numbers(number))
print(steps())
"""


def begun(cache: Path) -> None:
    """A cache in which one file is damaged and another whole."""
    entry(cache, 1).write(numbers(1))
    entry(cache, 2).write(numbers(2))
    entry(cache, 2).path.write_bytes(b"damaged")


@pytest.fixture(scope="module")
def all_steps(tmp_path_factory: pytest.TempPathFactory) -> int:
    cache = tmp_path_factory.mktemp("count") / "cache"
    begun(cache)
    status, out, errors = done(started(RUN.format(cache=str(cache))))
    assert status == 0, errors
    return int(out)


@pytest.mark.parametrize(("number", "share"), points(seed=81))
def test_after_an_ended_run_every_number_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, all_steps: int, number: signal.Signals, share: float
) -> None:
    cache = tmp_path / "cache"
    begun(cache)
    status, _, errors = done(started(RUN.format(cache=str(cache)), 1 + int(share * all_steps), number))
    assert was_ended_by(number, status, errors), errors
    if number != signal.SIGKILL:
        assert not list(cache.rglob(".*"))
    monkeypatch.setenv(LIMIT, ROOM)
    kept = [each for each in range(5) if is_kept(cache, each)]  # and right
    for each in range(5):
        if each not in kept:
            entry(cache, each).write(numbers(each))
            assert is_kept(cache, each)
    if len(kept) == 5:
        entry(cache, 0).write(numbers(0))
    assert len(everything(cache)) == 1 + 3
    assert not list(cache.rglob(".*"))
