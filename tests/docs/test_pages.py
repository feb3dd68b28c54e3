"""README and docs: their code runs as it stands, their commands parse, their links lead somewhere, their words hold."""

import ast
import operator
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import geometry as geo
from geometry.models import CATALOGUE, cached_path, tensor_names
from tests.loaded import loaded_once

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
# Pages of which the site is made: not those that only include others, nor the tutorials, which the site runs.
INCLUDED = ("index.md", "contributing.md", "changelog.md")
OF_DOCS = sorted(page for page in (*DOCS.glob("*.md"), *DOCS.glob("studies/*.md")) if page.name not in INCLUDED)
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *OF_DOCS]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LONGEST, LONGEST_README = 80, 200
# Ours before the field's words were written everywhere; each hides a term that readers can look up.
HOMELY = (
    "told from", "told so", "told as", "by construction", "beyond all draws", "beyond every draw", "long as the sum",
    "excess nats", "nearest their own vertex", "unseen", "never seen", "random swaps", "random orders",
    "hang on arbitrary", "kinds hold together", "plain sentences", "family + level", "own vector",
    "other end of the model", "whatever situation", "noise to theory", "rather a line", "likeness", "q_value",
    "n_draws",
)  # fmt: skip


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[tuple[str, str]]:
    return FENCE.findall(text(page))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Somewhere to work; what pages list by hand is taken off the lists again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tensor_names, "EMBEDDINGS", tensor_names.EMBEDDINGS)
    monkeypatch.setattr(geo, "load_model", loaded_once)
    studies = dict(geo.experiments.STUDIES)
    yield tmp_path
    geo.experiments.STUDIES.clear()
    geo.experiments.STUDIES.update(studies)


def console(line: str) -> None:
    program, *arguments = shlex.split(line)
    assert program == "concept-geometry", line
    try:
        status = geo.cli.main(arguments)
    except SystemExit as left:
        status = left.code
    assert not status, line


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "how-to"], ids=name)  # see test_how_to
def test_the_code_of_a_page_runs_in_its_order(page: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if "stories15m" in text(page) and page != README and not cached_path(CATALOGUE["stories15m"]).exists():
        pytest.skip("needs npm; run: concept-geometry fetch stories15m")
    namespace: dict[str, Any] = {"__name__": page.stem}
    for language, code in blocks(page):
        if language == "python":
            exec(compile(code, name(page), "exec", dont_inherit=True), namespace)  # noqa: S102
        elif language == "yaml":
            # The first line says how the file is called.
            Path(code.splitlines()[0].removeprefix("# ")).write_text(code, encoding="utf-8")
        elif language == "console":
            for line in code.splitlines():
                console(line)
    for called, function in namespace.items():
        if called.startswith("test_") and getattr(function, "__module__", "") == page.stem:
            function()
    if page == README:
        said = capsys.readouterr().out
        assert "organisms, existence: 0." in said
        assert_shown(next(code for language, code in blocks(README) if language == "text"), said)
        assert list(folder.iterdir()) == []


def assert_shown(sample: str, said: str) -> None:
    """What a page shows as printed is how the output begins, numbers as far as another machine may round them."""
    shown = sample.split()
    assert len(shown) > 50
    for expected, found in zip(shown, said.split(), strict=False):
        number, measured = (re.fullmatch(r"[\[(]?(-?\d+\.\d+)([\])]?[,;:]?)", word) for word in (expected, found))
        if number and measured:
            assert float(measured[1]) == pytest.approx(float(number[1]), abs=0.02, rel=0.02), (expected, found)
        else:
            assert expected == found


def test_the_readme_is_short_and_starts_with_ten_lines() -> None:
    assert len(text(README).splitlines()) < LONGEST_README
    example = next(code for language, code in blocks(README) if language == "python")
    assert len([line for line in example.splitlines() if line.strip()]) <= 12


def commands() -> list[str]:
    """Every complete console command that a page shows, Makefile's with its default models."""
    lines = []
    for page in PAGES:
        lines += [line for _, code in blocks(page) for line in code.splitlines()]
        lines += re.findall(r"`(concept-geometry [^`]*)`", FENCE.sub("", text(page)))
    makefile = text(ROOT / "Makefile").replace("$(BIN)/", "").replace('"$(MODEL)"', "a").replace("$(MODELS)", "a b")
    lines += [line.strip() for line in makefile.splitlines()]
    return sorted(
        {line for line in lines if re.match(r"concept-geometry (?!.*\b[A-Z]{3,})", line)} - {NORMS, NORMS_HELP}
    )


# Of a study that only its page knows.
NORMS_HELP, NORMS = (
    "concept-geometry run norms --help",
    "concept-geometry run norms stories15m --n-permutations 9 --out norms",
)


@pytest.mark.parametrize("line", commands())
def test_commands_that_are_shown_are_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[geo.cli.main.__module__], "_run", lambda _: None)
    console(line)


def test_many_commands_are_shown() -> None:
    assert {shlex.split(line)[1] for line in commands()} >= {"run", "figures", "fetch", "steer", "report"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_and_pictures_of_a_page_exist(page: Path) -> None:
    missing = []
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]*)?\)", FENCE.sub("", text(page))):
        path = page.parent / target if target else page
        if not path.exists():
            missing.append(target)
        elif anchor:
            headings = re.findall(r"^#+ (.*)$", text(path), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
            missing += [] if anchor[1:] in slugs else [target + anchor]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_names_that_a_page_mentions_exist(page: Path) -> None:
    for mentioned in set(re.findall(r"\bgeo((?:\.[A-Za-z_]\w*)+)", text(page))):
        operator.attrgetter(mentioned[1:])(geo)


def test_the_readme_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\((docs/[\w/-]+\.md)(?:#[\w-]+)?\)", text(README)))
    assert linked == {name(page) for page in OF_DOCS}


def test_every_study_has_its_page() -> None:
    assert {page.stem for page in OF_DOCS if page.parent.name == "studies"} == set(geo.experiments.STUDIES)


def figures(*pages: Path) -> list[str]:
    """Every picture of a page by its path from the root, as often as it is shown."""
    shown = [
        (page.parent / link).resolve() for page in pages for link in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text(page))
    ]
    return sorted(str(path.relative_to(ROOT)) for path in shown)


def test_every_figure_is_shown_once_by_its_study_and_once_in_the_gallery() -> None:
    command = ["git", "ls-files", "--", "figures"]
    kept = sorted(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split())
    assert figures(DOCS / "gallery.md") == kept
    assert figures(*(page for page in PAGES if page not in (README, DOCS / "gallery.md"))) == kept
    assert {name.split("/")[-1] for name in figures(README)} == {"planes.png", "overview.png"}
    for study in (DOCS / "studies").glob("*.md"):
        assert {Path(shown).parent.name for shown in figures(study)} <= {study.stem}


def test_the_references_hold_every_paper_that_a_report_cites() -> None:
    listed = yaml.safe_load(text(ROOT / "data" / "references" / "papers.yaml"))["references"]
    words = " ".join(text(DOCS / "references.md").split())
    for paper in listed:
        assert paper["text"].split(":")[0] + ":" in words, paper["text"]


def test_the_reference_has_every_room() -> None:
    written = "\n".join(text(page) for page in (DOCS / "api").glob("*.md"))
    assert not [room for room in rooms_of_the_house() - {"cli"} if f"automodule:: geometry.{room}\n" not in written]


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem.startswith("add-")], ids=name)
def test_pages_that_say_how_are_short_and_run(page: Path) -> None:
    assert len(text(page).splitlines()) <= LONGEST
    assert any(language == "python" for language, _ in blocks(page))
    for path in re.findall(r"`((?:geometry|tests|analysis|data)/[\w/.-]+)`", text(page)):
        assert "norms" in path or (ROOT / path).exists(), path


def null_labels() -> set[str]:
    """The label of every null model, wherever in the library it is made."""
    labels = set()
    for path in (ROOT / "geometry").rglob("*.py"):
        for call in ast.walk(ast.parse(text(path))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ("NullModel", "PointNull", "NullValues"):
                values = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == "label")]
                labels |= {value.value for value in values if isinstance(value, ast.Constant)}
    return labels


def test_the_glossary_holds_every_verdict_with_its_meaning_every_null_and_every_claim() -> None:
    words = " ".join(GLOSSARY.split())
    for verdict, meaning in geo.evidence.VERDICTS.items():
        assert f"| {verdict} | {meaning} |" in words, verdict
    labels = null_labels()
    assert labels > {null.label for null in geo.NULLS.values()}
    assert not sorted(label for label in labels if f"**{label}**" not in words)
    assert not sorted(claim.name for claim in geo.CLAIMS if f"**{claim.name}**" not in words)


def rooms_of_the_house() -> set[str]:
    return {path.name for path in (ROOT / "geometry").iterdir() if (path / "__init__.py").exists()}


def test_docs_know_every_null_every_verdict_and_every_room() -> None:
    page = text(DOCS / "nulls.md")
    assert not [null for null in geo.NULLS if f"`{null}`" not in page]
    assert not [verdict for verdict in geo.evidence.VERDICTS if f"*{verdict}*" not in page]
    assert not [room for room in rooms_of_the_house() if f"`geometry/{room}/`" not in text(DOCS / "architecture.md")]


def test_words_are_the_fields() -> None:
    files = [*PAGES, *(DOCS / "tutorials").glob("*.md"), *(ROOT / "analysis").rglob("*.py")]
    files += [path for path in (ROOT / "geometry").rglob("*") if path.suffix in (".py", ".pyi", ".js", ".css")]
    found = []
    for path in files:
        lines = text(path).lower().splitlines()
        found += [f"{name(path)}:{n}: {word}" for n, line in enumerate(lines, 1) for word in HOMELY if word in line]
    assert not found, "\n".join(found)
