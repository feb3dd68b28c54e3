"""The script for a GPU runs, here on a CPU and on a made-up device, and keeps what it has measured."""

import json
from pathlib import Path

import pytest
import torch

import geometry as geo
from analysis import gpu
from geometry.experiments.benchmark.gpu import _head
from geometry.experiments.benchmark.synthetic import Head
from tests.elsewhere import DEVICE, Elsewhere, elsewhere
from tests.steering import tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tiny.build("llama").save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


def results(folder: Path) -> dict[str, dict[str, object]]:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))["results"]


def test_its_parts_are_measured_printed_and_written(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = ["overhead", "head-2048", "head-8192"]
    assert gpu.main([str(model), "--device", "cpu", "--quick", "--parts", *parts, "--out", str(tmp_path)]) == 0
    found, said = results(tmp_path), capsys.readouterr().out
    assert list(found) == parts
    for name in parts:
        assert not found[name]["failed"]
        assert all(each["value"] > 0 for each in found[name]["measurements"])
        assert said.count(f"{name}: ") == len(found[name]["measurements"])
    for batch in (1, 8, 64):
        assert f"steered at all blocks, batch of {batch}: " in said
    heads = {each["measured"] for each in found["head-8192"]["measurements"]}
    assert {"fit of Σ", "all 13 concept vectors", "one permutation of all claims", "bare float32 product"} <= heads
    assert {each["unit"] for each in found["head-2048"]["measurements"]} == {"s", "TFLOP/s"}


def test_what_fails_or_does_not_fit_is_recorded_and_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--device", "cpu", "--quick", "--parts", "overhead", "head-2048", "--out", str(tmp_path)]
    (empty := tmp_path / "empty").mkdir()
    assert gpu.main([str(empty), *options]) == 2
    found = results(tmp_path)
    assert str(found["overhead"]["failed"]).startswith("ModelError: ")
    assert found["head-2048"]["measurements"]
    assert gpu.main([*options, "--minutes", "0.001"]) == 2
    assert {part["failed"] for part in results(tmp_path).values()} == {"not begun: 0 s were left"}
    assert capsys.readouterr().err.count("\n") == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_card_it_says_so_and_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--out", str(tmp_path / "new")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: device 'cuda' cannot be computed on")
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()
    for wrong in (["--minutes", "0"], ["--parts", "none"]):
        with pytest.raises(SystemExit, match="2"):
            gpu.main(wrong)
    with pytest.raises(geo.GeometryError, match="parts must be among overhead, "):
        geo.experiments.run_gpu_benchmark(tmp_path, parts=["none"], device="cpu")


def test_heads_stay_on_the_device_that_they_are_made_on() -> None:
    head = Head(600, 16)
    with elsewhere():
        assert isinstance(head.matrix(DEVICE), Elsewhere)
        there = [each.measured for each in _head(head, str(DEVICE))]
    assert there == [each.measured for each in _head(head, "cpu")]
    assert torch.equal(head.matrix(), head.matrix())


@pytest.mark.long
def test_the_studies_of_a_model_are_timed(tmp_path: Path) -> None:
    (part,) = geo.experiments.run_gpu_benchmark(tmp_path, "stories15m", parts=["maps"], device="cpu", quick=True)
    assert [each.unit for each in part.measurements] == ["s"]
