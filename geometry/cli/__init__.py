"""The console command: `concept-geometry fetch NAME`, `models`, `steer`, `report`."""

import sys
from collections.abc import Sequence

from geometry.cli.parser import OneLineParser
from geometry.cli.report import add_report, run_report
from geometry.cli.steer import add_steer, run_steer
from geometry.errors import GeometryError
from geometry.models import CATALOGUE, Resource, cached_path, fetch, locate

__all__ = ["OneLineParser", "main"]

_OTHERS = (
    "Any hub id (openai-community/gpt2, Qwen/Qwen2.5-0.5B, google/gemma-2b), folder, .safetensors or .gguf file"
    " does as well."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 on success, 2 with one line on standard error for bad input."""
    parser = OneLineParser(
        prog="concept-geometry", description="Concept hierarchies in the geometry of language models."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    fetching = commands.add_parser("fetch", help="download models, saying what and under which licence, and check them")
    fetching.add_argument(
        "models", nargs="+", metavar="model", help="a name from `concept-geometry models`, a hub id, or a local path"
    )
    commands.add_parser("models", help="list what can be fetched by name and what is present")
    add_steer(commands.add_parser("steer", help="complete prompts with the directions of concepts added, and without"))
    add_report(commands.add_parser("report", help="write one page from the figures and results of a model"))
    options = parser.parse_args(arguments)
    try:
        if options.command == "models":
            print("\n".join(_describe(resource) for resource in CATALOGUE.values() if resource.kind == "model"))
            print(_OTHERS)
        elif options.command == "steer":
            run_steer(options)
        elif options.command == "report":
            run_report(options)
        else:
            for model in options.models:
                if model in CATALOGUE:
                    fetch(model)
                else:
                    print(f"{model}: found at {locate(model)}")
    except (GeometryError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    return 0


def _describe(resource: Resource) -> str:
    present = "present" if cached_path(resource).exists() else "not fetched"
    client = "" if resource.parts[0].client == "pip" else f" (through {resource.parts[0].client})"
    size = f"{resource.megabytes} MB"
    return f"{resource.name:<14} {size:>6}  {present:<12} {resource.description}; {resource.licence}{client}"
