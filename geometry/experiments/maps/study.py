"""What does a vocabulary look like, and is what one sees there? UMAP and Mapper, each beside its nulls.

    python -m analysis.maps [--model M] [--hierarchy H] [--concept C] [--draws N] [--out DIR] [--seed N]

Writes four figures, three interactive pages (vocabulary.html, concepts.html, mapper.html), mapper.graphml, results.json
and results.npz to figures/<model>/maps/. The vocabulary is mapped under the causal inner product and under the
Euclidean one; how far a map can be trusted stands on it.
"""

import sys
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import torch
from numpy.typing import NDArray

import geometry as geo
from analysis.maps_figures import (
    Mapped,
    concepts_figure,
    concepts_page,
    mapper_figure,
    mapper_html,
    purity_figure,
    vocabulary_figure,
    vocabulary_page,
)
from analysis.script import Run, arguments, run, whole_number

PRODUCTS = {"causal": "causal inner product", "euclidean": "Euclidean inner product"}
NEIGHBOURS = 15
NEIGHBOURS_OF_CONCEPTS = 10


def main() -> int:
    """Parse arguments and run."""
    parser = arguments("maps", __doc__.splitlines()[0])
    parser.add_argument(
        "--hierarchy",
        default="wordnet-noun",
        help="wordnet-noun, wordnet-verb, a packaged name, or a YAML or JSON file (default: wordnet-noun)",
    )
    parser.add_argument("--concept", default="animal.n.01", help="whose words Mapper takes (default: animal.n.01)")
    parser.add_argument("--draws", type=whole_number(1), default=39, help="of each null of Mapper (default: 39)")
    return run("maps", parser.parse_args(), analyse)


def analyse(this: Run) -> None:
    """The whole analysis, in the order of a method section."""
    this.step(f"reading the unembedding of {this.model}")
    unembedding = geo.Unembedding.load(this.model)
    hierarchy = geo.load_hierarchy(this.settings["hierarchy"], unembedding.vocabulary)
    hierarchy.index(this.settings["concept"])
    if len(unembedding.rows) <= NEIGHBOURS or len(hierarchy) <= NEIGHBOURS_OF_CONCEPTS:
        raise geo.errors.EstimationError(
            f"{unembedding.name}: {len(unembedding.rows)} tokens and {len(hierarchy)} concepts are too few to map;"
            f" more than {NEIGHBOURS} and {NEIGHBOURS_OF_CONCEPTS} are needed"
        )
    space = geo.CausalSpace.fit(unembedding)
    cloud = geo.directions.TokenCloud.of(space, hierarchy)

    labelled = vocabulary_points(space, hierarchy)
    maps = {name: mapped(this, labelled.moved(points)) for name, points in clouds(space).items()}
    purities = {name: one.purity for name, one in maps.items()}
    this.step("mapping concept vectors")
    vectors = concept_vectors(this, space, cloud)
    this.step(f"Mapper of the words of {this.settings['concept']}")
    found = mapper(this, space, cloud)

    this.step("drawing")
    scene = Mapped(
        unembedding.name,
        hierarchy,
        [unembedding.vocabulary.text(int(token)) for token in unembedding.rows],
        labelled.members,
        {PRODUCTS[name]: one.coordinates for name, one in maps.items()},
        {PRODUCTS[name]: str_of(one) for name, one in maps.items()},
        typical_words(space, cloud, labelled),
    )
    finding = vocabulary_finding(maps)
    this.output.figure("vocabulary", vocabulary_figure(scene, finding))
    this.output.figure("purity", purity_figure(purities, PRODUCTS))
    this.output.text("vocabulary.html", vocabulary_page(scene, finding, this.settings["concept"]))
    this.output.figure("concepts", concepts_figure(hierarchy, vectors))
    this.output.text("concepts.html", concepts_page(hierarchy, vectors))
    this.output.figure("mapper", mapper_figure(found, this.settings["concept"]))
    this.output.text("mapper.html", mapper_html(found, this.settings["concept"]))
    graph = found.comparison.graph.to_networkx(found.concepts.attributes())
    this.output.text("mapper.graphml", "\n".join(nx.generate_graphml(graph)))
    this.write_results(
        unembedding.summary(),
        {
            "vocabulary": {name: one.to_dict() for name, one in maps.items()},
            "concepts": {name: ratio for name, (_, ratio) in vectors.items()},
            "mapper": found.to_dict(),
        },
    )
    this.output.arrays(
        "results",
        tokens=unembedding.rows,
        **{f"vocabulary:{name}": one.coordinates for name, one in maps.items()},
        **{f"concepts:{name}": coordinates for name, (coordinates, _) in vectors.items()},
    )


def vocabulary_points(space: geo.CausalSpace, hierarchy: geo.ConceptHierarchy) -> geo.maps.LabelledPoints:
    """g of all usable rows with the concepts of the hierarchy; spellings of one word are one group."""
    rows = space.unembedding.rows
    places = np.searchsorted(rows, hierarchy.tokens)
    groups = np.arange(len(rows)) + len(rows)
    groups[places] = hierarchy.lemmas
    members = {concept.name: np.searchsorted(rows, concept.tokens) for concept in hierarchy}
    return geo.maps.LabelledPoints(space.unified.numpy(), members, groups=groups)


def clouds(space: geo.CausalSpace) -> dict[str, torch.Tensor]:
    """All usable rows: under the causal product, and as they are."""
    rows = torch.from_numpy(space.unembedding.rows)
    return {"causal": space.unified, "euclidean": space.unembedding.matrix[rows].float() - space.mean.float()}


@dataclass(frozen=True, eq=False)
class Map:
    """One map of the vocabulary and what is to be known of it."""

    coordinates: NDArray[np.float32]
    trust: geo.maps.Trustworthiness
    purity: dict[str, geo.TestResult]

    def to_dict(self) -> dict[str, Any]:
        """Its entry in results.json."""
        purity = {where: one.to_dict() for where, one in self.purity.items()}
        return {"trustworthiness": self.trust.to_dict(), "neighbourhood_purity": purity}


def mapped(this: Run, labelled: geo.maps.LabelledPoints) -> Map:
    """UMAP of the points; how far to trust it; whether concepts keep together in space and on the map."""
    this.step("looking for neighbours and mapping")
    nearest = geo.maps.nearest_neighbours(labelled.points, NEIGHBOURS)
    coordinates = geo.umap_embedding(labelled.points, nearest=nearest, seed=this.seed)
    on_map = geo.maps.nearest_neighbours(coordinates, NEIGHBOURS)
    purity = {
        where: geo.maps.neighbourhood_purity(labelled, neighbours, draws=19, seed=this.seed)
        for where, neighbours in (("in space", nearest), ("on the map", on_map))
    }
    this.step("how far the map can be trusted")
    return Map(coordinates, geo.maps.trustworthiness(labelled.points, coordinates, draws=3, seed=this.seed), purity)


def str_of(one: Map) -> str:
    return (
        f"trustworthiness {one.trust.value:.2f} (shuffled rows {one.trust.null.mean():.2f}),"
        f" {one.trust.kept:.0%} of {one.trust.k} neighbours kept"
    )


def vocabulary_finding(maps: dict[str, Map]) -> str:
    own = maps["causal"].purity["on the map"]
    return (
        f"On the map {own.mean:.1%} of a noun's neighbours share its concept, {own.null_mean('shuffled'):.1%} with"
        f" shuffled rows; but the map keeps {maps['causal'].trust.kept:.0%} of the neighbours in space"
    )


def typical_words(
    space: geo.CausalSpace, cloud: geo.directions.TokenCloud, labelled: geo.maps.LabelledPoints
) -> dict[str, NDArray[np.int64]]:
    """Of every concept its tokens' places in the vocabulary, the farthest along its vector first."""
    directions = geo.ConceptDirections.fit_cloud(cloud)
    return {
        name: places[np.argsort(-(space.unified[places] @ directions[name]).numpy(), kind="stable")]
        for name, places in labelled.members.items()
    }


def concept_vectors(
    this: Run, space: geo.CausalSpace, cloud: geo.directions.TokenCloud
) -> dict[str, tuple[NDArray[np.float32], float]]:
    """Maps of unit concept vectors, and how far apart parent and child are there, all pairs being 1."""
    rng = geo.randomness.generator(this.seed, "shuffled")
    drawn = {
        PRODUCTS["causal"]: cloud,
        PRODUCTS["euclidean"]: geo.NULLS["euclidean"].draw(space, cloud, rng),
        "shuffled rows": geo.NULLS["shuffled"].draw(space, cloud, rng),
    }
    maps = {}
    parents, children = np.array(cloud.hierarchy.edges).T
    for name, points in drawn.items():
        vectors = geo.ConceptDirections.fit_cloud(points).vectors
        units = torch.nn.functional.normalize(vectors, dim=1)
        places = geo.umap_embedding(units, neighbours=NEIGHBOURS_OF_CONCEPTS, seed=this.seed)
        edges = np.linalg.norm(places[parents] - places[children], axis=1)
        pairs = np.linalg.norm(places[:, None] - places[None], axis=2)[np.triu_indices(len(places), 1)]
        maps[name] = places, float(edges.mean() / pairs.mean())
    return maps


@dataclass(frozen=True, eq=False)
class Mapper:
    """The Mapper graph of a concept's words, its nulls, and what was tried before."""

    labelled: geo.maps.LabelledPoints
    comparison: geo.maps.MapperComparison
    concepts: geo.maps.NodeConcepts
    bridges: list[geo.maps.Bridge]
    sweep: geo.maps.StabilitySweep

    def to_dict(self) -> dict[str, Any]:
        """Its entry in results.json."""
        bridges = [bridge.to_dict() for bridge in self.bridges if bridge.between]
        return {
            "points": len(self.labelled),
            "numbers": self.comparison.to_dict(),
            "bridges": bridges,
            "stability": self.sweep.to_dict(),
        }


def mapper(this: Run, space: geo.CausalSpace, cloud: geo.directions.TokenCloud) -> Mapper:
    """Cover and clusterer by stability, then the graph beside shuffled rows and shuffled labels."""
    labelled = geo.maps.LabelledPoints.of_concept(cloud, this.settings["concept"]).one_per_group()
    lens = geo.maps.projection_lens()
    sweep = geo.maps.stability_sweep(labelled, lens, seed=this.seed)
    comparison = geo.maps.compare_mapper(
        labelled,
        lens,
        cover=sweep.choice.cover,
        clusterer=sweep.choice.clusterer,
        nulls={"shuffled rows": geo.maps.token_null(space, cloud), "shuffled labels": geo.maps.shuffled_labels},
        draws=this.settings["draws"],
        seed=this.seed,
    )
    graph = comparison.graph
    return Mapper(labelled, comparison, geo.maps.node_concepts(graph, labelled), geo.maps.bridges(graph, labelled), sweep)


if __name__ == "__main__":
    sys.exit(main())
