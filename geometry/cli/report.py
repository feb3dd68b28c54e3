"""`concept-geometry report`: one page from all that the analyses of a model left."""

import argparse
from pathlib import Path

from geometry.errors import OutputError, visible
from geometry.models import display_name


def add_report(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to a parser."""
    says = "as the analyses were given it, or a folder of their results (default: smollm2-135m)"
    parser.add_argument("model", nargs="?", default="smollm2-135m", metavar="MODEL", help=says)


def run_report(options: argparse.Namespace) -> None:
    """Write the page and say where it lies; OutputError if there is nothing to report."""
    from geometry.report import write_report  # other commands need no pictures

    if not options.model.strip():
        raise OutputError("the model's name is empty; name one, as in: concept-geometry figures smollm2-135m")
    folder = Path(options.model)
    if not any(folder.glob("*/results.json")):  # then it names a model
        folder = Path("figures") / display_name(options.model).replace("/", "--")
    print(visible(f"{write_report(folder)}: written"))
