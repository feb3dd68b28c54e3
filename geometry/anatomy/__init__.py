"""Inside a vector: what it says, which concepts it is made of, what is left when parts of it are taken away.

>>> import numpy as np
>>> atoms = np.eye(3, 8)
>>> decompose([3.0, 0.0, 1.0, 0, 0, 0, 0, 0], atoms, ["bird", "fish", "oak"]).names
('bird', 'oak')
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
