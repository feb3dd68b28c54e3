"""The method of the comparison, in the order of a method section."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import torch

from geometry.causal import CausalSpace
from geometry.compare import (
    ModelProfile,
    claim_agreement,
    common_vocabulary,
    compare_pair,
    consensus,
    model_profile,
    recovered_tree,
    same_weights,
)
from geometry.concepts import ConceptHierarchy, load_hierarchy
from geometry.errors import HierarchyError, ModelError
from geometry.experiments.comparison.result import ComparisonResult
from geometry.experiments.comparison.study import ComparisonStudy
from geometry.experiments.study import Step
from geometry.memory import few_arenas, give_back
from geometry.models import Unembedding, Vocabulary
from geometry.results import Results, TestResult

__all__ = ["measure_comparison"]

_FEWEST_CONCEPTS = 5
_FEWEST_MODELS = 2

Matrix = tuple[str, Literal["output", "input"]]  # a model as given, and which of its matrices


def measure_comparison(study: ComparisonStudy, step: Step) -> ComparisonResult:
    """Profile one model after the other, then compare what is kept of them."""
    few_arenas()  # matrices of several models go through the same few hundred megabytes
    matrices, summaries, vocabularies, notes = _read(study.models, step)
    same_weights(summaries)
    common = _common_hierarchy(study.hierarchy, vocabularies)

    profiles = []
    for (model, side), name in zip(matrices, vocabularies, strict=True):
        step(f"measuring {name}")
        unembedding = Unembedding.load(model, side=side)
        shared = common.over(unembedding.vocabulary)
        own = load_hierarchy(study.hierarchy, unembedding.vocabulary)
        space = CausalSpace.fit(unembedding).to(torch.float32)
        profiles.append(model_profile(space, shared, own, n_permutations=study.n_permutations, seed=study.seed))
        del unembedding, space
        give_back()  # the next model may be the largest

    step("comparing pairs")
    options: dict[str, Any] = {"n_permutations": study.n_concept_permutations, "seed": study.seed}
    pairs = list(combinations(profiles, 2))
    return ComparisonResult(
        study=study,
        profiles=tuple(profiles),
        pairs=Results([result for pair in pairs for result in compare_pair(*pair, **options)]).adjusted(),
        agreement=Results([result for pair in pairs for result in claim_agreement(*pair)]).adjusted(),
        trees=_trees(profiles, options),
        notes=tuple(notes),
    )


def _read(
    models: Sequence[str], step: Step
) -> tuple[list[Matrix], list[dict[str, Any]], dict[str, Vocabulary], list[str]]:
    """Which matrices there are to compare; each is read and let go again, so that bad input is refused before work."""
    matrices: list[Matrix] = []
    summaries: list[dict[str, Any]] = []
    vocabularies: dict[str, Vocabulary] = {}
    notes: list[str] = []

    def add(unembedding: Unembedding, model: str) -> None:
        if unembedding.name in vocabularies:
            raise ModelError(f"two models are called {unembedding.name!r}; name each once, or rename a folder")
        matrices.append((model, unembedding.side))
        summaries.append(unembedding.summary())
        vocabularies[unembedding.name] = unembedding.vocabulary

    for model in models:
        step(f"reading {model}")
        unembedding = Unembedding.load(model)
        tied = unembedding.tied
        add(unembedding, model)
        del unembedding
        if not tied:
            try:
                add(Unembedding.load(model, side="input"), model)
            except ModelError as error:
                notes.append(f"{model} is compared without its input embedding: {error}")
                step(notes[-1])
    if len(matrices) < _FEWEST_MODELS:
        given = models[0] if models else "no model"
        raise ModelError(f"{given}: nothing to compare it with; name two models or more")
    return matrices, summaries, vocabularies, notes


def _common_hierarchy(name: str, vocabularies: Mapping[str, Vocabulary]) -> ConceptHierarchy:
    """The concepts that all models have, over the first one's tokens; refused if they are too few."""
    common = common_vocabulary(vocabularies)
    sizes = ", ".join(f"{model} {len(vocabulary.words)}" for model, vocabulary in vocabularies.items())
    shared = (
        f"{len(common.words)} words are single tokens in each (of {sizes}); leave out the model that lacks most of them"
    )
    try:
        hierarchy = load_hierarchy(name, common)
    except HierarchyError as error:
        raise HierarchyError(f"no concepts of {name} in common: {shared}; {error}") from error
    if len(hierarchy) < _FEWEST_CONCEPTS:
        raise HierarchyError(
            f"{len(hierarchy)} concepts of {name} in common and {_FEWEST_CONCEPTS} are needed: {shared}"
        )
    return hierarchy


def _trees(profiles: Sequence[ModelProfile], options: Mapping[str, Any]) -> dict[str, TestResult]:
    """The tree of each model and that of all together against the hierarchy's."""
    hierarchy = profiles[0].hierarchy
    trees = [recovered_tree(profile.matrix, profile.shuffled, hierarchy, **options) for profile in profiles]
    together = consensus([profile.matrix for profile in profiles])
    shuffled = [consensus(matrices) for matrices in zip(*(profile.shuffled for profile in profiles), strict=True)]
    trees.append(recovered_tree(together, shuffled, hierarchy, **options))
    names = [*(profile.name for profile in profiles), "consensus"]
    return dict(zip(names, Results(trees).adjusted(), strict=True))
