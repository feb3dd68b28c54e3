"""The site is built without a warning, and its tutorials are notebooks that a reader sees in full."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = sorted(path.stem for path in (ROOT / "docs" / "tutorials").glob("*.md"))
SCREEN = 40  # lines or rows
WIDEST = 200  # characters of a line
SPILLED = re.compile(r"Warning\b|IProgress|Traceback|ipywidgets|Loading weights|Converting and de-quantizing", re.I)
# Of what `make site` promises a reader.
PAGES = ["index", "glossary", "families", "gallery", "how-to", "genindex", "api/geometry", "api/steering"]


@pytest.fixture(scope="module", params=["tests.docs.one_kernel", pytest.param("sphinx", marks=pytest.mark.long)])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with all tutorials in one kernel, which is quicker; in the long run also as `make site` does."""
    folder = tmp_path_factory.mktemp("site") / "html"
    command = [sys.executable, "-m", request.param, "-W", "--keep-going", "-q", "-b", "html"]
    command += [str(ROOT / "docs"), str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not built.returncode, built.stderr[-5000:]
    return folder


@pytest.fixture(scope="module")
def notebooks(site: Path) -> dict[str, list[Any]]:
    """Tutorial → its code cells, as they were run for the site."""
    paths = sorted((site.parent / "jupyter_execute" / "tutorials").glob("*.ipynb"))
    read = {path.stem: nbformat.read(path, as_version=4) for path in paths}
    return {name: [cell for cell in notebook.cells if cell.cell_type == "code"] for name, notebook in read.items()}


def outputs(cells: list[Any]) -> list[Any]:
    return [output for cell in cells for output in cell.outputs]


def texts(cells: list[Any]) -> list[str]:
    """What is shown as text: what a table or a picture stands for is not."""
    shown = []
    for output in outputs(cells):
        if output.output_type == "stream":
            shown.append(output.text)
        elif not {"text/html", "image/png"} & output.data.keys():
            shown.append(output.data["text/plain"])
    return shown


class Rows(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.n = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 (as of every parser)
        self.n += tag == "tr"


def tables(cells: list[Any]) -> list[str]:
    shown = (output.data.get("text/html", "") for output in outputs(cells) if output.output_type != "stream")
    return [html for html in shown if "<table" in html]


def test_all_tutorials_were_run_to_their_end(notebooks: dict[str, list[Any]]) -> None:
    assert len(TUTORIALS) == 5
    assert sorted(notebooks) == TUTORIALS
    for name, cells in notebooks.items():
        assert 8 <= len(cells) <= 15, name
        assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), name
        assert not [output for output in outputs(cells) if output.output_type == "error"], name


def test_every_tutorial_shows_tables_bars_and_pictures(notebooks: dict[str, list[Any]]) -> None:
    for name, cells in notebooks.items():
        assert tables(cells), name
        assert [text for text in texts(cells) if "100%|██████████|" in text], name
        assert [output for output in outputs(cells) if "image/png" in output.get("data", {})], name


def test_what_is_ours_shows_itself_as_a_table(notebooks: dict[str, list[Any]]) -> None:
    captions = re.findall(
        r"<caption>(\w+)[ (]", "".join(html for cells in notebooks.values() for html in tables(cells))
    )
    assert {"CausalSpace", "ConceptHierarchy", "ConceptDirections", "Results", "SteeringVector"} <= set(captions)


def test_no_output_is_longer_than_a_screen(notebooks: dict[str, list[Any]]) -> None:
    for name, cells in notebooks.items():
        for text in texts(cells):
            assert len(text.splitlines()) <= SCREEN, f"{name}: {text[:200]}"
            assert max(map(len, text.splitlines()), default=0) <= WIDEST, f"{name}: {text[:400]}"
        for html in tables(cells):
            assert Rows(html).n <= SCREEN, f"{name}: {html[:200]}"


def test_every_figure_is_seen(notebooks: dict[str, list[Any]]) -> None:
    for name, cells in notebooks.items():
        for output in outputs(cells):
            data = output.get("data", {})
            assert "image/png" in data or not data.get("text/plain", "").startswith("<Figure"), name


def test_nothing_else_is_spilled(notebooks: dict[str, list[Any]]) -> None:
    for name, cells in notebooks.items():
        streams = [output for output in outputs(cells) if output.output_type == "stream"]
        assert {stream.name for stream in streams} <= {"stdout"}, name
        assert not [text for text in texts(cells) if SPILLED.search(text)], name
        # Widgets need a script from elsewhere, and the bars of libraries are among them.
        mimes = {mime for output in outputs(cells) for mime in output.get("data", {})}
        assert mimes <= {"text/plain", "text/html", "image/png"}, name


def test_the_site_has_its_pages(site: Path) -> None:
    studies = [f"studies/{path.stem}" for path in (ROOT / "docs" / "studies").glob("*.md")]
    guides = [path.stem for path in (ROOT / "docs").glob("add-*.md")]
    tutorials = [f"tutorials/{name}" for name in TUTORIALS]
    missing = [page for page in (*PAGES, *studies, *guides, *tutorials) if not (site / f"{page}.html").exists()]
    assert not missing
    assert len(studies) >= 6
    assert len(guides) >= 6


def test_the_front_page_leads_to_all_of_them(site: Path) -> None:
    front = (site / "index.html").read_text(encoding="utf-8")
    for name in TUTORIALS:
        assert f'href="tutorials/{name}.html"' in front
    pictures = re.findall(r'<img[^>]*src="([^"]+)"', front)
    assert not [source for source in pictures if source.startswith("http") or not (site / source).exists()]
