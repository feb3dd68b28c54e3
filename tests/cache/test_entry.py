"""Arrays that are kept under a key: found again, never in the way."""

import importlib
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from geometry.cache import LIMIT, Entry, Key
from geometry.errors import OutputError
from tests.cache.kept import entry, everything, is_kept, numbers
from tests.killed import done, started

NOBODY = 65534


def test_it_is_there_when_it_was_written_and_lies_below_its_kind(tmp_path: Path) -> None:
    assert not is_kept(tmp_path)
    entry(tmp_path).write(numbers())
    assert is_kept(tmp_path)
    assert not is_kept(tmp_path, 1)
    (path,) = (tmp_path / "spectra").iterdir()
    assert path == entry(tmp_path).path
    assert everything(tmp_path) == ["spectra", f"spectra/{path.name}"]


def test_a_damaged_file_and_that_of_another_key_are_replaced(tmp_path: Path) -> None:
    entry(tmp_path, 1).write(numbers(1))
    for bad in (b"", b"damaged", entry(tmp_path, 1).path.read_bytes()):
        entry(tmp_path).path.write_bytes(bad)
        assert not is_kept(tmp_path)
        entry(tmp_path).write(numbers())
        assert is_kept(tmp_path)


def test_the_key_is_of_all_that_was_added_and_of_the_kind() -> None:
    def key(kind: str, *parts: object) -> str:
        found = Key(kind)
        for part in parts:
            found.add_tensor(part) if isinstance(part, torch.Tensor) else found.add(part)
        return found.sha256

    block = torch.arange(6.0).reshape(2, 3)
    others = [
        key("spectra", "ab", "c"), key("spectra", "a", "bc"), key("activations", "ab", "c"), key("spectra", "abc"),
        key("spectra", 1), key("spectra", 1.0), key("spectra", "\ud800"), key("spectra", block),
        key("spectra", block.reshape(3, 2)), key("spectra", block.double()), key("spectra", block.view(torch.int32)),
        key("spectra", block.bfloat16()), key("spectra", torch.tensor(1.0)), key("spectra", torch.empty(0, 3)),
    ]  # fmt: skip
    assert len(set(others)) == len(others)
    assert key("spectra", block.T.contiguous().T) == key("spectra", block)
    assert key("spectra", torch.arange(12.0).reshape(2, 6)[:, ::2]) == key("spectra", 2 * block)


def test_a_tensor_that_does_not_lie_together_is_hashed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geometry.cache.entry._BLOCK", 8)
    matrix, found = torch.randn(7, 6), []
    for tensor in (matrix, torch.cat([matrix, matrix], dim=1)[:, :6]):
        key = Key("spectra")
        key.add_tensor(tensor)
        found.append(key.sha256)
    assert found[0] == found[1]


def test_code_is_that_of_its_file_unless_this_was_changed_after_it_was_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)

    def key(source: str, age: float) -> str:
        path = tmp_path / "own_code.py"
        path.write_text(source)
        os.utime(path, (time.time() - age, time.time() - age))
        monkeypatch.delitem(sys.modules, "own_code", raising=False)
        importlib.invalidate_caches()
        importlib.import_module("own_code")
        found = Key("activations")
        found.add_code("own_code", "builtins", "no_such_module")
        return found.sha256

    one, other = key("x = 1", age=10**7), key("x = 2  # longer", age=10**7)
    assert one != other
    assert key("x = 1", age=10**6) == one
    assert len({key("x = 1", age=-60), key("x = 1", age=-60), one}) == 3


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    folder.chmod(0o555)
    root = os.geteuid() == 0  # who may write anywhere
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_of_a_folder_that_cannot_be_written_what_is_there_is_read() -> None:
    with tempfile.TemporaryDirectory() as name:
        cache = Path(name)
        cache.chmod(0o755)
        entry(cache).write(numbers())
        before = everything(cache)
        with read_only(cache / "spectra"):
            assert is_kept(cache)
            entry(cache, 1).write(numbers(1))
            assert not is_kept(cache, 1)
        assert everything(cache) == before


def test_a_disk_that_is_full_leaves_nothing_behind(tmp_path: Path) -> None:
    entry(tmp_path).write(numbers())
    before, soft, hard = everything(tmp_path), *resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        entry(tmp_path, 1).write(numbers(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert everything(tmp_path) == before
    assert is_kept(tmp_path)
    assert not is_kept(tmp_path, 1)


def test_where_a_file_or_a_folder_is_in_the_way_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    entry(tmp_path / "file").write(numbers())
    assert not is_kept(tmp_path / "file")
    entry(tmp_path).path.mkdir(parents=True)
    entry(tmp_path).write(numbers())
    assert not is_kept(tmp_path)


@pytest.mark.parametrize("limit", ["0", "0.000001"])
def test_what_is_larger_than_the_limit_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setenv(LIMIT, limit)
    entry(tmp_path).write(numbers())
    assert everything(tmp_path) == []


def test_a_folder_that_a_user_has_named_knows_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, "0")
    keys = [Key("activations") for _ in range(3)]
    for number, key in enumerate(keys):
        key.add(number)
        Entry.beside(tmp_path, key).write(numbers(number))
    assert len(everything(tmp_path)) == 3


@pytest.mark.parametrize("limit", ["four", "-1", "nan", "inf", "1e999"])
def test_a_limit_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setenv(LIMIT, limit)
    with pytest.raises(OutputError, match=f"{LIMIT} is '{limit}'; set it to a number of gigabytes"):
        entry(tmp_path).write(numbers())


AT_ONCE = """
import sys
from pathlib import Path
from geometry.cache import clear
from tests.cache.kept import entry, is_kept, numbers
begin()
kept = 0
for turn in range({turns}):
    number = turn % 3
    if is_kept(Path({cache!r}), number):  # and right
        kept += 1
    else:
        entry(Path({cache!r}), number).write(numbers(number))
    if turn % 7 == {own}:
        clear(Path({cache!r}))
print(kept)
"""


def test_processes_that_write_read_and_clear_at_once_are_all_right(tmp_path: Path) -> None:
    codes = [AT_ONCE.format(cache=str(tmp_path), turns=60, own=own) for own in (3, 9)]  # the second clears nothing
    for status, out, errors in [done(process) for process in [started(code) for code in codes]]:
        assert status == 0, errors
        assert not errors
        assert int(out) > 0
    assert set(everything(tmp_path)) <= {"spectra", *(f"spectra/{entry(tmp_path, n).path.name}" for n in range(3))}
