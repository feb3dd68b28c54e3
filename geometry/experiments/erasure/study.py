"""Does erasing a concept remove it, and what else goes with it? The question and its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.experiments.study import ModelStudy, Step, option

if TYPE_CHECKING:
    from geometry.experiments.erasure.result import ErasureResult


@dataclass(frozen=True, kw_only=True)
class ErasureStudy(ModelStudy["ErasureResult"]):
    """Erase concepts and subtrees from the residual stream at one block, and look for them there and afterwards.

    >>> import geometry as geo
    >>> study = geo.experiments.ErasureStudy(n_erased=12)
    >>> result = study.run()  # doctest: +SKIP
    >>> result.parts["removal"].after("erasure").mean()  # doctest: +SKIP

    Erasers (LEACE) are fitted to half of the words; probes are fitted to a quarter and judged on the other, both ways
    round. No last word of a phrase stands in two of these parts.
    """

    name: ClassVar[str] = "erasure"
    whole_model: ClassVar[bool] = True
    question: ClassVar[str] = "Does erasing a concept remove it, does the model rebuild it, and what else goes with it?"
    quick: ClassVar[Mapping[str, Any]] = {
        "n_concepts": 60, "words_per_concept": 20, "n_erased": 4, "n_subtrees": 1, "n_downstream": 2, "n_kinds": 4,
        "n_prompts": 6,
    }  # fmt: skip
    full: ClassVar[Mapping[str, Any]] = {
        "n_concepts": 200, "n_erased": 40, "n_subtrees": 8, "n_downstream": 24, "n_kinds": 16, "n_prompts": 24,
        "n_controls": 5,
    }  # fmt: skip

    hierarchy: str = option("wordnet-noun", "wordnet-noun, wordnet:SYNSET, a packaged name, or a YAML or JSON file")
    site: str = option("middle", "where concepts are erased, such as output.15; middle: after the middle block")
    n_concepts: int = option(120, "concepts that are looked for, those with the most words", least=8)
    words_per_concept: int = option(30, "words and phrases of a concept's own, at most", least=8)
    n_erased: int = option(12, "concepts that are erased one by one, spread over the depths", least=3)
    n_subtrees: int = option(3, "subtrees that are erased, all of their concepts at once; 0: none", least=0)
    n_contexts: int = option(2, "neutral contexts in which words are read, the first of them", least=1)
    n_controls: int = option(2, "draws of random directions, and of permuted labels, for each", least=1)
    n_downstream: int = option(12, "erased concepts that are looked for at later blocks; 0: none", least=0)
    n_kinds: int = option(10, "concepts whose names the model is asked for, 'A robin is a kind of'; 0: none", least=0)
    n_prompts: int = option(12, "neutral prompts, the first of them, and half as many about each concept", least=4)

    def measure(self, step: Step) -> "ErasureResult":
        """See `measure_erasure`."""
        from geometry.experiments.erasure.measure import measure_erasure

        return measure_erasure(self, step)
