"""Files as AISteer360 0.3.0 writes them, written here by hand from its source."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

import geometry as geo

FIRST, SECOND = [0.1, -2.5, 1e-20], [3.0, 0.0, 0.25]


def write(path: Path, directions: Any, **more: Any) -> Path:
    path.write_text(json.dumps({"model_type": "llama", "directions": directions, **more}))
    return path


def test_directions_are_at_the_outputs_of_blocks_counted_from_0(tmp_path: Path) -> None:
    written = write(tmp_path / "kind.svec", {"0": [FIRST], "11": [SECOND]}, explained_variances={"0": 0.5, "11": 0.4})
    vector = geo.load_vector(written)
    assert [str(site) for site in vector.sites] == ["output.0", "output.11"]
    assert torch.equal(vector["output.0"], torch.tensor(FIRST))
    assert torch.equal(vector["output.11"], torch.tensor(SECOND))
    assert (vector.provenance, vector.model, vector.bos) == ("kind", "llama", None)


def test_of_several_layers_a_note_says_how_to_take_one(tmp_path: Path) -> None:
    vector = geo.load_vector(write(tmp_path / "v.svec", {str(layer): [FIRST] for layer in range(4)}))
    (note,) = vector.notes
    assert "SteeringVector({2: vector[2]})" in note
    assert geo.SteeringVector({2: vector[2]}).sites == (geo.Site("output", 2),)
    assert geo.load_vector(write(tmp_path / "one.svec", {"3": [FIRST]})).notes == ()


@pytest.mark.parametrize(("first", "bos"), [([0.0, 0.0, 0.0], True), ([0.0, 0.0, 1.0], None)])
def test_several_directions_of_a_layer_are_rows(tmp_path: Path, first: list[float], bos: bool | None) -> None:
    vector = geo.load_vector(write(tmp_path / "v.svec", {"6": [first, FIRST, SECOND]}))
    assert torch.equal(vector["output.6"], torch.tensor([first, FIRST, SECOND]))
    assert vector.bos is bos
    assert "to its input, from the second token on" in vector.notes[0]


def test_old_files_have_one_list_a_layer_and_a_model_may_be_unknown(tmp_path: Path) -> None:
    vector = geo.load_vector(write(tmp_path / "V.SVEC", {"2": FIRST}, model_type="unknown"))
    assert torch.equal(vector["output.2"], torch.tensor(FIRST))
    assert vector.model == ""


HOSTILE: dict[str, tuple[Any, str]] = {
    "another field": ({"location": "layer_input"}, "unknown field 'location'"),
    "heads": ({"num_heads": 2, "head_dim": 3}, "attention heads"),
    "planes": ({"directions": {"1": [[1, 0, 0], [0, 1, 0]], "2": [[0.6, 0.8, 0], [-0.8, 0.6, 0]]}}, "planes to rotate"),
    "no directions": ({"directions": {}}, "one site at least"),
    "directions in a list": ({"directions": [FIRST]}, "not a steering vector of AISteer360"),
    "negative layer": ({"directions": {"-1": [FIRST]}}, "'-1' is no layer"),
    "layer with a zero before it": ({"directions": {"1": [FIRST], "01": [FIRST]}}, "'01' is no layer"),
    "huge layer": ({"directions": {"9" * 5000: [FIRST]}}, "is no layer"),
    "widths": ({"directions": {"1": [FIRST], "2": [[1.0]]}}, "different widths"),
    "ragged": ({"directions": {"1": [FIRST, [1.0]]}}, "different lengths"),
    "nothing in it": ({"directions": {"1": []}}, "a part has shape"),
    "empty row": ({"directions": {"1": [[]]}}, "a part has shape"),
    "deep": ({"directions": {"1": [[FIRST]]}}, "lists of numbers"),
    "texts": ({"directions": {"1": [["1.0", "2"]]}}, "lists of numbers"),
    "truth": ({"directions": {"1": [[True, 1.0]]}}, "lists of numbers"),
    "null": ({"directions": {"1": None}}, "lists of numbers"),
    "not finite": ({"directions": {"1": [[float("nan"), 1.0]]}}, "NaN or infinite"),
    "too large": ({"directions": {"1": [[1e39, 1.0]]}}, "NaN or infinite"),
    "integer of a thousand digits": ({"directions": {"1": [[10**1000, 1]]}}, "not a readable"),
    "model": ({"model_type": 3}, "model_type"),
}


@pytest.mark.parametrize(("change", "complaint"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_by_name(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    path = write(tmp_path / "hostile.svec", **{"directions": {"1": [FIRST]}, **change})
    with pytest.raises(geo.errors.SteeringError, match=rf"^\S*hostile\.svec: .*{complaint}") as caught:
        geo.load_vector(path)
    assert "\n" not in str(caught.value)


TEXTS = {
    "names twice": b'{"model_type": "a", "directions": {"1": [1], "1": [2]}}',
    "nested": b'{"directions": ' + b"[" * 100_000,
    "numbers": b"[" + b"1," * 100_000 + b"1]",
    "bytes": b"\xff\xfe\xff",
    "empty": b"",
    "many digits": b'{"model_type": "a", "directions": {"1": [' + b"1" * 5000 + b"]}}",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_texts_that_are_no_such_json_are_refused_by_name(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "hostile.svec").write_bytes(text)
    with pytest.raises(geo.errors.SteeringError, match=r"hostile\.svec") as caught:
        geo.load_vector(tmp_path / "hostile.svec")
    assert "\n" not in str(caught.value)


def test_no_part_of_a_file_is_taken_for_the_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "v.svec", {"1": [FIRST]})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(geo.errors.SteeringError, match=r"v\.svec"):
            geo.load_vector(path)


def test_files_that_are_too_large_missing_or_none_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "large.svec").open("wb") as file:
        file.truncate((64 << 20) + 1)
    (tmp_path / "folder.svec").mkdir()
    os.mkfifo(tmp_path / "pipe.svec")
    for name in ("large", "missing", "folder", "pipe"):
        with pytest.raises(geo.errors.SteeringError, match=rf"{name}\.svec"):
            geo.load_vector(tmp_path / f"{name}.svec")
