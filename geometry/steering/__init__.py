"""Steering: vectors with algebra, where they come from, injection into plain models, and what it does."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
