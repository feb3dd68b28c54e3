"""The method of the comparison, in the order of a method section."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import geometry.compare as compare
from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy, load_hierarchy
from geometry.errors import HierarchyError, ModelError
from geometry.experiments.announce import announce
from geometry.experiments.comparison.control import Control, without
from geometry.experiments.comparison.result import ComparisonResult
from geometry.experiments.study import Step
from geometry.memory import few_arenas, give_back
from geometry.models import CATALOGUE, Unembedding, Vocabulary
from geometry.models.locating import is_word_vectors
from geometry.results import Results, TestResult

if TYPE_CHECKING:
    from geometry.experiments.comparison.study import ComparisonStudy

_FEWEST_CONCEPTS = 2
_FEWEST_MODELS = 2

NONE = "none"

Matrix = tuple[str, dict[str, Any], Vocabulary]  # the model as it was given, and what is known of one of its matrices


def measure_comparison(study: "ComparisonStudy", step: Step) -> ComparisonResult:
    """Profile one model after the other, then compare what is kept of them."""
    announce([study.hierarchy], step, compare.incomparable)
    few_arenas()  # matrices of several models go through the same few hundred megabytes
    notes: list[str] = []
    vectors = _word_vectors(study.control, notes, step)
    matrices = _matrices(study.models, notes, step)
    compare.same_weights([summary for _, summary, _ in matrices])
    vocabularies = {summary["name"]: words for _, summary, words in matrices}
    common = _common_hierarchy(study.hierarchy, vocabularies)
    control = _beside(study.hierarchy, vectors, vocabularies, notes, step) if vectors else None
    options: dict[str, Any] = {"n_permutations": study.n_permutations, "seed": study.seed}
    profiles, beside = [], []

    def profile_beside(space: CausalSpace, concepts: ConceptHierarchy) -> compare.ModelProfile:
        shared = concepts.over(space.unembedding.vocabulary)
        return compare.model_profile(space, shared, claims=compare.OWN_CLAIMS, n_twins=0, **options)

    for model, summary, _ in matrices:
        step(f"measuring {summary['name']}")
        unembedding = Unembedding.load(model, side=summary["side"], **study.placement.of_unembedding)
        shared = common.over(unembedding.vocabulary)
        own = load_hierarchy(study.hierarchy, unembedding.vocabulary)
        space = _space(study, unembedding)
        profiles.append(compare.model_profile(space, shared, own, n_twins=study.n_twins, **options))
        beside += [profile_beside(space, control[1])] if control else []
        del unembedding, space
        give_back()  # the next model may be the largest
    if control:
        step(f"measuring {control[0].name}")
        beside.append(profile_beside(_space(study, control[0]), control[1]))
    step("comparing pairs")
    options["n_permutations"] = study.n_concept_permutations
    pairs = list(combinations(profiles, 2))
    return ComparisonResult(
        study=study,
        profiles=profiles,
        pairs=_similarity(profiles, options),
        agreement=Results([result for pair in pairs for result in compare.claim_agreement(*pair)]).adjusted(),
        trees=_trees(profiles, options),
        control=Control(beside, _similarity(beside, options)) if control else None,
        notes=notes,
    )


def _space(study: "ComparisonStudy", unembedding: Unembedding) -> CausalSpace:
    return CausalSpace.fit(unembedding, **study.placement.of_space).to(study.placement.of_fits)


def _similarity(profiles: Sequence[compare.ModelProfile], options: Mapping[str, Any]) -> Results:
    pairs = combinations(profiles, 2)
    return Results([result for pair in pairs for result in compare.compare_pair(*pair, **options)]).adjusted()


def _word_vectors(name: str, notes: list[str], step: Step) -> Unembedding | None:
    """The control; where its name is known and it was not fetched, a note instead."""
    if name == NONE:
        return None
    if not is_word_vectors(name):
        raise ModelError(f"control {name}: not word vectors; name models among the others")
    try:
        return Unembedding.load(name)
    except ModelError as error:
        if name not in CATALOGUE:
            raise
        notes.append(without(name, error))
        step(notes[-1])
        return None


def _beside(
    name: str, vectors: Unembedding, vocabularies: Mapping[str, Vocabulary], notes: list[str], step: Step
) -> tuple[Unembedding, ConceptHierarchy] | None:
    """Word vectors and the concepts that they share with all models, if there are enough.

    The models' own words are left as they are: word vectors are in lower case, and would take every capital away.
    """
    try:
        return vectors, _common_hierarchy(name, {**vocabularies, vectors.name: vectors.vocabulary})
    except HierarchyError as error:
        notes.append(without(vectors.name, error))
        step(notes[-1])
        return None


def _matrices(models: Sequence[str], notes: list[str], step: Step) -> list[Matrix]:
    """What there is to compare; each is read and let go again, so that bad input is refused before work."""
    matrices: list[Matrix] = []
    for model in models:
        if is_word_vectors(model):
            raise ModelError(f"{model}: word vectors stand beside models, not among them: --control {model}")
        step(f"reading {model}")
        matrices.append(_described(model, "output"))
        if not matrices[-1][1]["tied"]:
            try:
                matrices.append(_described(model, "input"))
            except ModelError as error:
                notes.append(f"{model} is compared without its input embedding: {error}")
                step(notes[-1])
    names = [summary["name"] for _, summary, _ in matrices]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ModelError(f"two models are called {twice[0]!r}; name each once, or rename a folder")
    if len(matrices) < _FEWEST_MODELS:
        raise ModelError(f"{', '.join(models) or 'no model'}: nothing to compare it with; name two models or more")
    return matrices


def _described(model: str, side: Literal["output", "input"]) -> Matrix:
    unembedding = Unembedding.load(model, side=side)
    return model, unembedding.summary(), unembedding.vocabulary


def _common_hierarchy(name: str, vocabularies: Mapping[str, Vocabulary]) -> ConceptHierarchy:
    """The concepts that all models have, over the first one's tokens; refused if they are too few."""
    common = compare.common_vocabulary(vocabularies)
    sizes = ", ".join(f"{model} {len(vocabulary.words)}" for model, vocabulary in vocabularies.items())
    shared = f"{len(common.words)} words are single tokens in each (of {sizes});"
    shared += " leave out the model that lacks most of them"
    try:
        hierarchy = load_hierarchy(name, common)
    except HierarchyError as error:
        raise HierarchyError(f"no concepts of {name} in common: {shared}; {error}") from error
    if (k := len(hierarchy)) < _FEWEST_CONCEPTS:
        raise HierarchyError(f"{k} concepts of {name} in common and {_FEWEST_CONCEPTS} are needed: {shared}")
    return hierarchy


def _trees(profiles: Sequence[compare.ModelProfile], options: Mapping[str, Any]) -> dict[str, TestResult]:
    """The tree of each model and that of all together against the hierarchy's."""
    cosines = {profile.name: (profile.matrix, profile.permuted) for profile in profiles}
    matrices, permuted = zip(*cosines.values(), strict=True)
    together = [compare.consensus(same) for same in zip(*permuted, strict=True)]
    cosines["consensus"] = (compare.consensus(matrices), together)
    trees = [compare.recovered_tree(*both, profiles[0].hierarchy, **options) for both in cosines.values()]
    return dict(zip(cosines, Results(trees).adjusted(), strict=True))
