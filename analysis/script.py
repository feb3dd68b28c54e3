"""What every analysis script shares: arguments, timing, results.json, and one-line errors."""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geometry as geo
from geometry.cli import OneLineParser

DEFAULT_MODEL = "smollm2-135m"


@dataclass
class Run:
    """One run of an analysis: its settings, its output folder and its clock."""

    analysis: str
    model: str
    seed: int
    settings: dict[str, Any]
    output: geo.OutputFolder
    started: float = field(default_factory=time.perf_counter)

    def step(self, text: str) -> None:
        """Tell a waiting user what is being done; silent when nobody watches."""
        if sys.stderr.isatty():
            print(f"[{time.perf_counter() - self.started:5.1f} s] {text}", file=sys.stderr)

    def write_results(self, model: dict[str, Any], results: dict[str, Any]) -> None:
        """Write results.json in the layout that all analyses share."""
        content = {
            "analysis": self.analysis,
            "model": model,
            "settings": {"seed": self.seed, **self.settings},
            "seconds": round(time.perf_counter() - self.started, 1),
            "results": results,
        }
        self.output.json("results", content)


def whole_number(least: int) -> Callable[[str], int]:
    """An argument type: an integer of at least `least`."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return int(text)

    return parse


def arguments(analysis: str, description: str) -> OneLineParser:
    """The options that all analyses have."""
    parser = OneLineParser(prog=f"python -m analysis.{analysis}", description=description)
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, help="packaged name, hub id, folder, .safetensors or .gguf file"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"where to write (default: figures/<model>/{analysis})")
    parser.add_argument("--seed", type=whole_number(0), default=0, help="the only source of randomness (default: 0)")
    return parser


def run(analysis: str, options: argparse.Namespace, body: Callable[[Run], None]) -> int:
    """Run `body` with a checked output folder; 0, or 2 with one line on standard error for bad input."""
    settings = {key: value for key, value in vars(options).items() if key not in {"model", "out", "seed"}}
    try:
        folder = options.out or Path("figures") / geo.display_name(options.model).replace("/", "--") / analysis
        with geo.OutputFolder(folder) as output:
            this = Run(analysis, options.model, options.seed, settings, output)
            body(this)
        print(f"{folder}: written in {time.perf_counter() - this.started:.0f} s")
    except (geo.GeometryError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    return 0
