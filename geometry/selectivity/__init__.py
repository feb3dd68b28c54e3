"""How far steering to a concept reaches along the tree: effects on all other concepts, by relation and distance.

>>> import numpy as np, geometry as geo
>>> unembedding = geo.Unembedding.load("smollm2-135m")
>>> organisms = geo.load_hierarchy("organisms", unembedding.vocabulary)
>>> TreeRelations.of(organisms).between("bird", "mammal")
'sibling'
>>> unsteered = np.full((1, unembedding.matrix.shape[0]), 1 / unembedding.matrix.shape[0])
>>> selectivity = OutputSelectivity(ConceptOdds.of(organisms), ["bird"], unsteered)
>>> birds = unembedding.matrix[list(organisms["bird"].tokens)].mean(dim=0)
>>> effects = selectivity.tilted("addition", (birds @ unembedding.matrix.T)[None], nats=0.5)
>>> effects.kl.round(2).tolist(), bool(effects.change("self").mean() > 0)
([[0.5]], True)
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
