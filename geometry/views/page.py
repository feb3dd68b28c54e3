"""A self-contained HTML page of texts side by side. Every text is escaped; nothing is loaded from elsewhere."""

import re
from collections.abc import Collection, Sequence

from geometry.views.web import plain, static_page

__all__ = ["texts_page"]

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
h1 { font-size: 1.3rem } p.detail { color: #555 }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; vertical-align: top; padding: .5rem .6rem }
thead th { position: sticky; top: 0; background: #fff; border-bottom: 2px solid #222; font-size: .85rem }
tbody tr { border-bottom: 1px solid #ddd } td { font-size: .88rem } td.control { color: #777 }
mark { background: #cfe6f5; color: inherit } small { display: block; font-weight: normal; color: #555 }
"""


def texts_page(
    title: str,
    detail: str,
    columns: Sequence[tuple[str, str, bool]],
    rows: Sequence[tuple[str, Sequence[str]]],
    *,
    marked: Collection[str] = (),
) -> str:
    """The page as one string of HTML.

    Parameters
    ----------
    columns : (name, how it was made, whether it is a control) of each.
    rows : (prompt, a text for each column).
    marked : words to highlight in the texts, whole and regardless of case.
    """
    words = {word.lower() for word in marked}
    head = "".join(f"<th>{plain(name)}<small>{plain(made)}</small></th>" for name, made, _ in columns)
    body = "".join(
        f"<tr><th>{plain(prompt)}</th>"
        + "".join(
            f'<td class="control">{_marked(text, words)}</td>' if control else f"<td>{_marked(text, words)}</td>"
            for text, (_, _, control) in zip(texts, columns, strict=True)
        )
        + "</tr>\n"
        for prompt, texts in rows
    )
    return static_page(
        title,
        _STYLE,
        f'<h1>{plain(title)}</h1><p class="detail">{plain(detail)}</p>\n<table><thead><tr><th>prompt</th>{head}'
        f"</tr></thead>\n<tbody>\n{body}</tbody></table>",
    )


def _marked(text: str, words: Collection[str]) -> str:
    pieces = re.split(r"(\w+)", text)
    return "".join(f"<mark>{plain(p)}</mark>" if p.lower() in words else plain(p) for p in pieces)
