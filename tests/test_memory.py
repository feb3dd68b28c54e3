"""What was read of a mapped file is let go, and never anything that would be lost."""

import sys
from pathlib import Path

import pytest
import torch

from geometry import memory
from geometry.memory import in_passing, let_go

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is let go elsewhere than on Linux")


@pytest.fixture
def mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """1024 × 1024 numbers in a file, mapped as safetensors does."""
    monkeypatch.setattr(memory, "_READ", 1 << 20)
    path = tmp_path / "numbers"
    path.write_bytes(torch.arange(1 << 20, dtype=torch.float32).numpy().tobytes())
    return torch.from_file(str(path), shared=False, size=1 << 20).view(1024, 1024)


def resident(tensor: torch.Tensor) -> int:
    """kB of the mapping that a tensor lies in that are in memory."""
    address, inside = tensor.data_ptr(), False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace").splitlines():
        if (mapping := memory._MAPPING.match(line)) is not None:
            inside = int(mapping[1], 16) <= address < int(mapping[2], 16)
        elif inside and line.startswith("Rss:"):
            return int(line.split()[1])
    raise AssertionError("no such mapping")


def test_pages_that_were_read_are_let_go_and_read_again(mapped: torch.Tensor) -> None:
    before = mapped.sum()
    assert resident(mapped) >= 4096
    let_go(mapped)
    assert resident(mapped) < 100
    assert torch.equal(mapped.sum(), before)


def test_a_matrix_is_let_go_while_it_is_passed(mapped: torch.Tensor) -> None:
    most = 0
    for block in in_passing(mapped, torch.split(mapped, 128)):
        block.sum()
        most = max(most, resident(mapped))
    assert resident(mapped) < 100
    assert most < 3000
    torch.testing.assert_close(mapped.flatten(), torch.arange(1 << 20, dtype=torch.float32))


def test_a_changed_number_is_kept(mapped: torch.Tensor) -> None:
    mapped[700, 3] = -5
    for block in in_passing(mapped, torch.split(mapped, 128)):
        block.sum()
    assert mapped[700, 3] == -5


def test_memory_of_no_file_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_READ", 1 << 20)
    for size in (1 << 18, 1 << 24):  # from a pool, and mapped by itself
        numbers = torch.arange(size)
        let_go(numbers)
        assert int(numbers[-1]) == size - 1
        assert int(numbers.sum()) == size * (size - 1) // 2


def test_shared_memory_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_READ", 1 << 20)
    numbers = torch.arange(1 << 20).share_memory_()
    let_go(numbers)
    assert int(numbers[-1]) == (1 << 20) - 1


def test_a_system_that_tells_nothing_is_let_be(mapped: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise PermissionError

    mapped.sum()
    monkeypatch.setattr(Path, "open", none)
    let_go(mapped)
    monkeypatch.undo()
    assert resident(mapped) >= 4096
