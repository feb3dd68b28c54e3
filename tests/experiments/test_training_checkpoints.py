"""Which checkpoints there are and at which steps: ranges, names, order, and what is refused before any work."""

from pathlib import Path
from typing import Any

import pytest

import geometry as geo
from geometry.experiments import TrainingStudy
from geometry.experiments.training.checkpoints import checkpoints_of, steps_of

PYTHIA = ("0", "1", "2", "4", "8", "16", "32", "64", "128", "256", "512", "1000:143000:1000")


def test_the_154_of_pythia_are_one_command() -> None:
    study = TrainingStudy(models=("EleutherAI/pythia-160m",), steps=PYTHIA)
    found = study.checkpoints
    assert len(found) == 154
    assert [found[0].model, found[-1].model] == ["EleutherAI/pythia-160m@step0", "EleutherAI/pythia-160m@step143000"]
    assert study.command.endswith("training EleutherAI/pythia-160m --steps " + " ".join(PYTHIA))


def test_ranges_include_their_last_step_and_count_once_where_they_meet() -> None:
    assert steps_of(["10:30:10", "30:31", "4", "30"]) == [4, 10, 20, 30, 31]
    assert steps_of(["1:10:4"]) == [1, 5, 9]
    assert steps_of([]) == []


def test_a_revision_has_the_name_that_was_told() -> None:
    found = checkpoints_of(["lab/tiny"], ["1", "2"], "iter_{}")
    assert [each.model for each in found] == ["lab/tiny@iter_1", "lab/tiny@iter_2"]


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("lab/tiny@step1000", 1000),
        ("lab/tiny@step7000-tokens29B", 7000),
        ("lab/tiny@0", 0),
        ("runs/checkpoint-20", 20),
        ("runs/global_step7", 7),
        ("runs/0040", 40),
        ("runs/step3/model.safetensors", 3),
        ("runs/step12.gguf", 12),
        ("~/runs/ckpt_5/", 5),
    ],
)
def test_names_say_the_step(name: str, step: int) -> None:
    found = {each.model: each.step for each in checkpoints_of([name, "other/step999"])}
    assert found[name] == step


def test_they_are_sorted_and_one_named_twice_counts_once() -> None:
    names = ["lab/tiny@step20", "lab/tiny@step3", "lab/tiny@step20", "lab/tiny@step100"]
    assert [each.step for each in checkpoints_of(names)] == [3, 20, 100]


def test_names_without_a_step_are_in_the_order_given() -> None:
    found = checkpoints_of(["lab/early", "lab/late-7b", "lab/limiter5"])
    assert [(each.model, each.step) for each in found] == [("lab/early", 1), ("lab/late-7b", 2), ("lab/limiter5", 3)]


@pytest.mark.parametrize(
    ("models", "options", "complaint"),
    [
        ((), {}, "there are no checkpoints; name two or more"),
        (("lab/tiny@step1",), {}, "lab/tiny@step1 alone is no training; the study of layers is of one model"),
        (("lab/tiny@step1", "lab/tiny@step1"), {}, "alone is no training"),
        (("lab/tiny@step1", "runs/step1"), {}, "lab/tiny@step1 and runs/step1 are both of step 1"),
        (("lab/tiny@step1", "lab/tiny@main"), {}, "lab/tiny@main: its name says no step, others' do"),
        (("lab/tiny",), {"steps": ("5",)}, "alone is no training"),
        (("lab/tiny", "lab/other"), {"steps": ("1", "2")}, "revisions of one hub id, and 2 models are named"),
        (("lab/tiny@main",), {"steps": ("1", "2")}, "of a hub id, owner/name; of folders name each"),
        (("tiny",), {"steps": ("1", "2")}, "of a hub id, owner/name"),
        (("lab/tiny",), {"steps": ("1", "2"), "revision": "step"}, "write the place of the step as {}, once"),
    ],
    ids=range(10),
)
def test_what_is_no_training_is_refused(models: Any, options: Any, complaint: str) -> None:
    with pytest.raises(geo.errors.EstimationError) as error:
        TrainingStudy(models=models, **options).run()
    assert complaint in str(error.value)


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "1:2:3:4", "10:1", "1:5:0", "", "٣", "1:1000000", "9" * 20])
def test_a_step_that_is_no_number_is_refused_at_once(text: str) -> None:
    with pytest.raises(geo.errors.EstimationError, match=r"^steps: "):
        TrainingStudy(models=("lab/tiny",), steps=("1", text))


def test_steps_of_a_folder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(geo.errors.EstimationError, match="of folders name each, as runs"):
        TrainingStudy(models=("runs/mine",), steps=("1", "2")).run()


def test_the_console_says_it_in_a_line_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    for more in ([], ["lab/tiny@step1"], ["lab/tiny", "--steps", "1", "x"]):
        assert geo.cli.main(["run", "training", *more, "--out", str(out)]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
        assert not out.exists()


def test_blocks_are_evenly_spaced_and_end_with_the_last() -> None:
    study = TrainingStudy(blocks=4)
    assert study.read_at(30) == [7, 14, 21, 29]
    assert study.read_at(12) == [2, 5, 8, 11]
    assert study.read_at(2) == [0, 1]
    assert TrainingStudy(blocks=0).read_at(12) == []
