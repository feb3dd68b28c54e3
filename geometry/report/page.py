"""The report's page: the model, the verdicts, every figure with its finding, the data, how to repeat and cite it."""

import os
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from geometry.errors import OutputError
from geometry.models import CATALOGUE
from geometry.output import replacing
from geometry.report.reading import Analysis, FigureFile, read_analyses
from geometry.report.tables import claims_of, legend, null_table, shown, steering_table, verdict_tables
from geometry.report.words import ANALYSES, MODEL_ROWS, REFERENCES, verdict_kind
from geometry.plots.document import Block, Commands, Links, Paragraph, Picture, Table, document_page, downsampled

__all__ = ["report_page", "write_report"]

# Of all pictures together; base64 takes a third more, and a page is to stay below 8 MB.
_BYTES = 5_500_000
_RESOLUTIONS = (150, 100, 72)
_LAST_FIGURES = ("logit-changes", "shapes", "composition", "contrasts")


def write_report(folder: str | Path) -> Path:
    """Write `folder`/index.html from the analyses in `folder`/*/ and return its path.

    Raises
    ------
    OutputError
        There is no analysis to report, or the page cannot be written.
    """
    folder = Path(folder)
    page = report_page(folder)
    path = folder / "index.html"
    with replacing(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    return path


def report_page(folder: Path) -> str:
    """The report as one string of HTML that needs nothing but links to the files beside it.

    Raises
    ------
    OutputError
        There is no analysis to report, or the folder cannot be read.
    """
    try:
        analyses = read_analyses(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be read: {error.strerror or error}") from error
    name = next((str(a.model["name"]) for a in analyses if a.model.get("name")), folder.name.replace("--", "/"))
    if not analyses:
        raise OutputError(f"{folder}: no results there; make some: {_command('hierarchy', name, {})}")
    order = list(ANALYSES)
    analyses.sort(key=lambda a: (order.index(a.name) if a.name in order else len(order), a.name))
    embedded = _embedded([figure for analysis in analyses for figure in _ordered(analysis)])
    sections: list[tuple[str, Sequence[Block]]] = [("The model", _model(name, analyses))]
    if lacking := _lacking(name, analyses):
        sections.append(("Not in this report", lacking))
    for analysis in analyses:
        if claims_of(analysis.results):
            tables: list[Block] = [*verdict_tables(analysis.results)]
            means = legend(analysis.results)
            sections.append((f"Verdicts ({analysis.name})", [means, *tables] if means else tables))
    sections += [(_heading(analysis), _analysis(folder, analysis, embedded)) for analysis in analyses]
    sections += [
        ("The data", _data(folder, analyses)),
        ("Running it again", _again(name, analyses)),
        ("How to cite", _citation(analyses)),
    ]
    return document_page(f"Concept geometry of {name}", _summary(analyses), sections)


def _summary(analyses: Sequence[Analysis]) -> str:
    verdicts = Counter(verdict_kind(entry["verdict"]) for some in analyses for entry in claims_of(some.results))
    names = [analysis.name for analysis in analyses]
    said = f"A report of {len(names)} {'analysis' if len(names) == 1 else 'analyses'}: {_listed(names)}."
    if verdicts:
        counted = _listed([f"{count} {verdict}" for verdict, count in verdicts.most_common()])
        said += f" Of {verdicts.total()} tests: {counted}."
    return f"{said} Nulls, what noise gives, stand beside every number and are grey in every figure."


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _model(name: str, analyses: Sequence[Analysis]) -> list[Block]:
    model = next((analysis.model for analysis in analyses if analysis.model), {})
    rows = [["name", name]]
    rows += [
        [MODEL_ROWS.get(key, key.replace("_", " ")), _cell(value)] for key, value in model.items() if key != "name"
    ]
    resource = CATALOGUE.get(name)
    if resource is not None and resource.kind == "model":
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
            analysis.name,
            f"{analysis.written:%Y-%m-%d %H:%M} UTC" if analysis.written else "–",
            "–" if analysis.seconds is None else f"{analysis.seconds:.0f}",
            _cell(analysis.settings.get("seed")),
            "; ".join(f"{key} {_cell(value)}" for key, value in analysis.settings.items() if key != "seed") or "–",
        ]
        for analysis in analyses
    ]
    blocks: list[Block] = [
        Table(["", "what was read"], rows, "The model."),
        Table(["analysis", "finished", "seconds", "seed", "settings"], ran, "What ran, when and how."),
    ]
    sums = {str(analysis.model["sha256"]) for analysis in analyses if "sha256" in analysis.model}
    if len(sums) > 1:
        blocks.append(Paragraph("These analyses were made on different weights: their checksums differ."))
    return blocks


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    return shown(value) if isinstance(value, float) else str(value)


def _lacking(name: str, analyses: Sequence[Analysis]) -> list[Block]:
    """What was not found or could not be read, and the commands that make it."""
    found = {analysis.name: analysis for analysis in analyses}
    said, commands = [], []
    for known in ANALYSES:
        if known not in found:
            said.append(f"{known}: not found.")
            commands.append(_command(known, name, {}))
    for analysis in analyses:
        broken = [figure.problem for figure in analysis.figures if figure.problem]
        said += [f"{analysis.name}: {problem}." for problem in filter(None, [analysis.problem, *broken])]
        if analysis.problem or broken:
            commands.append(_command(analysis.name, name, analysis.settings))
    return [Paragraph("\n".join([*said, "To make what is missing:"])), Commands("\n".join(commands))] if said else []


def _heading(analysis: Analysis) -> str:
    known = ANALYSES.get(analysis.name)
    return known.heading if known else analysis.name


def _ordered(analysis: Analysis) -> list[FigureFile]:
    """Readable figures in the order of a paper: as known, then as the claims, then the rest by name."""
    known = ANALYSES.get(analysis.name)
    first = [*(known.figures if known else ()), *(str(entry["claim"]) for entry in claims_of(analysis.results))]
    order = {name: place for place, name in reversed(list(enumerate([*first, *_LAST_FIGURES])))}
    readable = [figure for figure in analysis.figures if not figure.problem]
    return sorted(readable, key=lambda figure: (order.get(figure.png.stem, len(first) + 9), figure.png.name))


def _embedded(figures: Sequence[FigureFile]) -> dict[Path, bytes]:
    """The pictures at the highest resolution at which all of them fit, or as many as fit at the lowest."""
    held: dict[Path, bytes] = {}
    for dpi in _RESOLUTIONS:
        held = {}
        for figure in figures:
            with suppress(OSError, ValueError):  # it was whole when it was read
                held[figure.png] = downsampled(figure.png.read_bytes(), dpi)
        if sum(map(len, held.values())) <= _BYTES:
            return held
    room = _BYTES
    for path, png in list(held.items()):
        if len(png) > room:
            del held[path]
        else:
            room -= len(png)
    return held


def _analysis(folder: Path, analysis: Analysis, embedded: Mapping[Path, bytes]) -> list[Block]:
    known = ANALYSES.get(analysis.name)
    blocks: list[Block] = [Paragraph(known.asks)] if known else []
    if analysis.problem:
        blocks.append(
            Paragraph(f"{analysis.problem[0].upper()}{analysis.problem[1:]}; what follows is what else lies there.")
        )
    tables = [steering_table(analysis.results, analysis.settings)]
    if not claims_of(analysis.results):
        tables.append(null_table(analysis.results))
    blocks += [table for table in tables if table]
    pages = [(title or page.stem, _href(folder, page), "a page of its own") for page, title in analysis.pages]
    if pages:
        blocks.append(Links(pages))
    left_out = []
    for figure in _ordered(analysis):
        links = [(path.suffix[1:].upper(), _href(folder, path)) for path in (figure.png, figure.svg) if path]
        caption = _sentence(figure.finding or figure.png.stem.replace("-", " "))
        if figure.png in embedded:
            blocks.append(
                Picture(embedded[figure.png], caption, links, " ".join(filter(None, [caption, figure.detail])))
            )
        else:
            left_out.append((figure.png.name, links[0][1], f"{caption} Not shown here."))
    return [*blocks, Links(left_out)] if left_out else blocks


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _data(folder: Path, analyses: Sequence[Analysis]) -> list[Block]:
    items = []
    for analysis in analyses:
        path = analysis.folder / "results.json"
        if not analysis.problem:
            items.append((f"{analysis.name}/{path.name}", _href(folder, path), "settings, values, nulls and verdicts"))
        items += [
            (f"{analysis.name}/{array.name}", _href(folder, array), "NumPy arrays that the figures are drawn from")
            for array in analysis.arrays
        ]
    return [Links(items)] if items else [Paragraph("No data files were found.")]


def _again(name: str, analyses: Sequence[Analysis]) -> list[Block]:
    commands = [f"concept-geometry fetch {shlex.quote(name)}"] if name in CATALOGUE else []
    commands += [_command(a.name, name, a.settings) for a in analyses if a.name in ANALYSES and not a.problem]
    commands.append(f"concept-geometry report {shlex.quote(name)}")
    blocks: list[Block] = [
        Paragraph("From a checkout of concept-geometry; the same seed and settings give the same numbers."),
        Commands("\n".join(commands)),
    ]
    if name not in CATALOGUE and "/" not in name:
        blocks.append(Paragraph(f"In place of {name} goes the folder or file that the model was read from."))
    return blocks


def _command(analysis: str, name: str, settings: Mapping[str, Any]) -> str:
    """The command that runs an analysis with these settings."""
    words = ["python", "-m", f"analysis.{analysis}", "--model", name]
    implied = ANALYSES[analysis].of_quick if analysis in ANALYSES and settings.get("quick") is True else None
    for key, value in settings.items():
        if value is None or value is False or key == implied:
            continue
        words.append(f"--{key.replace('_', '-')}")
        if value is not True:
            words += map(str, value) if isinstance(value, list) else [str(value)]
    return shlex.join(words)


def _citation(analyses: Sequence[Analysis]) -> list[Block]:
    try:
        number = f" {version('concept-geometry')}"
    except PackageNotFoundError:
        number = ""
    own = f"The concept-geometry authors: concept-geometry{number}, a Python package under the MIT licence."
    names = {analysis.name for analysis in analyses}
    papers = [reference for used_by, reference in REFERENCES if not used_by or names & set(used_by)]
    return [
        Paragraph(own),
        Paragraph("What it measures comes from these, and is to be cited with it:"),
        *(Paragraph(paper) for paper in papers),
    ]


def _href(folder: Path, path: Path) -> str:
    return quote(os.fspath(path.relative_to(folder).as_posix()))
