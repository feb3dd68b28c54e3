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
    output: geo.output.OutputFolder
    started: float = field(default_factory=time.perf_counter)

    def step(self, text: str) -> None:
        """Tell a waiting user what is being done; silent when nobody watches."""
        if sys.stderr.isatty():
            print(f"[{time.perf_counter() - self.started:5.1f} s] {text}", file=sys.stderr)

    def write_results(self, model: dict[str, Any] | None, results: dict[str, Any]) -> None:
        """Write results.json in the layout that all analyses share; of several models `results` says which."""
        content = {
            "analysis": self.analysis,
            **({} if model is None else {"model": model}),
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


def arguments(analysis: str, description: str, *, several: tuple[str, ...] = ()) -> OneLineParser:
    """The options that all analyses have; an analysis of `several` models by default takes these."""
    parser = OneLineParser(prog=f"python -m analysis.{analysis}", description=description)
    kinds = "packaged name, hub id, folder, .safetensors or .gguf file"
    if several:
        shown = " ".join(several)
        parser.add_argument("--models", nargs="+", default=several, metavar="M", help=f"{kinds} (default: {shown})")
        where = "figures/comparison"
    else:
        parser.add_argument("--model", default=DEFAULT_MODEL, help=kinds)
        where = f"figures/<model>/{analysis}"
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"where to write (default: {where})")
    parser.add_argument("--seed", type=whole_number(0), default=0, help="the only source of randomness (default: 0)")
    return parser


def run(analysis: str, options: argparse.Namespace, body: Callable[[Run], None]) -> int:
    """Run `body` with a checked output folder; 0, or 2 with one line on standard error for bad input."""
    settings = {key: value for key, value in vars(options).items() if key not in {"model", "out", "seed"}}
    model = getattr(options, "model", "")
    try:
        place = Path(geo.models.display_name(model).replace("/", "--")) / analysis if model else Path("comparison")
        folder = options.out or Path("figures") / place
        with geo.output.OutputFolder(folder) as output:
            this = Run(analysis, model, options.seed, settings, output)
            body(this)
        print(f"{folder}: written in {time.perf_counter() - this.started:.0f} s")
    except (geo.GeometryError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    return 0
