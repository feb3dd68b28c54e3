"""Which site, which strength, and does it work? The question and its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.errors import EstimationError
from geometry.experiments.study import ModelStudy, Step, option

if TYPE_CHECKING:
    from geometry.experiments.tuning.result import TuningResult

_FEWEST = 12  # concepts of a forecast


@dataclass(frozen=True, kw_only=True)
class TuningStudy(ModelStudy["TuningResult"]):
    """`geo.tune` against every block at eight strengths, and forecasts of steering's effect from geometry.

    >>> import geometry as geo
    >>> study = geo.experiments.TuningStudy(n_tuned=3, n_concepts=40)
    >>> study.command
    'concept-geometry run tuning smollm2-135m --n-tuned 3 --n-concepts 40'
    >>> result = study.run()  # doctest: +SKIP
    >>> result.tuned[0].ratio  # doctest: +SKIP

    Concepts are the lowest of WordNet's nouns with the words that no other of them has, so that what a forecast is
    calibrated on shares no word with what it is tested on. Sites and strengths are chosen on a quarter of the prompts,
    all is reported on the others.
    """

    name: ClassVar[str] = "tuning"
    whole_model: ClassVar[bool] = True
    question: ClassVar[str] = (
        "Which site and strength steer best for a given cost, and does geometry forecast whether they will?"
    )
    quick: ClassVar[Mapping[str, Any]] = {"n_tuned": 2, "n_concepts": 30, "behaviours": ("aggression",), "every": 3}

    n_tuned: int = option(10, "concepts that are tuned and searched exhaustively", least=2)
    n_concepts: int = option(96, "concepts of the forecast", least=_FEWEST)
    bound: float = option(0.5, "bound on KL(steered ‖ unsteered), nats")
    prompts: str = option("neutral", "packaged set of prompts, or a YAML or JSON file")
    behaviours: tuple[str, ...] = option(
        ("aggression", "emotion", "formality", "sentiment", "style"),
        "families of behaviour of the forecast, packaged ones or files; none",
        metavar="FAMILY",
    )
    every: int = option(1, "of the exhaustive grid every so many blocks, from the last", least=1)
    n_permutations: int = option(199, "of the forecast's null", least=19)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "behaviours", () if self.behaviours == ("none",) else self.behaviours)
        if not 0 < self.bound < float("inf"):
            raise EstimationError(f"bound: a positive number of nats, such as 0.5, not {self.bound}")
        if self.n_concepts < self.n_tuned:
            raise EstimationError(
                f"n_concepts: the {self.n_tuned} that are tuned are among them, not {self.n_concepts}"
            )

    def measure(self, step: Step) -> "TuningResult":
        """See `measure_tuning`."""
        from geometry.experiments.tuning.measure import measure_tuning

        return measure_tuning(self, step)
