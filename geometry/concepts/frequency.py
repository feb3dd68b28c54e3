"""How frequent words are: their place in GloVe's vocabulary, and one such rank for each lemma of a hierarchy."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.concepts.hierarchy import ConceptHierarchy
from geometry.concepts.wordnet_table import packaged_rows


@lru_cache(maxsize=1)
def word_ranks() -> Mapping[str, int]:
    """How frequent WordNet's nouns and verbs are, in lower case: 1 for the most frequent word of all.

    >>> import geometry as geo
    >>> ranks = geo.concepts.word_ranks()
    >>> ranks["dog"], ranks["aardvark"], "wolves" in ranks
    (2770, 81190, False)
    >>> ranks["polar bear"], ranks["polar"] if "polar" in ranks else None  # that of its rarest word
    (9604, None)

    Ranks are places in GloVe's vocabulary, which is in order of frequency, as a list of 341,479 of its 400,000 words
    has it; words of one letter are among those it leaves out. Plurals and conjugated verbs have ranks only where
    WordNet lists them; a lemma of several words has the rank of the rarest of them.

    Source: Pennington, Socher and Manning, GloVe: Global Vectors for Word Representation, EMNLP 2014 (Wikipedia 2014
    and Gigaword 5, 6 billion tokens).
    """
    ranks = {}
    for _, _, _, lemmas, listed in packaged_rows():
        for lemma, rank in zip(lemmas.split(), listed.split(), strict=True):
            if rank != "-":
                ranks[lemma.lower().replace("_", " ")] = int(rank)
    return MappingProxyType(ranks)


@checked
def lemma_frequency_ranks(hierarchy: ConceptHierarchy) -> NDArray[np.float64]:
    """How frequent each lemma of a hierarchy is, by rank: the lower, the more frequent.

    >>> import geometry as geo
    >>> vocabulary = geo.Vocabulary(["Ġqqq", "Ġwolves", "Ġdog", "Ġdogs", "Ġzzz"])
    >>> toy = geo.concepts.hierarchy_from_words("toy", {"thing": ["wolf", "dog", "qqq", "zzz"]}, {}, vocabulary)
    >>> dict(zip(toy.words, geo.concepts.lemma_frequency_ranks(toy)[toy.lemmas].tolist()))
    {'qqq': 2770.0, 'wolves': 5945.0, 'dog': 2770.0, 'dogs': 2770.0, 'zzz': 5945.0}

    Parameters:
        hierarchy: of any words; those in another language that are spelled as an English one have its rank.

    Shape (number of lemmas,): entry i is the rank of the tokens with `hierarchy.lemmas == i`, the lowest that
    `word_ranks` has for one of their words in lower case or for a word whose `variants` they are.

    Lemmas without such a word are placed by token id: if the smallest id of one is at quantile q of all lemmas'
    smallest ids, its rank is the q quantile of the known ranks, linearly interpolated. Tokenizers number words only
    roughly by frequency (of SmolLM2's nouns, rank correlation .68). With no known lemma at all, ranks count from 1 in
    order of token ids.

    Source: as of `word_ranks`; the place of unknown lemmas is our choice.
    """
    # Tokens ascend, so the first of a lemma has its smallest id.
    first = np.unique(hierarchy.lemmas, return_index=True)[1]
    lemma_of = dict(zip(map(str.lower, hierarchy.words), hierarchy.lemmas.tolist(), strict=True))
    known = word_ranks()
    ranks = np.full(len(first), np.inf)
    for word, number in lemma_of.items():
        ranks[number] = min(ranks[number], known.get(word, np.inf))
    for base, forms in hierarchy.variants.items():
        if (rank := known.get(base.lower())) is not None:
            for form in forms:
                if (number := lemma_of.get(form.lower())) is not None:
                    ranks[number] = min(ranks[number], rank)
    place = np.argsort(np.argsort(first)).astype(np.float64)
    unknown = np.isinf(ranks)
    if unknown.all():
        return place + 1
    ranks[unknown] = np.quantile(ranks[~unknown], place[unknown] / max(len(place) - 1, 1))
    return ranks
