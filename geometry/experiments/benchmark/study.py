"""The benchmark: its question and its options."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.errors import EstimationError, shown
from geometry.experiments.study import ModelStudy, Step, option, silent

if TYPE_CHECKING:
    from geometry.experiments.benchmark.result import Benchmark

PARTS = ("start", "reading", "vectors", "analysis", "permutations", "head", "training", "steering")


@dataclass(frozen=True, kw_only=True)
class BenchmarkStudy(ModelStudy["Benchmark"]):
    """Speed and memory of what this package computes, against the textbook way, side by side in one run.

    >>> print(BenchmarkStudy(parts=("start",), rounds=1).run())  # doctest: +SKIP

    It is no study of a model: a folder of its own, and a script, `python -m analysis.benchmark`, and no command.
    """

    name: ClassVar[str] = "benchmark"
    question: ClassVar[str] = "How fast and how large, beside other ways to the same numbers?"
    quick: ClassVar[Mapping[str, Any]] = {
        "every": 60, "rounds": 2, "widest": 1_024, "head_rows": 64_000, "head_width": 1_024,
    }  # fmt: skip

    every: int = option(16, "the textbook on every N-th concept", least=1, metavar="N")
    rounds: int = option(5, "rounds in which both sides take turns", least=1, metavar="N")
    widest: int = option(4_096, "the largest width of synthetic rows; half of it is the next", least=1, metavar="D")
    head_rows: int = option(256_000, "rows of the synthetic head on disk", least=150, metavar="V")
    head_width: int = option(2_048, "its width", least=2, metavar="D")
    parts: tuple[str, ...] = option(PARTS, f"some of {', '.join(PARTS)}", metavar="PART")

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := [part for part in self.parts if part not in PARTS]:
            raise EstimationError(f"parts must be among {', '.join(PARTS)}, not {shown(unknown[0])}")
        if self.device != "cpu":
            raise EstimationError(
                f"device {shown(self.device)}: it is CPU time that is compared here; for a GPU take"
                " python -m analysis.gpu"
            )

    @property
    def folder(self) -> Path:
        """figures/benchmark."""
        return Path("figures") / self.name

    @property
    def command(self) -> str:
        """What repeats the run in a terminal."""
        return super().command.replace("concept-geometry run benchmark", "python -m analysis.benchmark", 1)

    def measure(self, step: Step) -> "Benchmark":
        """See `measure_benchmark`."""
        from geometry.experiments.benchmark.measure import measure_benchmark

        return measure_benchmark(self, step)


def run_benchmark(model: str = "smollm2-135m", *, step: Callable[[str], None] = silent, **settings: Any) -> "Benchmark":
    """All comparisons, or some parts of them; settings are those of `BenchmarkStudy`.

    GeometryError: a model that cannot be read, or whose vocabulary has no noun concepts.
    """
    return BenchmarkStudy(model=model, **settings).run(step)
