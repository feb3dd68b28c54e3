"""`concept-geometry report`: one page from all that the analyses of a model left."""

import argparse
from pathlib import Path

from geometry.models import display_name


def add_report(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to a parser."""
    parser.add_argument(
        "model",
        nargs="?",
        default="smollm2-135m",
        metavar="MODEL",
        help="as the analyses were given it, or a folder of their results (default: smollm2-135m)",
    )


def run_report(options: argparse.Namespace) -> None:
    """Write the page and say where it lies; OutputError if there is nothing to report."""
    from geometry.report import write_report  # other commands need no pictures

    print(f"{write_report(_results(options.model))}: written")


def _results(model: str) -> Path:
    """The folder itself if it holds results, or where the analyses write those of a model of that name."""
    folder = Path(model)
    if any(folder.glob("*/results.json")):
        return folder
    return Path("figures") / display_name(model).replace("/", "--")
