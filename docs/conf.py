"""The site: pages and tutorials of this folder, the reference from the docstrings. `make site` builds it."""

import re

from sphinx.application import Sphinx

import geometry as geo

project = "concept-geometry"
author = project_copyright = "The concept-geometry authors"
release = version = geo.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = project
html_theme_options = {"light_css_variables": {"code-font-size": "74%"}}
html_static_path = ["_static"]
html_css_files = ["site.css"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# Tutorials are run at every build, and an error in one is the build's. Nothing of a page comes from a network.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 900
nb_execution_in_temp = True
nb_merge_streams = True
nb_ipywidgets_js: dict[str, dict[str, str]] = {}

autodoc_default_options = {"members": True, "member-order": "groupwise"}
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 90
# Docstrings are plain text: what stands in single backticks is code.
default_role = "code"
FACE = {name: getattr(geo, name) for name in dir(geo)}
BLOCKS = ("Parameters:", "Attributes:")
ITEM = re.compile(r"    (\w[\w, *]*): (.*)")
FIELD = re.compile(r"(?:Raises )?(\w*Error): (.*)|Returns ([^:]+): (.*)")


def plain_text(_app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """What our docstrings say in plain text, as fields and literal characters of reStructuredText."""
    written: list[str] = []
    example = field = block = False
    for line in lines:
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        if example:
            written.append(line)
            continue
        named, item = FIELD.match(line), ITEM.match(line)
        block = line in BLOCKS or (block and (not line.strip() or line.startswith("    ")))
        if line in BLOCKS:
            line = f":{line}"
        elif block and item:
            line = f"    - **{item[1]}**: {item[2]}"
            written.append("")
        elif block:
            line = line[2:]
        elif named:
            error, why, returned, what = named.groups()
            line = f":raises {error}: {why}" if error else f":returns: {returned}: {what}"
            written.append("")
        elif field and line.strip():
            line = "    " + line.strip()
        field = bool(line.strip()) and not block and bool(named or field)
        code = re.split(r"(`[^`]*`)", line)
        literal = [part if n % 2 else re.sub(r"(?<!\*)([*|])(?!\*)", r"\\\1", part) for n, part in enumerate(code)]
        written.append("".join(literal))
    lines[:] = written


def parseable(
    _app: Sphinx, _what: str, _name: str, _object: object, _options: object, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Signatures of dataclasses whose defaults are made by a factory: such defaults are no Python."""
    return (signature or "").replace("<factory>", "...") or None, returned


def elsewhere(app: Sphinx, _what: str, name: str, member: object, skip: bool, _options: object) -> bool:
    """Left out: what comes from other packages, and on a module's page what the public face holds."""
    of_ours = str(getattr(member, "__module__", "geometry")).startswith("geometry")
    on_the_face = app.env.docname != "api/geometry" and FACE.get(name) is member
    return skip or on_the_face or not (of_ours or not callable(member))


def setup(app: Sphinx) -> None:
    """Join what happens to docstrings on the way to a page."""
    app.connect("autodoc-process-docstring", plain_text)
    app.connect("autodoc-process-signature", parseable)
    app.connect("autodoc-skip-member", elsewhere)
