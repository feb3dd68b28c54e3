"""What the analysis of behaviours is made on: families, the unified space, the model, activations of all prompts."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import geometry as geo
from analysis.script import Run

FINAL = geo.Site.parse("after_norm")
LATEST = 2 / 3  # of the depth: a class is looked for, and steered, at a block with blocks after it

Activations = dict[geo.Site, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Study:
    """What all steps share.

    Attributes
    ----------
    words : behaviour → kind → family → class, of words that name the classes.
    activations : family → site → the stream at the last token of each of its prompts, class after class.
    plain : beginnings for a word of mood or manner, and sentences that show none.
    plain_activations : site → the same of these sentences.
    opposites, opposed : pairs of opposite sentences, and the same of these, one sentence after its counterpart.
    neutral : texts by whose perplexity one sees what steering breaks, and `perplexity` without it.
    """

    unembedding: geo.Unembedding
    space: geo.CausalSpace
    families: Mapping[str, geo.concepts.Behaviour]
    words: geo.ConceptHierarchy
    model: Any
    tokenizer: Any
    activations: Mapping[str, Activations]
    plain: geo.steering.PromptSet
    plain_activations: Activations
    opposites: Mapping[str, geo.concepts.Opposites]
    opposed: Mapping[str, Activations]
    neutral: tuple[str, ...]
    perplexity: float
    draws: int
    seed: int

    @property
    def blocks(self) -> list[geo.Site]:
        """The output of each block."""
        return [site for site in self.plain_activations if site != FINAL]

    @property
    def middle(self) -> list[geo.Site]:
        """The blocks with enough of the model after them to steer at."""
        return self.blocks[: max(1, int(LATEST * len(self.blocks)))]


def prepare(this: Run) -> Study:
    """Read and check the families, fit the space, load the model, read activations; what is bad is refused first."""
    loaded = [geo.load_behaviour(source) for source in this.settings["families"]]
    geo.concepts.behaviour_prompts(loaded)  # names that clash are refused here
    families = {family.name: family for family in loaded}
    for family in loaded:
        check(family)
    plain, neutral = geo.steering.load_prompts("plain"), geo.steering.load_prompts("neutral").texts[::2]
    opposites = geo.concepts.load_opposites()
    this.step(f"reading the unembedding of {this.model}")
    unembedding = geo.Unembedding.load(this.model)
    words = geo.concepts.behaviour_words(loaded, unembedding.vocabulary)
    space = geo.CausalSpace.fit(unembedding)

    this.step("reading activations")
    model, tokenizer = geo.load_model(this.model)
    sites = [*(geo.Site("output", block) for block in range(len(geo.steering.Architecture.of(model).blocks))), FINAL]
    pairs = {name: [text for pair in some.pairs for text in pair] for name, some in opposites.items()}
    texts = {name: [prompt.text for prompt in prompts(family)] for name, family in families.items()}
    return Study(
        unembedding,
        space,
        families,
        words,
        model,
        tokenizer,
        {name: geo.read_activations(model, tokenizer, some, sites, cache=True) for name, some in texts.items()},
        plain,
        geo.read_activations(model, tokenizer, plain.texts, sites, cache=True),
        opposites,
        {name: geo.read_activations(model, tokenizer, some, sites, cache=True) for name, some in pairs.items()},
        neutral,
        geo.steering.perplexity(model, tokenizer, neutral),
        this.settings["draws"],
        this.seed,
    )


def check(family: geo.concepts.Behaviour) -> None:
    """Refuse a family with a lonely sentence: one of each template and domain is steered, the others teach a probe."""
    for one in family.classes:
        cells = Counter((prompt.template, prompt.domain) for prompt in one.prompts)
        for (template, domain), count in cells.items():
            if count < 2:
                raise geo.errors.HierarchyError(
                    f"{family.name}: class {one.name!r} has a single sentence under {template} in {domain};"
                    " steering needs two at least"
                )


def prompts(family: geo.concepts.Behaviour) -> list[geo.concepts.Prompt]:
    """All prompts, class after class."""
    return [prompt for one in family.classes for prompt in one.prompts]


def labels(family: geo.concepts.Behaviour) -> list[str]:
    """The class of each of `prompts`."""
    return [one.name for one in family.classes for _ in one.prompts]


def names(family: geo.concepts.Behaviour) -> list[str]:
    """The classes in order."""
    return [one.name for one in family.classes]


def class_rows(family: geo.concepts.Behaviour, points: torch.Tensor) -> NDArray[np.float64]:
    """Mean of each class's points, shape (k, d)."""
    owner = np.array(labels(family))
    return np.stack([points[torch.from_numpy(owner == name)].double().mean(0).numpy() for name in names(family)])
