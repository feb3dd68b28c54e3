"""A self-contained HTML page of texts side by side. Every text is escaped; nothing is loaded from elsewhere."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from geometry.plots.pages.web import plain, static_page

__all__ = ["TextTable", "texts_page"]

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
h1 { font-size: 1.3rem } h2 { font-size: 1.05rem; margin: 2rem 0 .3rem } p.detail { color: #555 }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; vertical-align: top; padding: .5rem .6rem }
thead th { position: sticky; top: 0; background: #fff; border-bottom: 2px solid #222; font-size: .85rem }
tbody tr { border-bottom: 1px solid #ddd } td { font-size: .88rem } td.control { color: #777 }
mark { background: #cfe6f5; color: inherit } small { display: block; font-weight: normal; color: #555 }
"""


@dataclass(frozen=True)
class TextTable:
    """Texts side by side.

    Attributes
    ----------
    title : above the table; "" for none.
    columns : (name, how it was made, whether it is a control) of each.
    rows : (prompt, a text for each column).
    detail : below the title.
    """

    title: str
    columns: Sequence[tuple[str, str, bool]]
    rows: Sequence[tuple[str, Sequence[str]]]
    detail: str = ""


def texts_page(title: str, detail: str, tables: Sequence[TextTable], *, marked: Collection[str] = ()) -> str:
    """The page as one string of HTML; whole words of the texts that are `marked`, in whatever case, are highlighted."""
    words = {word.lower() for word in marked}
    body = "\n".join(_table(table, words) for table in tables)
    return static_page(title, _STYLE, f'<h1>{plain(title)}</h1><p class="detail">{plain(detail)}</p>\n{body}')


def _table(table: TextTable, words: Collection[str]) -> str:
    heading = f"<h2>{plain(table.title)}</h2>\n" if table.title else ""
    heading += f'<p class="detail">{plain(table.detail)}</p>\n' if table.detail else ""
    head = "".join(f"<th>{plain(name)}<small>{plain(made)}</small></th>" for name, made, _ in table.columns)
    body = "".join(
        f"<tr><th>{plain(prompt)}</th>"
        + "".join(
            f'<td class="control">{_marked(text, words)}</td>' if control else f"<td>{_marked(text, words)}</td>"
            for text, (_, _, control) in zip(texts, table.columns, strict=True)
        )
        + "</tr>\n"
        for prompt, texts in table.rows
    )
    return f"{heading}<table><thead><tr><th>prompt</th>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>"


def _marked(text: str, words: Collection[str]) -> str:
    pieces = re.split(r"(\w+)", text)
    return "".join(f"<mark>{plain(p)}</mark>" if p.lower() in words else plain(p) for p in pieces)
