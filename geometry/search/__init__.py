"""Vectors found without saying what for: those that change later activations most, beside random ones.

>>> import geometry as geo
>>> model, tokenizer = geo.load_model("stories15m")
>>> prompts = ["Once there was a", "The girl saw a"]
>>> found = find_vectors(model, tokenizer, prompts, site="output.1", read_site="output.4", n_vectors=2, n_steps=5)
>>> found.gain > 1, found.orthogonality < 1e-6
(True, True)
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
