"""Where to steer and how strongly, chosen under a bound on what it costs; and what geometry forecasts of it.

>>> import geometry as geo
>>> model, tokenizer = geo.load_model("stories15m")
>>> unembedding = geo.Unembedding.load("stories15m")
>>> space = geo.CausalSpace.fit(unembedding)
>>> things = {"animal": ["cat", "dog", "bird", "fish", "bear", "frog"], "toy": ["ball", "doll", "toy", "truck", "kite"]}
>>> hierarchy = geo.load_hierarchy({"thing": things}, unembedding.vocabulary)
>>> concepts = geo.ConceptSteering(space, geo.ConceptDirections.fit(space, hierarchy))
>>> tuned = tune(model, tokenizer, concepts["animal"], hierarchy["animal"].tokens, bound=0.5)
>>> bool(tuned.cost <= 0.5), bool(tuned.effect > tuned.unsteered.mean())
(True, True)
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
