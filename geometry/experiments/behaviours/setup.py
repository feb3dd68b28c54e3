"""What the study of behaviours is made on: families, the unified space, the model, activations of all prompts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.causal import CausalSpace
from geometry.concepts import (
    Behaviour,
    ConceptHierarchy,
    Prompt,
    behaviour_prompts,
    behaviour_words,
    load_behaviour,
    load_opposites,
)
from geometry.display import short_repr
from geometry.errors import HierarchyError
from geometry.experiments.evaluator import Evaluator
from geometry.experiments.study import Step
from geometry.models.locating import require_language_model
from geometry.steering import Architecture, PromptSet, Site, load_prompts, read_activations

if TYPE_CHECKING:
    from geometry.experiments.behaviours.study import BehavioursStudy

FINAL = Site.parse("after_norm")

Activations = Mapping[Site, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Family:
    """A family of behaviour with the residual stream at the last token of each of its prompts, class after class."""

    behaviour: Behaviour
    activations: Activations

    __repr__ = short_repr

    @property
    def name(self) -> str:
        """Of the behaviour."""
        return self.behaviour.name

    @cached_property
    def classes(self) -> list[str]:
        """Their names in order."""
        return [item.name for item in self.behaviour.classes]

    @cached_property
    def prompts(self) -> list[Prompt]:
        """All prompts, class after class."""
        return [prompt for item in self.behaviour.classes for prompt in item.prompts]

    @cached_property
    def labels(self) -> NDArray[np.str_]:
        """The class of each prompt."""
        return np.array([item.name for item in self.behaviour.classes for _ in item.prompts])

    @cached_property
    def cells(self) -> list[tuple[str, str]]:
        """Template and domain of each prompt: labels are shuffled and sentences paired within them."""
        return [(prompt.template, prompt.domain) for prompt in self.prompts]

    def means(self, points: torch.Tensor) -> NDArray[np.float64]:
        """Mean of each class's points, shape (k, d)."""
        return np.stack([points[torch.from_numpy(self.labels == name)].double().mean(0) for name in self.classes])


@dataclass(frozen=True, eq=False)
class Setup:
    """What all steps share.

    Attributes:
        words: behaviour → kind → family → class, of words that name the classes.
        evaluator: the model, with neutral texts by whose perplexity one sees what steering breaks.
        neutral: beginnings for a word of mood or manner, and prompts that show no class; then activations of these.
        contrast_activations: contrast → activations of its pairs of sentences, one after its counterpart.
    """

    space: CausalSpace
    families: Mapping[str, Family]
    words: ConceptHierarchy
    evaluator: Evaluator
    neutral: PromptSet
    neutral_activations: Activations
    contrast_activations: Mapping[str, Activations]
    n_permutations: int
    seed: int

    __repr__ = short_repr

    @property
    def blocks(self) -> list[Site]:
        """The output of each block."""
        return [site for site in self.neutral_activations if site != FINAL]


def prepare(study: "BehavioursStudy", step: Step) -> Setup:
    """Read and check the families, fit the space, load the model, read activations; what is bad is refused first."""
    require_language_model(study.model)
    loaded = [load_behaviour(source) for source in study.families]
    behaviour_prompts(loaded)  # names that clash are refused here
    for behaviour in loaded:
        _check(behaviour)
    neutral, contrasts = load_prompts("plain"), load_opposites()
    step(f"reading the unembedding of {study.model}")
    words = behaviour_words(loaded, step.session.unembedding(study.model, study.placement).vocabulary)
    space = step.session.space(study.model, study.placement)

    step("reading activations")
    model, tokenizer = step.session.language_model(study.model, study.placement)
    sites = [*(Site("output", block) for block in range(len(Architecture.of(model).blocks))), FINAL]

    def read(texts: Sequence[str]) -> Activations:
        return read_activations(model, tokenizer, texts, sites, cache=True)

    shown = {item.name: [prompt.text for each in item.classes for prompt in each.prompts] for item in loaded}
    paired = {name: [text for pair in contrast.pairs for text in pair] for name, contrast in contrasts.items()}
    return Setup(
        space=space,
        families={item.name: Family(item, read(shown[item.name])) for item in loaded},
        words=words,
        evaluator=Evaluator(model, tokenizer, load_prompts("neutral").texts[::2]),
        neutral=neutral,
        neutral_activations=read(neutral.texts),
        contrast_activations={name: read(texts) for name, texts in paired.items()},
        n_permutations=study.n_permutations,
        seed=study.seed,
    )


def _check(behaviour: Behaviour) -> None:
    """Refuse a class with a lonely prompt: one of each template and domain is steered, the others fit a probe."""
    if min(len(behaviour.templates), len(behaviour.domains)) < 2:
        says = "sentences alone, without templates and domains to hold out; this study needs two of each"
        raise HierarchyError(f"{behaviour.name}: {says}")
    for item in behaviour.classes:
        for (template, domain), count in Counter((each.template, each.domain) for each in item.prompts).items():
            if count < 2:
                raise HierarchyError(
                    f"{behaviour.name}: class {item.name!r} has a single sentence under {template} in {domain};"
                    " steering needs two at least"
                )
