"""What a study gives: numbers, and the figures, tables and pages that it knows how to draw."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

import geometry.plots as plots
from geometry.display import html_table, short_repr
from geometry.experiments.study import Study
from geometry.output import OutputFolder
from geometry.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LONGEST_FINDING = 500
SCHEMA = 2  # of results.json; raised when a key changes its meaning


@dataclass(frozen=True, eq=False)
class FigureSpec:
    """A figure that can be drawn.

    Attributes:
        name: of its files.
        title: the finding, in one plain sentence.
        caption: what is drawn: symbols, nulls, how many.
        draw: takes `title` and `caption` as keywords and gives the figure.
    """

    name: str
    title: str
    caption: str
    draw: Callable[..., "Figure"]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        # So that a page says what the picture says.
        for name in ("title", "caption"):
            object.__setattr__(self, name, plots.signed(getattr(self, name)))

    def figure(self) -> "Figure":
        """Draw it."""
        return self.draw(title=self.title, caption=self.caption)


@dataclass(frozen=True)
class TableSpec:
    """A table of texts: what the report, the terminal and a notebook show; the first cell of a row is its name."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    __repr__ = short_repr

    def _repr_html_(self) -> str:
        return html_table(self.head, self.rows, self.title)

    def __str__(self) -> str:
        cells = [list(self.head), *map(list, self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        padded = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in cells]
        return "\n".join([self.title, *map("  ".join, padded)])


class Findings(ABC):
    """Numbers that know their sentences, figures and tables."""

    @abstractmethod
    def summary(self) -> list[str]:
        """What was found, the main finding first, a sentence each; what was not found is said as plainly."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The numbers: "results" of results.json, or a part of them."""

    @abstractmethod
    def figures(self) -> list[FigureSpec]:
        """The main figure first."""

    def tables(self) -> list[TableSpec]:
        """Numbers beside their nulls, for the report."""
        return []

    def arrays(self) -> dict[str, ArrayLike]:
        """What the figures are drawn from: results.npz."""
        return {}


@dataclass(frozen=True, eq=False, kw_only=True)
class StudyResult(Findings):
    """The numbers of a study, which know their figures.

    Attributes:
        study: what was asked, with its settings.
        model: `Unembedding.summary` of the model; None of several models.
        seconds: how long it took.
    """

    study: Study[Any]
    model: Mapping[str, Any] | None = None
    seconds: float = 0.0

    __repr__ = short_repr

    def pages(self) -> dict[str, tuple[str, str]]:
        """Further files by full name → (title, content); those in HTML are pages of their own."""
        return {}

    def write(self, folder: str | Path | None = None) -> Path:
        """Write figures, results.json, results.npz and pages into a folder, all or nothing; returns the folder.

        Raises OutputError: the folder cannot be written.
        """
        target = self.study.folder if folder is None else folder
        with OutputFolder(target) as output:
            self.write_to(output)
        return output.folder

    def write_to(self, output: OutputFolder, drawn: Collection[str] = ()) -> None:
        """The same into a folder that is staged already, where figures of these names are drawn."""
        figures, pages = self.figures(), self.pages()
        for spec in figures:
            if spec.name not in drawn:
                output.figure(spec.name, spec.figure())
        for name, (_, content) in pages.items():
            output.text(name, content)
        if arrays := self.arrays():
            output.arrays("results", **arrays)
        output.json("results", self.document(figures, {name: title for name, (title, _) in pages.items()}))

    def document(self, figures: Sequence[FigureSpec], pages: Mapping[str, str]) -> dict[str, Any]:
        """results.json: everything that a report needs, in words and numbers."""
        study = self.study
        return {
            "schema": SCHEMA,
            "version": __version__,
            "analysis": study.name,
            "question": study.question,
            **({"model": self.model} if self.model is not None else {}),
            "settings": study.settings,
            "command": study.command,
            "seconds": round(self.seconds, 1),
            "summary": self.summary(),
            "results": self.to_dict(),
            "tables": [
                {"title": t.title, "head": list(t.head), "rows": [list(row) for row in t.rows], "caption": t.caption}
                for t in self.tables()
            ],
            "figures": [{"name": spec.name, "title": spec.title, "caption": spec.caption} for spec in figures],
            "pages": [{"name": name, "title": title} for name, title in pages.items() if name.endswith(".html")],
        }

    def _repr_html_(self) -> str:
        found = [(finding,) for finding in self.summary()]
        findings = html_table((self.study.question,), found, repr(self.study), longest=_LONGEST_FINDING)
        return "\n".join([findings, *(table._repr_html_() for table in self.tables()[:1])])

    def __str__(self) -> str:
        return "\n\n".join(["\n".join(self.summary()), *map(str, self.tables())])
