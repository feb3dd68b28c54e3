"""Pictures of your concept vectors, words and graphs: one call each, in your axes, sizes and colours.

>>> import geometry as geo
>>> space = geo.CausalSpace.fit(geo.Unembedding.load("smollm2-135m"))
>>> directions = geo.ConceptDirections.fit(space, geo.load_hierarchy("organisms", space.unembedding.vocabulary))
>>> figure = geo.views.plane(directions, ["animal", "mammal", "bird"], space=space)

Each takes the `Options` of `geo.plots` (`ax`, `figsize`, `colours`, `title`, `caption`) and returns its figure. What is
seen is measured here, since plots compute nothing; title and caption say it unless others are given. `null_directions`
fits the same concepts on a null model, to be seen `beside` the model's.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
