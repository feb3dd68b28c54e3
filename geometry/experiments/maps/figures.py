"""The figures and pages of the maps: what each shows, its finding in a sentence, and its nulls."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import geometry.plots as plots
from geometry.concepts import ConceptHierarchy, short_name
from geometry.evidence import NULLS
from geometry.evidence.verdicts import LEVEL
from geometry.experiments.maps.colouring import by_concept, by_depth, by_kind, disjoint_concepts
from geometry.experiments.maps.parts import PRODUCTS, ConceptMap, MappedVocabulary, MapperOfConcept
from geometry.experiments.result import FigureSpec
from geometry.maps import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "concepts_figure",
    "concepts_page",
    "mapper_figure",
    "mapper_html",
    "purity_figure",
    "vocabulary_figure",
    "vocabulary_page",
]

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
    purity = vocabulary.maps["causal"].purity["on the map"]
    null = purity.nulls["shuffled"].values
    chance = np.array([np.mean(column) for column in null.T])
    return disjoint_concepts(vocabulary.hierarchy, purity.values - chance)


def _map_panels(vocabulary: MappedVocabulary) -> "list[plots.MapPanel]":
    panels = []
    for product, mapped in vocabulary.maps.items():
        trust = mapped.trust
        caption = (
            f"trustworthiness {trust.value:.2f} (permuted {trust.nulls['permuted'].mean:.2f}),"
            f" {trust.kept:.0%} of neighbours preserved"
        )
        panels.append(plots.MapPanel(PRODUCTS[product], mapped.coordinates, caption))
    return panels


def _draw_vocabulary(vocabulary: MappedVocabulary, **heading: Any) -> "Figure":
    names = _coloured(vocabulary)
    colouring = by_concept(vocabulary.hierarchy, names, vocabulary.members, len(vocabulary.texts))
    labels: dict[str, Sequence[int]] = {short_name(name): vocabulary.members[name].tolist() for name in names}
    for name in names:
        words = [int(index) for index in vocabulary.typical[name] if vocabulary.texts[index].strip().islower()]
        labels |= {vocabulary.texts[index].strip(): [index] for index in words[:_WORDS_A_CONCEPT]}
    return plots.point_map(_map_panels(vocabulary), replace(colouring, concepts=None), labels=labels, **heading)


def vocabulary_page(vocabulary: MappedVocabulary, concept: str) -> str:
    """The same to search and to walk."""
    hierarchy, members, n = vocabulary.hierarchy, vocabulary.members, len(vocabulary.texts)
    colourings = [
        by_concept(hierarchy, _coloured(vocabulary), members, n),
        by_depth(hierarchy, members, n),
        by_kind(hierarchy, concept, members, n),
    ]
    spec = vocabulary_figure(vocabulary)
    return plots.pages.explorer_page(
        _map_panels(vocabulary),
        vocabulary.texts,
        [replace(colouring, concepts=None) for colouring in colourings],
        plots.ConceptTree(hierarchy.names, hierarchy.edges, [members[name] for name in hierarchy.names]),
        title=spec.title,
        detail=spec.caption,
    )


def purity_figure(vocabulary: MappedVocabulary) -> FigureSpec:
    """kNN purity in space and on the maps."""
    preserved = {
        product: mapped.purity["on the map"].value / mapped.purity["in space"].value
        for product, mapped in vocabulary.maps.items()
    }
    in_space = {product: mapped.purity["in space"] for product, mapped in vocabulary.maps.items()}
    if all(result.p_value <= result.p_floor for result in in_space.values()):
        title = (
            f"Maps preserve {preserved['causal']:.0%} of the kNN purity of causal space,"
            f" {preserved['euclidean']:.0%} of that of Euclidean space"
        )
    else:
        title = "kNN purity in space is no more than with shuffled concepts, so that maps have nothing to preserve"
    k = vocabulary.maps["causal"].trust.k
    caption = (
        f"kNN purity: share of a word's {k} neighbours that are of its concept, other spellings of the word left out;"
        f" mean over {in_space['causal'].n} concepts of {vocabulary.hierarchy.name} with 95% bootstrap intervals."
        f" {in_space['causal'].nulls['shuffled'].label.capitalize()}: each word gets the concepts of another."
    )
    return FigureSpec("purity", title, caption, partial(_draw_purity, vocabulary))


def _draw_purity(vocabulary: MappedVocabulary, **heading: Any) -> "Figure":
    rows, names = [], []
    for product, mapped in vocabulary.maps.items():
        for where, result in mapped.purity.items():
            nulls = {null.label: plots.NullMark(null.mean, null.marker) for null in result.nulls.values()}
            rows.append(plots.ForestRow({"model": plots.Estimate(result.value, *result.interval)}, nulls))
            names.append(f"{PRODUCTS[product]}, {where}")
    highest = max(result.interval[1] for mapped in vocabulary.maps.values() for result in mapped.purity.values())
    return plots.forest([plots.ForestPanel("kNN purity", rows, limits=(0, 1.05 * highest))], names, **heading)


def concepts_figure(hierarchy: ConceptHierarchy, maps: ConceptMaps) -> FigureSpec:
    """Concept vectors under both products, and of shuffled rows."""
    model, noise = next(iter(maps.values())).ratio, maps[NULLS["shuffled"].label].ratio
    title = f"Parent and child lie at {model:.2f} of the mean distance of concepts, on shuffled rows at {noise:.2f}"
    close = (
        " Shuffled rows come near: shared words alone draw nested concepts together." if noise < _CLOSE * model else ""
    )
    caption = (
        f"UMAP of the unit vectors ℓ/‖ℓ‖ of {len(hierarchy)} concepts ({hierarchy.name}); lines join parents and"
        f" children, colours are the largest disjoint concepts and what lies below them.{close}"
    )
    return FigureSpec("concepts", title, caption, partial(_draw_concepts, hierarchy, maps))


def _sizes(hierarchy: ConceptHierarchy) -> list[int]:
    return [len(members) for members in hierarchy.members]


def _concept_scene(
    hierarchy: ConceptHierarchy, maps: ConceptMaps
) -> "tuple[list[plots.MapPanel], plots.Colouring, plots.ConceptTree]":
    no_points = np.empty(0, dtype=np.int64)
    nobody = dict.fromkeys(hierarchy.names, no_points)
    colouring = by_concept(hierarchy, disjoint_concepts(hierarchy, _sizes(hierarchy)), nobody, 0)
    tree = plots.ConceptTree(list(map(short_name, hierarchy.names)), hierarchy.edges, list(nobody.values()))
    panels = [
        plots.MapPanel(name, np.empty((0, 2)), f"parent to child: {mapped.ratio:.2f} of any pair", mapped.coordinates)
        for name, mapped in maps.items()
    ]
    return panels, colouring, tree


def _draw_concepts(hierarchy: ConceptHierarchy, maps: ConceptMaps, **heading: Any) -> "Figure":
    named = disjoint_concepts(hierarchy, _sizes(hierarchy), _NAMED_CONCEPTS)
    scene = _concept_scene(hierarchy, maps)
    return plots.point_map(*scene, named=[hierarchy.index(name) for name in named], **heading)


def concepts_page(hierarchy: ConceptHierarchy, maps: ConceptMaps) -> str:
    """The same to search and to walk."""
    panels, colouring, tree = _concept_scene(hierarchy, maps)
    depth = by_depth(hierarchy, dict.fromkeys(hierarchy.names, np.empty(0, dtype=np.int64)), 0)
    spec = concepts_figure(hierarchy, maps)
    return plots.pages.explorer_page(panels, [], [colouring, depth], tree, title=spec.title, detail=spec.caption)


def mapper_figure(mapper: MapperOfConcept) -> FigureSpec:
    """The Mapper graph of a concept's words."""
    tests, kind = mapper.comparison.tests, short_name(mapper.concept)
    purity, holes, cover = tests["purity"], tests["holes"], mapper.sweep.choice.cover
    null = purity.nulls["shuffled"]
    said = f"node purity {purity.value:.2f}, {null.label} {null.mean:.2f}"
    if purity.p_value <= LEVEL:
        title = f"Nodes of the Mapper graph hold one kind of {kind} each: {said}"
    elif purity.p_value <= purity.p_floor:
        title = f"Mapper of {kind}, too few permutations to decide: {said}"
    else:
        title = f"Nodes of the Mapper graph hold one kind of {kind} each no more than those of its null: {said}"
    unfilled = f"{holes.value:.0f} not filled by triple overlaps"
    unfilled += f" (p = {holes.p_value:.2f})" if np.isfinite(holes.p_value) else " (as in every permutation)"
    counts = f"{tests['components'].value:.0f} components, {tests['loops'].value:.0f} loops"
    caption = (
        f"Mapper of {len(mapper.labelled)} words, one spelling each, labelled by their nodes' most typical ones. Lens:"
        f" projections on the kinds' vectors; {cover.cubes} balanced intervals, overlap {cover.overlap:.0%}, chosen"
        f" with the clusterer by stability. {counts}, {unfilled}."
    )
    return FigureSpec("mapper", title, caption, partial(_draw_mapper, mapper))


def _drawing(mapper: MapperOfConcept) -> "plots.MapperDrawing":
    return drawing(mapper.comparison.graph, mapper.labelled, mapper.concepts, mapper.bridges)


def _draw_mapper(mapper: MapperOfConcept, **heading: Any) -> "Figure":
    return plots.graph(_drawing(mapper), **heading)


def mapper_html(mapper: MapperOfConcept) -> str:
    """The same to explore."""
    spec = mapper_figure(mapper)
    return plots.pages.mapper_page(_drawing(mapper), title=spec.title, detail=spec.caption)
