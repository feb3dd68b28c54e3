"""Ways of taking a concept out at equal rank: LEACE, orthogonal projections, and two controls."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from geometry.experiments.erasure.setup import Bench, Indices, Target
from geometry.randomness import generator
from geometry.steering import Eraser

ERASURE, MEAN, LDA = "LEACE", "mean difference ablated", "LDA direction ablated"
RANDOM, PERMUTED = "random directions", "permuted labels"
METHODS = (ERASURE, MEAN, LDA, RANDOM, PERMUTED)
CONTROLS = (RANDOM, PERMUTED)


def fitted(
    bench: Bench, target: Target, rows: Indices | None = None, labels: NDArray[np.bool_] | None = None
) -> Eraser:
    """LEACE of a target, on the words of the half or on some of them."""
    words = bench.fitted if rows is None else rows
    own = bench.members[words][:, target.columns] if labels is None else labels
    states = bench.samples[:, words].reshape(-1, bench.samples.shape[2])
    family = getattr(bench.model.config, "model_type", "")
    return Eraser.fit(states, np.tile(own, (len(bench.samples), 1)), bench.site, name=target.label, model=family)


def by_method(bench: Bench, target: Target) -> Iterator[tuple[str, Eraser]]:
    """Every method's eraser, of one rank; the controls as often as the study draws them."""
    erasure = fitted(bench, target)
    mean, reach = erasure.mean.numpy(), erasure.reach
    yield ERASURE, erasure
    for method, directions in ((MEAN, erasure.left), (LDA, erasure.right)):
        yield method, Eraser.orthogonal(directions.numpy(), bench.site, mean=mean, name=target.label, reach=reach)
    for draw in range(bench.study.n_controls):
        yield RANDOM, randomly(bench, target, erasure, draw)
        yield PERMUTED, permuted(bench, target, draw)


def randomly(bench: Bench, target: Target, erasure: Eraser, draw: int = 0) -> Eraser:
    """As many random directions, others for each target and draw."""
    return erasure.random(int(generator(bench.study.seed, f"directions for {target.label}", draw).integers(2**31)))


def permuted(bench: Bench, target: Target, draw: int) -> Eraser:
    """LEACE of labels that have changed places among the words."""
    own = bench.members[bench.fitted][:, target.columns]
    order = generator(bench.study.seed, f"permuted labels of {target.label}", draw).permutation(len(own))
    return fitted(bench, target, labels=own[order])
