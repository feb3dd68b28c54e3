"""Pictures: one module per kind. They take arrays and labels, compute nothing, and import nothing of ours."""

from matplotlib.figure import Figure

from geometry.views.composition import plot_composition
from geometry.views.conditions import Condition, plot_conditions
from geometry.views.curves import Curves, plot_curves
from geometry.views.distributions import Distribution, plot_distributions
from geometry.views.document import Block, Commands, Links, Paragraph, Picture, Table, document_page, downsampled
from geometry.views.dots import DotRow, Dots, plot_dots
from geometry.views.existence import plot_existence
from geometry.views.explorer import explorer_page
from geometry.views.heatmap import plot_heatmaps
from geometry.views.logits import LogitPanel, plot_logits
from geometry.views.mapper import MapperGraph
from geometry.views.mapper_graph import plot_mapper
from geometry.views.mapper_page import mapper_page
from geometry.views.maps import Colouring, ConceptTree, MapPanel
from geometry.views.overview import Standing, plot_overview
from geometry.views.page import TextTable, texts_page
from geometry.views.planes import Plane, plot_planes
from geometry.views.shapes import SeriesPanel, plot_series
from geometry.views.simplex import SimplexPanel, plot_simplex
from geometry.views.squares import Square, plot_squares
from geometry.views.standings import Cell, plot_standings
from geometry.views.strips import Strips, plot_strips
from geometry.views.style import save
from geometry.views.sweep import Sweep, plot_sweep
from geometry.views.trees import Recovery, plot_tree
from geometry.views.vocabulary_map import plot_vocabulary_map

__all__ = [
    "Block",
    "Cell",
    "Colouring",
    "Commands",
    "ConceptTree",
    "Condition",
    "Curves",
    "Distribution",
    "DotRow",
    "Dots",
    "Figure",
    "Links",
    "LogitPanel",
    "MapPanel",
    "MapperGraph",
    "Paragraph",
    "Picture",
    "Plane",
    "Recovery",
    "SeriesPanel",
    "SimplexPanel",
    "Square",
    "Standing",
    "Strips",
    "Sweep",
    "Table",
    "TextTable",
    "document_page",
    "downsampled",
    "explorer_page",
    "mapper_page",
    "plot_composition",
    "plot_conditions",
    "plot_curves",
    "plot_distributions",
    "plot_dots",
    "plot_existence",
    "plot_heatmaps",
    "plot_logits",
    "plot_mapper",
    "plot_overview",
    "plot_planes",
    "plot_series",
    "plot_simplex",
    "plot_squares",
    "plot_standings",
    "plot_strips",
    "plot_sweep",
    "plot_tree",
    "plot_vocabulary_map",
    "save",
    "texts_page",
]
