import json
import os
import resource
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import geometry as geo
from geometry import Site, SteeringVector

FORMAT = "concept-geometry steering vector 1"
EXTREMES = [0.0, -0.0, 1e-45, -1e-45, 1.1754942e-38, 3.4028235e38, -3.4028235e38, 1 / 3, 1e-20, 16777217.0]


def bits(tensor: torch.Tensor) -> list[Any]:
    return tensor.contiguous().view(torch.int32).tolist()


def write_by_hand(path: Path, header: Any, data: bytes = b"") -> Path:
    """A safetensors file as its specification says: the header's length, the header, the numbers."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def header(*names: str, dtype: str = "F32", shape: list[int] | None = None, **record: str) -> dict[str, Any]:
    whole: dict[str, Any] = {"__metadata__": {"format": FORMAT, **record}}
    for number, name in enumerate(names):
        whole[name] = {"dtype": dtype, "shape": shape or [2], "data_offsets": [8 * number, 8 * number + 8]}
    return whole


@pytest.mark.parametrize("place", ["input.0", "output.12", "before_norm", "after_norm"])
def test_sites_are_read_as_they_are_written(place: str) -> None:
    for name in (place, f"{place}.relative"):
        site = Site.parse(name)
        assert str(site) == name
        assert Site.parse(str(site)) == Site.parse(site) == site
        assert site.relative is (name != place)


NO_SITES = (
    "output output. output.-1 output.x output.1.2 output.² output.١ after_norm.3 relative output.relative.1 Output.1"
)


@pytest.mark.parametrize("name", ["", "output.1 ", "output.1.relative.relative", *NO_SITES.split()])
def test_names_of_no_site_are_refused(name: str) -> None:
    with pytest.raises(geo.errors.SteeringError):
        Site.parse(name)


def test_every_bit_comes_back(tmp_path: Path) -> None:
    rows = torch.tensor([EXTREMES, EXTREMES[::-1]])
    sites = ["input.0", "output.3", "before_norm", "after_norm"]
    parts = {f"{site}{unit}": torch.tensor(EXTREMES) for site in sites for unit in ("", ".relative")}
    # Neither contiguous nor a whole storage.
    parts |= {"input.7": rows, "output.7": torch.stack([rows, rows], dim=-1)[..., 1]}
    parts["output.8"] = torch.tensor(EXTREMES * 2)[::2]
    notes = ("logits are soft-capped at ±30", "", "第二\n行", 'quote " \\ end')
    vector = SteeringVector(parts, "2 × (Ärger − 喜び) ÷ √d 🜂", "llama", notes)
    again = geo.load_vector(geo.save_vector(vector, tmp_path / "v.safetensors"))
    assert again.sites == vector.sites
    for site in vector.sites:
        assert again[site].shape == vector[site].shape
        assert bits(again[site]) == bits(vector[site])
    assert (again.provenance, again.model, again.notes) == (vector.provenance, "llama", notes)


def test_the_file_is_plain_safetensors(tmp_path: Path) -> None:
    vector = SteeringVector(
        {"output.3": torch.tensor([1.5, -2.0]), "after_norm.relative": torch.ones(3, 2)}, "v", "gpt2"
    )
    raw = geo.save_vector(vector, str(tmp_path / "v.safetensors")).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    content = json.loads(raw[8 : 8 + length])
    assert content.pop("__metadata__") == {"format": FORMAT, "provenance": "v", "model": "gpt2", "notes": "[]"}
    assert {name: (entry["dtype"], entry["shape"]) for name, entry in content.items()} == {
        "output.3": ("F32", [2]),
        "after_norm.relative": ("F32", [3, 2]),
    }
    start, stop = content["output.3"]["data_offsets"]
    assert struct.unpack("<2f", raw[8 + length :][start:stop]) == (1.5, -2.0)


def test_a_file_that_calls_the_provenance_made_is_read(tmp_path: Path) -> None:
    record = {"format": FORMAT, "made": "2 × bird", "model": "llama", "notes": '["scaled"]'}
    save_file({"output.3": torch.ones(2)}, tmp_path / "v.safetensors", metadata=record)
    vector = geo.load_vector(tmp_path / "v.safetensors")
    assert (vector.provenance, vector.model, vector.notes) == ("2 × bird", "llama", ("scaled",))


@pytest.mark.parametrize("ending", ["safetensors", "gguf"])
def test_a_saved_file_is_as_readable_as_any_other(tmp_path: Path, ending: str) -> None:
    (tmp_path / "plain").touch()
    path = geo.save_vector(SteeringVector({"output.1": torch.ones(2)}), tmp_path / f"v.{ending}")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_one_tensor_at_several_sites_is_saved(tmp_path: Path) -> None:
    same = torch.tensor([1.0, 2.0])
    vector = SteeringVector({f"output.{block}": same for block in range(3)})
    again = geo.load_vector(geo.save_vector(vector, tmp_path / "v.safetensors"))
    assert [again[f"output.{block}"].tolist() for block in range(3)] == [[1, 2]] * 3


def test_a_loaded_vector_is_its_own(tmp_path: Path) -> None:
    path = geo.save_vector(SteeringVector({"output.0": torch.ones(10_000)}), tmp_path / "v.safetensors")
    vector = geo.load_vector(path)
    with path.open("r+b") as file:
        file.seek(-20_000, 2)
        file.write(bytes(20_000))
    assert float(vector["output.0"].sum()) == 10_000


@pytest.mark.parametrize("ending", ["safetensors", "gguf"])
def test_saving_again_replaces_the_file_and_a_loaded_vector_stays(tmp_path: Path, ending: str) -> None:
    path = geo.save_vector(SteeringVector({"output.1": torch.ones(2)}), tmp_path / f"v.{ending}")
    first = geo.load_vector(path)
    geo.save_vector(3 * first, path)
    assert first["output.1"].tolist() == [1, 1]
    assert geo.load_vector(path)["output.1"].tolist() == [3, 3]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ["safetensors", "gguf"])
def test_a_full_disk_keeps_the_old_file_and_leaves_nothing(tmp_path: Path, ending: str) -> None:
    path = geo.save_vector(SteeringVector({"output.1": torch.ones(2)}), tmp_path / f"v.{ending}")
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(geo.errors.OutputError, match=rf"v\.{ending}: cannot be written"):
            geo.save_vector(SteeringVector({"output.1": torch.ones(200_000)}), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ["safetensors", "gguf"])
def test_places_that_cannot_be_written_are_one_clear_error(tmp_path: Path, ending: str) -> None:
    vector = SteeringVector({"output.1": torch.ones(2)})
    (tmp_path / "file").write_text("kept")
    (tmp_path / f"folder.{ending}").mkdir()
    for path in ("none/v", "file/v", "folder", "x" * 300, "a\0b"):
        with pytest.raises(geo.errors.OutputError, match="cannot be written") as caught:
            geo.save_vector(vector, tmp_path / f"{path}.{ending}")
        assert "\n" not in str(caught.value)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", f"folder.{ending}"]
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("name", ["v", "v.bin", "v.safetensors.bak", ".gguf", "", "v.pt.zip"])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    for attempt in (
        lambda: geo.save_vector(SteeringVector({"output.1": torch.ones(2)}), tmp_path / name),
        lambda: geo.load_vector(tmp_path / name),
    ):
        with pytest.raises(geo.errors.SteeringError, match=r"\.safetensors or \.gguf"):
            attempt()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["json", "pt", "JSON"])
def test_what_is_written_for_servers_is_neither_read_nor_replaced(tmp_path: Path, ending: str) -> None:
    path, vector = tmp_path / f"v.{ending}", SteeringVector({"output.1": torch.ones(2)})
    with pytest.raises(geo.errors.SteeringError, match=rf"v\.{ending}: vectors are read from"):
        geo.load_vector(path)
    held = geo.save_vector(vector, path).read_bytes()
    for attempt in (lambda: geo.load_vector(path), lambda: geo.save_vector(2 * vector, path)):
        with pytest.raises(geo.errors.SteeringError, match=rf"v\.{ending}: (vectors are read|is there already)"):
            attempt()
    assert path.read_bytes() == held
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_header_of_a_size_that_no_vector_has_is_refused(tmp_path: Path) -> None:
    size = (16 << 20) + 1
    with (tmp_path / "large.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", size))
        file.truncate(size + 100)
    with pytest.raises(geo.errors.SteeringError, match=r"large\.safetensors: a header of \d+ bytes"):
        geo.load_vector(tmp_path / "large.safetensors")


@pytest.mark.parametrize("ending", ["safetensors", "gguf"])
def test_files_that_are_missing_empty_or_folders_are_refused(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"folder.{ending}").mkdir()
    (tmp_path / f"empty.{ending}").touch()
    (tmp_path / f"noise.{ending}").write_bytes(np.random.default_rng(0).bytes(5000))
    for name in ("missing", "folder", "empty", "noise"):
        with pytest.raises(geo.errors.SteeringError, match=rf"{name}\.{ending}"):
            geo.load_vector(tmp_path / f"{name}.{ending}")


def test_no_part_of_a_file_is_taken_for_the_whole(tmp_path: Path) -> None:
    path = geo.save_vector(SteeringVector({"output.1": torch.ones(2)}, "v"), tmp_path / "v.safetensors")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(geo.errors.SteeringError, match=r"v\.safetensors"):
            geo.load_vector(path)


def test_safetensors_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for metadata in (None, {"format": "pt"}, {"format": FORMAT.replace("1", "2")}):
        save_file({"output.1": torch.ones(2)}, path, metadata=metadata)
        with pytest.raises(geo.errors.SteeringError, match=r"model\.safetensors: .*not a steering vector"):
            geo.load_vector(path)


@pytest.mark.parametrize("name", ["v.safetensors", "v.gguf"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    for work in (geo.load_vector, lambda path: geo.save_vector(SteeringVector({"output.1": torch.ones(2)}), path)):
        with pytest.raises(geo.GeometryError, match=r"v\.(safetensors|gguf): "):
            work(tmp_path / name)


@pytest.mark.parametrize("name", ["model.safetensors", "model.gguf"])
def test_what_is_no_vector_is_not_replaced(tmp_path: Path, name: str) -> None:
    path, vector = tmp_path / name, SteeringVector({"output.1": torch.ones(2)}, "v")
    geo.save_vector(vector, path)
    geo.save_vector(2 * vector, path)
    (part,) = geo.load_vector(path).parts.values()
    assert torch.equal(part, 2 * torch.ones(2))
    if name.endswith("gguf"):
        path.write_bytes(b"GGUF of a model")
    else:
        save_file({"lm_head.weight": torch.ones(2)}, path, metadata={"format": "pt"})
    held = path.read_bytes()
    with pytest.raises(geo.errors.SteeringError, match=f"{name}: holds something else .* choose another name"):
        geo.save_vector(vector, path)
    assert path.read_bytes() == held


@pytest.mark.parametrize(
    ("content", "data"),
    [
        (header(), b""),
        (header("weight"), bytes(8)),
        (header("output.1", "output.01"), bytes(16)),
        (header(f"output.{'9' * 5000}"), bytes(8)),
        (header("output.1", shape=[1, 1, 2]), bytes(8)),
        (header("output.1", dtype="I32"), bytes(8)),
        (header("output.1"), struct.pack("<2f", 1, float("nan"))),
        (header("output.1", shape=[3]), bytes(8)),
        (header("output.1", dtype="F4", shape=[16]), bytes(8)),
        (header("output.1", notes="{"), bytes(8)),
        (header("output.1", notes="3"), bytes(8)),
        (header("output.1", notes="[" * 100_000), bytes(8)),
        (b"[]", b""),
        (b"", b""),
    ],
    ids=[
        *("nothing", "name", "site twice", "huge block", "three axes", "integers", "nan", "overrun", "four bits"),
        *("notes open", "notes number", "notes deep", "list", "no header"),
    ],
)
def test_hostile_files_are_refused_by_name(tmp_path: Path, content: Any, data: bytes) -> None:
    path = write_by_hand(tmp_path / "hostile.safetensors", content, data)
    with pytest.raises(geo.errors.SteeringError, match=r"hostile\.safetensors") as caught:
        geo.load_vector(path)
    assert "\n" not in str(caught.value)


def test_a_file_written_by_hand_is_read(tmp_path: Path) -> None:
    content = header("output.1", provenance="a − b", model="gpt2", notes='["one", "two"]')
    vector = geo.load_vector(write_by_hand(tmp_path / "v.safetensors", content, struct.pack("<2f", 1, -0.5)))
    assert vector["output.1"].tolist() == [1, -0.5]
    assert (vector.provenance, vector.model, vector.notes) == ("a − b", "gpt2", ("one", "two"))
