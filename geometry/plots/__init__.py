"""Pictures: one module per kind. They take arrays and labels, compute nothing, and import nothing of ours.

>>> from geometry import plots
>>> panel = plots.CurvePanel("layer", "probe accuracy", {"model": plots.Curve([1, 2, 3], [0.3, 0.5, 0.9])})
>>> figure = plots.curves([panel], title="Accuracy rises with depth")

Every function takes the `Options` and returns its figure: a new one, or that of the Axes given as `ax`.
"""

import sys
from types import ModuleType

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


class _Plots(ModuleType):
    """A package in which `plots.forest` stays the function when its module of the same name is imported."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, getattr(value, name, value) if isinstance(value, ModuleType) else value)


sys.modules[__name__].__class__ = _Plots
