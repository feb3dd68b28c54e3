"""The method of the study of layers."""

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

import geometry.evidence as evidence
from geometry.causal import CausalSpace
from geometry.directions import TokenCloud
from geometry.evidence.fitting import Fitting
from geometry.experiments.layers.by_block import claims_by_block
from geometry.experiments.layers.choices import METRICS
from geometry.experiments.layers.depth import DepthOrder
from geometry.experiments.layers.pictures import measure_pictures
from geometry.experiments.layers.result import LayersResult
from geometry.experiments.layers.setup import Setup, chosen_claims, prepare
from geometry.experiments.layers.steered import steer_at_blocks
from geometry.experiments.study import Step
from geometry.results import Results, TestResult
from geometry.steering import Site

if TYPE_CHECKING:
    from geometry.experiments.layers.study import LayersStudy

# The claims' reference, and what nesting and arbitrary parents explain.
NULLS = ("permuted", "random_subset", "random_parent")
# Other inner products are compared with the study's own, not judged, so that few permutations do.
METRIC_PERMUTATIONS = 9
# Of the tree: what stands beside the claims, with as many permutations as may say p = .05.
OF_THE_TREE = (
    evidence.leave_one_lemma_out(),
    evidence.spectral_splitting(),
    evidence.spectral_order(),
    evidence.depth_probe(),
    evidence.distance_probe(),
    evidence.hyperbolicity(),
)
TREE_PERMUTATIONS = 19
# Blocks at which that, metrics and held-out contexts are measured; the claims are at every block.
SPARSE = 10
_DEPTHS = ("existence", "separation")


def measure_layers(study: "LayersStudy", step: Step) -> LayersResult:
    """Every claim at every site beside nulls and twins; depth of the tree, metrics, held-out contexts and lemmas.

    Raises GeometryError: the model, the hierarchy or the contexts cannot be read, an unknown claim, or a hierarchy on
        which nothing can be measured.
    """
    setup = prepare(study, step)
    claims = chosen_claims(study.claims)
    evidence.require_measurable(setup.hierarchy, claims)
    with_twins, sparse = _evenly(setup, study.n_twin_blocks), _evenly(setup, SPARSE) | {setup.sites[0]}
    angles = [claim for claim in evidence.CLAIMS if claim.orthogonality and claim not in claims]
    tests, orthogonality, of_the_tree = {}, {}, {}
    for number, site in enumerate(setup.sites, start=1):
        step(f"testing {len(claims)} claims at {site} ({number} of {len(setup.sites)})")
        space = setup.space(site)
        tests[site] = _evaluate(setup, space, claims, n_twins=study.n_twins if site in with_twins else 0)
        if "orthogonality" in study.beside and site in with_twins and angles:
            orthogonality[site] = _evaluate(setup, space, tuple(angles), n_twins=study.n_twins)
        if "tree" in study.beside and site in sparse:
            of_the_tree[site] = _of_the_tree(setup, space)
    control = tree_of_control = None
    if setup.control is not None:
        step(f"testing them on {setup.control.unembedding.name}")
        control = _evaluate(setup, setup.control, claims, n_twins=study.n_twins)
        tree_of_control = _of_the_tree(setup, setup.control) if of_the_tree else None
    found = claims_by_block(tests, control)
    metrics = {}
    if "metrics" in study.beside:
        for name in METRICS:
            if name != study.metric:
                step(f"testing under the {name} metric")
                metrics[name] = _under_metric(setup, name, claims, sparse)
    held_out: dict[Site, list[float]] = {}
    if "held-out" in study.beside:
        step("holding out contexts")
        held_out = _held_out_contexts(setup, sparse)
    steered, without_steering = (None, "")
    if "steering" in study.beside:
        steered, without_steering = steer_at_blocks(setup, step)
    setup = setup.without_model(step)
    pictures = measure_pictures(setup, found, step) if "pictures" in study.beside else None
    return LayersResult(
        study=study,
        model=setup.causal.unembedding.summary(),
        hierarchy=setup.hierarchy,
        contexts=setup.activations.contexts,
        claims=found,
        orthogonality=claims_by_block(orthogonality, None) if orthogonality else {},
        of_the_tree=claims_by_block(of_the_tree, tree_of_control) if of_the_tree else {},
        depths=[DepthOrder.of(found[name], setup.hierarchy, seed=study.seed) for name in _DEPTHS if name in found],
        metrics=metrics,
        held_out_context=held_out,
        pictures=pictures,
        steered=steered,
        without_steering=without_steering,
        without_control=setup.without_control,
        left_out=setup.left_out,
    )


def _evenly(setup: Setup, count: int) -> set[Site]:
    """So many outputs of blocks, evenly spaced from the first to the last."""
    outputs = [site for site in setup.sites if site.place == "output"]
    chosen = np.linspace(0, len(outputs) - 1, min(count, len(outputs)))
    return {outputs[int(index)] for index in chosen.round()}


def _evaluate(setup: Setup, space: CausalSpace, claims: tuple[evidence.Claim, ...], *, n_twins: int) -> Results:
    options: dict[str, Any] = {"nulls": NULLS, "n_permutations": setup.study.n_permutations, "n_others": 1}
    options |= {"n_twins": n_twins, "published": False, "seed": setup.study.seed, "progress": False}
    return evidence.evaluate_claims(space, setup.hierarchy, claims=claims, **options)


def _of_the_tree(setup: Setup, space: CausalSpace) -> Results:
    options: Any = {"nulls": ["permuted"], "n_permutations": TREE_PERMUTATIONS, "missing": "nan", "progress": False}
    return evidence.test_against_nulls(space, setup.hierarchy, OF_THE_TREE, seed=setup.study.seed, **options)


def _under_metric(
    setup: Setup, metric: str, claims: tuple[evidence.Claim, ...], sites: Collection[Site]
) -> dict[str, dict[Site, TestResult]]:
    """Claim → site → its statistic under another inner product, beside few permutations."""
    statistics = [claim.statistic for claim in claims if not claim.orthogonality]
    results: dict[str, dict[Site, TestResult]] = {claim.name: {} for claim in claims if not claim.orthogonality}
    options: Any = {"nulls": ["permuted"], "n_permutations": METRIC_PERMUTATIONS, "missing": "nan", "progress": False}
    for site in [site for site in setup.sites if site in sites]:
        tested = evidence.test_against_nulls(
            setup.space(site, metric), setup.hierarchy, statistics, seed=setup.study.seed, **options
        )
        for name, test in zip(results, tested, strict=True):
            results[name][site] = test
    return results


def _held_out_contexts(setup: Setup, sites: Collection[Site]) -> dict[Site, list[float]]:
    """Site → for each context, the projection of held-out words read in it on vectors of the other contexts."""
    contexts = range(len(setup.activations.contexts))
    if len(contexts) < 2:
        return {}
    statistic = evidence.projection()
    options: Any = {"estimator": "lda", "train_fraction": 0.7, "max_tokens": evidence.MAX_TOKENS, "missing": "nan"}
    fitting = Fitting.of(setup.hierarchy, (statistic.split,), seed=setup.study.seed, **options)
    found: dict[Site, list[float]] = {}
    for site in [site for site in setup.sites if site in sites]:
        found[site] = []
        for held_out in contexts:
            others = [number for number in contexts if number != held_out]
            space = setup.space(site, contexts=others)
            fits = fitting.fit(TokenCloud.of(space, setup.hierarchy), statistic.split)
            rows = setup.activations[site][held_out].to(space.mean)
            # What all phrases share in a context is no part of any concept, in this one as in the others.
            points = (rows - rows.mean(dim=0)) @ space.whitener
            moved = fits[0].cloud.moved(points[setup.hierarchy.tokens])
            values = statistic.evaluate(*(replace(fit, cloud=moved) for fit in fits))
            found[site].append(float(np.nanmean(values)))
    return found
