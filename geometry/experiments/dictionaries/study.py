"""The study of dictionaries: its question and its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.experiments.study import ModelStudy, Step, option

if TYPE_CHECKING:
    from geometry.experiments.dictionaries.result import DictionariesResult


@dataclass(frozen=True, kw_only=True)
class DictionariesStudy(ModelStudy["DictionariesResult"]):
    """A sparse autoencoder and a codebook at one site: what they keep, which concepts they know, how they steer.

    >>> study = DictionariesStudy(dictionary="sae", n_classes=8)
    >>> result = study.run()  # doctest: +SKIP
    >>> result.parts["steering"].table  # doctest: +SKIP

    Without `dictionary` a TopK autoencoder is trained on WordNet's glosses, or on `texts`, and kept in the cache: what
    it finds is in the style of a dictionary's entries. A published one takes its place, at its own site.
    """

    name: ClassVar[str] = "dictionaries"
    whole_model: ClassVar[bool] = True
    question: ClassVar[str] = (
        "Do features of a sparse autoencoder, or codes of a codebook, stand for concepts and steer better than means?"
    )
    quick: ClassVar[Mapping[str, Any]] = {
        "n_tokens": 20_000, "n_features": 256, "k": 16, "epochs": 2, "n_held_out": 2000, "n_replaced": 300,
        "n_concepts": 40, "n_permutations": 9, "n_random": 2, "n_classes": 4, "n_prompts": 8,
        "behaviour": "",
    }  # fmt: skip
    full: ClassVar[Mapping[str, Any]] = {
        "n_replaced": 10_000, "n_permutations": 199, "n_random": 10, "n_classes": 24, "n_prompts": 48
    }  # fmt: skip

    dictionary: str = option("", "a sparse autoencoder in place of one trained here: a folder or a hub id")
    dictionary_folder: str = option("", "within it, such as layer_12/width_16k/average_l0_82")
    site: str = option("", "where to train, or where the dictionary reads if it does not say; default: middle block")
    texts: str = option("", "file of texts to train on and hold out from, one a line; default: WordNet's glosses")
    n_tokens: int = option(300_000, "tokens to train on", least=1000)
    n_features: int = option(2304, "features, and codes of the codebook", least=16)
    k: int = option(32, "of the features that are active in a row", least=1)
    epochs: int = option(3, "times that every token is seen in training", least=1)
    n_held_out: int = option(8000, "tokens of texts that were not trained on, for explained variance", least=100)
    n_replaced: int = option(1500, "of them for the loss with the residual stream replaced", least=50)
    hierarchy: str = option("wordnet-noun", "wordnet-noun, wordnet:SYNSET, a packaged name, or a YAML or JSON file")
    n_concepts: int = option(100, "concepts that features are looked for, the largest", least=3)
    n_permutations: int = option(29, "of words among concepts", least=1)
    n_random: int = option(3, "random dictionaries, of concepts; 1 steers", least=1)
    n_classes: int = option(12, "sibling concepts to steer to, beside six emotions", least=2)
    behaviour: str = option("emotion", "family of behaviour whose classes are steered to as well, or a file")
    n_prompts: int = option(16, "neutral prompts, the first of them", least=3)
    prompts: str = option("neutral", "packaged set of prompts, or a YAML or JSON file")

    def measure(self, step: Step) -> "DictionariesResult":
        """See `measure_dictionaries`."""
        from geometry.experiments.dictionaries.measure import measure_dictionaries

        return measure_dictionaries(self, step)
