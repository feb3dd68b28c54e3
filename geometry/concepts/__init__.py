"""What is measured: concepts, their words, and how they hang together."""

from geometry.concepts.hierarchy import Concept, ConceptHierarchy
from geometry.concepts.wordnet import wordnet_hierarchy
from geometry.concepts.yaml_file import load_hierarchy, packaged_hierarchies

__all__ = ["Concept", "ConceptHierarchy", "load_hierarchy", "packaged_hierarchies", "wordnet_hierarchy"]
