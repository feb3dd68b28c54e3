"""Does parent + child steer towards the child? The question and its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.errors import EstimationError
from geometry.experiments.study import ModelStudy, Step, option

if TYPE_CHECKING:
    from geometry.experiments.steering.result import SteeringResult


@dataclass(frozen=True, kw_only=True)
class SteeringStudy(ModelStudy["SteeringResult"]):
    """Steer a model by a concept vector and a child contrast, beside its parts, the direct vector and random ones.

    >>> import geometry as geo
    >>> study = geo.experiments.SteeringStudy(child="mammal.n.01", beside=("bird.n.01", "plant.n.02"))
    >>> study.command
    'concept-geometry run steering smollm2-135m --child mammal.n.01 --beside bird.n.01 plant.n.02'
    >>> result = study.run()  # doctest: +SKIP
    >>> result.write("figures/mammals")  # doctest: +SKIP

    Concept vectors are fitted to 70% of the lemmas of WordNet's nouns. Coefficient, block and strength are chosen on
    a third of the prompts, each strength by its cost alone (see `Evaluator.strongest_within`), and all is reported
    on the other prompts.
    """

    name: ClassVar[str] = "steering"
    whole_model: ClassVar[bool] = True
    question: ClassVar[str] = "Does parent + child steer towards the child, at what cost, and where in the model?"
    quick: ClassVar[Mapping[str, Any]] = {"blocks": 3, "n_random": 19}

    parent: str = option("animal.n.01", "synset", metavar="SYNSET")
    child: str = option("bird.n.01", "synset below the parent", metavar="SYNSET")
    beside: tuple[str, ...] = option(
        ("mammal.n.01", "plant.n.02"), "measured too: one below the parent, one outside it", count=2, metavar="SYNSET"
    )
    prompts: str = option("neutral", "packaged set of prompts, or a YAML or JSON file")
    n_random: int = option(49, "random vectors of each kind", least=1)
    every: int = option(1, "sweep every so many blocks, from the last", least=1)
    blocks: int = option(0, "sweep so many blocks in all, evenly spaced; 0: as `every` says", least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.blocks and self.every > 1:
            raise EstimationError("the blocks to sweep follow from `every` or from `blocks`; give one of them")

    @property
    def concepts(self) -> tuple[str, ...]:
        """The concepts that are measured: parent, sibling, child, one outside."""
        return self.parent, self.beside[0], self.child, self.beside[1]

    def swept(self, depth: int) -> list[int]:
        """The blocks to sweep of a model of so many: the middle of each of `blocks` parts, or by `every`."""
        if self.blocks:
            return sorted({depth * (2 * part + 1) // (2 * self.blocks) for part in range(self.blocks)})
        return list(range((depth - 1) % self.every, depth, self.every))

    def measure(self, step: Step) -> "SteeringResult":
        """See `measure_steering`."""
        from geometry.experiments.steering.measure import measure_steering

        return measure_steering(self, step)
