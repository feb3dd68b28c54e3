"""What is written for hotwire and vllm-lens, read here by hand and added as their sources say (0.1.2 and 1.3.0)."""

import base64
import json
import pickletools
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import geometry as geo
from geometry import SteeringVector
from tests.steering import tiny

Add = Callable[[int, torch.Tensor], torch.Tensor]


@contextmanager
def hooked(model: Any, add: Add) -> Iterator[None]:
    """The model with `add(block, output)` in place of each block's output."""
    hooks = [
        block.register_forward_hook(lambda _module, _inputs, output, at=at: add(at, output))
        for at, block in enumerate(tiny.blocks(model))
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def as_hotwire(path: Path, scale: float) -> Add:
    rows = torch.load(path, weights_only=True)
    return lambda block, output: output + scale * rows[block] if block < len(rows) else output


def as_vllm_lens(path: Path) -> Add:
    entries = json.loads(path.read_text())
    for entry in entries:
        tensor = entry["activations"]
        raw = base64.b64decode(tensor["data"])
        numbers = struct.unpack(f"<{len(raw) // 4}f", raw)
        assert (tensor["dtype"], set(tensor)) == ("float32", {"data", "dtype", "shape"})
        entry["activations"] = torch.tensor(numbers).reshape(tensor["shape"])
        assert len(entry["activations"]) == len(entry["layer_indices"])

    def add(block: int, output: torch.Tensor) -> torch.Tensor:
        result = output.clone()
        for entry in entries:
            if block not in entry["layer_indices"]:
                continue
            vector = entry["activations"][entry["layer_indices"].index(block)]
            norms = output.norm(dim=-1, keepdim=True) if entry["norm_match"] else torch.ones(1)
            if vector.ndim == 1:
                norms = norms / (vector.norm() + 1e-6) if entry["norm_match"] else norms
                result = result + entry["scale"] * norms * vector
                continue
            for row, position in enumerate(entry.get("position_indices", range(len(vector)))):
                share = norms[:, position] / (vector[row].norm() + 1e-6) if entry["norm_match"] else norms
                result[:, position] += entry["scale"] * share * vector[row]
        return result

    return add


def test_hotwire_adds_what_the_vector_does(tmp_path: Path) -> None:
    model, ids = tiny.build("llama"), tiny.tokens(2, 6)
    vector = tiny.vector("output.0", "output.2", "input.3")
    path = geo.save_vector(vector, tmp_path / "v.pt")
    with geo.steer(model, 0.5 * vector, positions="all"):
        expected = model(ids).logits
    with hooked(model, as_hotwire(path, 0.5)):
        torch.testing.assert_close(model(ids).logits, expected)
    assert not torch.allclose(model(ids).logits, expected)


def test_the_tensor_for_hotwire_has_a_row_for_each_block_and_nothing_else_in_it(tmp_path: Path) -> None:
    parts = {"output.1": torch.tensor([1.5, -2.0]), "input.4": torch.tensor([1.0, 0.0])}
    vector = SteeringVector({**parts, "output.3": torch.tensor([0.0, 1 / 3])}, "v", "llama")
    first, second = (geo.save_vector(vector, tmp_path / name) for name in ("a.pt", "b.PT"))
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as file:
        numbers = file.read("archive/data/0")
        named = [
            argument for code, argument, _ in pickletools.genops(file.read("archive/data.pkl")) if "GLOBAL" in code.name
        ]
    assert numbers == struct.pack("<8f", 0, 0, 1.5, -2, 0, 0, 1, 1 / 3)
    assert named == ["torch._utils _rebuild_tensor_v2", "torch FloatStorage", "collections OrderedDict"]
    assert torch.load(first, weights_only=True).shape == (4, 2)


@pytest.mark.parametrize(
    "sites", [("output.0", "output.3"), ("input.2", "output.1"), ("output.1.relative", "output.3")]
)
def test_vllm_lens_adds_what_the_vector_does(tmp_path: Path, sites: tuple[str, ...]) -> None:
    model, ids = tiny.build("llama"), tiny.tokens(2, 6)
    vector = tiny.vector(*sites, size=0.7)
    path = geo.save_vector(vector, tmp_path / "v.json")
    with geo.steer(model, vector, positions="all"):
        expected = model(ids).logits
    with hooked(model, as_vllm_lens(path)):
        torch.testing.assert_close(model(ids).logits, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(model(ids).logits, expected, rtol=1e-2)


@pytest.mark.parametrize("site", ["input.2", "output.1.relative"])
def test_rows_go_to_the_first_tokens_in_vllm_lens(tmp_path: Path, site: str) -> None:
    model, ids = tiny.build("llama"), tiny.tokens(2, 6)
    vector = tiny.vector(site, size=0.7, rows=3)
    path = geo.save_vector(vector, tmp_path / "v.json")
    with geo.steer(model, vector, positions="first"):
        expected = model(ids).logits
    with hooked(model, as_vllm_lens(path)):
        torch.testing.assert_close(model(ids).logits, expected, rtol=1e-4, atol=1e-4)


def test_the_json_for_vllm_lens_is_what_its_requests_carry(tmp_path: Path) -> None:
    vector = SteeringVector({"output.2": torch.tensor([1.5, -2.0]), "input.8.relative": torch.tensor([0.3, 0.4])}, "v")
    absolute, relative = json.loads(geo.save_vector(vector, tmp_path / "v.json").read_text())
    assert absolute == {
        "activations": {
            "data": base64.b64encode(struct.pack("<2f", 1.5, -2)).decode(),
            "dtype": "float32",
            "shape": [1, 2],
        },
        "layer_indices": [2],
        "scale": 1.0,
        "norm_match": False,
    }
    assert relative.pop("scale") == pytest.approx(0.5)
    assert relative == {
        "activations": {
            "data": base64.b64encode(struct.pack("<2f", 0.6, 0.8)).decode(),
            "dtype": "float32",
            "shape": [1, 2],
        },
        "layer_indices": [7],
        "norm_match": True,
    }


def test_a_part_that_is_zero_stays_so_in_vllm_lens(tmp_path: Path) -> None:
    path = geo.save_vector(SteeringVector({"output.0.relative": torch.zeros(16)}), tmp_path / "v.json")
    assert torch.equal(as_vllm_lens(path)(0, torch.ones(1, 2, 16)), torch.ones(1, 2, 16))


@pytest.mark.parametrize(
    ("ending", "part", "complaint"),
    [
        ("pt", {"input.0": torch.ones(2)}, "input.0 is a part at the embedding; hotwire begins with block 0"),
        ("pt", {"output.1": torch.ones(1, 2)}, "output.1 is rows for positions; hotwire adds to every position"),
        ("pt", {"output.1.relative": torch.ones(2)}, "output.1.relative is a part relative .* `to_absolute`"),
        ("pt", {"before_norm": torch.ones(2)}, "before_norm is a part at the final norm; hotwire adds to the outputs"),
        ("pt", {"after_norm": torch.ones(2)}, "after_norm is a part at the final norm"),
        ("pt", {"output.99999999": torch.ones(2)}, "a row for each block"),
        ("pt", {"input.4": torch.full((2,), 3e38)}, "NaN or infinite"),
        ("json", {"input.0": torch.ones(2)}, "input.0 is a part at the embedding; vllm-lens begins with block 0"),
        ("json", {"before_norm.relative": torch.ones(2)}, "before_norm.relative is a part at the final norm"),
        ("json", {"after_norm": torch.ones(2)}, "after_norm is a part at the final norm"),
        ("json", {"output.3.relative": torch.ones(2)}, "output of block 3 a part relative .* meets another"),
        ("json", {"input.4.relative": torch.ones(1, 2)}, "output of block 3 a part relative .* meets another"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_a_server_cannot_express_is_refused(
    tmp_path: Path, ending: str, part: dict[str, torch.Tensor], complaint: str
) -> None:
    # Beside a part that could be written: nothing is left out in silence.
    with pytest.raises(geo.errors.SteeringError, match=complaint) as caught:
        geo.save_vector(SteeringVector({"output.3": torch.full((2,), 3e38), **part}, "v"), tmp_path / f"v.{ending}")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["pt", "json"])
def test_places_that_cannot_be_written_are_one_clear_error(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"folder.{ending}").mkdir()
    for name in ("none/v", "folder", "x" * 300):
        with pytest.raises(geo.errors.OutputError, match="cannot be written"):
            geo.save_vector(SteeringVector({"output.1": torch.ones(2)}), tmp_path / f"{name}.{ending}")
    assert [file.name for file in tmp_path.iterdir()] == [f"folder.{ending}"]
