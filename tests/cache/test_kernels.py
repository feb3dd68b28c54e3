"""Machine code that is kept is that of the source as it is, whatever a killed run or an earlier source has left."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = """
from geometry.cache.kernels import compiled

@compiled(nogil=True)
def helper(x):
    return x + {step}

@compiled(nogil=True)
def kernel(x):
    return 10 * helper(x)
"""


def loaded(folder: Path, step: int = 1) -> Any:
    """The kernel, as another process has it."""
    path = folder / "own_kernels.py"
    if not path.exists() or path.read_text() != SOURCE.format(step=step):
        path.write_text(SOURCE.format(step=step))
    spec = importlib.util.spec_from_file_location("own_kernels", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "own_kernels", module)
        spec.loader.exec_module(module)
        return module.kernel


def hits(kernel: Any) -> int:
    return sum(kernel.stats.cache_hits.values())


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "__pycache__").glob("own_kernels.kernel-*"))


def test_it_is_compiled_once_for_each_source_and_type(tmp_path: Path) -> None:
    assert loaded(tmp_path)(1.0) == 20
    again = loaded(tmp_path)
    assert again(1.0) == 20
    assert hits(again) == 1
    assert again(1) == 20
    assert hits(again) == 1
    assert len(kept(tmp_path)) == 2
    other = loaded(tmp_path, step=2)
    assert other(1.0) == 30
    assert hits(other) == 0


def test_what_is_damaged_is_compiled_anew_and_what_cannot_be_kept_each_time(tmp_path: Path) -> None:
    assert loaded(tmp_path)(1.0) == 20
    (path,) = kept(tmp_path)
    whole = path.read_bytes()
    for damaged in (whole[:50], whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(damaged)
        kernel = loaded(tmp_path)
        assert kernel(1.0) == 20
        assert hits(kernel) == 0
    path.unlink()
    path.mkdir()
    assert loaded(tmp_path)(1.0) == 20
    assert kept(tmp_path) == [path]


def test_where_there_is_no_folder_to_keep_it_in_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    kernel = loaded(tmp_path)
    assert kernel(1.0) == 20
    assert not kept(tmp_path)
