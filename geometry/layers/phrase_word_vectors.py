"""Phrases by word vectors, without a language model: what stands beside activations of the same phrases."""

import torch

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.errors import EstimationError
from geometry.layers.phrase_activations import PhraseVectors
from geometry.models import Vocabulary


@checked
def phrase_word_vectors(space: CausalSpace, vocabulary: Vocabulary) -> CausalSpace:
    """Each phrase at the mean of the vectors of its words, in the space of all word vectors.

    >>> import geometry as geo, torch
    >>> words = geo.WordVectors(torch.tensor([[1.0, 0], [0, 1], [-1, -1]]), geo.Vocabulary([" polar", " bear", " oak"]))
    >>> phrases = phrase_word_vectors(geo.CausalSpace.fit(words), geo.Vocabulary([" polar bear", " oak"]))
    >>> phrases.unembedding.matrix.tolist()
    [[0.5, 0.5], [-1.0, -1.0]]

    Parameters:
        space: of the word vectors, whose inner product is taken.
        vocabulary: of the phrases, each after a space, such as `PhraseActivations.vocabulary`.

    The origin is the mean of the phrases, as of activations. Words are looked up in lower case. EstimationError: a
    phrase with a word that has no vector.
    """
    words, rows = space.unembedding.vocabulary, []
    for index in range(len(vocabulary)):
        phrase = vocabulary.text(index).strip()
        ids = [words.word_id(word) for word in phrase.lower().split()]
        if None in ids or not ids:
            raise EstimationError(f"{space.unembedding.name} has no vector of every word of {phrase!r}")
        rows.append(space.unembedding.matrix[torch.tensor(ids)].double().mean(dim=0))
    matrix = torch.stack(rows)
    vectors = PhraseVectors(matrix, vocabulary, space.unembedding.name)
    inverse = (space.whitener @ space.whitener).double()
    return CausalSpace.with_metric(vectors, (inverse + inverse.T) / 2, mean=matrix.mean(dim=0), metric="covariance")
