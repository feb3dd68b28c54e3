"""Code in a process of its own that is ended at one of its steps: each thing that it does to files or processes."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
POINTS = 20  # of each signal; the quick tests take one
_STEPS = """
import os, signal, sys
def begin():
    # What is started in the background ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    point, number, steps = int(sys.argv[1]), int(sys.argv[2]), 0
    def step(event, _):
        nonlocal steps
        if event in ("open", "subprocess.Popen") or event.startswith(("os.", "fcntl.", "shutil.")):
            steps += 1
            if steps == point:
                os.kill(os.getpid(), number)
    sys.addaudithook(step)
    return lambda: steps
"""


def started(code: str, point: int = 0, number: int = 0, **environment: str) -> "subprocess.Popen[str]":
    """The code, which calls `begin()` after its imports; its process is sent the signal at that step."""
    command = [sys.executable, "-c", _STEPS + code, str(point), str(number)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env={**os.environ, **environment}, cwd=ROOT, **pipes)  # type: ignore[call-overload]


def done(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Status, output and errors of a process that has ended, which takes seconds."""
    out, errors = process.communicate(timeout=120)
    return process.returncode, out, errors


def was_ended_by(number: int, status: int, errors: str) -> bool:
    """Whether a process ended as the signal has it, or came to its end before, and broke down nowhere."""
    by_itself = number == signal.SIGINT and errors.endswith("KeyboardInterrupt\n")
    return by_itself or (not errors and status in (0, -number, 128 + number))


def points(seed: int, of_each: int = POINTS) -> list[object]:
    """Parameters (signal, which of its points as a share of all steps): three quick ones, all in the long run."""
    draw, found = random.Random(seed), []  # noqa: S311
    for number in ENDS:
        for index in range(of_each):
            long = [pytest.mark.long] if index else []
            found.append(pytest.param(number, draw.random(), id=f"{number.name}-{index}", marks=long))
    return found


def orphans(mark: str, tries: int = 100) -> list[str]:
    """Commands of processes with `mark` in their environment, after a moment to end in."""
    for _ in range(tries):
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark.encode() in (folder / "environ").read_bytes():
                    found.append((folder / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        if not found:
            return []
        time.sleep(0.1 if tries > 1 else 0)
    return found
