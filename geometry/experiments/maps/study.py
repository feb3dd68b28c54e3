"""The study of maps: its question and its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.experiments.study import ModelStudy, Step, option

if TYPE_CHECKING:
    from geometry.experiments.maps.result import MapsResult


@dataclass(frozen=True, kw_only=True)
class MapsStudy(ModelStudy["MapsResult"]):
    """UMAP of a vocabulary and of its concept vectors, and the Mapper graph of a concept's words, beside their nulls.

    >>> result = MapsStudy(model="smollm2-135m", concept="food.n.01").run()  # doctest: +SKIP

    The vocabulary is mapped under the causal inner product and under the Euclidean one; how far a map can be trusted
    stands on it.
    """

    name: ClassVar[str] = "maps"
    question: ClassVar[str] = "What does a vocabulary look like, and is what one sees there?"
    quick: ClassVar[Mapping[str, Any]] = {"n_permutations": 19}

    hierarchy: str = option("wordnet-noun", "wordnet-noun, wordnet-verb, a packaged name, or a YAML or JSON file")
    concept: str = option("", "whose words Mapper takes (default: animal.n.01, else the first concept above others)")
    n_permutations: int = option(39, "permutations of each null of Mapper", least=1)

    def measure(self, step: Step) -> "MapsResult":
        """See `measure_maps`."""
        from geometry.experiments.announce import require_mappable
        from geometry.experiments.maps.measure import measure_maps

        require_mappable(self.hierarchy, self.concept)
        return measure_maps(self, step)
