"""The study of what is inside a steering vector: its question and its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.experiments.study import ModelStudy, Step, option

if TYPE_CHECKING:
    from geometry.experiments.parts import PartsResult


@dataclass(frozen=True, kw_only=True)
class AnatomyStudy(ModelStudy["PartsResult"]):
    """Read vectors, take what differs within pairs apart, keep the strongest parts alone, and steer again.

    >>> import geometry as geo
    >>> result = geo.experiments.AnatomyStudy(n_concepts=12).run()  # doctest: +SKIP
    >>> result.parts["pruning"].difference("singular directions", "effect")["mean"]  # doctest: +SKIP

    Vectors are mean differences of activations after the middle block, of WordNet's concepts and of pairs of words.
    Pruned and whole ones are compared at equal KL divergence, by words that no vector was made from, on prompts on
    which nothing was chosen.
    """

    name: ClassVar[str] = "anatomy"
    whole_model: ClassVar[bool] = True
    question: ClassVar[str] = "What is a steering vector made of, and does it steer better without its weak parts?"
    quick: ClassVar[Mapping[str, Any]] = {
        "n_concepts": 3,
        "n_pairs": 2,
        "n_prompts": 8,
        "n_texts": 6,
        "n_random": 19,
        "n_sets": 3,
        "n_atoms": 60,
    }
    full: ClassVar[Mapping[str, Any]] = {
        "n_concepts": 40,
        "n_prompts": 48,
        "n_texts": 60,
        "n_random": 199,
        "n_atoms": 400,
    }

    hierarchy: str = option("wordnet-noun", "wordnet-noun, wordnet:SYNSET, a packaged name, or a YAML or JSON file")
    n_concepts: int = option(12, "concepts whose vectors are pruned", least=3)
    n_pairs: int = option(5, "sets of pairs of words whose vectors are pruned", least=1)
    n_phrases: int = option(16, "words of a concept that its vector is made from, at most", least=4)
    n_atoms: int = option(200, "concepts by whose vectors others are rebuilt, the largest of them", least=16)
    n_sets: int = option(9, "sets of pairs whose components are read", least=1)
    n_prompts: int = option(24, "neutral prompts: on half of them k is chosen, on the others reported", least=6)
    n_texts: int = option(16, "neutral texts whose loss is measured, the first tokens of each", least=5)
    n_random: int = option(99, "vectors of the null and draws beside every reading", least=19)
    prompts: str = option("neutral", "packaged set of prompts, or a YAML or JSON file")
    dictionary: str = option(
        "", "sparse autoencoder: folder or hub id; default: the one that the study of dictionaries keeps, if it does"
    )

    def measure(self, step: Step) -> "PartsResult":
        """See `measure_anatomy`."""
        from geometry.experiments.anatomy.measure import measure_anatomy

        return measure_anatomy(self, step)
