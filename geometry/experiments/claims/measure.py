"""The method of the study of claims."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

import geometry.evidence as evidence
from geometry.causal import CausalSpace
from geometry.compare import common_vocabulary
from geometry.concepts import ConceptHierarchy, Series, load_hierarchy, load_pairs, load_series
from geometry.directions import TokenCloud
from geometry.errors import EstimationError, GeometryError, HierarchyError
from geometry.experiments.announce import announce
from geometry.experiments.claims.illustrations import first_fits, measure_planes, measure_simplex
from geometry.experiments.claims.result import ClaimsResult, ControlPair
from geometry.experiments.session import Session
from geometry.experiments.study import Step
from geometry.models import Unembedding, Vocabulary, display_name
from geometry.results import Results, TestResult

if TYPE_CHECKING:
    from geometry.experiments.claims.study import ClaimsStudy

# Measured on the same splits, to stand beside the claims.
ALSO = (evidence.projection("token"), evidence.separation(), evidence.separation("token"))
# Values are compared with the control, not judged, so that few permutations do.
CONTROL_NULLS, CONTROL_PERMUTATIONS = ("permuted", "random_subset"), 9
ILLUSTRATION_PERMUTATIONS = 19
IN_POSITIONS = ("weekdays", "months", "number words", "ordinals")
CLASSES = (("mammal", "bird", "reptile", "amphibian", "fish"), ("insect",))

Measured = TypeVar("Measured")
LogitChanges = tuple[evidence.LogitChanges, evidence.LogitChanges]  # in the model and on shuffled rows


def measure_claims(study: "ClaimsStudy", step: Step) -> ClaimsResult:
    """One fit, one set of splits and one number for each claim, between its null models and its theory twins.

    Raises GeometryError: the model or a hierarchy cannot be read, two hierarchies have one name, or one of them has
        too few concepts or words for any claim.
    """
    announce(study.hierarchies, step)
    step(f"reading the unembedding of {study.model}")
    unembedding = step.session.unembedding(study.model, study.placement)
    hierarchies = _hierarchies(study, unembedding.vocabulary, step.session)
    space = step.session.space(study.model, study.placement)
    options: dict[str, Any] = {"n_permutations": study.n_permutations, "seed": study.seed}
    skipped: dict[str, str] = {}

    step("fitting hand-made classes")
    shown: dict[str, Any] = {"n_permutations": ILLUSTRATION_PERMUTATIONS, "seed": study.seed}
    planes = _attempt("planes", lambda: measure_planes(space, **shown), skipped)
    simplex = _attempt("simplex", lambda: measure_simplex(space, **shown), skipped)
    for illustration in filter(None, (planes, simplex)):
        step.figure(illustration.figure)

    step(f"testing {len(evidence.CLAIMS)} claims on {len(hierarchies)} hierarchies")
    claims: list[TestResult] = []
    beside, cosines = {}, {}
    changes: dict[str, LogitChanges] = {}
    for hierarchy in hierarchies:
        cloud = step.session.cloud(space, hierarchy)
        claims += evidence.evaluate_claims(space, cloud, n_twins=study.n_twins, **options)
        # They claim nothing, so a few permutations do.
        beside[hierarchy.name] = evidence.test_against_nulls(space, cloud, ALSO, missing="nan", seed=study.seed)
        model, shuffled = first_fits(space, cloud, "whole", study.seed)
        cosines[hierarchy.name] = model.cosines(), shuffled.cosines()
        changes |= _changes(space, cloud, study.seed)
    if not any(test.measured for test in claims):
        raise EstimationError(f"too few words a concept in {', '.join(beside)}: no claim can be measured")

    beside_control: dict[str, ControlPair] = {}
    control = None
    if study.control != "none":
        control = _attempt("control", lambda: _control_of(study, step.session), skipped)
    if control is not None:
        step(f"testing the words that {control.name} has too")
        for name in study.hierarchies:
            pair = _attempt(f"control on {name}", partial(_beside, study, name, step.session), skipped)
            beside_control |= {} if pair is None else {pair.hierarchy.name: pair}

    step("testing series of values and pairs of words")
    series = _series(unembedding.vocabulary, skipped)
    shapes, compared = evidence.shape_claims(space, series, **options)
    skipped |= {name: "too few values, or all alike" for name in series if name not in compared}
    in_positions = {name: series[name] for name in IN_POSITIONS if name in series}
    composition = _attempt("composition", lambda: evidence.composition_claim(space, in_positions, **options), skipped)
    lost: dict[str, tuple[str, ...]] = {}
    families = load_pairs(unembedding.vocabulary, lost=lost)
    contrasts = evidence.contrast_claims(space, families, lost=lost, **options)
    tested = {contrast.subject for contrast in contrasts}
    skipped |= {name: "too few pairs in this vocabulary" for name in families if name not in tested}

    return ClaimsResult(
        study=study,
        model=unembedding.summary(),
        claims=Results(claims).adjusted(),
        series_claims=Results([*shapes, *([composition] if composition else []), *contrasts]).adjusted(),
        control=beside_control,
        series=series,
        beside=beside,
        hierarchies={hierarchy.name: hierarchy for hierarchy in hierarchies},
        cosines=cosines,
        changes=changes,
        shapes=compared,
        planes=planes,
        simplex=simplex,
        skipped=skipped,
    )


def _control_of(study: "ClaimsStudy", session: Session) -> Unembedding:
    control = session.unembedding(study.control, study.placement)
    if control.name == display_name(study.model):
        raise EstimationError(f"{control.name} cannot stand beside itself")
    return control


def _beside(study: "ClaimsStudy", name: str, session: Session) -> ControlPair:
    """The claims on the words that the model and the control both have, by each."""
    spaces = [session.space(given, study.placement) for given in (study.model, study.control)]
    model, control = (space.unembedding for space in spaces)
    common = common_vocabulary({model.name: model.vocabulary, control.name: control.vocabulary})
    hierarchy = load_hierarchy(name, common, recipe=study.recipe)  # type: ignore[arg-type]
    options: dict[str, Any] = {"nulls": CONTROL_NULLS, "n_permutations": CONTROL_PERMUTATIONS, "n_others": 1}
    options |= {"published": False, "n_twins": 0, "seed": study.seed}
    own, other = (
        evidence.evaluate_claims(space, hierarchy.over(space.unembedding.vocabulary), **options) for space in spaces
    )
    return ControlPair(hierarchy, own, control.name, other)


def _hierarchies(study: "ClaimsStudy", vocabulary: Vocabulary, session: Session) -> list[ConceptHierarchy]:
    names = dict.fromkeys(study.hierarchies)
    if not names:
        raise HierarchyError("claims need at least one hierarchy")
    hierarchies = [session.hierarchy(name, vocabulary, study.recipe) for name in names]  # type: ignore[arg-type]
    counts = Counter(hierarchy.name for hierarchy in hierarchies)
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise HierarchyError(f"two of the hierarchies have the name {repeated[0]!r}; rename one in its file")
    for hierarchy in hierarchies:
        evidence.require_measurable(hierarchy)
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


def _changes(space: CausalSpace, cloud: TokenCloud, seed: int) -> dict[str, LogitChanges]:
    """Hierarchy, if it has a usable pair → log-odds changes in the model and on shuffled rows."""
    model, shuffled = map(evidence.logit_changes, first_fits(space, cloud, "lemma", seed))
    return {cloud.hierarchy.name: (model, shuffled)} if np.isfinite(model.selectivity).any() else {}
