"""The method of the study of calibration."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import geometry.evidence as evidence
from geometry.causal import CausalSpace
from geometry.evidence.nulls import permuted_points
from geometry.experiments.calibration.result import CalibrationResult, Judged
from geometry.experiments.calibration.worlds import WORLDS, PlantedModel, Sizes, true_cosine
from geometry.experiments.study import Step
from geometry.randomness import generator
from geometry.significance import permutation_p

if TYPE_CHECKING:
    from geometry.experiments.calibration.study import CalibrationStudy

# With 24 lemmas a leaf each of ten bands of frequency has the twenty lemmas that a stratum of one form takes.
SMALL = Sizes(width=48, vocabulary=1500, levels=(4, 3), lemmas=24)
# Three levels: claims (c) and (d) are about chains, of which there must be several families too.
LARGE = Sizes(width=128, vocabulary=40_000, levels=(8, 3, 3), lemmas=20, forms=(1, 1, 2))
RATED = ("true", "noise", "frequency only", "frequency, smooth", "variants only", "GloVe-like spectrum")
JUDGED = ("true", "tilted .15", "tilted .3", "noise")
MAX_TOKENS = 32  # of small models
VERDICT_PERMUTATIONS = 39
NULLS: dict[str, evidence.NullModel] = {
    "permuted": evidence.NULLS["permuted"],
    "tokens": evidence.NullModel(permuted_points, label="permuted tokens"),
}
TESTED = tuple(claim for claim in evidence.CLAIMS if not claim.orthogonality)


def measure_calibration(study: "CalibrationStudy", step: Step) -> CalibrationResult:
    """p-values on many small planted models, verdicts on a few large ones."""
    p_values = {}
    for name in RATED:
        step(f"testing {study.n_models} models: {name}")
        models = [p_values_of(study, name, number) for number in range(study.n_models)]
        p_values[name] = np.stack(models)
    judged = []
    for name in JUDGED:
        step(f"judging {study.n_verdicts} large models: {name}")
        judged += [judge(study, name, number) for number in range(study.n_verdicts)]
    claims = {claim.name: claim.measure for claim in TESTED}
    return CalibrationResult(study=study, claims=claims, p_values=p_values, judged=judged)


def p_values_of(study: "CalibrationStudy", world: str, number: int) -> NDArray[np.float64]:
    """p of every claim that has one on a small model, against lemma blocks and against permuted tokens, shape (k, 2).

    The statistics, permutations and sides of `evaluate_claims`, without all that verdicts need besides.
    """
    planted, seed = _draw(study, world, number, SMALL)
    tests = evidence.test_against_nulls(
        CausalSpace.fit(planted.unembedding, **study.placement.of_space),
        planted.hierarchy,
        [claim.statistic for claim in TESTED],
        nulls=NULLS,
        n_permutations=study.n_permutations,
        max_tokens=MAX_TOKENS,
        missing="nan",
        seed=seed,
        progress=False,
    )
    found = [(claim.alternative, tests[claim.statistic.name]) for claim in TESTED]
    return np.array(
        [[permutation_p(test.value, test.nulls[null].means, side) for null in NULLS] for side, test in found]
    )


def judge(study: "CalibrationStudy", world: str, number: int) -> Judged:
    """The verdicts on a large model, and the true cosine of claim (b) in it."""
    planted, seed = _draw(study, world, number, LARGE)
    space = CausalSpace.fit(planted.unembedding, **study.placement.of_space).to(study.placement.of_fits)
    options: dict[str, Any] = {"n_permutations": VERDICT_PERMUTATIONS, "seed": seed, "progress": False}
    nulls = ("permuted", "random_subset", "random_parent")
    results = evidence.evaluate_claims(space, planted.hierarchy, nulls=nulls, **options)
    return Judged(
        world=world,
        true_cosine=true_cosine(planted, space),
        values={result.name: result.value for result in results},
        verdicts={result.name: evidence.verdict_word(result.verdict) for result in results},
    )


def _draw(study: "CalibrationStudy", world: str, number: int, sizes: Sizes) -> tuple[PlantedModel, int]:
    """A model of the study's seed, and the seed of its test."""
    rng = generator(study.seed, f"{sizes.width} wide, {world}", number)
    return WORLDS[world].draw(rng, sizes), int(rng.integers(1 << 20))
