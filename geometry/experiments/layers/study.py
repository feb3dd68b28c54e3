"""The study of layers: its question and its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.errors import EstimationError, shown
from geometry.experiments.layers.choices import BESIDE, METRICS, TESTED
from geometry.experiments.study import ModelStudy, Step, option

if TYPE_CHECKING:
    from geometry.experiments.layers.result import LayersResult


@dataclass(frozen=True, kw_only=True)
class LayersStudy(ModelStudy["LayersResult"]):
    """The claims at every block of a model, beside their nulls and theory twins, for words and phrases in context.

    >>> result = LayersStudy(model="smollm2-135m").run()  # doctest: +SKIP
    >>> result.tests["output.12"]["existence"].verdict  # doctest: +SKIP
    'supported'

    Words and phrases of any number of tokens are read at their last token in several neutral contexts, after every
    block, and averaged over contexts. All claims are those of the study of claims; the inner product is that of the
    layer's own covariance on neutral text, beside the Euclidean one and two that are pulled back from the output.
    GloVe's vectors of the same phrases, which no language model made, stand beside all of it. What is read and measured
    of the model is kept in the cache, so that a second run takes it from there.
    """

    name: ClassVar[str] = "layers"
    whole_model: ClassVar[bool] = True
    question: ClassVar[str] = (
        "Where in a model does the concept hierarchy appear, where is it sharpest, and does the coarse come first?"
    )
    quick: ClassVar[Mapping[str, Any]] = {"n_permutations": 19, "n_concepts": 60, "every": 3, "n_steered": 1}

    full: ClassVar[Mapping[str, Any]] = {"n_permutations": 199, "n_twins": 5}

    hierarchy: str = option("wordnet-noun", "wordnet-noun, wordnet:SYNSET, a packaged name, or a YAML or JSON file")
    n_concepts: int = option(200, "concepts, those with the most words", least=4)
    words_per_concept: int = option(20, "words and phrases of a concept's own, at most", least=3)
    contexts: str = option("neutral", "packaged contexts, a YAML or JSON file, or one text with a gap, 'I saw a {}'")
    n_contexts: int = option(4, "contexts, the first of them; 0: all", least=0)
    metric: str = option("covariance", "inner product of the activations, for the claims", choices=METRICS)
    claims: tuple[str, ...] = option(TESTED, "at every block, by name; all: every claim", metavar="C")
    every: int = option(1, "read every so many blocks, from the last", least=1)
    n_permutations: int = option(99, "of phrases, at every block", least=1)
    n_twins: int = option(3, "theory twins, exact and tilted: so many of each", least=2)
    n_twin_blocks: int = option(5, "blocks that have twins beside them", least=1)
    beside: tuple[str, ...] = option(
        BESIDE, f"what is measured beside the claims, of {', '.join(BESIDE)}; none: the claims alone", metavar="B"
    )
    n_steered: int = option(3, "concepts to steer towards by vectors found at blocks", least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.claims:
            raise EstimationError("claims must name at least one claim, or all")
        object.__setattr__(self, "beside", () if self.beside == ("none",) else self.beside)
        if unknown := [name for name in self.beside if name not in BESIDE]:
            raise EstimationError(f"beside must be of {', '.join(BESIDE)}, or none, not {shown(unknown[0])}")

    def read_at(self, depth: int) -> list[int]:
        """The blocks of a model of so many whose outputs are read."""
        return list(range((depth - 1) % self.every, depth, self.every))

    def measure(self, step: Step) -> "LayersResult":
        """See `measure_layers`."""
        from geometry.experiments.layers.measure import measure_layers

        return measure_layers(self, step)
