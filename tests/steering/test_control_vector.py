import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

import geometry as geo
from geometry import SteeringVector
from geometry.models import locate
from tests.steering import tiny

EXTREMES = [1.0, -0.0, 1e-45, -3.4028235e38, 1 / 3]


def read_by_hand(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Metadata and F32 tensors of a GGUF file, read as its specification says."""
    raw, at = path.read_bytes(), 0

    def take(kind: str) -> Any:
        nonlocal at
        (value,) = struct.unpack_from(f"<{kind}", raw, at)
        at += struct.calcsize(f"<{kind}")
        return value

    def text() -> str:
        return bytes(take(f"{take('Q')}s")).decode()

    kinds = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
    assert take("4s") == b"GGUF"
    assert take("I") == 3
    tensors, fields = take("Q"), take("Q")
    metadata = {}
    for _ in range(fields):
        key, kind = text(), take("I")
        metadata[key] = text() if kind == 8 else take(kinds[kind])
    found = []
    for _ in range(tensors):
        name, shape = text(), [take("Q") for _ in range(take("I"))]
        assert take("I") == 0, "F32 is type 0"
        found.append((name, shape, take("Q")))
    alignment = metadata.get("general.alignment", 32)
    start = -(-at // alignment) * alignment
    assert all(offset % alignment == 0 for _, _, offset in found)
    return metadata, {
        name: np.frombuffer(raw, "<f4", int(np.prod(shape)), start + offset).reshape(shape[::-1])
        for name, shape, offset in found
    }


def write_as_repeng(path: Path, tensors: dict[str, np.ndarray], hint: str = "llama", **more: str) -> Path:
    writer = gguf.GGUFWriter(path, more.get("architecture", "controlvector"))
    writer.add_string("controlvector.model_hint", hint)
    writer.add_uint32("controlvector.layer_count", len(tensors))
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_file_is_what_llama_cpp_expects(tmp_path: Path) -> None:
    parts = {"output.12": torch.tensor(EXTREMES), "output.2": -torch.tensor(EXTREMES)}
    path = geo.save_vector(SteeringVector(parts, "3 × (Ärger − 喜び)", "llama"), tmp_path / "v.gguf")
    metadata, tensors = read_by_hand(path)
    assert metadata["general.architecture"] == "controlvector"
    assert metadata["controlvector.model_hint"] == "llama"
    assert metadata["controlvector.layer_count"] == 2
    assert set(tensors) == {"direction.2", "direction.12"}
    for block in (2, 12):
        assert tensors[f"direction.{block}"].shape == (5,)
        expected = parts[f"output.{block}"].numpy().tobytes()
        assert tensors[f"direction.{block}"].tobytes() == expected


def test_a_file_of_the_same_vector_has_the_same_bytes(tmp_path: Path) -> None:
    vector = SteeringVector({"output.3": torch.tensor(EXTREMES)}, "v", "gpt2")
    first, second = (geo.save_vector(vector, tmp_path / name) for name in ("a.gguf", "b.GGUF"))
    assert first.read_bytes() == second.read_bytes()


def test_every_bit_comes_back(tmp_path: Path) -> None:
    vector = SteeringVector({f"output.{block}": torch.tensor(EXTREMES) for block in (1, 2, 31)}, "喜び − x", "qwen2")
    again = geo.load_vector(geo.save_vector(vector, tmp_path / "v.gguf"))
    assert (again.sites, again.provenance, again.model) == (vector.sites, "喜び − x", "qwen2")
    for site in vector.sites:
        assert torch.equal(again[site].view(torch.int32), vector[site].view(torch.int32))


def test_the_input_of_a_block_is_written_as_the_output_of_the_one_before(tmp_path: Path) -> None:
    vector = SteeringVector({"input.5": torch.tensor([1.0, 2.0]), "output.4": torch.tensor([10.0, 0.0])})
    _, tensors = read_by_hand(geo.save_vector(vector, tmp_path / "v.gguf"))
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {"direction.4": [11, 2]}


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma3"])
def test_what_is_read_back_steers_just_the_same(tmp_path: Path, name: str) -> None:
    model, ids = tiny.build(name), tiny.tokens(2, 6)
    vector = tiny.vector("input.2", "output.2")
    vector = SteeringVector(vector.parts, "v", geo.steering.Architecture.of(model).family)
    again = geo.load_vector(geo.save_vector(vector, tmp_path / "v.gguf"))
    with geo.steer(model, vector, positions="all"):
        expected = model(ids).logits
    with geo.steer(model, again, positions="all"):
        assert torch.equal(model(ids).logits, expected)
    assert not torch.equal(model(ids).logits, expected)


@pytest.mark.parametrize(
    ("part", "complaint"),
    [
        ({"output.0": torch.ones(2)}, "block 0; llama.cpp begins with block 1"),
        ({"input.1": torch.ones(2)}, "block 0; llama.cpp begins with block 1"),
        ({"input.0": torch.ones(2)}, "the embedding"),
        ({"output.1": torch.ones(1, 2)}, "rows for positions"),
        ({"output.1.relative": torch.ones(2)}, "relative to the residual norm"),
        ({"before_norm": torch.ones(2)}, "the final norm"),
        ({"after_norm": torch.ones(2)}, "the final norm"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_the_format_cannot_express_is_refused(
    tmp_path: Path, part: dict[str, torch.Tensor], complaint: str
) -> None:
    path = geo.save_vector(SteeringVector({"output.1": torch.ones(2)}), tmp_path / "v.gguf")
    before = path.read_bytes()
    # Beside a part that could be written: nothing is left out in silence.
    with pytest.raises(geo.errors.SteeringError, match=complaint):
        geo.save_vector(SteeringVector({"output.3": torch.ones(2), **part}, "v"), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["v.gguf"]


def test_parts_that_overflow_together_are_refused(tmp_path: Path) -> None:
    large = torch.full((2,), 3e38)
    with pytest.raises(geo.errors.SteeringError):
        geo.save_vector(SteeringVector({"input.2": large, "output.1": large}), tmp_path / "v.gguf")


def test_a_file_of_repeng_is_read(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    # Its layers are counted from the last.
    tensors = {f"direction.{block}": rows[block - 1] for block in (3, 2, 1)}
    path = write_as_repeng(tmp_path / "happy.gguf", tensors, "gpt2")
    vector = geo.load_vector(path)
    assert [str(site) for site in vector.sites] == ["output.1", "output.2", "output.3"]
    assert np.array_equal(np.stack([part.numpy() for part in vector.parts.values()]), rows)
    assert (vector.model, vector.provenance) == ("gpt2", "happy")


def test_a_hint_is_the_model_type_that_hugging_face_writes(tmp_path: Path) -> None:
    # repeng writes `model.config.model_type`, which for Gemma 3 is "gemma3_text".
    model = tiny.build("gemma3")
    direction = np.ones(tiny.WIDTH, dtype=np.float32)
    path = write_as_repeng(tmp_path / "v.gguf", {"direction.1": direction}, model.config.model_type)
    with geo.steer(model, geo.load_vector(path), positions="all"):
        model(tiny.tokens(1, 3))


ROW = np.ones(4, dtype=np.float32)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_as_repeng(path, {"direction.1": ROW.astype(np.float16)}),
        lambda path: write_as_repeng(path, {"direction.1": ROW.astype(np.float64)}),
        lambda path: write_as_repeng(path, {"direction.1": ROW.astype(np.int32)}),
        lambda path: write_as_repeng(path, {"direction.1": np.ones((2, 4), dtype=np.float32)}),
        lambda path: write_as_repeng(path, {"direction.1": ROW, "direction.2": ROW[:3]}),
        lambda path: write_as_repeng(path, {"direction.1": ROW, "direction.01": ROW}),
        lambda path: write_as_repeng(path, {"direction.x": ROW}),
        lambda path: write_as_repeng(path, {"direction.-1": ROW}),
        lambda path: write_as_repeng(path, {"direction.١": ROW}),
        lambda path: write_as_repeng(path, {"direction.1": ROW, "blk.1.attn": ROW}),
        lambda path: write_as_repeng(path, {"direction.1": ROW * np.float32("nan")}),
        lambda path: write_as_repeng(path, {"direction.1": ROW * np.float32("inf")}),
        lambda path: write_as_repeng(path, {}),
        lambda path: write_as_repeng(path, {"direction.1": ROW}, architecture="llama"),
    ],
    ids=[
        *(
            "F16",
            "F64",
            "I32",
            "2-D",
            "widths",
            "twice",
            "letters",
            "negative",
            "digits",
            "tensor beside",
            "nan",
            "inf",
        ),
        *("nothing", "architecture"),
    ],
)
def test_hostile_files_are_refused_by_name(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path = write(tmp_path / "hostile.gguf")
    with pytest.raises(geo.errors.SteeringError, match=r"hostile\.gguf") as caught:
        geo.load_vector(path)
    assert "\n" not in str(caught.value)


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    path = write_as_repeng(tmp_path / "twice.gguf", {"direction.1": ROW, "direction.2": ROW})
    path.write_bytes(path.read_bytes().replace(b"direction.2", b"direction.1"))
    with pytest.raises(geo.errors.SteeringError, match=r"twice\.gguf"):
        geo.load_vector(path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = geo.save_vector(SteeringVector({"output.1": torch.ones(16)}, "v", "llama"), tmp_path / "v.gguf")
    whole = path.read_bytes()
    # 16 numbers are a multiple of the alignment, so that no byte is mere padding.
    assert len(whole) % 32 == 0
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(geo.errors.SteeringError, match=r"v\.gguf"):
            geo.load_vector(path)


def test_a_model_is_no_control_vector() -> None:
    with pytest.raises(geo.errors.SteeringError, match="not a control vector"):
        geo.load_vector(locate("smollm2-135m"))
