"""What all parts share: a comparison of two ways to the same thing, and how long work takes."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import torch
from threadpoolctl import threadpool_limits

from geometry.cache import LIMIT
from geometry.display import short_repr

Work = Callable[[], object]
_SHORTEST = 1e-9  # seconds, where a difference of two times is none


@dataclass(frozen=True)
class Comparison:
    """What this package takes for something, and what another way takes, over one or several rounds in turn.

    >>> fits = Comparison("vectors", "200 concept vectors", "pseudo-inverse", [0.25, 0.2], [24.0, 30.0])
    >>> fits.ratio, fits.kept
    (120.0, None)

    Attributes:
        subject: what it is about; one of `SUBJECTS`.
        measured, instead: what is done here, and the other way.
        ours, other: what they take, a number a round.
        unit: of these numbers; of a time whether it is CPU time.
        promised: the least ratio that holds where nothing is wrong; None where nothing is promised.
        difference: the largest relative difference of what both give; nan where it was not looked at.
    """

    subject: str
    measured: str
    instead: str
    ours: Sequence[float]
    other: Sequence[float]
    unit: str = "CPU s"
    promised: float | None = None
    difference: float = float("nan")

    __repr__ = short_repr

    @property
    def ratio(self) -> float:
        """How many times as much the other way takes, at best."""
        return min(self.other) / min(self.ours)

    @property
    def ratio_of_medians(self) -> float:
        """The same of medians over the rounds."""
        return median(self.other) / median(self.ours)

    @property
    def kept(self) -> bool | None:
        """Whether a promise is kept; None without one."""
        return None if self.promised is None else self.ratio >= self.promised

    def row(self) -> list[str]:
        """Its line of the table."""
        values = [f"{min(side):.3g} {self.unit}" for side in (self.ours, self.other)]
        promised = "" if self.promised is None else f"{self.promised:.3g}"
        said = f"{self.measured} (instead: {self.instead})"
        return [said, *values, f"{self.ratio:.3g}", f"{self.ratio_of_medians:.3g}", promised]

    def to_dict(self) -> dict[str, object]:
        """For results.json."""
        return {
            "subject": self.subject,
            "measured": self.measured,
            "instead": self.instead,
            "unit": self.unit,
            "ours": list(self.ours),
            "other": list(self.other),
            "ratio": self.ratio,
            "ratio_of_medians": self.ratio_of_medians,
            "promised": self.promised,
            "difference": self.difference,
        }


VECTORS, ANALYSIS, PERMUTATIONS = "concept vectors", "whole analysis", "permutations"
MEMORY, STEERING, STARTING = "reading and memory", "steered generation", "start"
TRAINING = "sparse autoencoder"
SUBJECTS = (VECTORS, ANALYSIS, PERMUTATIONS, MEMORY, TRAINING, STEERING, STARTING)


def cpu_seconds(work: Work) -> float:
    """CPU time of all threads: what others do on the machine at the same time counts little."""
    start = time.process_time()
    work()
    return max(time.process_time() - start, _SHORTEST)


def device_seconds(work: Work) -> float:
    """Wall time until a GPU, if there is one, is done with it."""
    synchronise()
    start = time.perf_counter()
    work()
    synchronise()
    return max(time.perf_counter() - start, _SHORTEST)


def synchronise() -> None:
    """Wait for a GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def in_turn(sides: Sequence[Work], rounds: int, clock: Callable[[Work], float] = cpu_seconds) -> list[list[float]]:
    """What each side takes, round by round, so that a machine that slows down does so for all of them."""
    times: list[list[float]] = [[] for _ in sides]
    for number in range(rounds):
        for index in range(len(sides)) if number % 2 == 0 else reversed(range(len(sides))):
            times[index].append(clock(sides[index]))
    return times


@contextmanager
def without_cache() -> Iterator[None]:
    """Inside, here and in processes that are begun, nothing is read that an earlier round computed."""
    before = os.environ.get(LIMIT)
    os.environ[LIMIT] = "0"
    try:
        yield
    finally:
        os.environ.pop(LIMIT)
        if before is not None:
            os.environ[LIMIT] = before


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, torch and the linear algebra of NumPy have one thread: others would wait for each other, and be timed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)
