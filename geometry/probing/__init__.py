"""Probing: are classes discriminated on held-out groups, and do two routes to the same things agree? Arrays in."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
