"""Concept hierarchies in the geometry of language models: directions, evidence, steering, maps.

The flow runs one way, after `import geometry as geo`::

    model file      Unembedding.load, WordVectors.load, Vocabulary, load_model, fetch → CausalSpace.fit
    hierarchy       load_hierarchy, ConceptHierarchy, load_behaviour → ConceptDirections.fit
      → evidence    evaluate_claims (CLAIMS, Claim), test_against_nulls (Statistic, NULLS, NullModel) → TestResult
      → steering    ConceptSteering, SteeringVector, Site, pull_back, steer, steer_each, tune,
                    generate, save_vector, load_vector
    prompts         read_activations, record_activations, class_means, activation_addition,
                    contrastive_activation_addition
    phrases         read_phrases → a space at every site, for all of the above
      → maps        umap_embedding, mapper
      → pictures    views.heatmap, plane, simplex, concept_map, mapper, in your own axes

Every refusal is a GeometryError. Everything else stands in the modules `models`, `concepts`, `evidence`, `probing`,
`steering`, `selectivity`, `tuning`, `search`, `judging`, `layers`, `dictionaries`, `anatomy`, `maps`, `compare`,
`views`, `experiments`, `plots`, `report`, `cli`: help(geo.evidence) lists one. All is loaded when it is first used.
"""

import lazy_loader

from geometry.version import __version__ as __version__

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
