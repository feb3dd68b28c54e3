"""What the steering study is made on: the model, its concepts, the words that measure them, divided prompts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections
from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.evidence import train_mask
from geometry.experiments.evaluator import Evaluator
from geometry.experiments.study import Step
from geometry.models import Unembedding, require_language_model
from geometry.steering import ConceptSteering, NextToken, SteeringVector, concept_tokens, load_prompts

if TYPE_CHECKING:
    from geometry.experiments.steering.study import SteeringStudy

Tokens = NDArray[np.int64]
# The strengths at a block for which the random control is measured at every block.
CONTROLLED = (0.25, 0.5, 1.0, 4.0)


@dataclass(frozen=True, eq=False)
class Bench:
    """What all steps share.

    Attributes:
        words: the tokens of each measured concept under its name; under its name and "published", "fitted" or
            "held_out" those of the published recipe, those that vectors were fitted to, and all but these.
        choosing, reporting: a third of the prompts, to choose settings on, and the others.
    """

    study: "SteeringStudy"
    unembedding: Unembedding
    concepts: ConceptSteering
    words: Mapping[str, Tokens]
    evaluator: Evaluator
    choosing: NextToken
    reporting: NextToken

    __repr__ = short_repr

    def composed(self, coefficient: float) -> SteeringVector:
        """Parent + child with one coefficient."""
        return self.concepts.path({self.study.parent: coefficient, self.study.child: coefficient})


def prepare(study: "SteeringStudy", step: Step) -> Bench:
    """Fit the concepts, divide words and prompts, load the model; bad names are refused before the last."""
    require_language_model(study.model)
    prompts = load_prompts(study.prompts)
    if len(prompts.beginnings) < 3:
        raise SteeringError(f"{prompts.name}: at least 3 beginnings are needed, one third of them to choose on")
    step(f"reading the unembedding of {study.model} and fitting concepts")
    session, place = step.session, study.placement
    unembedding = session.unembedding(study.model, place)
    nouns = session.hierarchy("wordnet-noun", unembedding.vocabulary)
    if study.child not in nouns.descendants(study.parent):
        nouns.index(study.child)
        raise SteeringError(f"{study.parent!r} is no ancestor of {study.child!r} in WordNet's nouns")
    train = train_mask(nouns, "lemma", np.random.default_rng(study.seed))
    complete = session.hierarchy("wordnet-noun", unembedding.vocabulary, "complete")
    words = measured_words(nouns, complete, train, study.concepts)
    space = session.space(study.model, place)
    concepts = ConceptSteering(space, ConceptDirections.fit_cloud(session.cloud(space, nouns), train=train))

    step("loading the whole model")
    model, tokenizer = session.language_model(study.model, place)
    evaluator = Evaluator(model, tokenizer, prompts.texts)
    parts = prompts.beginnings[::3], [text for index, text in enumerate(prompts.beginnings) if index % 3]
    choosing, reporting = (NextToken(model, tokenizer, part) for part in parts)
    return Bench(study, unembedding, concepts, words, evaluator, choosing, reporting)


def measured_words(
    nouns: ConceptHierarchy, complete: ConceptHierarchy, train: NDArray[np.bool_], names: tuple[str, ...]
) -> dict[str, Tokens]:
    """The words of every concept by which its probability is measured: all, and of each kind."""
    every = concept_tokens(complete, names)
    members = [nouns.members[nouns.index(name)] for name in names]
    fitted = nouns.tokens[np.unique(np.concatenate([subset[train[subset]] for subset in members]))]
    words = {**every, **{f"{name} published": tokens for name, tokens in concept_tokens(nouns, names).items()}}
    words |= {f"{name} fitted": np.intersect1d(every[name], fitted) for name in names}
    return words | {f"{name} held_out": np.setdiff1d(every[name], fitted) for name in names}
