"""The method of the study of maps, in the order of a method section."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import geometry.maps as maps
import geometry.views as views
from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections, TokenCloud
from geometry.errors import EstimationError
from geometry.evidence import NULLS
from geometry.experiments.announce import FEWEST_MAPPED
from geometry.experiments.maps.figures import vocabulary_figure
from geometry.experiments.maps.parts import PRODUCTS, ConceptMap, MappedVocabulary, MapperOfConcept, VocabularyMap
from geometry.experiments.maps.result import MapsResult
from geometry.experiments.study import Step
from geometry.randomness import generator
from geometry.views.word_maps import farthest_first

if TYPE_CHECKING:
    from geometry.experiments.maps.study import MapsStudy

_NEIGHBOURS = 15
_NEIGHBOURS_OF_CONCEPTS = 10
_ANIMAL = "animal.n.01"
_PERMUTATIONS = 19  # of the maps' nulls, whose every p is far from the level


def measure_maps(study: "MapsStudy", step: Step) -> MapsResult:
    """Map the vocabulary and its concepts, then the Mapper graph of one concept's words."""
    step(f"reading the unembedding of {study.model}")
    unembedding = step.session.unembedding(study.model, study.placement)
    hierarchy = step.session.hierarchy(study.hierarchy, unembedding.vocabulary)
    if len(unembedding.rows) <= _NEIGHBOURS or len(hierarchy) < FEWEST_MAPPED:
        raise EstimationError(
            f"{unembedding.name}: {len(unembedding.rows)} tokens and {len(hierarchy)} concepts are too few to map;"
            f" at least {_NEIGHBOURS + 1} and {FEWEST_MAPPED} are needed"
        )
    concept = study.concept or _first_with_children(hierarchy)
    space = step.session.space(study.model, study.placement)
    cloud = step.session.cloud(space, hierarchy)
    if concept:  # refused before the long work
        words = maps.LabelledPoints.of_concept(cloud, concept).one_per_group()
    labelled = _labelled_vocabulary(space, hierarchy)
    centred = unembedding.matrix[torch.from_numpy(unembedding.rows)].to(space.mean).float() - space.mean.float()
    vocabulary_maps = {}
    for name, points in {"causal": labelled, "euclidean": labelled.moved(centred)}.items():
        step(f"mapping the vocabulary, {PRODUCTS[name]}")
        vocabulary_maps[name] = trusted_map(points, study.seed)
    texts = [unembedding.vocabulary.text(token) for token in unembedding.rows.tolist()]
    directions = ConceptDirections.fit_cloud(cloud)
    # Of every concept its tokens' positions in the vocabulary, the farthest along its vector first.
    typical = farthest_first(space.unified, directions, labelled.members)
    placed = (labelled.members, typical, vocabulary_maps)
    vocabulary = MappedVocabulary(unembedding.name, hierarchy, unembedding.rows, texts, *placed)
    step.figure(vocabulary_figure(vocabulary))
    step("mapping concept vectors")
    concepts = _concept_maps(space, directions, study.seed)
    mapper, without = None, "no concept has others below it, by which to label its words"
    if concept:
        step(f"Mapper of the words of {concept}")
        try:
            mapper = mapper_of_concept(
                space, cloud, words, concept, n_permutations=study.n_permutations, seed=study.seed
            )
        except EstimationError as error:  # few words may give no cluster, which only the search for one shows
            without = f"{concept}: {error}"
    measured: Any = {"vocabulary": vocabulary, "concepts": concepts, "mapper": mapper}
    without = "" if mapper else without
    return MapsResult(study=study, model=unembedding.summary(), **measured, without_mapper=without)


def _first_with_children(hierarchy: ConceptHierarchy) -> str:
    """WordNet's animals, of other hierarchies the first concept that is above others; empty where none is."""
    if _ANIMAL in hierarchy:
        return _ANIMAL
    return next((name for name in hierarchy.names if hierarchy.children[name]), "")


def _labelled_vocabulary(space: CausalSpace, hierarchy: ConceptHierarchy) -> maps.LabelledPoints:
    """g of all usable rows with the concepts of the hierarchy; spellings of one word are one group."""
    rows = space.unembedding.rows
    groups = np.arange(len(rows)) + len(rows)
    groups[np.searchsorted(rows, hierarchy.tokens)] = hierarchy.lemmas
    members = {concept.name: np.searchsorted(rows, concept.tokens) for concept in hierarchy}
    return maps.LabelledPoints(space.unified.cpu().numpy(), members, groups=groups)


def trusted_map(labelled: maps.LabelledPoints, seed: int) -> VocabularyMap:
    """UMAP of the points; how far to trust it; kNN purity in space and on the map."""
    nearest = maps.nearest_neighbours(labelled.points, _NEIGHBOURS)
    coordinates = maps.umap_embedding(labelled.points, nearest=nearest, seed=seed)
    on_map = maps.nearest_neighbours(coordinates, _NEIGHBOURS)
    options: dict[str, Any] = {"n_permutations": _PERMUTATIONS, "seed": seed}
    purity = {
        where: maps.neighbourhood_purity(labelled, neighbours, **options)
        for where, neighbours in (("in space", nearest), ("on the map", on_map))
    }
    trust = maps.trustworthiness(labelled.points, coordinates, nearest=on_map, **options)
    return VocabularyMap(coordinates, trust, purity)


def _concept_maps(space: CausalSpace, directions: ConceptDirections, seed: int) -> dict[str, ConceptMap]:
    """Maps of unit concept vectors, of the model under both products and of shuffled rows."""
    rng = generator(seed, "shuffled")
    drawn = {name: NULLS[name].draw(space, directions.cloud, rng) for name in ("euclidean", "shuffled")}
    fits = {
        PRODUCTS["causal"]: directions,
        PRODUCTS["euclidean"]: ConceptDirections.fit_cloud(drawn["euclidean"]),
        NULLS["shuffled"].label: ConceptDirections.fit_cloud(drawn["shuffled"]),
    }
    return {name: views.concept_map(fit, neighbours=_NEIGHBOURS_OF_CONCEPTS, seed=seed) for name, fit in fits.items()}


def mapper_of_concept(
    space: CausalSpace,
    cloud: TokenCloud,
    labelled: maps.LabelledPoints,
    concept: str,
    *,
    n_permutations: int,
    seed: int,
) -> MapperOfConcept:
    """Cover and clusterer by stability, then the graph beside shuffled rows and shuffled labels."""
    lens = maps.projection_lens()
    sweep = maps.stability_sweep(labelled, lens, seed=seed)
    choice = {"cover": sweep.choice.cover, "clusterer": sweep.choice.clusterer}
    nulls = {"shuffled": maps.token_null(space, cloud), "labels": maps.POINT_NULLS["labels"]}
    options: dict[str, Any] = {**choice, "nulls": nulls, "n_permutations": n_permutations, "seed": seed}
    comparison = maps.compare_mapper(labelled, lens, **options)
    graph = comparison.graph
    concepts_and_bridges = (maps.node_concepts(graph, labelled), maps.bridges(graph, labelled))
    return MapperOfConcept(concept, labelled, comparison, *concepts_and_bridges, sweep)
