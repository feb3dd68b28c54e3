"""The figures and pages of the maps: what each shows, its finding in a sentence, and its nulls."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

import geometry.plots as plots
from geometry.concepts import ConceptHierarchy, short_name
from geometry.evidence import NULLS
from geometry.experiments.maps.parts import PRODUCTS, ConceptMap, MappedVocabulary, MapperOfConcept
from geometry.experiments.result import FigureSpec
from geometry.maps import drawing
from geometry.results import LEVEL
from geometry.views.colouring import by_concept, by_depth, by_kind, disjoint_concepts
from geometry.views.concept_maps import draw_maps, maps_page
from geometry.views.word_maps import word_labels

_WORDS_A_CONCEPT = 2
_CLOSE = 1.5

ConceptMaps = Mapping[str, ConceptMap]


def vocabulary_figure(vocabulary: MappedVocabulary) -> FigureSpec:
    """The whole vocabulary under both products."""
    hierarchy, names, texts = vocabulary.hierarchy, _coloured(vocabulary), vocabulary.texts
    trust, purity = vocabulary.maps["causal"].trust, vocabulary.maps["causal"].purity["on the map"]
    null = purity.nulls["shuffled"]
    beyond = "" if purity.p_value <= purity.p_floor else ", which is no more"
    title = f"kNN purity of the vocabulary map is {purity.value:.1%}, with {null.label} {null.mean:.1%}{beyond}"
    caption = (
        f"UMAP of all {len(texts):,} tokens of {vocabulary.model}; kNN purity: share of a word's {trust.k} neighbours"
        f" that are of its concept, other spellings left out. In colour those {len(names)} disjoint concepts of"
        f" {hierarchy.name} that keep most to themselves, with words far along their vectors. Axes mean nothing."
    )
    colouring = replace(by_concept(hierarchy, names, vocabulary.members, len(texts)), concepts=None)
    labels = word_labels(names, vocabulary.typical, texts, _WORDS_A_CONCEPT)
    draw = partial(plots.point_map, _map_panels(vocabulary), colouring, labels=labels)
    return FigureSpec("vocabulary", title, caption, draw)


def _coloured(vocabulary: MappedVocabulary) -> list[str]:
    """Concepts whose words the map keeps together: those that are spread all over it make one mixed cloud."""
    purity = vocabulary.maps["causal"].purity["on the map"].to_frame()
    return disjoint_concepts(vocabulary.hierarchy, purity["value"] - purity["shuffled"])


def _map_panels(vocabulary: MappedVocabulary) -> "list[plots.MapPanel]":
    panels = []
    for product, mapped in vocabulary.maps.items():
        caption = f"trustworthiness {mapped.trust.value:.2f} (permuted {mapped.trust.nulls['permuted'].mean:.2f}),"
        caption += f" {mapped.trust.kept:.0%} of neighbours preserved"
        panels.append(plots.MapPanel(PRODUCTS[product], mapped.coordinates, caption))
    return panels


def purity_figure(vocabulary: MappedVocabulary) -> FigureSpec:
    """kNN purity in space and on the maps."""
    purity = {product: mapped.purity for product, mapped in vocabulary.maps.items()}
    if all(tests["in space"].p_value <= tests["in space"].p_floor for tests in purity.values()):
        kept = {product: tests["on the map"].value / tests["in space"].value for product, tests in purity.items()}
        title = (
            f"Maps preserve {kept['causal']:.0%} of the kNN purity of causal space,"
            f" {kept['euclidean']:.0%} of that of Euclidean space"
        )
    else:
        title = "kNN purity in space is no more than with shuffled concepts, so that maps have nothing to preserve"
    test = purity["causal"]["in space"]
    caption = (
        f"kNN purity: share of a word's {vocabulary.maps['causal'].trust.k} neighbours that are of its concept, other"
        f" spellings of the word left out; mean over {test.n} concepts of {vocabulary.hierarchy.name} with 95%"
        f" bootstrap intervals. {test.nulls['shuffled'].label.capitalize()}: each word gets the concepts of another."
    )
    rows = {}
    for product, tests in purity.items():
        for where, test in tests.items():
            marks = {null.label: plots.NullMark(null.mean, null.marker) for null in test.nulls.values()}
            row = plots.ForestRow({"model": plots.Estimate(test.value, *test.interval)}, marks)
            rows[f"{PRODUCTS[product]}, {where}"] = row
    highest = max(test.interval[1] for tests in purity.values() for test in tests.values())
    panel = plots.ForestPanel("kNN purity", list(rows.values()), limits=(0, 1.05 * highest))
    return FigureSpec("purity", title, caption, partial(plots.forest, [panel], list(rows)))


def concepts_figure(hierarchy: ConceptHierarchy, maps: ConceptMaps) -> FigureSpec:
    """Concept vectors under both products, and of shuffled rows."""
    model, noise = next(iter(maps.values())).ratio, maps[NULLS["shuffled"].label].ratio
    title = f"Parent and child lie at {model:.2f} of the mean distance of concepts, on shuffled rows at {noise:.2f}"
    if not hierarchy.edges:
        title = f"The {len(hierarchy)} concept vectors of {hierarchy.name}, under both products and on shuffled rows"
    umap = all("UMAP" in mapped.method for mapped in maps.values())
    caption = (
        f"{'UMAP' if umap else 'Two principal axes'} of the unit vectors ℓ/‖ℓ‖ of {len(hierarchy)} concepts"
        f" ({hierarchy.name}); lines join parents and children, colours are the largest disjoint concepts and what lies"
        " below them."
    )
    if noise < _CLOSE * model:
        caption += " Shuffled rows come near: shared words alone draw nested concepts together."
    return FigureSpec("concepts", title, caption, partial(draw_maps, maps))


def mapper_figure(mapper: MapperOfConcept) -> FigureSpec:
    """The Mapper graph of a concept's words."""
    tests, kind = mapper.comparison.tests, short_name(mapper.concept)
    purity, holes, cover = tests["purity"], tests["holes"], mapper.sweep.choice.cover
    if purity.p_value <= LEVEL:
        title = f"Nodes of the Mapper graph hold one kind of {kind} each"
    elif purity.p_value <= purity.p_floor:
        title = f"Mapper of {kind}, too few permutations to decide"
    else:
        title = f"Nodes of the Mapper graph hold one kind of {kind} each no more than those of its null"
    null = purity.nulls["shuffled"]
    title += f": node purity {purity.value:.2f}, {null.label} {null.mean:.2f}"
    p = f"p = {holes.p_value:.2f}" if np.isfinite(holes.p_value) else "as in every permutation"
    caption = (
        f"Mapper of {len(mapper.labelled)} words, one spelling each. Lens: projections on the kinds' vectors;"
        f" {cover.cubes} intervals, overlap {cover.overlap:.0%}, chosen by stability. {tests['components'].value:.0f}"
        f" components, {tests['loops'].value:.0f} loops, {holes.value:.0f} not filled by triple overlaps ({p})."
    )
    return FigureSpec("mapper", title, caption, lambda **heading: plots.graph(mapper_drawing(mapper), **heading))


def mapper_drawing(mapper: MapperOfConcept) -> "plots.MapperDrawing":
    """What the figure and the page draw."""
    return drawing(mapper.comparison.graph, mapper.labelled, mapper.concepts, mapper.bridges)


def pages(
    vocabulary: MappedVocabulary, concepts: ConceptMaps, mapper: MapperOfConcept | None
) -> dict[str, tuple[str, str]]:
    """All but kNN purity to search and to walk: file → title, HTML."""
    hierarchy, members, n = vocabulary.hierarchy, vocabulary.members, len(vocabulary.texts)
    coloured = [by_concept(hierarchy, _coloured(vocabulary), members, n), by_depth(hierarchy, members, n)]
    coloured += [by_kind(hierarchy, mapper.concept, members, n)] if mapper else []
    coloured = [replace(each, concepts=None) for each in coloured]
    tree = plots.ConceptTree(hierarchy.names, hierarchy.edges, [members[name] for name in hierarchy.names])
    words = _headed(vocabulary_figure(vocabulary))
    explorer = plots.pages.explorer_page(_map_panels(vocabulary), vocabulary.texts, coloured, tree, **words)
    found = {
        "vocabulary.html": ("Explore the vocabulary", explorer),
        "concepts.html": ("Explore the concepts", maps_page(concepts, **_headed(concepts_figure(hierarchy, concepts)))),
    }
    if mapper:
        page = plots.pages.mapper_page(mapper_drawing(mapper), **_headed(mapper_figure(mapper)))
        found["mapper.html"] = ("Explore the Mapper graph", page)
    return found


def _headed(spec: FigureSpec) -> dict[str, str]:
    return {"title": spec.title, "detail": spec.caption}
