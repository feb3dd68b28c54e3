"""What a study is: options that are checked, a command that repeats it, a result that is written whole."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from matplotlib.figure import Figure

import geometry as geo
from geometry.experiments import STUDIES, FigureSpec, ModelStudy, StudyResult, TableSpec, option
from geometry.experiments.study import Step


def blank(*, title: str, caption: str) -> Figure:
    return Figure((1, 1), label=title + caption)


@dataclass(frozen=True, kw_only=True)
class CountStudy(ModelStudy):
    name = "count"
    question = "How many?"
    quick = MappingProxyType({"times": 2})
    times: int = option(5, "how often", least=1)
    kinds: tuple[str, ...] = option(("a", "b"), "which kinds")
    pair: tuple[str, ...] = option(("x", "y"), "a pair", count=2)
    way: str = option("up", "which way", choices=("up", "down"))
    loud: bool = option(False, "say it loudly")

    def measure(self, step: Step) -> "CountResult":
        step("counting")
        return CountResult(study=self, model={"name": self.model}, counts=list(range(self.times)))


@dataclass(frozen=True, eq=False, kw_only=True)
class CountResult(StudyResult):
    counts: list[int]

    def summary(self) -> list[str]:
        return [f"Counted {len(self.counts)}."]

    def to_dict(self) -> dict[str, Any]:
        return {"counts": self.counts}

    def figures(self) -> list[FigureSpec]:
        return [FigureSpec("counts", "It counts", "Counts.", blank)]

    def tables(self) -> list[TableSpec]:
        return [TableSpec("Counts", ["what", "n"], [["all", str(len(self.counts))]])]


def test_options_are_checked_where_they_are_given() -> None:
    assert CountStudy(kinds=["c"]).kinds == ("c",)
    assert CountStudy(kinds="c").kinds == ("c",)
    assert CountStudy(model=Path("a b.gguf")).command == "concept-geometry run count 'a b.gguf'"
    for options, complaint in (
        ({"times": 0}, "times must be a whole number of at least 1, not 0"),
        ({"times": 2.5}, "times must be a whole number"),
        ({"times": True}, "times must be a whole number"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"seed": 2**31}, "seed must be below 2"),
        ({"way": "sideways"}, "way must be one of up, down, not 'sideways'"),
        ({"pair": ("x",)}, "pair takes 2 values, not 1"),
    ):
        with pytest.raises(geo.errors.EstimationError, match=complaint):
            CountStudy(**options)


def test_the_command_repeats_the_run() -> None:
    assert CountStudy().command == "concept-geometry run count smollm2-135m"
    study = CountStudy(model="my model", times=3, kinds=("a", "c d"), loud=True, seed=4)
    assert study.command == "concept-geometry run count 'my model' --seed 4 --times 3 --kinds a 'c d' --loud"


def test_results_are_written_in_one_schema(tmp_path: Path) -> None:
    steps: list[str] = []
    result = CountStudy(times=2).run(steps.append)
    assert steps == ["counting"]
    assert result.seconds > 0
    assert result.write(tmp_path / "out") == tmp_path / "out"
    content = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert content["schema"] == 2
    assert content["analysis"] == "count"
    assert content["settings"] == {
        "seed": 0, "device": "cpu", "dtype": "mixed",
        "times": 2, "kinds": ["a", "b"], "pair": ["x", "y"], "way": "up", "loud": False
    }  # fmt: skip
    assert content["results"] == {"counts": [0, 1]}
    assert content["summary"] == ["Counted 2."]
    assert content["tables"] == [{"title": "Counts", "head": ["what", "n"], "rows": [["all", "2"]], "caption": ""}]
    assert "all   2" in str(result)


def test_figures_are_given_their_title_and_caption_once() -> None:
    def draw(*, title: str, caption: str) -> Figure:
        figure = Figure()
        figure.set_label(f"{title}|{caption}")
        return figure

    assert FigureSpec("name", "It counts", "Counts.", draw).figure().get_label() == "It counts|Counts."


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_asks_a_question_and_has_a_quick_look(name: str) -> None:
    study = STUDIES[name]()
    assert study.name == name
    assert study.question.endswith("?")
    assert study.folder.parts[0] == "figures"
    type(study)(**{**study.quick})
