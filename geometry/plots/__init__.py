"""Pictures: one module per kind. They take arrays and labels, compute nothing, and import nothing of ours.

Every function of a kind ends in `*, ax=None, figsize=None, colours=None, title="", caption=""` and returns its figure:

>>> from geometry import plots
>>> panel = plots.CurvePanel("layer", "probe accuracy", {"model": plots.Curve([1, 2, 3], [0.3, 0.5, 0.9])})
>>> figure = plots.curves([panel], title="Accuracy rises with depth")

Without `ax` that is a new figure with the title and caption above its panels, which `plots.save` also writes into
the metadata of the files. With an Axes, or a sequence of as many as there are panels, these are drawn into.
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
