"""What it takes to begin, against importing torch, each in a process."""

import subprocess
import sys
from functools import partial

from geometry.experiments.benchmark.common import STARTING, Comparison, Work, in_turn

_TORCH = "import torch"


def compare_start(rounds: int) -> list[Comparison]:
    """Importing the package, and the help of its command."""
    ways = {
        "import geometry": ["-c", "import geometry"],
        "concept-geometry --help": ["-m", "geometry.cli", "--help"],
        _TORCH: ["-c", _TORCH],
    }
    begun = [partial(subprocess.run, [sys.executable, *way], check=True, capture_output=True) for way in ways.values()]
    times = dict(zip(ways, in_turn(begun, rounds, _child_seconds), strict=True))
    return [Comparison(STARTING, name, _TORCH, times[name], times[_TORCH]) for name in ways if name != _TORCH]


def _child_seconds(work: Work) -> float:
    """CPU time of the processes that the work begins and waits for."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
