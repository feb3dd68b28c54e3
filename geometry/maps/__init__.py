"""Maps of points by UMAP, and Mapper graphs of their topology, each beside null models."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
