"""The report's page: in short, every study with its figures and tables, the data, where all of it comes from."""

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import yaml

from geometry.errors import OutputError
from geometry.experiments import STUDIES
from geometry.models import CATALOGUE
from geometry.output import RESULTS, open_regular, replacing, settle
from geometry.plots.pages import Block, Commands, Links, Paragraph, Picture, Table, document_page, downsampled
from geometry.report.reading import FigureFile, StudyFolder, read_studies, study_folders

_BYTES = 5_500_000  # of all pictures together; base64 takes a third more, and a page is to stay below 8 MB
_RESOLUTIONS = (150, 100, 72)
_LINES = 5
_TRIES = 5


def write_report(folder: str | Path) -> Path:
    """Write `folder`/index.html from the studies in `folder`/*/ and return its path.

    >>> write_report("figures/smollm2-135m")  # doctest: +SKIP

    Raises OutputError: there is no study to report, or the page cannot be written.
    """
    folder = Path(folder)
    page, path = report_page(folder), folder / "index.html"
    with replacing(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8", errors="replace")
    return path


def report_page(folder: Path) -> str:
    """The report as one string of HTML that needs nothing but links to the files beside it.

    Raises OutputError: there is no study to report, the folder cannot be read, or its results change meanwhile.
    """
    for _ in range(_TRIES):
        try:
            before = _stamps(folder)
            page = _page(folder, read_studies(folder))
            if _stamps(folder) == before:
                return page
        except OSError as error:
            raise OutputError(f"{folder}: cannot be read: {error.strerror or error}") from error
    raise OutputError(f"{folder}: its results are being replaced; run the report again when that is done")


def _stamps(folder: Path) -> dict[Path, tuple[int, int]]:
    """What tells one results.json from the next, so that a page does not mix them."""
    stamps = {}
    for path in study_folders(folder):
        settle(path)
        with suppress(FileNotFoundError):
            status = (path / RESULTS).lstat()
            stamps[path] = status.st_ino, status.st_mtime_ns
    return stamps


def _page(folder: Path, studies: list[StudyFolder]) -> str:
    name = next((str(s.model["name"]) for s in studies if s.model.get("name")), folder.name.replace("--", "/"))
    if not studies:
        raise OutputError(f"{folder}: no results there; make some: concept-geometry figures {shlex.quote(name)}")
    order = {known: index for index, known in enumerate(STUDIES)}
    studies.sort(key=lambda study: (order.get(study.name, len(order)), study.name))
    readable = [figure for study in studies for figure in study.figures if not figure.problem]
    embedded = _embedded(readable)
    numbers = {figure.png: number for number, figure in enumerate(readable, 1)}
    sections: list[tuple[str, Sequence[Block]]] = [("In short", _in_short(folder, studies, embedded))]
    sections += [(study.name.capitalize(), _study(folder, study, embedded, numbers)) for study in studies]
    sections += [("Data", _data(folder, studies)), ("Provenance", _provenance(name, studies))]
    sections.append(("How to cite", _citation(studies)))
    detail = (
        "Null models stand beside every number and are grey in every figure; verdicts are defined below the tables."
    )
    return document_page(f"Concept geometry of {name}", detail, sections)


def _in_short(folder: Path, studies: Sequence[StudyFolder], embedded: Mapping[Path, bytes]) -> list[Block]:
    """Five lines: every study's main finding, then more of the first; and the main picture."""
    lines = [study.summary[0] for study in studies if study.summary]
    lines[1:1] = [line for study in studies[:1] for line in study.summary[1 : 1 + max(0, _LINES - len(lines))]]
    blocks: list[Block] = [Paragraph("\n".join(lines[:_LINES]))] if lines else []
    shown = [figure for study in studies for figure in study.figures if figure.png in embedded]
    return [*blocks, *(_picture(folder, figure, embedded, "The main picture.") for figure in shown[:1])]


def _study(
    folder: Path, study: StudyFolder, embedded: Mapping[Path, bytes], numbers: Mapping[Path, int]
) -> list[Block]:
    blocks: list[Block] = [Paragraph(study.question)] if study.question else []
    if problems := list(filter(None, [study.problem, *(figure.problem for figure in study.figures)])):
        blocks.append(Paragraph("Not all of it could be read: " + "; ".join(problems) + "."))
        blocks += [Commands(study.command)] if study.command else []
    if study.changed:
        blocks.append(Paragraph(f"Changed since these results were written: {', '.join(study.changed)}."))
    if study.summary:
        blocks.append(Paragraph("\n".join(study.summary)))
    left_out = []
    for figure in (figure for figure in study.figures if not figure.problem):
        label = f"Figure {numbers[figure.png]}, {figure.png.stem}."
        if figure.png in embedded:
            blocks.append(_picture(folder, figure, embedded, label))
        else:
            left_out.append((figure.png.name, _href(folder, figure.png), f"{figure.title} Not shown here."))
    blocks += [Links(left_out)] if left_out else []
    blocks += [Table(t.head, t.rows, " ".join(filter(None, [f"{t.title}.", t.caption]))) for t in study.tables]
    pages = [(title or page.stem, _href(folder, page), "a page of its own") for page, title in study.pages]
    return [*blocks, Links(pages)] if pages else blocks


def _picture(folder: Path, figure: FigureFile, embedded: Mapping[Path, bytes], label: str) -> Picture:
    """The picture holds its title and caption; who cannot see it gets them as text."""
    links = [(path.suffix[1:].upper(), _href(folder, path)) for path in (figure.png, figure.svg) if path]
    return Picture(embedded[figure.png], label, links, f"{figure.title} {figure.caption}".strip())


def _embedded(figures: Sequence[FigureFile]) -> dict[Path, bytes]:
    """The pictures at the highest resolution at which all of them fit, or as many as fit at the lowest."""
    for dpi in _RESOLUTIONS:
        held: dict[Path, bytes] = {}
        for figure in figures:
            with suppress(OSError, ValueError), open_regular(figure.png) as file:  # it was whole when it was read
                held[figure.png] = downsampled(file.read(), dpi)
        if sum(map(len, held.values())) <= _BYTES:
            return held
    room = _BYTES
    for path, png in list(held.items()):
        if len(png) > room:
            del held[path]
        else:
            room -= len(png)
    return held


def _data(folder: Path, studies: Sequence[StudyFolder]) -> list[Block]:
    items = []
    for study in studies:
        files_of = {} if study.problem else {study.folder / "results.json": "settings, values, nulls and verdicts"}
        files_of |= dict.fromkeys(study.arrays, "NumPy arrays that the figures are drawn from")
        items += [(f"{study.name}/{path.name}", _href(folder, path), says) for path, says in files_of.items()]
    return [Links(items)] if items else [Paragraph("No data files were found.")]


def _provenance(name: str, studies: Sequence[StudyFolder]) -> list[Block]:
    model = next((study.model for study in studies if study.model), {})
    rows = [["name", name], *([key.replace("_", " "), _cell(value)] for key, value in model.items() if key != "name")]
    resource = CATALOGUE.get(name)
    if resource is not None and resource.kind != "source":
        packages = ", ".join(f"{part.package} {part.version} ({part.client})" for part in resource.parts)
        rows += [
            ["described as", resource.description],
            ["licence", resource.licence],
            ["package", packages],
            ["file", f"{resource.filename}, {resource.megabytes} MB"],
            ["SHA-256 of the file", resource.sha256],
        ]
    ran = [
        [
            study.name,
            f"{study.written:%Y-%m-%d %H:%M} UTC" if study.written else "–",
            "–" if study.seconds is None else f"{study.seconds:.0f}",
            "; ".join(f"{key.replace('_', ' ')} {_cell(value)}" for key, value in study.settings.items()) or "–",
        ]
        for study in studies
    ]
    blocks: list[Block] = [
        Table(["", "what was read"], rows, "The model."),
        Table(["study", "finished", "seconds", "settings"], ran, "What ran, when and how."),
    ]
    if len({str(study.model["sha256"]) for study in studies if "sha256" in study.model}) > 1:
        blocks.append(Paragraph("These studies were made on different weights: their checksums differ."))
    commands = [f"concept-geometry fetch {shlex.quote(name)}"] if name in CATALOGUE else []
    commands += filter(None, (study.command for study in studies))
    again = Paragraph("To run it again; the same seed and settings give the same numbers.")
    return [*blocks, again, Commands("\n".join([*commands, f"concept-geometry report {shlex.quote(name)}"]))]


def _cell(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "–", True: "yes", False: "no"}[value]
    return ", ".join(map(_cell, value)) if isinstance(value, list) else str(value)


def _citation(studies: Sequence[StudyFolder]) -> list[Block]:
    try:
        number = f" {version('concept-geometry')}"
    except PackageNotFoundError:
        number = ""
    names = {study.name for study in studies}
    listed = yaml.safe_load((files("geometry.data") / "references" / "papers.yaml").read_text(encoding="utf-8"))
    papers = [paper["text"] for paper in listed["references"] if names & set(paper.get("studies", names))]
    return [
        Paragraph(f"The concept-geometry authors: concept-geometry{number}, a Python package under the MIT licence."),
        Paragraph("What it measures comes from these, and is to be cited with it:"),
        *(Paragraph(paper) for paper in papers),
    ]


def _href(folder: Path, path: Path) -> str:
    return quote(path.relative_to(folder).as_posix())
