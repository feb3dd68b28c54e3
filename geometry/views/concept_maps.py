"""Maps of concept vectors: UMAP where there are enough, principal axes where there are few."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np
import torch
from numpy.typing import NDArray

import geometry.plots as plots
from geometry.arguments import checked
from geometry.concepts import ConceptHierarchy, short_name
from geometry.directions import ConceptDirections
from geometry.display import html_table
from geometry.errors import EstimationError, HierarchyError
from geometry.output import replacing
from geometry.views.colouring import branches, by_concept, by_depth, disjoint_concepts
from geometry.views.layout import layout
from geometry.views.selection import MODEL, filled, labels_of, said

if TYPE_CHECKING:
    from pandas import DataFrame

    from geometry.plots import Colouring, ConceptTree, Figure, MapPanel, Options

NEIGHBOURS = 10
_NAMED = 14  # of many concepts
_FEW = 30  # concepts at most of which all are named, and coloured by branch


@dataclass(frozen=True, eq=False)
class ConceptMap:
    """A map of concept vectors; see `concept_map`.

    Attributes:
        hierarchy: whose concepts.
        coordinates: shape (k, 2), in the order of its concepts.
        method: how it was made, in words.
    """

    hierarchy: ConceptHierarchy
    coordinates: NDArray[np.float32]
    method: str

    @property
    def ratio(self) -> float:
        """Mean distance of a parent and its child on the map, that of any two concepts being 1; nan without edges."""
        if not self.hierarchy.edges:
            return float("nan")
        parents, children = np.array(self.hierarchy.edges).T
        edges = np.linalg.norm(self.coordinates[parents] - self.coordinates[children], axis=1)
        every = np.linalg.norm(self.coordinates[:, None] - self.coordinates[None], axis=2)
        return float(edges.mean() / every[np.triu_indices(len(every), 1)].mean())

    @checked
    def plot(
        self,
        *,
        colour: Literal["concept", "depth"] = "concept",
        beside: "Mapping[str, ConceptMap] | None" = None,
        **options: "Unpack[Options]",
    ) -> "Figure":
        """Draw it, parents joined with children.

        Parameters:
            colour: by branch of the tree, of many concepts the largest that hardly share a word, or by depth.
            beside: title → further maps of the same hierarchy, such as one of `null_directions`: a panel each.
            options: of `geo.plots`; `ax` takes one Axes a panel.

        HierarchyError: a map of another hierarchy beside it.
        """
        maps = self._with(beside)
        title, caption = _said(maps)
        return draw_maps(maps, colour, **filled(options, title, caption, labels_of(self.hierarchy.names)))

    @checked
    def page(
        self, path: str | Path, *, beside: "Mapping[str, ConceptMap] | None" = None, title: str = "", detail: str = ""
    ) -> Path:
        """Write an interactive page, to search and to walk by concept: one HTML file that needs no network.

        OutputError: the folder does not exist or the file cannot be written there. HierarchyError: as of `plot`.
        """
        maps = self._with(beside)
        own_title, own_detail = _said(maps)
        with replacing(path) as unfinished:
            unfinished.write_text(maps_page(maps, title or own_title, detail or own_detail), encoding="utf-8")
        return Path(path)

    def to_frame(self) -> "DataFrame":
        """A row a concept: x and y."""
        from pandas import DataFrame

        return DataFrame(self.coordinates, index=list(self.hierarchy.names), columns=["x", "y"])

    def _with(self, beside: "Mapping[str, ConceptMap] | None") -> "dict[str, ConceptMap]":
        for title, other in (beside or {}).items():
            if other.hierarchy.names != self.hierarchy.names:
                raise HierarchyError(f"concept_map: the map beside, {title!r}, is not of the same concepts")
        return {MODEL: self} | dict(beside or {})

    def __repr__(self) -> str:
        return f"ConceptMap({len(self.coordinates)} concepts of {self.hierarchy.name!r}, {self.method})"

    def _repr_html_(self) -> str:
        rows = zip(self.hierarchy.names, *self.coordinates.T.tolist(), strict=True)
        return html_table(("concept", "x", "y"), rows, repr(self))


@checked
def concept_map(
    directions: ConceptDirections, *, neighbours: int = NEIGHBOURS, seed: int = 0, progress: bool | None = None
) -> ConceptMap:
    """A map of the unit vectors ℓ/‖ℓ‖ of all concepts.

    >>> import geometry as geo
    >>> space = geo.CausalSpace.fit(geo.Unembedding.load("smollm2-135m"))
    >>> directions = geo.ConceptDirections.fit(space, geo.load_hierarchy("organisms", space.unembedding.vocabulary))
    >>> mapped = geo.views.concept_map(directions)
    >>> figure = mapped.plot(title="Organisms")

    UMAP, if there are more concepts than `neighbours`; else the two principal axes, which show distances as they are as
    far as two axes can, and the caption says how far. `seed` and `progress` are UMAP's.

    EstimationError: fewer than two concepts, concepts without a vector, or fewer than 2 neighbours.
    """
    vectors, hierarchy = directions.vectors, directions.hierarchy
    if lacking := [name for name, vector in directions.items() if not bool(vector.isfinite().all())]:
        raise EstimationError(f"concept_map: concept {lacking[0]!r} has no vector, for want of words to fit it to")
    units = torch.nn.functional.normalize(vectors, dim=1)
    return ConceptMap(hierarchy, *layout("concept_map", units, neighbours, seed, progress))


def _scene(maps: Mapping[str, ConceptMap]) -> "tuple[list[MapPanel], list[Colouring], ConceptTree, list[int]]":
    """Panels without a point, their colourings by concept and by depth, the tree over them, which to name."""
    hierarchy = next(iter(maps.values())).hierarchy
    nobody = dict.fromkeys(hierarchy.names, np.empty(0, dtype=np.int64))
    few = len(hierarchy) <= _FEW
    named = hierarchy.names if few else disjoint_concepts(hierarchy, most=_NAMED)
    # Of many concepts some have the same word for a name; those that are named must not.
    labels = {name: short_name(name) for name in hierarchy.names} | labels_of(named)
    tree = plots.ConceptTree(list(labels.values()), hierarchy.edges, list(nobody.values()))
    panels = [
        plots.MapPanel(name, np.empty((0, 2)), _ratio(mapped), mapped.coordinates) for name, mapped in maps.items()
    ]
    tops = branches(hierarchy) if few else disjoint_concepts(hierarchy)
    colourings = [by_concept(hierarchy, tops, nobody, 0), by_depth(hierarchy, nobody, 0)]
    return panels, colourings, tree, [hierarchy.index(name) for name in named]


def draw_maps(maps: Mapping[str, ConceptMap], colour: str = "concept", **options: "Unpack[Options]") -> "Figure":
    """Maps of one hierarchy side by side; of many concepts those that hardly share a word are named."""
    panels, colourings, tree, named = _scene(maps)
    chosen = next(colouring for colouring in colourings if colouring.name == colour)
    if colour == "depth":
        chosen = replace(chosen, categories=[f"depth {step}" for step in chosen.categories])
    if len(panels) == 1:
        panels = [replace(panel, title="") for panel in panels]
    return plots.point_map(panels, chosen, tree, named=named, **options)


def maps_page(maps: Mapping[str, ConceptMap], title: str, detail: str) -> str:
    """The same as an interactive page: one string of HTML."""
    panels, colourings, tree, _ = _scene(maps)
    return plots.pages.explorer_page(panels, [], colourings, tree, title=title, detail=detail)


def _ratio(mapped: ConceptMap) -> str:
    return f"parent to child: {mapped.ratio:.2f} of any pair" if mapped.hierarchy.edges else ""


def _said(maps: Mapping[str, ConceptMap]) -> tuple[str, str]:
    first = maps[MODEL]
    hierarchy = first.hierarchy
    title = f"Map of {len(hierarchy)} concept vectors of {hierarchy.name}"
    caption = (
        f"Unit vectors ℓ/‖ℓ‖ on {first.method}." if "axes" in first.method else f"{first.method} of unit vectors ℓ/‖ℓ‖."
    )
    if hierarchy.edges:
        ratios: dict[str, Any] = {name: mapped.ratio for name, mapped in maps.items()}
        title = said(f"{title}: from parent to child", ratios) + " of the mean distance"
        caption += " Lines join parents and children, which share words and so lie close in any model."
    return title, caption
