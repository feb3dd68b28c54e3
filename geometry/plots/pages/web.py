"""What all pages share: one HTML file with its data, script and style inside, that loads and sends nothing."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

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


def visible(text: str) -> str:
    """Token text with control and unprintable characters shown as "·"; spaces stay."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "·" for c in text)


def base64(content: bytes) -> str:
    """Bytes as text."""
    return b64encode(content).decode("ascii")


def _written(value: Any) -> Any:
    """What a template writes for a value: only HTML of our own making is HTML."""
    return value if isinstance(value, Markup) else Markup("<br>").join(map(visible, str(value).split("\n")))


_TEMPLATES = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, finalize=_written)
_TEMPLATES.trim_blocks = _TEMPLATES.lstrip_blocks = _TEMPLATES.keep_trailing_newline = True
_TEMPLATES.filters |= {"base64": base64, "sha256": lambda text: sha256(text.encode()).digest(), "visible": visible}
_TEMPLATES.globals["zip"] = lambda *parts: zip(*parts, strict=True)
# JSON that no text in it can end: the filter also writes "<", ">", "&" and "'" as \u003c and so on.
_TEMPLATES.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":"), "allow_nan": False}
