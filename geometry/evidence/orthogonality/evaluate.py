"""Evaluate the claims of orthogonality on a cloud and on its theory twins."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.directions import TokenCloud
from geometry.estimators import Estimator
from geometry.evidence.nulls import NullModel
from geometry.evidence.orthogonality.comparisons import CLAIMED
from geometry.evidence.orthogonality.debiased import DebiasedDesign
from geometry.evidence.orthogonality.pooled import PooledCosine
from geometry.evidence.orthogonality.result import OrthogonalityResult, orthogonality_result
from geometry.evidence.side_by_side import numbers, side_by_side
from geometry.evidence.twin import TILT, TheoryTwin, twin_seed
from geometry.gram import RowGram
from geometry.randomness import generator
from geometry.results import TestResult

if TYPE_CHECKING:
    from geometry.evidence.claims import Claim

_ESTIMATORS: tuple[Estimator, ...] = ("lda", "mean")

Cosines = dict[str, tuple[PooledCosine, PooledCosine]]  # claim → own and unrelated


def evaluate_orthogonality(
    space: CausalSpace,
    cloud: TokenCloud,
    claims: "Sequence[Claim]",
    published: Mapping[str, TestResult],
    *,
    twin: TheoryTwin | None,
    n_twins: int,
    products: Mapping[str, NullModel],
    estimator: Estimator = "lda",
    n_splits: int = 2,
    seed: int = 0,
) -> dict[str, OrthogonalityResult]:
    """Claim → its debiased cosine beside the exact and the tilted twins' on the same comparisons and folds.

    Parameters:
        cloud: the model's.
        claims: those of orthogonality.
        published: the cosines as published, by the name of each claim's statistic, or none of them; they are related to
            the results.
        twin: of the cloud; None for no twins.
        products: null models that put another inner product on the same rows, drawn once each.
        n_splits: random divisions of the words into folds, over which products are averaged.
    """
    design = DebiasedDesign.of(cloud.hierarchy, [claim.name for claim in claims], n_splits=n_splits, seed=seed)
    draws: list[Callable[[], TokenCloud]] = [lambda: cloud]
    draws += [partial(null.draw, space, cloud, generator(seed, name)) for name, null in products.items()]
    if twin is not None:
        seeds = [twin_seed(seed, number) for number in range(n_twins)]
        draws += [partial(twin.cloud, one, tilt=tilt) for tilt in (0.0, TILT) for one in seeds]

    def measure(draw: Callable[[], TokenCloud]) -> dict[Estimator, Cosines]:
        own = draw()
        gram = RowGram(own.points if own is cloud else own.points.float(), kept=False)
        return {one: _cosines(design, gram, one) for one in _ESTIMATORS}

    with side_by_side(numbers(cloud, max_tokens=1)) as each:
        model, *others = [measure(draws[0]), *each(measure, draws[1:])]
    by_product = dict(zip(products, others, strict=False))
    twins = others[len(products) :]
    exact, tilted = twins[: len(twins) // 2], twins[len(twins) // 2 :]
    results = {}
    for claim in claims:
        by_estimator: dict[str, OrthogonalityResult] = {
            one: orthogonality_result(
                model[one][claim.name],
                [cosines[one][claim.name][0] for cosines in exact],
                [cosines[one][claim.name][0] for cosines in tilted],
                {name: cosines[one][claim.name][0] for name, cosines in by_product.items()},
                _families(design, claim.name),
                **_fields(claim, cloud.hierarchy, published),
            )
            for one in _ESTIMATORS
        }
        main = by_estimator.pop(estimator)
        results[claim.name] = replace(main, by_estimator=by_estimator)
    return results


def _cosines(design: DebiasedDesign, gram: RowGram, estimator: Estimator) -> Cosines:
    measured = design.measure(gram, estimator)
    return {
        name: (PooledCosine(own, design.comparisons[name].family), PooledCosine(other, design.comparisons[name].family))
        for name, (own, other) in measured.items()
    }


def _families(design: DebiasedDesign, claim: str) -> list[str]:
    return [design.hierarchy.names[family] for family in design.comparisons[claim].families]


def _fields(claim: "Claim", hierarchy: ConceptHierarchy, published: Mapping[str, TestResult]) -> dict[str, Any]:
    return {
        "name": claim.name,
        "title": claim.title,
        "measure": claim.measure,
        "alternative": claim.alternative,
        "subject": hierarchy.name,
        "lost": hierarchy.lost,
        "lacking": claim.lacking(hierarchy),
        "rule": claim.rule,
        "related": {"published": published[claim.statistic.name]} if claim.statistic.name in published else {},
        "calibrated": CLAIMED[claim.name][1] > 2,
    }
