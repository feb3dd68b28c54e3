"""What the steering analysis is made on: the model, its concepts, the words that measure them, divided prompts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import geometry as geo
from analysis.script import Run

KINDS = ("published", "fitted", "held_out")
Tokens = NDArray[np.int64]


@dataclass
class Study:
    """What all steps share.

    Attributes
    ----------
    words : the tokens of each measured concept under its name; under its name and one of `KINDS` those of the
        published recipe, those that vectors were fitted to, and all but these.
    choosing, reporting : a third of the prompts, to choose settings on, and the others.
    texts : neutral ones, for perplexity.
    cloud, train : what the concept vectors were fitted on.
    """

    model: Any
    tokenizer: Any
    concepts: geo.ConceptSteering
    words: Mapping[str, Tokens]
    choosing: geo.steering.NextToken
    reporting: geo.steering.NextToken
    texts: tuple[str, ...]
    cloud: geo.directions.TokenCloud
    train: NDArray[np.bool_]
    parent: str
    child: str
    sibling: str
    other: str
    seed: int

    @property
    def names(self) -> tuple[str, ...]:
        """The concepts measured."""
        return self.parent, self.sibling, self.child, self.other

    def composed(self, coefficient: float) -> geo.SteeringVector:
        """Parent + child with one coefficient."""
        return self.concepts.path({self.parent: coefficient, self.child: coefficient})

    def perplexity(self, vector: geo.SteeringVector | None) -> float:
        """Of neutral texts, steered at every token but the first, whose stream is of another order of magnitude."""
        if vector is None:
            return geo.steering.perplexity(self.model, self.tokenizer, self.texts)
        first = geo.steering.encode(self.tokenizer, self.texts).position_ids == 0
        with geo.steer(self.model, vector, positions=~first):
            return geo.steering.perplexity(self.model, self.tokenizer, self.texts)


def prepare(this: Run) -> tuple[geo.Unembedding, Study]:
    """Fit the concepts, divide words and prompts, load the model; bad names are refused before the last."""
    parent, child, (sibling, other) = this.settings["parent"], this.settings["child"], this.settings["beside"]
    names = (parent, sibling, child, other)
    prompts = geo.steering.load_prompts(this.settings["prompts"])
    if len(prompts.beginnings) < 3:
        raise geo.errors.SteeringError(f"{prompts.name}: at least 3 beginnings are needed, one third of them to choose on")
    unembedding = geo.Unembedding.load(this.model)
    nouns = geo.concepts.wordnet_hierarchy("noun", unembedding.vocabulary)
    train = geo.evidence.train_mask(nouns, "lemma", np.random.default_rng(this.seed))
    words = measured_words(nouns, train, unembedding.vocabulary, names)
    space = geo.CausalSpace.fit(unembedding)
    cloud = geo.directions.TokenCloud.of(space, nouns)
    concepts = geo.ConceptSteering(space, geo.ConceptDirections.fit_cloud(cloud, train=train))
    concepts.child(child, of=parent)

    this.step("loading the whole model")
    model, tokenizer = geo.load_model(this.model)
    reporting = [text for place, text in enumerate(prompts.beginnings) if place % 3]
    return unembedding, Study(
        model,
        tokenizer,
        concepts,
        words,
        geo.steering.NextToken(model, tokenizer, prompts.beginnings[::3]),
        geo.steering.NextToken(model, tokenizer, reporting),
        prompts.texts,
        cloud,
        train,
        parent,
        child,
        sibling,
        other,
        this.seed,
    )


def measured_words(
    nouns: geo.ConceptHierarchy, train: NDArray[np.bool_], vocabulary: geo.Vocabulary, names: tuple[str, ...]
) -> dict[str, Tokens]:
    """The words of every concept by which its probability is measured: all, and of each kind."""
    every = geo.steering.concept_tokens(geo.concepts.wordnet_hierarchy("noun", vocabulary, recipe="complete"), names)
    members = [nouns.members[nouns.index(name)] for name in names]
    fitted = nouns.tokens[np.unique(np.concatenate([some[train[some]] for some in members]))]
    words = dict(every)
    words |= {f"{name} published": tokens for name, tokens in geo.steering.concept_tokens(nouns, names).items()}
    words |= {f"{name} fitted": np.intersect1d(every[name], fitted) for name in names}
    return words | {f"{name} held_out": np.setdiff1d(every[name], fitted) for name in names}
