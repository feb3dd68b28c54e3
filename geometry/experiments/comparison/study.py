"""The comparison of models: its question and its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.experiments.study import Step, Study, option

if TYPE_CHECKING:
    from geometry.experiments.comparison.result import ComparisonResult


@dataclass(frozen=True, kw_only=True)
class ComparisonStudy(Study["ComparisonResult"]):
    """Claims, representational similarity, alignment and trees of several models, each beside its nulls.

    >>> result = ComparisonStudy(models=("smollm2-135m", "gemma3-270m")).run()  # doctest: +SKIP

    Models are compared on the words that are single tokens in all of them, and each on its own words besides. Of an
    untied model the input embedding stands beside the unembedding. Only these matrices are read, one after the other.
    Word vectors, which no language model made, stand beside the models in a comparison of their own, on the words that
    they share with all of them.
    """

    name: ClassVar[str] = "comparison"
    question: ClassVar[str] = "Are hierarchies laid out alike in different models?"
    quick: ClassVar[Mapping[str, Any]] = {"n_permutations": 19, "n_twins": 2, "n_concept_permutations": 5}

    models: tuple[str, ...] = option(
        ("smollm2-135m", "gemma3-270m", "tinyllama-1.1b"),
        "packaged names, hub ids, folders, .safetensors or .gguf files",
        metavar="M",
    )
    hierarchy: str = option("wordnet-noun", "wordnet-noun, wordnet-verb, a packaged name, or a YAML or JSON file")
    # As many as let a model's claims, adjusted together, be decided.
    n_permutations: int = option(99, "permutations of lemmas", least=2)
    n_twins: int = option(5, "theory twins, exact and tilted: so many of each; 0: no verdict on orthogonality", least=0)
    n_concept_permutations: int = option(19, "permutations of a model's concepts", least=1)
    control: str = option("glove-6b-100d", "word vectors to stand beside the models, if fetched; none: without")

    @property
    def subject(self) -> tuple[str, ...]:
        """The models as they were given."""
        return self.models

    @property
    def folder(self) -> Path:
        """figures/comparison."""
        return Path("figures") / self.name

    def measure(self, step: Step) -> "ComparisonResult":
        """See `measure_comparison`."""
        from geometry.experiments.comparison.measure import measure_comparison

        return measure_comparison(self, step)
