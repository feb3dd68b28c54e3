"""What studies of one run share: read, fitted and spelled once, by all that decides it, and let go."""

import gc
import json
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

import geometry as geo
from geometry.cli import main
from geometry.experiments import STUDIES, ClaimsStudy, session
from geometry.experiments.finished import finished
from geometry.experiments.result import SCHEMA
from geometry.experiments.session import Session
from geometry.experiments.study import Step
from geometry.models import Placement
from geometry.version import __version__
from tests.experiments.scripts import nonsense
from tests.experiments.test_study import CountResult, CountStudy

PLACE = Placement()
ONE_MODEL = ("claims", "steering", "maps", "behaviours")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model, _ = nonsense(tmp_path, words=240)
    return str(model)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each model was read, fitted, and its hierarchies made."""
    counted: Counter[str] = Counter()

    def count(owner: Any, name: str) -> None:
        called = getattr(owner, name)

        def counting(*arguments: Any, **options: Any) -> Any:
            counted[name] += 1
            return called(*arguments, **options)

        monkeypatch.setattr(owner, name, counting)

    count(geo.Unembedding, "load")
    count(geo.CausalSpace, "fit")
    count(session, "load_hierarchy")
    return counted


def test_whoever_asks_again_is_given_the_same(own: str, calls: Counter[str]) -> None:
    shared = Session()
    space = shared.space(own, PLACE)
    words = {"all": {"even": ["w0", "w2"], "odd": ["w1", "w3"]}}
    Path("words.json").write_text(json.dumps(words))
    hierarchy = shared.hierarchy("words.json", space.unembedding.vocabulary)
    assert shared.unembedding(own, PLACE) is space.unembedding
    assert shared.space(own, Placement(dtype="float64")) is space
    assert shared.hierarchy("words.json", space.unembedding.vocabulary) is hierarchy
    assert calls == {"load": 1, "fit": 1, "load_hierarchy": 1}
    one, other = shared.cloud(space, hierarchy), shared.cloud(space, hierarchy)
    assert one.points is other.points
    assert one is not other  # or its products would stay
    assert torch.equal(one.points, geo.directions.TokenCloud.of(space, hierarchy).points)


def test_what_decides_the_numbers_is_told_apart(own: str, calls: Counter[str]) -> None:
    shared = Session()
    assert shared.space(own, Placement(dtype="float32")).mean.dtype == torch.float32
    assert shared.space(own, PLACE).mean.dtype == torch.float64
    assert calls == {"load": 1, "fit": 2}
    vocabulary = shared.unembedding(own, PLACE).vocabulary
    restricted = vocabulary.restricted({"w0", "w1", "w2"})
    Path("words.json").write_text(json.dumps({"all": {"even": ["w0", "w2"], "odd": ["w1", "w3"]}}))
    assert shared.hierarchy("words.json", vocabulary) is not shared.hierarchy("words.json", restricted)


def test_what_fails_is_tried_again(own: str) -> None:
    shared, path = Session(), Path("words.yaml")
    vocabulary = shared.unembedding(own, PLACE).vocabulary
    with pytest.raises(geo.errors.HierarchyError, match="no such file"):
        shared.hierarchy(str(path), vocabulary)
    path.write_text("all: {even: [w0, w2], odd: [w1, w3]}")
    assert len(shared.hierarchy(str(path), vocabulary)) == 3


def test_a_whole_model_is_loaded_once_and_what_is_large_makes_room(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Whole:
        pass

    monkeypatch.setattr(session, "load_model", lambda *_, **__: (Whole(), "tokenizer"))
    shared = Session()
    space = shared.space(own, PLACE)
    first = weakref.ref(space.unified)
    assert shared.language_model(own, PLACE) is shared.language_model(own, PLACE)
    gc.collect()
    assert first() is None
    model = weakref.ref(shared.language_model(own, PLACE)[0])
    assert shared.space(own, PLACE) is space
    assert len(space.unified) == len(space.unembedding.rows)  # whitened anew
    shared.language_model(own, Placement(dtype="bfloat16"))
    gc.collect()
    assert model() is None


def test_figures_read_a_model_once_and_run_the_whole_of_it_last(
    own: str, calls: Counter[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def rank(study: CountStudy, step: Step) -> CountResult:
        return CountResult(study=study, counts=[step.session.space(study.model, study.placement).rank])

    for name in ("claims", "steering", "maps"):
        fields = {"name": name, "whole_model": name == "steering", "measure": rank}
        monkeypatch.setitem(STUDIES, name, type("Own", (CountStudy,), fields))
    assert main(["figures", own]) == 0
    assert calls == {"load": 1, "fit": 1}
    said = capsys.readouterr().err.splitlines()
    assert [line.split("] ")[1] for line in said] == ["claims: drawing", "maps: drawing", "steering: drawing"]


def test_studies_of_one_model_have_no_other_way_to_read_it() -> None:
    home = Path(session.__file__).parent
    texts = [path.read_text() for name in ONE_MODEL for path in (home / name).glob("*.py")]
    assert len(texts) > 20
    assert not [call for call in ("Unembedding.load(", "CausalSpace.fit(", "load_model(") if call in "".join(texts)]


def test_to_know_whether_results_are_there_the_model_is_read_for_the_run_too(own: str, calls: Counter[str]) -> None:
    study, shared = ClaimsStudy(model=own), Session()
    known = {"model": {"sha256": "of another"}, "files": {}, "command": study.command, "analysis": "claims"}
    Path("out").mkdir()
    (Path("out") / "results.json").write_text(json.dumps(known | {"schema": SCHEMA, "version": __version__}))
    assert not finished(study, Path("out"), shared)
    shared.unembedding(own, study.placement)
    assert calls == {"load": 1}
