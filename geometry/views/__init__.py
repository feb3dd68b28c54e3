"""Pictures: one module per kind. They take arrays and labels, compute nothing, and import nothing of ours."""

from matplotlib.figure import Figure

from geometry.views.distributions import Distribution, plot_distributions
from geometry.views.existence import plot_existence
from geometry.views.heatmap import plot_heatmaps
from geometry.views.planes import Plane, plot_planes
from geometry.views.simplex import SimplexPanel, plot_simplex
from geometry.views.style import save

__all__ = [
    "Distribution",
    "Figure",
    "Plane",
    "SimplexPanel",
    "plot_distributions",
    "plot_existence",
    "plot_heatmaps",
    "plot_planes",
    "plot_simplex",
    "save",
]
