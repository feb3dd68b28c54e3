"""Word vectors, which no language model made, beside the model: one number a claim, for tokens and for phrases."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import geometry.evidence as evidence
from geometry.causal import CausalSpace
from geometry.compare import common_vocabulary
from geometry.concepts import ConceptHierarchy, load_hierarchy
from geometry.errors import GeometryError, ModelError
from geometry.experiments.study import Step
from geometry.layers import phrase_word_vectors
from geometry.models import Unembedding, Vocabulary
from geometry.models.locating import is_word_vectors

if TYPE_CHECKING:
    from geometry.experiments.training.study import TrainingStudy

NONE = "none"
_NULLS, _PERMUTATIONS = ("permuted", "random_subset"), 1  # values are shown, and not judged

# Whether at blocks → claim → its value.
ControlValues = Mapping[bool, Mapping[str, float]]


def require_word_vectors(control: str) -> None:
    """ModelError for a control that is something else."""
    if control != NONE and not is_word_vectors(control):
        raise ModelError(f"control {control}: not word vectors; name models among the checkpoints")


def control_values(
    study: "TrainingStudy",
    step: Step,
    vocabulary: Vocabulary,
    phrases: ConceptHierarchy | None,
    claims: tuple[evidence.Claim, ...],
) -> tuple[ControlValues, str]:
    """The claims on word vectors, of those words that model and vectors both have, and of the phrases at blocks.

    Beside them why there are none, if there are not.
    """
    if study.control == NONE:
        return {}, ""
    step(f"testing the claims on {study.control}")
    found: dict[bool, dict[str, float]] = {}
    reasons = []
    parts: dict[bool, Callable[[CausalSpace], tuple[CausalSpace, ConceptHierarchy]]] = {
        False: lambda space: (space, _common(study.hierarchy, vocabulary, space.unembedding))
    }
    if phrases is not None:
        parts[True] = lambda space: _of_phrases(space, phrases)
    for at_blocks, part in parts.items():
        try:
            space, hierarchy = part(step.session.space(study.control, study.placement))
            options: Any = {"n_permutations": _PERMUTATIONS, "n_others": 1, "n_twins": 0, "published": False}
            options |= {"nulls": _NULLS, "seed": study.seed, "progress": False}
            tests = evidence.evaluate_claims(space, hierarchy, claims=claims, **options)
            found[at_blocks] = {test.name: float(test.value) for test in tests}
        except GeometryError as error:
            reasons.append(str(error))
    return found, "; ".join(dict.fromkeys(reasons))


def _common(hierarchy: str, vocabulary: Vocabulary, vectors: Unembedding) -> ConceptHierarchy:
    common = common_vocabulary({"model": vocabulary, vectors.name: vectors.vocabulary})
    return load_hierarchy(hierarchy, common).over(vectors.vocabulary)


def _of_phrases(space: CausalSpace, phrases: ConceptHierarchy) -> tuple[CausalSpace, ConceptHierarchy]:
    vocabulary = Vocabulary([f" {phrase}" for phrase in phrases.words])
    return phrase_word_vectors(space, vocabulary), phrases.over(vocabulary)
