"""What all pages share: one HTML file with its data, script and style inside, that loads and sends nothing."""

import base64
import hashlib
import html
import json
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["embedded", "interactive_page", "packed", "plain", "static_page", "visible"]


def static_page(title: str, style: str, body: str, *, script: str = "") -> str:
    """The frame around a body of HTML: its title, its one style and at most one script.

    Its policy lets the browser use these and pictures inside the page, nothing else, and reach no network.

    Parameters
    ----------
    title : plain text; `body` is HTML already.
    """
    policy = "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; " + (
        f"script-src '{_sum(script)}'; style-src '{_sum(style)}'" if script else f"style-src '{_sum(style)}'"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width">\n<link rel="icon" href="data:,">\n'
        f"<title>{html.escape(visible(title))}</title>\n<style>{style}</style></head>\n"
        f"<body>{body}" + (f"<script>{script}</script>" if script else "") + "</body></html>\n"
    )


def visible(text: str) -> str:
    """Token text with control and unprintable characters shown as "·"; spaces stay."""
    return "".join(character if character.isprintable() else "·" for character in text)


def plain(text: str) -> str:
    """Any text as HTML: escaped, line ends kept, other control characters shown as "·"."""
    return "<br>".join(html.escape(visible(line)) for line in text.split("\n"))


def interactive_page(title: str, data: dict[str, Any], scripts: tuple[str, ...]) -> str:
    """A page that shows `data` by our `scripts`, names of files beside this one without their ending."""
    ours = files("geometry.plots.pages")
    script = "'use strict';\n" + "\n".join((ours / f"{name}.js").read_text(encoding="utf-8") for name in scripts)
    style = (ours / "interactive.css").read_text(encoding="utf-8")
    body = (
        "<noscript>This page is drawn by the script inside it: allow JavaScript to see it.</noscript>\n"
        f'<script type="application/json" id="data">{embedded(data)}</script>\n'
    )
    return static_page(title, style, body, script=script)


def embedded(data: dict[str, Any]) -> str:
    """JSON that no text in it can end: neither a tag nor a comment can begin where "<" is written \\u003c."""
    plain = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def packed(values: NDArray[Any], kind: str) -> str:
    """Base64 of `values` as little-endian `kind`, such as "u2"."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=f"<{kind}").tobytes()).decode("ascii")


def _sum(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
