"""The method of the comparison, in the order of a method section."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import torch

import geometry.compare as compare
from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy, load_hierarchy
from geometry.errors import HierarchyError, ModelError
from geometry.experiments.comparison.result import ComparisonResult
from geometry.experiments.study import Step
from geometry.memory import few_arenas, give_back
from geometry.models import Unembedding, Vocabulary
from geometry.results import Results, TestResult

if TYPE_CHECKING:
    from geometry.experiments.comparison.study import ComparisonStudy

_FEWEST_CONCEPTS = 5
_FEWEST_MODELS = 2

Matrix = tuple[str, dict[str, Any], Vocabulary]  # the model as it was given, and what is known of one of its matrices


def measure_comparison(study: "ComparisonStudy", step: Step) -> ComparisonResult:
    """Profile one model after the other, then compare what is kept of them."""
    few_arenas()  # matrices of several models go through the same few hundred megabytes
    matrices, notes = _matrices(study.models, step)
    compare.same_weights([summary for _, summary, _ in matrices])
    common = _common_hierarchy(study.hierarchy, {summary["name"]: words for _, summary, words in matrices})
    profiles = []
    for model, summary, _ in matrices:
        step(f"measuring {summary['name']}")
        unembedding = Unembedding.load(model, side=summary["side"])
        shared = common.over(unembedding.vocabulary)
        own = load_hierarchy(study.hierarchy, unembedding.vocabulary)
        space = CausalSpace.fit(unembedding).to(torch.float32)
        profiles.append(compare.model_profile(space, shared, own, n_permutations=study.n_permutations, seed=study.seed))
        del unembedding, space
        give_back()  # the next model may be the largest
    step("comparing pairs")
    options: dict[str, Any] = {"n_permutations": study.n_concept_permutations, "seed": study.seed}
    pairs = list(combinations(profiles, 2))
    return ComparisonResult(
        study=study,
        profiles=profiles,
        pairs=Results([result for pair in pairs for result in compare.compare_pair(*pair, **options)]).adjusted(),
        agreement=Results([result for pair in pairs for result in compare.claim_agreement(*pair)]).adjusted(),
        trees=_trees(profiles, options),
        notes=notes,
    )


def _matrices(models: Sequence[str], step: Step) -> tuple[list[Matrix], list[str]]:
    """What there is to compare; each is read and let go again, so that bad input is refused before work."""
    matrices, notes = [], []
    for model in models:
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
    return matrices, notes


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
    cosines = {profile.name: (profile.matrix, profile.shuffled) for profile in profiles}
    matrices, shuffled = zip(*cosines.values(), strict=True)
    together = [compare.consensus(permuted) for permuted in zip(*shuffled, strict=True)]
    cosines["consensus"] = (compare.consensus(matrices), together)
    trees = [compare.recovered_tree(*both, profiles[0].hierarchy, **options) for both in cosines.values()]
    return dict(zip(cosines, Results(trees).adjusted(), strict=True))
