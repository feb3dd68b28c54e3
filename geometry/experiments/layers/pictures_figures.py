"""The figures and pages of the layers' pictures: what each shows, its finding in a sentence, and its null."""

from dataclasses import replace
from functools import partial

import numpy as np
from scipy.spatial.distance import pdist

import geometry.plots as plots
from geometry.concepts import short_name
from geometry.experiments.layers.families import NULL, Family
from geometry.experiments.layers.moving_map import EPOCHS, NEIGHBOURS, LayerMap, MovingMap
from geometry.experiments.layers.pictures import Pictures
from geometry.experiments.layers.words import at
from geometry.experiments.maps.figures import mapper_drawing, mapper_figure
from geometry.experiments.maps.parts import MapperOfConcept
from geometry.experiments.result import FigureSpec
from geometry.results import LEVEL, TestResult
from geometry.views.colouring import by_concept, by_depth, disjoint_concepts
from geometry.views.concept_plane import plane_panel
from geometry.views.concept_simplex import simplex_panel
from geometry.views.selection import labels_of, listed
from geometry.views.word_maps import word_labels

_WORDS_A_CONCEPT = 2
_PERMUTED = "permuted phrases"


def picture_figures(pictures: Pictures) -> list[FigureSpec]:
    """Those that there are: planes, simplex, maps, Mapper."""
    found = [planes_figure(pictures, pictures.planes)] if pictures.planes else []
    found += [simplex_figure(pictures, pictures.simplex)] if pictures.simplex else []
    found += [maps_figure(pictures, pictures.moving)] if pictures.moving else []
    return [*found, *([_mapper_figure(pictures, pictures.mapper)] if pictures.mapper else [])]


def picture_pages(pictures: Pictures) -> dict[str, tuple[str, str]]:
    """The map that moves through the layers, and the Mapper graph: file → title, HTML."""
    found = {}
    if pictures.moving:
        found["layers.html"] = ("Walk through the layers", moving_page(pictures, pictures.moving))
    if pictures.mapper:
        spec = _mapper_figure(pictures, pictures.mapper)
        page = plots.pages.mapper_page(mapper_drawing(pictures.mapper), title=spec.title, detail=spec.caption)
        found["mapper.html"] = ("Explore the Mapper graph", page)
    return found


def planes_figure(pictures: Pictures, family: Family) -> FigureSpec:
    """A parent and two children in their plane at three sites, above permuted phrases."""
    (parent, first, second), short, held_out = family.names, labels_of(family.names), family.held_out()
    called = {f"other {short[parent]}": held_out[parent]} | {short[name]: held_out[name] for name in (first, second)}
    rows: list[list[plots.Plane]] = [[], []]
    for site, (test,) in family.tests.items():
        titles = (f"{at(site)}: projection {test.value:.2f}", f"{_PERMUTED}: {test.nulls[NULL].mean:.2f}")
        for row, fit, title in zip(rows, family.fits[site], titles, strict=True):
            row.append(plane_panel(fit, parent, (second, first), called, family.names, title=title))
    test = family.tests[pictures.sharpest][0]
    title = (
        f"Held-out phrases of {listed([*short.values()])} project on their concept vectors {at(pictures.sharpest)}:"
        f" {_numbers(test)}"
    )
    caption = (
        f"Planes of the layers' spaces ({pictures.metric}), to scale; ℓ(c): concept vector of c, fitted to 70% of the"
        f" lemmas. Coloured: the {sum(map(len, called.values()))} phrases of the others. Titles: mean normalised"
        f" projection ℓᵀg/‖ℓ‖², below the mean of {len(test.nulls[NULL].values)} permutations of all phrases, of which"
        " one is drawn."
    )
    draw = partial(plots.planes, rows, labels=3)
    return FigureSpec("planes", title, caption, draw)


def simplex_figure(pictures: Pictures, family: Family) -> FigureSpec:
    """A family's children as a simplex at three sites, above permuted phrases."""
    children, held_out = family.names[1:], family.held_out()
    short, words = labels_of(children), {name: held_out[name] for name in children}
    rows: list[list[plots.SimplexPanel]] = [[], []]
    for site, (accuracy, angles) in family.tests.items():
        numbers = ((accuracy.value, angles.value), (accuracy.nulls[NULL].mean, angles.nulls[NULL].mean))
        titles = [
            f"{where}:\naccuracy {share:.2f}, {_off(degrees)}"
            for where, (share, degrees) in zip((at(site), _PERMUTED), numbers, strict=True)
        ]
        pair = [simplex_panel(fit, words, title) for fit, title in zip(family.fits[site], titles, strict=True)]
        edge = float(pdist(np.stack([*pair[0].vertices.values()])).mean())
        for row, panel in zip(rows, pair, strict=True):
            row.append(_scaled(panel, 1 / edge))
    accuracy = family.tests[pictures.sharpest][0]
    title = (
        f"Nearest-centroid accuracy of held-out phrases of {listed([*short.values()])} {at(pictures.sharpest)},"
        f" chance-corrected: {_numbers(accuracy)}"
    )
    caption = (
        f"Span of {', '.join(f'ℓ({name})' for name in short.values())}, centred; in a column one scale, the model's"
        f" mean edge being 1. Large marks: these concept vectors, small ones: {sum(map(len, words.values()))} held-out"
        " phrases. Off 60°: mean deviation from a regular simplex's angles. Below: the means of"
        f" {len(accuracy.nulls[NULL].values)} permutations of all phrases, of which one is drawn."
    )
    draw = partial(plots.simplex, [*rows[0], *rows[1]])
    return FigureSpec("simplex", title, caption, draw)


def _scaled(panel: "plots.SimplexPanel", factor: float) -> "plots.SimplexPanel":
    parts = ({name: factor * places for name, places in part.items()} for part in (panel.vertices, panel.words))
    return plots.SimplexPanel(panel.title, *parts)


def _off(degrees: float) -> str:
    return f"off 60° by {degrees:.0f}°" if np.isfinite(degrees) else "edges are noise"


def _numbers(test: TestResult) -> str:
    """The end of a sentence: a number, and its null's."""
    return f"{test.value:.2f}, {_PERMUTED} {test.nulls[NULL].mean:.2f}{_no_more(test)}"


def _no_more(test: TestResult) -> str:
    """What takes a title back where the number is no more than the null's; empty where it is."""
    if test.p_value <= LEVEL:
        return ""
    return ", too few permutations to decide" if test.p_value <= test.p_floor else ", which is no more"


def maps_figure(pictures: Pictures, moving: MovingMap) -> FigureSpec:
    """Maps of the phrases at three sites."""
    test = pictures.purity[pictures.sharpest]["on the map"]
    null, names = test.nulls["shuffled"], _coloured(pictures)
    title = f"kNN purity of the phrases' map is {test.value:.1%} {at(pictures.sharpest)}, with {null.label}"
    title += f" {null.mean:.1%}{_no_more(test)}"
    caption = (
        f"UMAP of {len(pictures.hierarchy.words):,} phrases of {pictures.model}; kNN purity: share of a phrase's"
        f" {NEIGHBOURS} neighbours on the map that are of its concept (in brackets: {null.label}). The map"
        f" {at(moving.start)} came first, the others were begun from it. In colour {len(names)} disjoint concepts, with"
        " phrases far along their vectors. Axes mean nothing."
    )
    panels = []
    for site in pictures.sites:
        own = pictures.purity[site]["on the map"]
        kept = moving.layers[site].trust.kept
        said = f"purity {own.value:.1%} ({own.nulls['shuffled'].mean:.1%}), {kept:.0%} of neighbours kept"
        panels.append(plots.MapPanel(at(site), moving.layers[site].coordinates, said))
    hierarchy, n = pictures.hierarchy, len(pictures.hierarchy.words)
    colouring = replace(by_concept(hierarchy, names, pictures.typical, n), concepts=None)
    labels = word_labels(names, pictures.typical, hierarchy.words, _WORDS_A_CONCEPT)
    return FigureSpec("maps", title, caption, partial(plots.point_map, panels, colouring, labels=labels))


def moving_page(pictures: Pictures, moving: MovingMap) -> str:
    """All layers' maps on a page with a slider."""
    hierarchy, texts = pictures.hierarchy, pictures.hierarchy.words
    members = dict(zip(hierarchy.names, hierarchy.members, strict=True))
    kept = [layer.trust.kept for layer in moving.layers.values()]
    chance = np.mean([layer.trust.null_kept.mean() for layer in moving.layers.values()])
    title = (
        f"{len(texts):,} words and phrases at {len(moving.layers)} places of {pictures.model}: maps preserve"
        f" {min(kept):.0%} to {max(kept):.0%} of neighbours, permuted ones {chance:.1%}"
    )
    detail = (
        f"UMAP of the phrases' points ({pictures.metric} inner product, {NEIGHBOURS} neighbours): first"
        f" {at(moving.start)}, then layer by layer from there, each begun from the map before it ({EPOCHS} epochs) and"
        " turned to lie on it. Axes mean nothing, nor does movement alone: mapped once more in that way, the same layer"
        f" moves by {moving.noise:.2f} of a map's radius."
    )
    moves = ["", *(f" Moved by {move:.2f} from the layer before." for move in moving.moves)]
    layers = [
        plots.MapPanel(at(site), layer.coordinates, _caption(layer) + moved)
        for (site, layer), moved in zip(moving.layers.items(), moves, strict=True)
    ]
    by_name = by_concept(hierarchy, _coloured(pictures), members, len(texts))
    colourings = [replace(each, concepts=None) for each in (by_name, by_depth(hierarchy, members, len(texts)))]
    tree = plots.ConceptTree(hierarchy.names, hierarchy.edges, hierarchy.members)
    first = list(moving.layers).index(moving.start)
    return plots.pages.layers_page(layers, texts, colourings, tree, first=first, title=title, detail=detail)


def _caption(layer: LayerMap) -> str:
    trust = layer.trust
    null = trust.nulls["permuted"].mean
    return (
        f"{trust.kept:.1%} of {trust.k} neighbours preserved (permuted map {trust.null_kept.mean():.1%});"
        f" trustworthiness {trust.value:.2f} ({null:.2f})."
    )


def _coloured(pictures: Pictures) -> list[str]:
    """Concepts that the sharpest site's map keeps together."""
    purity = pictures.purity[pictures.sharpest]["on the map"].to_frame()
    return disjoint_concepts(pictures.hierarchy, purity["value"] - purity["shuffled"])


def _mapper_figure(pictures: Pictures, mapper: MapperOfConcept) -> FigureSpec:
    """As of the study of maps, with the layer."""
    spec = mapper_figure(mapper)
    where = f"Phrases of {short_name(mapper.concept)} {at(pictures.sharpest)} of {pictures.model}."
    return replace(spec, caption=f"{where} {spec.caption}")
