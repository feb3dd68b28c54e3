"""Is a value its category plus its position inside the model, and a pair of nouns the sum of its roles?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.errors import EstimationError
from geometry.experiments.study import ModelStudy, Step, option

if TYPE_CHECKING:
    from geometry.experiments.composition.result import CompositionResult

_NOUNS = 16


@dataclass(frozen=True, kw_only=True)
class CompositionStudy(ModelStudy["CompositionResult"]):
    """Additive composition block by block: "April" as month + 4th, "a duck on a horse" as two nouns in two roles.

    >>> import geometry as geo
    >>> study = geo.experiments.CompositionStudy(every=6)
    >>> result = study.run()  # doctest: +SKIP
    >>> print(result.parts["series"].tables()[0])  # doctest: +SKIP
    """

    name: ClassVar[str] = "composition"
    whole_model: ClassVar[bool] = True
    question: ClassVar[str] = "Do parts add up inside the model: category + position, and one noun on another?"
    quick: ClassVar[Mapping[str, Any]] = {"every": 10, "n_permutations": 9, "n_nouns": 6, "n_random": 1}
    full: ClassVar[Mapping[str, Any]] = {"every": 1, "n_permutations": 99, "n_nouns": 16}

    series: str = option("series", "packaged name, or a YAML or JSON file like data/values/series.yaml")
    sets: tuple[str, ...] = option(
        ("weekdays", "months", "number words", "ordinals", "letters"),
        "of its sets, those whose values count from a first",
    )
    every: int = option(3, "read every so many blocks", least=1)
    n_permutations: int = option(39, "of positions, orders and pairs", least=5)
    n_random: int = option(5, "random vectors and shuffled positions in the place of a step", least=1)
    n_nouns: int = option(12, "nouns that stand on each other, at most 16", least=5)
    control: str = option("glove-6b-100d", "word vectors without a language model; none: without")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_nouns > _NOUNS:
            raise EstimationError(f"n_nouns: there are {_NOUNS} nouns, and {self.n_nouns} are asked for")

    def measure(self, step: Step) -> "CompositionResult":
        """See `measure_composition`."""
        from geometry.experiments.composition.measure import measure_composition

        return measure_composition(self, step)
