"""What all pages share: one HTML file with its data, script and style inside, that loads and sends nothing."""

import base64
import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

_HERE = Path(__file__).parent


def page(name: str, *scripts: str, **values: Any) -> str:
    """The template of that name filled with `values`, with the style of that name and `scripts`, all in this folder.

    Its policy lets the browser use these and pictures inside the page, nothing else, and reach no network. Every
    text among the values is written as text: escaped, its line ends kept, other control characters as "·".
    """
    style, *parts = ((_HERE / file).read_text(encoding="utf-8") for file in (f"{name}.css", *scripts))
    script = "'use strict';\n" + "\n".join(parts) if parts else ""
    ours = {"style": Markup(style), "script": Markup(script)}  # noqa: S704 (files of this folder)
    return _TEMPLATES.get_template(f"{name}.html.j2").render(values | ours)


def interactive_page(script: str, **data: Any) -> str:
    """A page that shows `data`, a title and a detail among them, by one of our scripts."""
    return page("interactive", "canvas.js", script, title=data["title"], data=_all_visible(data))


def packed(values: NDArray[Any], kind: str) -> str:
    """Base64 of `values` as little-endian `kind`, such as "u2"."""
    return _base64(np.ascontiguousarray(values, dtype=f"<{kind}").tobytes())


def visible(text: str) -> str:
    """Token text with control and unprintable characters shown as "·"; spaces stay."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "·" for c in text)


def _all_visible(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: _all_visible(value) for name, value in data.items()}
    if isinstance(data, str):
        return visible(data)
    return [_all_visible(value) for value in data] if isinstance(data, Sequence) else data


def _written(value: Any) -> Any:
    """What a template writes for a value: only HTML of our own making is HTML."""
    return value if isinstance(value, Markup) else Markup("<br>").join(map(visible, str(value).split("\n")))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _checksum(text: str) -> str:
    return "sha256-" + _base64(hashlib.sha256(text.encode()).digest())


_TEMPLATES = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, finalize=_written)
_TEMPLATES.trim_blocks = _TEMPLATES.lstrip_blocks = _TEMPLATES.keep_trailing_newline = True
_TEMPLATES.filters |= {"base64": _base64, "checksum": _checksum, "visible": visible}
_TEMPLATES.globals["zip"] = partial(zip, strict=True)
# JSON that no text in it can end: the filter also writes "<", ">", "&" and "'" as \u003c and so on.
_TEMPLATES.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":"), "allow_nan": False}
