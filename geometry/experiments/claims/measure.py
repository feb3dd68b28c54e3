"""The method of the study of claims."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

import geometry.evidence as evidence
from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy, Series, load_hierarchy, load_pairs, load_series
from geometry.errors import EstimationError, GeometryError, HierarchyError
from geometry.experiments.claims.illustrations import first_fits, measure_planes, measure_simplex
from geometry.experiments.claims.result import ClaimsResult
from geometry.experiments.study import Step
from geometry.models import Unembedding, Vocabulary
from geometry.results import Results, TestResult

if TYPE_CHECKING:
    from geometry.experiments.claims.study import ClaimsStudy

# Measured on the same splits, to stand beside the claims.
ALSO = (evidence.projection("token"), evidence.separation(), evidence.separation("token"), evidence.simplex_angles())
IN_POSITIONS = ("weekdays", "months", "number words", "ordinals")
CLASSES = (("mammal", "bird", "reptile", "amphibian", "fish"), ("insect",))

Measured = TypeVar("Measured")


def measure_claims(study: "ClaimsStudy", step: Step) -> ClaimsResult:
    """One fit, one set of splits and one number for each claim, beside all null models.

    Raises GeometryError: the model or a hierarchy cannot be read, two hierarchies have one name, one has no edges, or
        none of them has enough words for any claim.
    """
    step(f"reading the unembedding of {study.model}")
    unembedding = Unembedding.load(study.model)
    hierarchies = _hierarchies(study, unembedding.vocabulary)
    space = CausalSpace.fit(unembedding)
    options: dict[str, Any] = {"n_permutations": study.n_permutations, "seed": study.seed}
    skipped: dict[str, str] = {}

    step(f"testing {len(evidence.CLAIMS)} claims on {len(hierarchies)} hierarchies")
    claims: list[TestResult] = []
    beside = {}
    for hierarchy in hierarchies:
        claims += evidence.evaluate_claims(space, hierarchy, **options)
        # They claim nothing, so a few permutations do.
        beside[hierarchy.name] = evidence.test_against_nulls(space, hierarchy, ALSO, missing="nan", seed=study.seed)
    if not any(test.measured for test in claims):
        raise EstimationError(f"too few words a concept in {', '.join(beside)}: no claim can be measured")

    step("testing series of values and pairs of words")
    series = _series(unembedding.vocabulary, skipped)
    shapes, compared = evidence.shape_claims(space, series, **options)
    skipped |= {name: "too few values, or all alike" for name in series if name not in compared}
    in_positions = {name: series[name] for name in IN_POSITIONS if name in series}
    composition = _attempt("composition", lambda: evidence.composition_claim(space, in_positions, **options), skipped)
    families = load_pairs(unembedding.vocabulary)
    contrasts = evidence.contrast_claims(space, families, **options)
    tested = {contrast.subject for contrast in contrasts}
    skipped |= {name: "too few pairs in this vocabulary" for name in families if name not in tested}
    tests = Results([*claims, *shapes, *([composition] if composition else []), *contrasts]).adjusted()

    step("fitting what the figures illustrate")
    fits = {hierarchy.name: first_fits(space, hierarchy, "whole", study.seed) for hierarchy in hierarchies}
    return ClaimsResult(
        study=study,
        model=unembedding.summary(),
        claims=tests[: len(claims)],
        series_claims=tests[len(claims) :],
        series=series,
        beside=beside,
        hierarchies={hierarchy.name: hierarchy for hierarchy in hierarchies},
        cosines={name: tuple(directions.cosines() for directions in pair) for name, pair in fits.items()},
        changes=_changes(space, hierarchies, study.seed),
        shapes=compared,
        planes=_attempt("planes", lambda: measure_planes(space, **options), skipped),
        simplex=_attempt("simplex", lambda: measure_simplex(space, **options), skipped),
        skipped=skipped,
    )


def _hierarchies(study: "ClaimsStudy", vocabulary: Vocabulary) -> list[ConceptHierarchy]:
    names = dict.fromkeys(study.hierarchies)
    if not names:
        raise HierarchyError("claims need at least one hierarchy")
    hierarchies = [load_hierarchy(name, vocabulary, recipe=study.recipe) for name in names]  # type: ignore[arg-type]
    counts = Counter(hierarchy.name for hierarchy in hierarchies)
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise HierarchyError(f"two of the hierarchies have the name {repeated[0]!r}; rename one in its file")
    if flat := [hierarchy.name for hierarchy in hierarchies if not hierarchy.edges]:
        raise HierarchyError(f"hierarchy {flat[0]!r} has no edges: claims are about children and their parents")
    return hierarchies


def _series(vocabulary: Vocabulary, skipped: dict[str, str]) -> dict[str, Series]:
    """The packaged series and the animal classes; what this vocabulary lacks of them is noted in `skipped`."""
    series = load_series(vocabulary, skipped=skipped)

    def animal_classes() -> Series:
        organisms = load_hierarchy("organisms", vocabulary, only=sum(CLASSES, ()))
        return Series.from_hierarchy("animal classes", organisms, CLASSES)

    if classes := _attempt("animal classes", animal_classes, skipped):
        series["animal classes"] = classes
    for name, values in series.items():
        skipped |= {f"{name}: {value}": reason for value, reason in values.skipped.items()}
    return series


def _attempt(name: str, work: Callable[[], Measured], skipped: dict[str, str]) -> Measured | None:
    """What a small vocabulary cannot show is left out, and the reason kept."""
    try:
        return work()
    except GeometryError as error:
        skipped[name] = str(error)
        return None


def _changes(
    space: CausalSpace, hierarchies: list[ConceptHierarchy], seed: int
) -> dict[str, tuple[evidence.LogitChanges, evidence.LogitChanges]]:
    """Hierarchy, if it has a usable pair → log-odds changes in the model and on shuffled rows."""
    changes = {}
    for hierarchy in hierarchies:
        model, shuffled = map(evidence.logit_changes, first_fits(space, hierarchy, "lemma", seed))
        if np.isfinite(model.selectivity).any():
            changes[hierarchy.name] = model, shuffled
    return changes
