"""A self-contained HTML page of texts side by side. Every text is escaped; nothing is loaded from elsewhere."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from geometry.plots.pages.web import page


@dataclass(frozen=True)
class TextTable:
    """Texts side by side below a title and a detail, if there are any.

    `columns` are (name, how it was made, whether it is a control), `rows` (prompt, a text for each column).
    """

    title: str
    columns: Sequence[tuple[str, str, bool]]
    rows: Sequence[tuple[str, Sequence[str]]]
    detail: str = ""


def texts_page(title: str, detail: str, tables: Sequence[TextTable], *, marked: Collection[str] = ()) -> str:
    """The page as one string of HTML; whole words of the texts that are `marked`, in whatever case, are highlighted."""
    words, pieces = {word.lower() for word in marked}, re.compile(r"(\w+)").split
    return page("texts", title=title, detail=detail, tables=tables, marked=words, pieces=pieces)
