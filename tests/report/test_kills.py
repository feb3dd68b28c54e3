"""Reports that are ended at any step, and studies that were: a whole page or the old one, of whole results."""

import signal
from pathlib import Path

import pytest

import geometry as geo
from geometry.output import OutputFolder
from geometry.report import page as page_module
from geometry.report import read_studies, report_page, write_report
from tests.killed import done, points, started, was_ended_by
from tests.report.test_report import Read, put

WRITE = """
from geometry.report import write_report
write_report({folder!r})
steps = begin()
write_report({folder!r})
print(steps())
"""


def code(folder: Path) -> str:
    return WRITE.format(folder=str(folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return put(put(tmp_path / "m", "claims", "overview"), "maps", "vocabulary")


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> int:
    folder = put(put(tmp_path_factory.mktemp("count") / "m", "claims", "overview"), "maps", "vocabulary")
    return int(done(started(code(folder)))[1])


@pytest.mark.parametrize(("number", "share"), points(seed=76))
def test_an_ended_report_leaves_a_whole_page(folder: Path, steps: int, number: signal.Signals, share: float) -> None:
    whole = write_report(folder).read_bytes()
    # It is the second page that is ended: the one before it is there.
    status, _, errors = done(started(code(folder), 1 + int(share * steps), number))
    assert was_ended_by(number, status, errors), errors
    assert (folder / "index.html").read_bytes() == whole
    if number == signal.SIGKILL:
        write_report(folder)
    assert {path.name for path in folder.iterdir()} == {"claims", "maps", "index.html"}


@pytest.mark.parametrize(("number", "share"), points(seed=81, of_each=6))
def test_of_two_reports_at_once_one_may_be_ended(
    folder: Path, steps: int, number: signal.Signals, share: float
) -> None:
    one, other = started(code(folder), 1 + int(share * steps), number), started(code(folder))
    assert done(other)[0] == 0
    done(one)
    write_report(folder)
    assert "Figure 2, vocabulary." in Read((folder / "index.html").read_text(encoding="utf-8")).said
    assert {path.name for path in folder.iterdir()} == {"claims", "maps", "index.html"}


def test_it_finishes_what_a_killed_study_had_begun_to_publish(folder: Path) -> None:
    claims = folder / "claims"
    put(folder.parent / "new", "claims", "existence")
    (folder.parent / "new" / "claims").rename(claims / ".publishing")
    (claims / ".publishing" / "existence.png").replace(claims / "existence.png")
    (claims / ".lock").write_text("")
    shown = {study.name: [figure.png.stem for figure in study.figures] for study in read_studies(folder)}
    assert shown == {"claims": ["existence"], "maps": ["vocabulary"]}
    assert "overview" not in Read(report_page(folder)).said
    names = {path.name for path in claims.iterdir()}
    assert names == {"existence.png", "existence.svg", "generations.html", "graph.graphml", "results.json"}


def test_it_passes_by_what_a_study_has_not_finished(folder: Path) -> None:
    with OutputFolder(folder / "claims") as output, OutputFolder(folder / "steering") as other:
        output.json("results", {"schema": 2})
        other.json("results", {"schema": 2})
        said = Read(report_page(folder)).said
        assert "overview." in said
        assert "Steering" not in said


def test_it_is_read_anew_where_a_study_ends_meanwhile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, pages = page_module.read_studies, []

    def and_then_one_ends(folder: Path) -> object:
        pages.append(read(folder))
        if len(pages) == 1:
            put(folder, "claims", "existence")
        return pages[-1]

    monkeypatch.setattr(page_module, "read_studies", and_then_one_ends)
    said = Read(report_page(folder)).said
    assert len(pages) == 2
    assert "existence." in said
    assert "overview." not in said

    def and_then_another(folder: Path) -> object:
        put(folder, "claims", "existence")
        return read(folder)

    monkeypatch.setattr(page_module, "read_studies", and_then_another)
    with pytest.raises(geo.errors.OutputError, match="its results are being replaced; run the report again"):
        report_page(folder)


def test_results_that_cannot_be_finished_are_one_line(folder: Path) -> None:
    claims = folder / "claims"
    (claims / ".publishing").mkdir()
    (claims / ".publishing" / "a.png").write_text("")
    (claims / "a.png").mkdir()
    with pytest.raises(geo.errors.OutputError, match=r"a\.png: a folder stands where a result should go; remove it"):
        report_page(folder)
