"""What is measured: concepts, their words, and how they hang together."""

from geometry.concepts.behaviour_hierarchy import behaviour_prompts, behaviour_words, class_concept
from geometry.concepts.behaviours import (
    Behaviour,
    BehaviourClass,
    Prompt,
    load_behaviour,
    packaged_behaviours,
)
from geometry.concepts.handmade import hierarchy_from_graph, hierarchy_from_words
from geometry.concepts.hierarchy import Concept, ConceptHierarchy
from geometry.concepts.hierarchy_file import load_hierarchy, packaged_hierarchies
from geometry.concepts.load import load_hierarchy
from geometry.concepts.opposites import Opposites, load_opposites
from geometry.concepts.series import Series, load_pairs, load_series
from geometry.concepts.wordnet import wordnet_hierarchy

__all__ = [
    "Behaviour",
    "BehaviourClass",
    "Concept",
    "ConceptHierarchy",
    "Opposites",
    "Prompt",
    "Series",
    "behaviour_prompts",
    "behaviour_words",
    "class_concept",
    "hierarchy_from_graph",
    "hierarchy_from_words",
    "load_behaviour",
    "load_hierarchy",
    "load_opposites",
    "load_pairs",
    "load_series",
    "load_hierarchy",
    "packaged_behaviours",
    "packaged_hierarchies",
    "wordnet_hierarchy",
]
