"""Pooled cosines and results of orthogonality whose numbers are made up, for the rules to judge."""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from geometry.evidence import OrthogonalityResult, OrthogonalityRule, PooledCosine
from geometry.evidence.orthogonality.debiased import Products
from geometry.evidence.orthogonality.result import orthogonality_result
from geometry.results import TestResult


def cosine(squared: np.ndarray, family: np.ndarray, lengths: np.ndarray | float = 1.0) -> PooledCosine:
    squared = np.asarray(squared, dtype=np.float64)
    return PooledCosine(Products(squared, np.broadcast_to(lengths, squared.shape).astype(np.float64)), family)


def about(mean: float, spread: float, *, families: int = 20, each: int = 3, seed: int = 0) -> PooledCosine:
    """cos² of exactly this mean, of comparisons that differ by family and by themselves."""
    rng = np.random.default_rng(seed)
    family = np.arange(families * each) // each
    noise = rng.standard_normal(families)[family] + rng.standard_normal(families * each)
    return cosine(mean + spread * (noise - noise.mean()), family)


def judged(
    own: PooledCosine,
    exact: Sequence[PooledCosine],
    tilted: Sequence[PooledCosine],
    *,
    calibrated: bool = False,
    unrelated: PooledCosine | None = None,
    **fields: object,
) -> OrthogonalityResult:
    """With a family named by each number, and the rule of the claims."""
    names = [f"family {number}" for number in range(int(own.family.max(initial=-1)) + 1)]
    fields = {"name": "orthogonality-b", "rule": OrthogonalityRule(), **fields}
    return orthogonality_result(
        (own, own if unrelated is None else unrelated), exact, tilted, {}, names, calibrated=calibrated, **fields
    )


def published() -> TestResult:
    return TestResult(name="sibling_orthogonality", labels=("a", "b"), values=np.array([0.1, -0.2]))


@st.composite
def results(draw: st.DrawFn) -> OrthogonalityResult:
    """Anything from nothing measured to many families, with and without twins, noisy or clear."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    families, each = draw(st.sampled_from([1, 3, 8, 9, 20, 40])), draw(st.integers(1, 4))
    m = draw(st.sampled_from([0, 1, families * each, families * each]))
    family = np.sort(rng.integers(families, size=m)) if draw(st.booleans()) else np.arange(m) // each
    spread = draw(st.sampled_from([0.0, 0.002, 0.01, 0.05, 0.3]))
    length = draw(st.sampled_from([0.0, 0.5, 1.0, 1.0]))
    lengths = length + draw(st.sampled_from([0.0, 0.3, 3.0])) * rng.standard_normal(m)
    missing = rng.random(m) < draw(st.sampled_from([0.0, 0.0, 0.2]))
    shared = rng.standard_normal(m)

    def one(mean: float) -> PooledCosine:
        squared = mean + spread * (shared + draw(st.sampled_from([0.1, 1.0])) * rng.standard_normal(m))
        return cosine(np.where(missing, np.nan, squared * lengths), family, lengths)

    exact, gap = draw(st.floats(0, 0.15)), draw(st.sampled_from([0.0, 0.01, 0.05, 0.09]))
    n_twins = draw(st.sampled_from([0, 1, 5, 5, 5]))
    return judged(
        one(draw(st.floats(-0.02, 0.3))),
        [one(exact) for _ in range(n_twins)],
        [one(exact + gap) for _ in range(n_twins)],
        calibrated=draw(st.booleans()),
        related={"published": published()},
    )
