"""Existence: held-out words project on their concept vector."""

import numpy as np
from numpy.typing import NDArray

from geometry.directions import ConceptDirections
from geometry.evidence.splits import Split
from geometry.evidence.statistics.statistic import FEWEST, Statistic, concept_families, concept_labels, keyed
from geometry.gram import RowGram


def held_out_projection(directions: ConceptDirections) -> NDArray[np.float64]:
    """Existence: mean of ℓᵀg(y)/‖ℓ‖² over each concept's held-out tokens, shape (k,).

    On a null model with drawn concepts, theirs alone, in order. Always 1 on the training tokens, 0 for random
    tokens (arXiv 2406.01506, figure 3). nan of a concept that holds every word: it is the same however words are
    permuted.
    """
    reported = directions.hierarchy.reported
    vectors = directions.vectors[list(reported)]
    held_out = [directions.held_out(index) for index in reported]
    # The mean's projection is the mean projection, and costs no words × concepts product.
    means = RowGram(directions.cloud.points, kept=False).means(held_out)
    result = ((vectors * means).sum(dim=1) / vectors.square().sum(dim=1)).cpu().double().numpy()
    everything = len(directions.hierarchy.tokens)
    for number, (index, tokens) in enumerate(zip(reported, held_out, strict=True)):
        if len(tokens) < FEWEST or len(directions.hierarchy.members[index]) == everything:
            result[number] = np.nan
    return result


def projection(split: Split = "lemma") -> Statistic:
    """`held_out_projection` after a token or a lemma split."""
    name = keyed("projection", split, "lemma")
    return Statistic(name, split, 0.0, held_out_projection, concept_labels, clusters=concept_families)
