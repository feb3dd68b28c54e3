"""Claims about series of values and pairs of words: their shape, additive composition, binary contrasts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.concepts import Series
from geometry.evidence.series.composition import Composition, additive_composition
from geometry.evidence.series.contrasts import PairContrast, pair_contrast
from geometry.evidence.series.shape_comparison import ShapeComparison, compare_shapes
from geometry.evidence.verdicts import HALFWAY, StructureRule
from geometry.randomness import generator
from geometry.results import LEVEL, Results, TestResult


@dataclass(frozen=True)
class ShapeRule:
    """The rule of the claim that a series has the expected shape, from how the shapes compare."""

    expected: str
    preferred: str
    rivals: tuple[str, ...]

    def __call__(self, result: TestResult) -> str:
        """One of `VERDICTS`."""
        other = f"preferred shape: {self.preferred}"
        if self.expected == "simplex":
            return "no shape preferred" if self.preferred == "simplex" else other
        if self.preferred == "simplex":
            return "not significant"
        if self.expected not in (self.preferred, *self.rivals):
            return other
        if not result.p_adjusted <= LEVEL:
            return "too few permutations to decide" if result.p_value <= result.p_floor else "not significant"
        if self.rivals:
            return "no shape preferred"
        return "supported" if result.relative(result.value) >= HALFWAY else "significant, small effect"


@checked
def shape_claims(
    space: CausalSpace, series: Mapping[str, Series], *, n_permutations: int = 99, seed: int = 0
) -> tuple[Results, dict[str, ShapeComparison]]:
    """Whether each series has the shape expected of it, and how the shapes compare.

    Series of fewer than 4 values or without distinct means are passed over; one of which no shape is expected is
    compared but claims nothing. The p-value is against permuted orders of the same values. A simplex is what is left
    where no other shape predicts left-out values: its result holds the best of those, and no p-value.
    """
    results, compared = [], {}
    for name, values in series.items():
        means = _means(space, values)
        if len(means) < 4 or np.ptp(means, axis=0).max() == 0:
            continue
        comparison = compared[name] = compare_shapes(
            means,
            values.values,
            positions=values.positions,
            period=values.period,
            groups=values.groups,
            noise=_random_means(space, values, n_permutations, seed),
            n_permutations=n_permutations,
            seed=seed,
        )
        rule = ShapeRule(values.expected or "", comparison.preferred, comparison.rivals)
        if values.expected == "simplex":
            rival = max(comparison.tests.values(), key=lambda test: test.value)
            title = f"The {name} lie on a simplex, in no order"
            test = replace(rival, name="shape-simplex", title=title, predicted=0.0, reference=None, p_adjusted=np.nan)
        elif values.expected in comparison.tests:
            test = replace(comparison.tests[values.expected], title=f"The {name} lie on a {values.expected}")
        else:
            continue
        results.append(replace(test, subject=name, labels=(name,), rule=rule, lost=values.lost))
    return Results(results), compared


@checked
def composition_claim(
    space: CausalSpace, series: Mapping[str, Series], *, n_permutations: int = 99, seed: int = 0
) -> Composition:
    """Whether values are category plus position: Monday = weekday + 1st, in all series together."""
    cells = {name: (values.values, values.positions, _means(space, values)) for name, values in series.items()}
    lost = tuple(word for values in series.values() for word in values.lost)
    test = additive_composition(cells, n_permutations=n_permutations, seed=seed)
    return replace(test, rule=StructureRule(), lost=lost)


@checked
def contrast_claims(
    space: CausalSpace,
    families: Mapping[str, tuple[tuple[tuple[str, str], ...], NDArray[np.int64]]],
    *,
    lost: Mapping[str, tuple[str, ...]] | None = None,
    n_permutations: int = 99,
    seed: int = 0,
) -> list[PairContrast]:
    """Whether the differences of word pairs share a direction; families of fewer than 3 pairs are passed over.

    `lost` are the words that each family lacks, as `load_pairs` tells.
    """
    contrasts = []
    for name, (pairs, tokens) in families.items():
        if len(pairs) < 3:
            continue
        first, second = (space.rows(column).cpu().numpy() for column in tokens.T)
        labels = [" – ".join(pair) for pair in pairs]
        contrast = pair_contrast(first, second, labels=labels, n_permutations=n_permutations, seed=seed)
        rule = StructureRule(("shuffled_partners",))
        contrast = replace(contrast, lost=(lost or {}).get(name, ()))
        contrasts.append(replace(contrast, title=f"{name} is one direction", subject=name, predicted=1.0, rule=rule))
    return contrasts


def _random_means(space: CausalSpace, values: Series, n_permutations: int, seed: int) -> NDArray[np.float64]:
    """Means of as many random rows as every value has tokens, shape (n_permutations, k, d)."""
    generators = [generator(seed, f"series {values.name}", index) for index in range(n_permutations)]
    picks = [rng.choice(space.unembedding.rows, len(values.tokens)) for rng in generators]
    return np.stack([_means(space, values, rows) for rows in picks])


def _means(space: CausalSpace, values: Series, tokens: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Means of the tokens of every value, or of others in their place."""
    rows = space.rows(values.tokens if tokens is None else tokens).cpu().numpy()
    return np.stack([rows[values.owners == position].mean(axis=0) for position in values.positions])
