"""Effects by algebra alone: addition of concept vectors and of class means, ablation, permuted lemmas, random ones."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from geometry.directions import ConceptDirections, TokenCloud
from geometry.estimators import Estimator
from geometry.evidence.lemma_blocks import LemmaBlocks
from geometry.experiments.selectivity.setup import Bench
from geometry.randomness import generator
from geometry.selectivity import OutputSelectivity, TreeEffects

Array = NDArray[np.float64]
NATS = (0.5, 2.0)
ADDITION, CLASS_MEAN, EUCLIDEAN_MEAN = "addition", "class mean", "class mean, Euclidean"
DUAL, DUAL_BETA, MEAN_DIFFERENCE = "dual step", "addition of the dual's β", "mean difference at a block"
ABLATION, PROMPTING = "ablation", "prompting"
PERMUTED, RANDOM = "permuted lemmas", "random direction"


def concept_vectors(bench: Bench, cloud: TokenCloud, estimator: Estimator = "lda") -> Array:
    """δ = Σ^(-1/2) ℓ of every target, fitted to a cloud, shape (a, d)."""
    directions = ConceptDirections.fit_cloud(cloud, estimator=estimator)
    rows = [directions.hierarchy.index(name) for name in bench.targets]
    vectors = directions.vectors[rows].to(bench.space.whitener) @ bench.space.whitener
    return np.asarray(vectors.double().cpu().numpy())


def euclidean_means(bench: Bench) -> Array:
    """Mean γ of every target's words less the mean of all, shape (a, d)."""
    matrix = bench.unembedding.matrix
    mean = bench.space.mean.double()
    own = [matrix[list(bench.hierarchy[name].tokens)].double().mean(dim=0) - mean for name in bench.targets]
    return np.stack([each.cpu().numpy() for each in own])


def by_algebra(bench: Bench, vectors: dict[str, Array]) -> list[TreeEffects]:
    """Each kind of vectors (a, d) at every KL divergence."""
    effects = []
    for method, each in vectors.items():
        shifts = bench.shifts(each)
        effects += [bench.selectivity.tilted(method, shifts, nats) for nats in NATS]
    return effects


def permuted(bench: Bench) -> Iterator[list[TreeEffects]]:
    """Addition where lemmas change places among concepts, at every KL divergence: directions and words alike."""
    blocks = LemmaBlocks.of(bench.hierarchy)
    for draw in range(bench.study.n_permutations):
        rows = blocks.permutation(generator(bench.study.seed, "selectivity", draw))
        # Many small products: several threads wait for each other longer than they save.
        with threadpool_limits(1):
            shifts = bench.shifts(concept_vectors(bench, bench.cloud.permuted(rows)))
            odds = bench.selectivity.odds.permuted(rows)
            selectivity = OutputSelectivity(odds, bench.targets, bench.unsteered)
            effects = [selectivity.tilted(PERMUTED, shifts, nats) for nats in NATS]
        yield effects


def random_directions(bench: Bench) -> Array:
    """Standard normal directions of the unified space, one a target, as vectors after the norm, shape (a, d)."""
    drawn = generator(bench.study.seed, "random directions").standard_normal((len(bench.targets), bench.space.width))
    return np.asarray(drawn @ bench.space.whitener.double().cpu().numpy())


def ablated(bench: Bench, vectors: Array) -> TreeEffects:
    """λ0 without its part along each concept vector: λ0 − (λ0ᵀδ)δ/‖δ‖², at whatever KL divergence that has."""
    shifts = bench.shifts(vectors)

    def laws() -> Iterator[Array]:
        for vector, shift in zip(vectors, shifts, strict=True):
            part = bench.states @ vector / (vector @ vector)
            law = bench.unsteered * np.exp(np.clip(-part[:, None] * (shift - shift.mean()), -600, 600))
            yield law / law.sum(axis=1, keepdims=True)

    return bench.selectivity.measured(ABLATION, laws())
