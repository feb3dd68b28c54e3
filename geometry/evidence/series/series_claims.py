"""Claims about series of values and pairs of words: their shape, additive composition, binary contrasts."""

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from geometry.causal import CausalSpace
from geometry.concepts import Series
from geometry.evidence.against_nulls import stream
from geometry.evidence.claim_result import ClaimResult
from geometry.evidence.claims import Claim
from geometry.results import TestResult
from geometry.evidence.series.composition import Composition, additive_composition
from geometry.evidence.series.contrasts import PairContrast, pair_contrast
from geometry.evidence.series.shape_comparison import ShapeComparison, compare_shapes
from geometry.evidence.verdicts import HALFWAY, LEVEL

__all__ = ["composition_claim", "contrast_claims", "shape_claims"]


def shape_claims(
    space: CausalSpace, series: Mapping[str, Series], *, draws: int = 99, seed: int = 0
) -> tuple[list[ClaimResult], dict[str, ShapeComparison]]:
    """Whether each series has the shape expected of it, and how the shapes compare.

    Series of fewer than 4 values or without distinct means are passed over; one of which no shape is
    expected is compared but claims nothing. The p-value is against random orders of the same values.
    The verdict is "supported" where the shape predicts left-out values best ("weak" where less than half as
    well as it could), "circle or line" where its lead over another shape is within the error, "not found"
    where no shape predicts them, "beyond all draws" where the draws are too few for the level, and else
    names the shape that predicts them best.
    """
    results, compared = [], {}
    for name, values in series.items():
        means = _means(space, values)
        if len(means) < 4 or np.ptp(means, axis=0).max() == 0:
            continue
        found = compare_shapes(
            means,
            values.values,
            positions=values.positions,
            period=values.period,
            groups=values.groups,
            noise=_random_means(space, values, draws, seed),
            draws=draws,
            seed=seed,
        )
        compared[name] = found
        expected = values.expected
        if expected == "simplex":
            results.append(_simplex(name, found))
        if expected not in found.nulls:
            continue
        test = TestResult(
            f"shape/{expected}",
            (name,),
            np.array([found.scores[expected]]),
            {"shuffled": found.nulls[expected][:, None], "random_rows": found.noise[expected][:, None]},
            # A normal interval, written as the bootstrap it stands for.
            resampled=_normal(found.scores[expected], found.errors[expected]),
        )
        claim = Claim(
            f"shape-{expected}",
            f"The {name} lie on a {expected}",
            "R² of left-out values",
            found.exact[expected],
        )
        results.append(ClaimResult.of(claim, name, test, partial(_shape_verdict, expected, found)))
    return results, compared


def _simplex(name: str, found: ShapeComparison) -> ClaimResult:
    """A simplex is what is left where no other shape predicts left-out values: there is no p-value for that."""
    rival = max(found.nulls, key=found.scores.__getitem__)
    claim = Claim("shape-simplex", f"The {name} lie on a simplex, in no order", f"R² of left-out values ({rival})", 0.0)
    nulls = {"shuffled": found.nulls[rival][:, None], "random_rows": found.noise[rival][:, None]}
    value = np.array([found.scores[rival]])
    test = TestResult(
        "shape/simplex", (name,), value, nulls, resampled=_normal(found.scores[rival], found.errors[rival])
    )
    verdict = "not refuted" if found.winner == "simplex" else f"rather a {found.winner}"
    return ClaimResult(claim, name, test, np.nan, np.nan, lambda _: verdict)


def _normal(mean: float, error: float) -> NDArray[np.float64]:
    return np.asarray(mean + error * norm.ppf(np.linspace(0.005, 0.995, 199)))


def _shape_verdict(expected: str, found: ShapeComparison, result: ClaimResult) -> str:
    winner, rivals = found.winner, found.rivals
    if winner == "simplex":
        return "not found"
    if expected not in (winner, *rivals):
        return f"rather a {winner}"
    if not result.q_value <= LEVEL:
        return "beyond all draws" if result.p_value <= result.floor else "not found"
    if rivals:
        return " or ".join([", ".join((winner, *rivals[:-1])), rivals[-1]])
    return "supported" if result.relative(result.test.mean) >= HALFWAY else "weak"


def composition_claim(
    space: CausalSpace, series: Mapping[str, Series], *, draws: int = 99, seed: int = 0
) -> tuple[ClaimResult, Composition]:
    """Whether values are category plus position: Monday = weekday + 1st, in all series together."""
    cells = {name: (values.values, values.positions, _means(space, values)) for name, values in series.items()}
    found = additive_composition(cells, draws=draws, seed=seed)
    claim = Claim(
        "composition",
        "A value is its category plus its position (Monday = weekday + 1st)",
        "retrieval of the left-out value, 1 if always first",
        1.0,
    )
    labels = tuple(f"{name}: {value}" for name, value in found.cells)
    test = TestResult("composition", labels, found.per_cell, {"shuffled": found.shuffled[:, None]}, 0.5)
    return ClaimResult.of(claim, " + ".join(series), test), found


def contrast_claims(
    space: CausalSpace,
    families: Mapping[str, tuple[tuple[tuple[str, str], ...], NDArray[np.int64]]],
    *,
    draws: int = 99,
    seed: int = 0,
) -> tuple[list[ClaimResult], dict[str, PairContrast]]:
    """Whether the differences of word pairs share a direction; families of fewer than 3 pairs are passed over."""
    results, compared = [], {}
    for name, (pairs, tokens) in families.items():
        if len(pairs) < 3:
            continue
        first, second = (space.rows(column).cpu().numpy() for column in tokens.T)
        found = pair_contrast(first, second, draws=draws, seed=seed)
        compared[name] = found
        claim = Claim(
            "contrast",
            f"{name} is one direction",
            "cosine of a pair's difference with the others'",
            1.0,
            explained_by=("shuffled_partners",),
        )
        nulls = {"shuffled": found.swapped[:, None], "shuffled_partners": found.repaired[:, None]}
        labels = tuple(f"{one} – {other}" for one, other in pairs)
        results.append(ClaimResult.of(claim, name, TestResult("contrast", labels, found.cosines, nulls)))
    return results, compared


def _means(space: CausalSpace, values: Series) -> NDArray[np.float64]:
    return _by_owner(space.rows(values.tokens).cpu().numpy(), values)


def _random_means(space: CausalSpace, values: Series, draws: int, seed: int) -> NDArray[np.float64]:
    """Means of as many random rows as every value has tokens, shape (draws, k, d)."""
    usable = space.unembedding.rows
    picks = [generator(seed, f"series {values.name}", draw).choice(usable, len(values.tokens)) for draw in range(draws)]
    return np.stack([_by_owner(space.rows(rows).cpu().numpy(), values) for rows in picks])


def _by_owner(rows: NDArray[np.float64], values: Series) -> NDArray[np.float64]:
    return np.stack([rows[values.owners == position].mean(axis=0) for position in values.positions])
