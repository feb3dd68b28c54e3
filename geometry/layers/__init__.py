"""Words and phrases inside a model: where they lie after every block, in contexts, and by which metric.

>>> import geometry as geo
>>> organisms = geo.load_hierarchy("organisms", geo.concepts.AnyPhrase())
>>> model, tokenizer = geo.load_model("stories15m")
>>> activations = geo.read_phrases(model, tokenizer, organisms.words, sites=["output.3"], contexts=["I saw a {}"])
>>> space = activations.space("output.3", metric="euclidean")
>>> geo.ConceptDirections.fit(space, organisms.over(activations.vocabulary)).vectors.shape[1]
288
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
