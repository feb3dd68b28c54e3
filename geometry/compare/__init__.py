"""Several models side by side: common concepts, similarity of their geometry, claim by claim, each beside its nulls."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
