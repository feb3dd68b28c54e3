"""Steering: vectors with algebra, where they come from, injection into plain models, and what it does."""

from geometry.steering.activation_cache import cached_activations
from geometry.steering.activation_vectors import (
    activation_addition,
    class_means,
    contrast,
    contrastive_addition,
    mean_vectors,
    principal_difference,
)
from geometry.steering.activations import read_activations, recording
from geometry.steering.concept_vectors import ConceptSteering
from geometry.steering.generation import Completion, complete
from geometry.steering.injection import Steering, steer, steer_each
from geometry.steering.layout import ModelLayout
from geometry.steering.measure import (
    Effect,
    NextToken,
    concept_tokens,
    divergence,
    excess_divergence,
    perplexity,
    probability,
)
from geometry.steering.positions import Named, Positions
from geometry.steering.prompt_sets import PromptSet, load_prompts
from geometry.steering.prompts import encode
from geometry.steering.readout import Readout, carry, logit_lens
from geometry.steering.strength import absolute
from geometry.steering.vector import Site, SteeringVector
from geometry.steering.vector_file import load_vector, save_vector

__all__ = [
    "Completion",
    "ConceptSteering",
    "Effect",
    "ModelLayout",
    "Named",
    "NextToken",
    "Positions",
    "PromptSet",
    "Readout",
    "Site",
    "Steering",
    "SteeringVector",
    "absolute",
    "activation_addition",
    "cached_activations",
    "carry",
    "class_means",
    "complete",
    "concept_tokens",
    "contrast",
    "contrastive_addition",
    "divergence",
    "encode",
    "excess_divergence",
    "load_prompts",
    "load_vector",
    "logit_lens",
    "mean_vectors",
    "perplexity",
    "principal_difference",
    "probability",
    "read_activations",
    "recording",
    "save_vector",
    "steer",
    "steer_each",
]
