"""`concept-geometry collect`: one table and one figure from the claims of many runs."""

import argparse
import sys
from pathlib import Path

from geometry.cli.parser import folder
from geometry.errors import visible


def add_collect(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to a parser."""
    says = "below which runs of claims lie, each from `run claims MODEL --out DIR/…`"
    parser.add_argument("folder", metavar="DIR", help=says)
    parser.add_argument("--out", type=folder, metavar="DIR", help="where to write (default: DIR/collected)")


def run_collect(options: argparse.Namespace) -> None:
    """Write both and say where, and what to know of the runs; one that cannot be read is left out.

    OutputError: there is none.
    """
    from geometry.report import collect

    found = collect(options.folder)
    for name, reason in found.left_out.items():
        print(visible(f"note: {name} is left out: {reason}"), file=sys.stderr)
    for note in found.notes:
        print(visible(f"note: {note}"), file=sys.stderr)
    print(visible(f"{found.write(options.out or Path(options.folder) / 'collected')}: {found}"))
