"""The study of training on a model that was trained here: claims rise, runs go on, checkpoints are left out."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import geometry as geo
from analysis import training
from geometry.experiments import TrainingStudy
from geometry.experiments.training.kept import claims_file
from geometry.experiments.training.result import TrainingResult
from tests.experiments import trained
from tests.steering.conftest import _one_thread as _one_thread

FIRST, LAST = f"step{trained.STEPS[0]}", f"step{trained.STEPS[-1]}"
FEW: dict[str, Any] = {"blocks": 0, "claims": ("existence",), "control": "none", "n_permutations": 9, "n_twins": 2}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoints of a training, and the hierarchy that was planted in its sentences."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("runs")
    trained.train(folder)
    trained.write_hierarchy(folder / "planted.yaml")
    return folder


@pytest.fixture(scope="module")
def result(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainingResult]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path_factory.mktemp("cache")))
        options: dict[str, Any] = {"contexts": trained.CONTEXT, "n_concepts": 17, "control": "none", "n_twins": 2}
        yield run(runs, *steps(runs), **options)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's claims are kept."""
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept" / "claims"


def steps(runs: Path) -> list[Path]:
    return [runs / f"step{step}" for step in trained.STEPS]


def run(runs: Path, *models: Path, say: Any = lambda _: None, **options: Any) -> TrainingResult:
    hierarchy = str(runs / "planted.yaml")
    found = TrainingStudy(models=tuple(map(str, models)), hierarchy=hierarchy, **options).run(say)
    assert isinstance(found, TrainingResult)
    return found


def test_claims_rise_with_the_steps_and_are_there_before_the_end(result: TrainingResult) -> None:
    assert result.steps.tolist() == list(trained.STEPS)
    assert list(result.claims) == ["unembedding", "output.0", "output.1"]
    for site in result.claims:
        existence, separation = result.claims[site]["existence"], result.claims[site]["separation"]
        for claim in (existence, separation):
            assert claim.values[-1] > claim.values[0] + 0.3
            assert claim.p_adjusted[0] > 0.05
            assert claim.appears in trained.STEPS[1:]
            assert claim.interval is not None
            assert claim.interval[0] <= claim.appears <= claim.interval[1]
        assert existence.significant[-1]
    assert result.first.tests[trained.STEPS[-1]].verdict == "supported"
    assert "Existence at the unembedding is there at step" in result.summary()[0]
    # One family of four: there is not enough for orthogonality, and it is said so.
    lacking = "Orthogonality-b at the unembedding is not measurable (needs"
    assert any(said.startswith(lacking) for said in result.summary())


def test_twins_stand_beside_the_first_and_the_last_alone(result: TrainingResult) -> None:
    for own in result.claims.values():
        places, means = own["existence"].twins()
        assert places.tolist() == [trained.STEPS[0], trained.STEPS[-1]]
        assert means[-1] > means[0]
        assert all(len(values) == 2 for values in own["existence"].tests[trained.STEPS[-1]].twins.values())


def test_depth_in_the_tree_is_compared_with_the_step_of_appearance(result: TrainingResult) -> None:
    assert list(result.depths) == ["unembedding", "output.1"]
    for depths in result.depths.values():
        assert [depth.name for depth in depths] == ["existence", "separation"]
        assert all(0 <= place < len(trained.STEPS) for place in depths[0].appears.values())
        assert len(depths[0].means) == 2  # kinds, and kinds below; there is one root


def test_what_is_written_says_how_to_repeat_it(result: TrainingResult, tmp_path: Path) -> None:
    folder = result.write(tmp_path / "out")
    names = {f"{name}.{end}" for name in ("claims", "blocks", "heatmap", "depth") for end in ("png", "svg")}
    assert {path.name for path in folder.iterdir()} == names | {"results.json", "results.npz"}
    content = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert content["command"].startswith(f"concept-geometry run training {result.study.models[0]} ")
    assert [each["step"] for each in content["results"]["checkpoints"]] == list(trained.STEPS)
    assert len({each["sha256"] for each in content["results"]["checkpoints"]}) == len(trained.STEPS)
    existence = content["results"]["sites"]["output.1"]["existence"]
    assert len(existence["values"]) == len(existence["permuted"]) == len(trained.STEPS)
    assert existence["exact_twin"].keys() == {FIRST.removeprefix("step"), LAST.removeprefix("step")}
    with np.load(folder / "results.npz", allow_pickle=False) as arrays:
        assert arrays["unembedding:existence:values"].shape == (5, len(arrays["unembedding:existence:labels"]))
    for spec in result.figures():
        assert len(spec.title) < 260
        assert len(spec.caption) < 420


def test_step_0_stands_at_the_left_of_a_logarithmic_axis_by_its_name(result: TrainingResult) -> None:
    axes = result.figures()[0].figure().axes[0]
    assert axes.get_xscale() == "log"
    ticks = dict(zip((label.get_text() for label in axes.get_xticklabels()), axes.get_xticks(), strict=True))
    assert 0 < ticks["0"] < trained.STEPS[1]
    assert all(float(name) == pytest.approx(place) for name, place in ticks.items() if name != "0")
    assert len(ticks) > 2
    assert np.min(axes.lines[0].get_xdata()) == ticks["0"]


class KilledError(Exception):
    pass


def test_a_killed_run_goes_on_where_it_was(runs: Path, kept: Path) -> None:
    whole = run(runs, *steps(runs)[:3], **FEW)
    shutil.rmtree(kept)
    said: list[str] = []

    def kill(text: str) -> None:
        if text.startswith("step 5: testing"):  # the ends come first
            raise KilledError

    with pytest.raises(KilledError):
        run(runs, *steps(runs)[:3], say=kill, **FEW)
    assert len(list(kept.iterdir())) == 2
    again = run(runs, *steps(runs)[:3], say=said.append, **FEW)
    assert [text for text in said if "taken" in text] == [f"step {at}: taken from the cache" for at in (0, 20)]
    assert len([text for text in said if "testing 1 claims" in text]) == 1
    assert again.to_dict() == whole.to_dict()
    np.testing.assert_equal(again.arrays(), whole.arrays())


def test_a_damaged_file_is_measured_again(runs: Path, kept: Path) -> None:
    first = run(runs, *steps(runs)[:2], **FEW)
    for path in kept.iterdir():
        path.write_bytes(path.read_bytes()[:-9] + b"-" * 9)
    said: list[str] = []
    again = run(runs, *steps(runs)[:2], say=said.append, **FEW)
    assert not [text for text in said if "taken" in text]
    assert again.to_dict() == first.to_dict()


def test_a_checkpoint_added_later_leaves_the_others_as_they_were(runs: Path, kept: Path) -> None:
    first = run(runs, runs / "step0", runs / "step20", **FEW)
    said: list[str] = []
    more = run(runs, *steps(runs)[:4], say=said.append, **FEW)
    # Step 20 was the last and has twins, which do no harm in the middle.
    assert [text for text in said if "taken" in text] == [f"step {at}: taken from the cache" for at in (0, 20)]
    before, after = (each.claims["unembedding"]["existence"] for each in (first, more))
    np.testing.assert_equal(before.tests[20].values, after.tests[20].values)
    other = run(runs, runs / "step0", runs / "step20", say=said.append, seed=1, **FEW)
    assert other.claims["unembedding"]["existence"].nulls[0] != before.nulls[0]


def test_runs_are_repeated_by_their_seed(runs: Path, kept: Path) -> None:
    once = run(runs, *steps(runs)[:2], seed=3, **FEW)
    shutil.rmtree(kept)
    again = run(runs, *steps(runs)[:2], seed=3, **FEW)
    np.testing.assert_equal(once.to_dict(), again.to_dict())  # nan is nan


def test_weights_of_blocks_decide_what_is_kept_where_blocks_are_read(runs: Path, tmp_path: Path, kept: Path) -> None:
    model = Path(shutil.copytree(runs / LAST, tmp_path / "step7"))
    unembedding = geo.Unembedding.load(model)

    def name(**options: Any) -> str:
        study = TrainingStudy(hierarchy=str(runs / "planted.yaml"), **options)
        return claims_file(study, str(model), unembedding, unembedding.sha256, 2).path.name

    before = name(blocks=1), name(blocks=0)
    weights = load_file(model / "model.safetensors")
    weights["model.layers.0.mlp.down_proj.weight"] *= 2
    save_file(weights, model / "model.safetensors", {"format": "pt"})
    assert name(blocks=1) != before[0]
    assert name(blocks=0) == before[1]
    assert name(blocks=0, n_permutations=9) != before[1]
    (runs / "planted.yaml").write_text((runs / "planted.yaml").read_text() + "# other\n")
    assert name(blocks=0) != before[1]


def no_model(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def not_finite(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"][300] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def another_width(folder: Path) -> None:
    trained.build(trained.tokenizer(), hidden_size=16).save_pretrained(folder)


def other_words(folder: Path) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    entries = content["model"]["vocab"]
    first, second = (f"Ġ{word}" for word in next(iter(trained.words().values()))[:2])
    entries[first], entries[second] = entries[second], entries[first]
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (no_model, "model.safetensors"),
        (cut_short, ""),
        (not_finite, "NaN or infinite"),
        (another_width, "is of width 16, and step0 of 32; checkpoints are of one model"),
        (other_words, "its vocabulary is another than that of step0"),
    ],
    ids=["no model", "cut short", "not finite", "another width", "other words"],
)
def test_one_that_cannot_be_measured_is_left_out_with_its_reason(
    runs: Path, tmp_path: Path, kept: Path, capsys: pytest.CaptureFixture[str], change: Any, complaint: str
) -> None:
    broken = Path(shutil.copytree(runs / "step5", tmp_path / "step10"))
    change(broken)
    found = run(runs, runs / "step0", broken, runs / "step20", **FEW)
    assert found.steps.tolist() == [0, 20]
    ((model, reason),) = found.left_out.items()
    assert model == str(broken)
    assert complaint in reason
    assert any(said.startswith(f"{broken} is left out: ") for said in found.summary())
    # With it alone beside the first there is nothing to follow.
    options = ["--hierarchy", str(runs / "planted.yaml"), "--blocks", "0", "--control", "none", "--claims", "existence"]
    arguments = [str(runs / "step0"), str(broken), *options, "--n-permutations", "9", "--out", str(tmp_path / "out")]
    assert geo.cli.script(TrainingStudy, training.main, training.__doc__, arguments) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: one of 2 checkpoints can be measured: {broken}: ")
    assert not (tmp_path / "out").exists()


def test_when_all_fail_the_reasons_are_said(runs: Path, tmp_path: Path, kept: Path) -> None:
    models = [tmp_path / f"step{number}" for number in range(5)]
    with pytest.raises(geo.errors.ModelError, match=r"none of 5 checkpoints can be measured: .*; and 2 more$"):
        run(runs, *models, **FEW)


def test_the_ends_are_those_that_can_be_read(runs: Path, tmp_path: Path, kept: Path) -> None:
    found = run(runs, runs / "step0", runs / "step5", tmp_path / "step99", **FEW)
    assert found.claims["unembedding"]["existence"].twins()[0].tolist() == [0, 5]


def test_one_and_the_same_weights_are_told(runs: Path, tmp_path: Path, kept: Path) -> None:
    same = Path(shutil.copytree(runs / "step5", tmp_path / "step6"))
    found = run(runs, runs / "step0", runs / "step5", same, **FEW)
    assert found.notes == ["Steps 5, 6 have one and the same unembedding"]
    assert "Steps 5, 6 have one and the same unembedding." in found.summary()


def test_the_unembedding_alone_needs_no_whole_model(runs: Path, tmp_path: Path, kept: Path) -> None:
    models = []
    for name in ("step0", "step20"):
        models.append(Path(shutil.copytree(runs / name, tmp_path / name)))
        weights = load_file(models[-1] / "model.safetensors")
        save_file({"lm_head.weight": weights["lm_head.weight"]}, models[-1] / "model.safetensors", {"format": "pt"})
    found = run(runs, *models, **FEW)
    assert list(found.claims) == ["unembedding"]
    assert [spec.name for spec in found.figures()] == ["claims", "depth"]
    assert not found.left_out


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"claims": ("nonsense",)}, "no claim is called 'nonsense'"),
        ({"contexts": "no gap", "blocks": 1}, "no gap"),
        ({"control": "smollm2-135m"}, "control smollm2-135m: not word vectors"),
        ({"hierarchy": "nowhere.yaml"}, "nowhere.yaml"),
    ],
    ids=["claim", "contexts", "control", "hierarchy"],
)
def test_bad_settings_are_refused_before_a_checkpoint_is_read(
    runs: Path, kept: Path, options: dict[str, Any], complaint: str
) -> None:
    said: list[str] = []
    given: dict[str, Any] = {**FEW, "hierarchy": str(runs / "planted.yaml"), **options}
    with pytest.raises(geo.errors.GeometryError, match=complaint):
        TrainingStudy(models=("a/step1", "a/step2"), **given).run(said.append)
    assert not [text for text in said if "reading" in text]
