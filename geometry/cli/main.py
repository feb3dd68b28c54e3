"""The console command: `concept-geometry COMMAND`. Imports what a command needs when it runs."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from geometry.cli.parser import OneLineParser, one_line

if TYPE_CHECKING:
    from geometry.models import Resource

_HUB_IDS = "openai-community/gpt2, Qwen/Qwen2.5-0.5B, google/gemma-2b"
_COMMANDS = {
    "run": "run one study: claims, steering, maps, behaviours of a model; comparison of several; calibration",
    "figures": "run the studies of a model and write one page of all their figures",
    "steer": "generate with the directions of concepts added, and without",
    "explain": "say what a steering vector is made of, in words and concepts",
    "fetch": "download models, saying what and under which licence, and check them",
    "models": "list what can be fetched by name and what is present",
    "cache": "list what is kept on this machine; remove what can be computed again",
    "report": "write one page from the figures and results of a model",
    "collect": "make one table and one figure of the claims of many runs",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 on success, 2 with one line on standard error for bad input."""
    try:
        Path.cwd()
    except OSError:  # libraries end with messages of their own
        print("error: the working directory is gone; change to one that is there", file=sys.stderr)
        return 2
    words = sys.argv[1:] if arguments is None else list(arguments)
    says = "Concept hierarchies in the geometry of language models."
    parser = OneLineParser(prog="concept-geometry", description=says)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    # Only the command that is asked for brings its options along, so that `--help` is quick.
    asked = next((word for word in words if not word.startswith("-")), "")
    for name, says in _COMMANDS.items():
        command = commands.add_parser(name, help=says, description=says)
        if name == asked:
            _add(name, command)
    options = parser.parse_args(words)
    return one_line(lambda: _run(options))


def _add(name: str, command: argparse.ArgumentParser) -> None:
    from geometry.cli.cache import add_cache
    from geometry.cli.collect import add_collect
    from geometry.cli.explain import add_explain
    from geometry.cli.report import add_report
    from geometry.cli.run import add_figures, add_run
    from geometry.cli.steer_options import add_steer

    if name == "fetch":
        says = "a name from `concept-geometry models`, a hub id, or a local path"
        command.add_argument("models", nargs="+", metavar="model", help=says)
    elif name != "models":
        added = {"run": add_run, "figures": add_figures, "steer": add_steer, "report": add_report}
        (added | {"collect": add_collect, "cache": add_cache, "explain": add_explain})[name](command)


def _run(options: argparse.Namespace) -> None:
    if options.command == "models":
        from geometry.models import CATALOGUE

        print("\n".join(_describe(resource) for resource in CATALOGUE.values() if resource.kind != "source"))
        files = "folder, .safetensors or .gguf file does as well; word vectors too (.txt, .vec, .npz), but to steer"
        print(f"Any hub id ({_HUB_IDS}), {files}.")
    elif options.command == "fetch":
        from geometry.cli.fetch import run_fetch

        run_fetch(options)
    elif options.command == "steer":
        from geometry.cli.steer import run_steer

        run_steer(options)
    else:
        from geometry.cli.cache import run_cache
        from geometry.cli.collect import run_collect
        from geometry.cli.explain import run_explain
        from geometry.cli.report import run_report
        from geometry.cli.run import run_figures, run_run

        commands = {"run": run_run, "figures": run_figures, "report": run_report, "collect": run_collect}
        (commands | {"cache": run_cache, "explain": run_explain})[options.command](options)


def _describe(resource: "Resource") -> str:
    from geometry.models.fetching import cached_path, is_present

    missing = "damaged" if cached_path(resource).exists() else "not fetched"
    present = "present" if is_present(resource) else missing
    client = "" if resource.parts[0].client == "pip" else f" (through {resource.parts[0].client})"
    size = f"{resource.megabytes} MB"
    return f"{resource.name:<14} {size:>6}  {present:<12} {resource.description}; {resource.licence}{client}"
