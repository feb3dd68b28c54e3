"""The figures and the page of the study, drawn from a run on a small random GPT-2."""

import json
from pathlib import Path

import pytest

from geometry.experiments import ActAddStudy
from geometry.experiments.actadd.result import ActAddResult
from tests.experiments.actadd_models import SMALL, needs_gpt2, random_gpt2

pytestmark = [pytest.mark.long, needs_gpt2]
TEXT = "She said <script>alert(1)</script> and they were married by the sea."


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[ActAddResult, Path]:
    folder = random_gpt2(tmp_path_factory.mktemp("gpt2") / "random-gpt2")
    result = ActAddStudy(model=str(folder), text=TEXT, **SMALL).run()
    assert isinstance(result, ActAddResult)
    return result, result.write(tmp_path_factory.mktemp("out") / "actadd")


def test_every_figure_is_there_and_says_what_results_say(written: tuple[ActAddResult, Path]) -> None:
    result, folder = written
    content = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    names = [figure["name"] for figure in content["figures"]]
    assert {path.stem for path in folder.glob("*.png")} == set(names) == {path.stem for path in folder.glob("*.svg")}
    assert len(names) == 9
    assert content["summary"] == result.summary()
    assert [page["name"] for page in content["pages"]] == ["actadd.html"]
    assert all("nan" not in figure["title"] for figure in content["figures"])


def test_the_page_reads_from_top_to_bottom_and_escapes_texts(written: tuple[ActAddResult, Path]) -> None:
    result, folder = written
    page = (folder / "actadd.html").read_text(encoding="utf-8")
    headings = ["In short", "What is added", "One prompt", "Texts on topic and off it", "By block and by coefficient"]
    headings += ["Token by token", "What is written", "Huge, alone, several at once"]
    places = [page.index(f"<h2>{heading}</h2>") for heading in headings]
    assert places == sorted(places)
    assert page.count('<figure class="scored">') == 2 * len(result.shown) == 6
    assert "<script" not in page
    assert page.count("data:image/png;base64,") == 8
    assert result.summary()[0].split("(")[0].split("'")[-1] in page


def test_two_runs_give_the_same_numbers(written: tuple[ActAddResult, Path]) -> None:
    result, _ = written
    again = ActAddStudy(model=result.study.model, text=TEXT, **SMALL).run()
    assert again.to_dict() == result.to_dict()
