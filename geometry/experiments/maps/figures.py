"""The figures and pages of the maps: what each shows, its finding in a sentence, and its nulls."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

import geometry.plots as plots
from geometry.concepts import ConceptHierarchy, short_name
from geometry.evidence import NULLS
from geometry.evidence.verdicts import LEVEL
from geometry.experiments.maps.colouring import by_concept, by_depth, by_kind, disjoint_concepts
from geometry.experiments.maps.parts import PRODUCTS, ConceptMap, MappedVocabulary, MapperOfConcept
from geometry.experiments.result import FigureSpec
from geometry.maps import drawing
from geometry.results import TestResult

_WORDS_A_CONCEPT = 2
_NAMED_CONCEPTS = 14
_CLOSE = 1.5

ConceptMaps = Mapping[str, ConceptMap]


def vocabulary_figure(vocabulary: MappedVocabulary) -> FigureSpec:
    """The whole vocabulary under both products."""
    purity = vocabulary.maps["causal"].purity["on the map"]
    null = purity.nulls["shuffled"]
    beyond = "" if purity.p_value <= purity.p_floor else ", which is no more"
    title = f"kNN purity of the vocabulary map is {purity.value:.1%}, with {null.label} {null.mean:.1%}{beyond}"
    caption = (
        f"UMAP of all {len(vocabulary.texts):,} tokens of {vocabulary.model}; kNN purity: share of a word's"
        f" {vocabulary.maps['causal'].trust.k} neighbours that are of its concept, other spellings left out. In colour"
        f" those {len(_coloured(vocabulary))} disjoint concepts of {vocabulary.hierarchy.name} that keep most to"
        " themselves, with the words farthest along their vectors. Axes mean nothing."
    )
    return FigureSpec("vocabulary", title, caption, partial(_draw_vocabulary, vocabulary))


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


def _draw_vocabulary(vocabulary: MappedVocabulary, **heading: Any) -> "plots.Figure":
    names, texts = _coloured(vocabulary), vocabulary.texts
    colouring = by_concept(vocabulary.hierarchy, names, vocabulary.members, len(texts))
    labels: dict[str, Sequence[int]] = {short_name(name): vocabulary.members[name].tolist() for name in names}
    for name in names:
        words = [index for index in vocabulary.typical[name].tolist() if texts[index].strip().islower()]
        labels |= {texts[index].strip(): [index] for index in words[:_WORDS_A_CONCEPT]}
    return plots.point_map(_map_panels(vocabulary), replace(colouring, concepts=None), labels=labels, **heading)


def vocabulary_page(vocabulary: MappedVocabulary, concept: str) -> str:
    """The same to search and to walk."""
    hierarchy, members, n = vocabulary.hierarchy, vocabulary.members, len(vocabulary.texts)
    colourings = [by_concept(hierarchy, _coloured(vocabulary), members, n), by_depth(hierarchy, members, n)]
    colourings = [replace(each, concepts=None) for each in (*colourings, by_kind(hierarchy, concept, members, n))]
    tree = plots.ConceptTree(hierarchy.names, hierarchy.edges, [members[name] for name in hierarchy.names])
    return _explorer(vocabulary_figure(vocabulary), _map_panels(vocabulary), vocabulary.texts, colourings, tree)


def _explorer(spec: FigureSpec, *parts: Any) -> str:
    return plots.pages.explorer_page(*parts, title=spec.title, detail=spec.caption)


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
    tests = {
        f"{PRODUCTS[product]}, {where}": test for product, tests in purity.items() for where, test in tests.items()
    }
    return FigureSpec("purity", title, caption, partial(_draw_purity, tests))


def _draw_purity(tests: Mapping[str, TestResult], **heading: Any) -> "plots.Figure":
    rows = []
    for test in tests.values():
        nulls = {null.label: plots.NullMark(null.mean, null.marker) for null in test.nulls.values()}
        rows.append(plots.ForestRow({"model": plots.Estimate(test.value, *test.interval)}, nulls))
    limits = (0, 1.05 * max(test.interval[1] for test in tests.values()))
    return plots.forest([plots.ForestPanel("kNN purity", rows, limits=limits)], list(tests), **heading)


def concepts_figure(hierarchy: ConceptHierarchy, maps: ConceptMaps) -> FigureSpec:
    """Concept vectors under both products, and of shuffled rows."""
    model, noise = next(iter(maps.values())).ratio, maps[NULLS["shuffled"].label].ratio
    title = f"Parent and child lie at {model:.2f} of the mean distance of concepts, on shuffled rows at {noise:.2f}"
    caption = (
        f"UMAP of the unit vectors ℓ/‖ℓ‖ of {len(hierarchy)} concepts ({hierarchy.name}); lines join parents and"
        " children, colours are the largest disjoint concepts and what lies below them."
    )
    if noise < _CLOSE * model:
        caption += " Shuffled rows come near: shared words alone draw nested concepts together."
    return FigureSpec("concepts", title, caption, partial(_draw_concepts, hierarchy, maps))


def _sizes(hierarchy: ConceptHierarchy) -> list[int]:
    return [len(members) for members in hierarchy.members]


def _concept_scene(
    hierarchy: ConceptHierarchy, maps: ConceptMaps
) -> "tuple[list[plots.MapPanel], list[plots.Colouring], plots.ConceptTree]":
    """Maps without a point; coloured by concept and by depth."""
    nobody = dict.fromkeys(hierarchy.names, np.empty(0, dtype=np.int64))
    largest = disjoint_concepts(hierarchy, _sizes(hierarchy))
    tree = plots.ConceptTree(list(map(short_name, hierarchy.names)), hierarchy.edges, list(nobody.values()))
    panels = [
        plots.MapPanel(name, np.empty((0, 2)), f"parent to child: {mapped.ratio:.2f} of any pair", mapped.coordinates)
        for name, mapped in maps.items()
    ]
    return panels, [by_concept(hierarchy, largest, nobody, 0), by_depth(hierarchy, nobody, 0)], tree


def _draw_concepts(hierarchy: ConceptHierarchy, maps: ConceptMaps, **heading: Any) -> "plots.Figure":
    panels, (colouring, _), tree = _concept_scene(hierarchy, maps)
    named = map(hierarchy.index, disjoint_concepts(hierarchy, _sizes(hierarchy), _NAMED_CONCEPTS))
    return plots.point_map(panels, colouring, tree, named=list(named), **heading)


def concepts_page(hierarchy: ConceptHierarchy, maps: ConceptMaps) -> str:
    """The same to search and to walk."""
    panels, colourings, tree = _concept_scene(hierarchy, maps)
    return _explorer(concepts_figure(hierarchy, maps), panels, [], colourings, tree)


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
        f"Mapper of {len(mapper.labelled)} words, one spelling each, labelled by their nodes' most typical ones. Lens:"
        f" projections on the kinds' vectors; {cover.cubes} balanced intervals, overlap {cover.overlap:.0%}, chosen"
        f" with the clusterer by stability. {tests['components'].value:.0f} components, {tests['loops'].value:.0f}"
        f" loops, {holes.value:.0f} not filled by triple overlaps ({p})."
    )
    return FigureSpec("mapper", title, caption, partial(_draw_mapper, mapper))


def _drawing(mapper: MapperOfConcept) -> "plots.MapperDrawing":
    return drawing(mapper.comparison.graph, mapper.labelled, mapper.concepts, mapper.bridges)


def _draw_mapper(mapper: MapperOfConcept, **heading: Any) -> "plots.Figure":
    return plots.graph(_drawing(mapper), **heading)


def mapper_html(mapper: MapperOfConcept) -> str:
    """The same to explore."""
    spec = mapper_figure(mapper)
    return plots.pages.mapper_page(_drawing(mapper), title=spec.title, detail=spec.caption)
