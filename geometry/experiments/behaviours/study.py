"""The study of behaviours: its question and its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.concepts.behaviours import packaged_behaviours
from geometry.experiments.study import ModelStudy, Step, option

if TYPE_CHECKING:
    from geometry.experiments.behaviours.result import BehavioursResult


@dataclass(frozen=True, kw_only=True)
class BehavioursStudy(ModelStudy["BehavioursResult"]):
    """Classes of behaviour: probed, compared with their words and with each other, and steered between.

    >>> result = BehavioursStudy(families=("aggression",)).run()  # doctest: +SKIP
    >>> result.families["aggression"].steering.success["class difference"].mean()  # doctest: +SKIP
    0.8

    Writes ten figures, generations.html, results.json and results.npz. Every prompt is run once and read at its last
    token after each block; a second run takes these activations from a file.
    """

    name: ClassVar[str] = "behaviours"
    whole_model: ClassVar[bool] = True
    question: ClassVar[str] = (
        "Have classes of behaviour a place in the model, how do they relate, and can one steer between any two of them?"
    )
    quick: ClassVar[Mapping[str, Any]] = {"n_permutations": 19}

    families: tuple[str, ...] = option(
        packaged_behaviours(), "packaged names, or YAML or JSON files like data/behaviours/aggression.yaml", metavar="F"
    )
    n_permutations: int = option(39, "of shuffled labels and rows", least=19)

    def measure(self, step: Step) -> "BehavioursResult":
        """See `measure_behaviours`."""
        from geometry.experiments.behaviours.measure import measure_behaviours

        return measure_behaviours(self, step)
