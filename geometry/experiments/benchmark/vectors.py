"""Concept vectors against the textbook: each concept's d × d Ledoit–Wolf covariance and its pseudo-inverse.

So the published code has it; in float64, to converge.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections, TokenCloud
from geometry.estimators import concept_vector
from geometry.evidence import MAX_TOKENS, NULLS, train_mask
from geometry.experiments.benchmark.common import VECTORS, Comparison, in_turn
from geometry.experiments.benchmark.synthetic import widened

_SIZES = (100, 200, 576, 2000, 10**9)
_TEXTBOOK = "the textbook"


def textbook(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Concept vector of rows, shape (n, d), through a d × d covariance and its pseudo-inverse, cost O(d³)."""
    mean = rows.mean(axis=0)
    direction = np.linalg.pinv(ledoit_wolf(rows)[0], hermitian=False) @ mean
    direction /= np.linalg.norm(direction)
    return (direction @ mean) * direction


def compare_vectors(space: CausalSpace, nouns: ConceptHierarchy, every: int, widths: Sequence[int]) -> list[Comparison]:
    """Concept by concept against the textbook, on every so manieth and by size; on one of `widths`; all of a study."""
    cloud = TokenCloud.of(space, nouns)
    chosen = sorted(nouns.members, key=len)[every // 2 :: every]
    times, apart = np.empty((len(chosen), 2, 2)), np.empty(len(chosen))
    for index, members in enumerate(chosen):
        rows = cloud.points[torch.from_numpy(members)]
        times[index], apart[index] = _beside_textbook(rows, rounds=2)
    comparisons, sizes = [], np.array([len(members) for members in chosen])
    for low, high in pairwise((0, *_SIZES)):
        own = (low <= sizes) & (sizes < high)
        if len(group := times[own]):
            tokens = f"{low}–{high - 1}" if high < _SIZES[-1] else f"{low} or more"
            said = f"{len(group)} concept vector{'s' * (len(group) > 1)} of {tokens} tokens, d = {space.width:,}"
            ours, other = group.sum(axis=0).tolist()
            comparisons.append(Comparison(VECTORS, said, _TEXTBOOK, ours, other, difference=float(apart[own].max())))
    for width in widths:
        members = min(nouns.members, key=lambda members: abs(len(members) - MAX_TOKENS))
        (ours, other), off = _beside_textbook(
            widened(cloud.points[torch.from_numpy(members)].double(), width), rounds=1
        )
        said = f"1 concept vector of {len(members)} tokens, d = {width:,}"
        comparisons.append(Comparison(VECTORS, said, _TEXTBOOK, ours, other, difference=off))
    estimate = 4 * float(times[:, 1].min(axis=1).sum()) * len(nouns) / len(chosen)
    return [*comparisons, *_of_a_study(space, cloud, estimate)]


def _beside_textbook(rows: torch.Tensor, rounds: int) -> tuple[list[list[float]], float]:
    """What both ways to a concept's vector take, and the relative difference of the two."""
    dense = rows.cpu().double().numpy()
    found: dict[str, NDArray[np.float64]] = {}

    def ours() -> None:
        found["ours"] = concept_vector(rows).vector.numpy(force=True)

    def theirs() -> None:
        found["theirs"] = textbook(dense)

    times = in_turn([ours, theirs], rounds)
    apart = np.linalg.norm(found["ours"] - found["theirs"]) / np.linalg.norm(found["theirs"])
    return times, float(apart)


def _of_a_study(space: CausalSpace, cloud: TokenCloud, estimate: float) -> list[Comparison]:
    """All fits of a study, with fewer tokens and with all; scores of the whole vocabulary."""
    nouns = cloud.hierarchy

    def fits(clouds: Sequence[TokenCloud], *splits: Any, most: int | None = None) -> None:
        masks = [train_mask(nouns, split, np.random.default_rng(0)) for split in splits]
        for each in clouds:
            for mask in masks:
                ConceptDirections.fit_cloud(each, max_tokens=most, train=mask)

    both = (cloud, NULLS["shuffled"].draw(space, cloud, np.random.default_rng(0)))
    (ours,) = in_turn([lambda: fits(both, "whole", "token")], 1)
    said = f"4 × {len(nouns)} vectors: true and shuffled, whole and split"
    study = Comparison(VECTORS, said, f"{_TEXTBOOK}, estimated", ours, [estimate])
    of_one = partial(fits, [cloud], "whole", "lemma", "halves")
    ours, other = in_turn([lambda: of_one(most=MAX_TOKENS), of_one], 1)
    said = f"all vectors of three splits, at most {MAX_TOKENS} tokens each"
    few = Comparison(VECTORS, said, "all tokens", ours, other)
    pair, every_token = ConceptDirections.fit_cloud(cloud).vectors[:2], np.arange(len(space.unembedding.matrix))
    ours, other = in_turn([lambda: space.scores(pair), lambda: space.rows(every_token) @ pair.T], 3)
    scores = Comparison(VECTORS, f"scores of {len(every_token):,} tokens on two vectors", "whitened first", ours, other)
    return [study, few, scores]
