"""The study of calibration: its question and its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.experiments.study import Step, Study, option

if TYPE_CHECKING:
    from geometry.experiments.calibration.result import CalibrationResult


@dataclass(frozen=True, kw_only=True)
class CalibrationStudy(Study["CalibrationResult"]):
    """False-positive rate, power and verdicts of every claim on planted models, where the answer is known.

    >>> result = CalibrationStudy(n_models=40).run()  # doctest: +SKIP

    It reads no model: what it tests is the package's own tests.
    """

    name: ClassVar[str] = "calibration"
    question: ClassVar[str] = "How often does each claim find what is there, and what is not?"
    quick: ClassVar[Mapping[str, Any]] = {"n_models": 10, "n_permutations": 39, "n_verdicts": 1}
    full: ClassVar[Mapping[str, Any]] = {"n_models": 200, "n_verdicts": 12}

    n_models: int = option(40, "small models of each kind, for rates of p ≤ 0.05", least=1)
    n_permutations: int = option(99, "permutations of each small model", least=19)
    n_verdicts: int = option(3, "large models of each kind, for verdicts", least=1)

    @property
    def subject(self) -> tuple[str, ...]:
        """No model is given."""
        return ()

    @property
    def folder(self) -> Path:
        """figures/calibration."""
        return Path("figures") / self.name

    def measure(self, step: Step) -> "CalibrationResult":
        """See `measure_calibration`."""
        from geometry.experiments.calibration.measure import measure_calibration

        return measure_calibration(self, step)
