"""Dictionaries of features: sparse autoencoders, published or trained here, and codebooks; features as directions.

>>> import geometry as geo
>>> rng = geo.randomness.generator(0, "example")
>>> rows = rng.standard_normal((200, 8))
>>> geo.dictionaries.Codebook.fit(rows, 5, k=2, site="output.3").encode(rows).shape
torch.Size([200, 5])
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
