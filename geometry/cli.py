"""The console command: `concept-geometry fetch NAME`, `concept-geometry models`."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from geometry.errors import GeometryError
from geometry.models import CATALOGUE, Resource, cached_path, fetch, locate

__all__ = ["OneLineParser", "main"]


class OneLineParser(argparse.ArgumentParser):
    """Refuses bad arguments in one line, as all other bad input is refused."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2 and one line on standard error."""
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 on success, 2 with one line on standard error for bad input."""
    parser = OneLineParser(
        prog="concept-geometry", description="Concept hierarchies in the geometry of language models."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    fetching = commands.add_parser("fetch", help="download a model, saying what and under which licence, and check it")
    fetching.add_argument("model", help="a name from `concept-geometry models`, a hub id, or a local path")
    commands.add_parser("models", help="list what can be fetched by name and what is present")
    options = parser.parse_args(arguments)
    try:
        if options.command == "models":
            print("\n".join(_describe(resource) for resource in CATALOGUE.values() if resource.kind == "model"))
        elif options.model in CATALOGUE:
            fetch(options.model)
        else:
            print(f"{options.model}: found at {locate(options.model)}")
    except (GeometryError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    return 0


def _describe(resource: Resource) -> str:
    present = "present" if cached_path(resource).exists() else f"{resource.megabytes} MB to fetch"
    return f"{resource.name:<14} {present:<16} {resource.description}; {resource.licence}"


if __name__ == "__main__":
    sys.exit(main())
