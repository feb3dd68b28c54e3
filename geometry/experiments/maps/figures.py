"""The figures and pages of the maps: what is coloured, what is named, and the finding in a sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import geometry as geo
from geometry import plots

if TYPE_CHECKING:
    from analysis.maps import Mapper

FAMILIES = 9
LARGEST_FAMILY, SMALLEST_FAMILY = 0.15, 0.01
MOST_OVERLAP = 0.2
WORDS_A_FAMILY = 3
DEPTHS = 8
CATEGORIES = 11

Vectors = Mapping[str, tuple[NDArray[np.float32], float]]


@dataclass(frozen=True, eq=False)
class Mapped:
    """The vocabulary on its maps: `members` and `typical` are places in `texts`, of each concept."""

    model: str
    hierarchy: geo.ConceptHierarchy
    texts: Sequence[str]
    members: Mapping[str, NDArray[np.int64]]
    maps: Mapping[str, NDArray[np.float32]]
    captions: Mapping[str, str]
    typical: Mapping[str, NDArray[np.int64]]

    @property
    def panels(self) -> list[plots.MapPanel]:
        """One a product."""
        return [plots.MapPanel(name, places, self.captions[name]) for name, places in self.maps.items()]


def short(name: str) -> str:
    """A synset's name as a reader wants it."""
    return name.split(".")[0].replace("_", " ") if name.count(".") >= 2 else name


def families(hierarchy: geo.ConceptHierarchy) -> list[str]:
    """A few large concepts that hardly share a word, none with more than a seventh of all words."""
    shared, sizes = hierarchy.shared_tokens(), np.array([len(members) for members in hierarchy.members])
    allowed = (sizes <= LARGEST_FAMILY * len(hierarchy.tokens)) & (sizes >= SMALLEST_FAMILY * len(hierarchy.tokens))
    chosen: list[int] = []
    for index in np.argsort(-sizes, kind="stable").tolist():
        if allowed[index] and all(shared[index, other] <= MOST_OVERLAP * sizes[index] for other in chosen):
            chosen.append(index)
    return [hierarchy.names[index] for index in chosen[:FAMILIES]] or [hierarchy.names[0]]


def family_colouring(
    hierarchy: geo.ConceptHierarchy, members: Mapping[str, NDArray[np.int64]], n: int
) -> plots.Colouring:
    """By family; a word of several has the smallest one's colour, a concept that of the family above it."""
    names = families(hierarchy)
    return plots.Colouring(
        "family",
        [short(name) for name in names],
        _codes(names, members, n),
        np.array([_family(hierarchy, name, names) for name in hierarchy.names]),
    )


def _family(hierarchy: geo.ConceptHierarchy, name: str, families: Sequence[str]) -> int:
    own = [place for place, family in enumerate(families) if name == family or name in hierarchy.descendants(family)]
    return own[0] if own else -1


def _codes(names: Sequence[str], members: Mapping[str, NDArray[np.int64]], n: int) -> NDArray[np.int64]:
    codes = np.full(n, -1)
    for place in sorted(range(len(names)), key=lambda place: -len(members[names[place]])):
        codes[members[names[place]]] = place
    return codes


def depth_colouring(
    hierarchy: geo.ConceptHierarchy, members: Mapping[str, NDArray[np.int64]], n: int
) -> plots.Colouring:
    """By depth: of a word its deepest concept's."""
    codes = np.full(n, -1)
    depths = np.minimum(hierarchy.depths, DEPTHS - 1)
    for index, name in enumerate(hierarchy.names):
        places = members[name]
        codes[places] = np.maximum(codes[places], depths[index])
    most = int(depths.max())
    steps = [str(depth) for depth in range(most + 1)]
    if hierarchy.depths.max() > most:
        steps[-1] += " and more"
    return plots.Colouring("depth", steps, codes, depths, ordered=True)


def vocabulary_figure(scene: Mapped, finding: str) -> plots.Figure:
    colouring = _of_points(family_colouring(scene.hierarchy, scene.members, len(scene.texts)))
    labels: dict[str, Sequence[int]] = {}
    names = families(scene.hierarchy)
    for name in names:
        labels[short(name)] = scene.members[name].tolist()
    for name in names:
        unlike = [int(place) for place in scene.typical[name] if scene.texts[place].strip().islower()]
        labels |= {scene.texts[place].strip(): [place] for place in unlike[:WORDS_A_FAMILY]}
    return plots.plot_vocabulary_map(
        scene.panels,
        colouring,
        labels=labels,
        finding=finding,
        detail=f"UMAP of all {len(scene.texts):,} tokens of {scene.model}; {len(names)} concepts of"
        f" {scene.hierarchy.name} in colour, with the words farthest along their vectors. Axes mean nothing.",
    )


def vocabulary_page(scene: Mapped, finding: str, concept: str) -> str:
    n, hierarchy = len(scene.texts), scene.hierarchy
    below = sorted(hierarchy.children[concept], key=lambda name: -len(hierarchy[name]))[:CATEGORIES] or [concept]
    within = plots.Colouring(
        f"kinds of {short(concept)}",
        [short(name) for name in below],
        _codes(below, scene.members, n),
    )
    tree = plots.ConceptTree(hierarchy.names, hierarchy.edges, [scene.members[name] for name in hierarchy.names])
    return plots.explorer_page(
        scene.panels,
        scene.texts,
        [
            _of_points(family_colouring(hierarchy, scene.members, n)),
            _of_points(depth_colouring(hierarchy, scene.members, n)),
            within,
        ],
        tree,
        title=finding,
        detail=f"UMAP of all tokens of {scene.model} ({n:,}), coloured by concepts of {hierarchy.name}.",
    )


def _of_points(colouring: plots.Colouring) -> plots.Colouring:
    return plots.Colouring(colouring.name, colouring.categories, colouring.points, ordered=colouring.ordered)


def purity_figure(purities: Mapping[str, Mapping[str, geo.TestResult]], products: Mapping[str, str]) -> plots.Figure:
    rows, names = [], []
    for product, by_place in purities.items():
        for place, test in by_place.items():
            rows.append(
                plots.DotRow({"concepts": (test.mean, *test.interval)}, {"shuffled rows": test.null_mean("shuffled")})
            )
            names.append(f"{products[product]}\n{place}")
    space = {product: by_place["in space"].mean for product, by_place in purities.items()}
    on_map = {product: by_place["on the map"].mean for product, by_place in purities.items()}
    null = max(test.null_mean("shuffled") for by_place in purities.values() for test in by_place.values())
    better = max(space, key=lambda product: space[product])
    return plots.plot_dots(
        [plots.Dots("share of a word's 15 neighbours in its concept", rows)],
        names,
        finding=f"Neighbours share concepts: {space['causal']:.1%} in causal space, {space['euclidean']:.1%} in"
        f" Euclidean, at most {null:.1%} with shuffled rows; maps keep {on_map['causal'] / space['causal']:.0%} and"
        f" {on_map['euclidean'] / space['euclidean']:.0%} of it",
        detail=f"Mean over concepts with 95% intervals; other spellings of the word itself do not count. In space the"
        f" {products[better].split()[0]} product is ahead.",
    )


def concepts_figure(hierarchy: geo.ConceptHierarchy, vectors: Vectors) -> plots.Figure:
    colouring, tree, panels = _concept_scene(hierarchy, vectors)
    sizes = np.array([len(members) for members in hierarchy.members])
    named = np.argsort(-sizes, kind="stable")[:14].tolist()
    return plots.plot_vocabulary_map(
        panels, colouring, tree, named=named, finding=concepts_finding(vectors), detail=_concepts_detail(hierarchy)
    )


def concepts_page(hierarchy: geo.ConceptHierarchy, vectors: Vectors) -> str:
    colouring, tree, panels = _concept_scene(hierarchy, vectors)
    nothing = {name: np.empty(0, dtype=np.int64) for name in hierarchy.names}
    depth = depth_colouring(hierarchy, nothing, 0)
    return plots.explorer_page(
        panels, [], [colouring, depth], tree, title=concepts_finding(vectors), detail=_concepts_detail(hierarchy)
    )


def concepts_finding(vectors: Vectors) -> str:
    own, noise = next(iter(vectors.values()))[1], vectors["shuffled rows"][1]
    close = noise < 1.5 * own
    comment = ": shared words alone draw nested concepts together" if close else ""
    return f"Parent and child lie at {own:.2f} of any pair's distance, on shuffled rows at {noise:.2f}{comment}"


def _concepts_detail(hierarchy: geo.ConceptHierarchy) -> str:
    return f"UMAP of the unit vectors of {len(hierarchy)} concepts ({hierarchy.name}); lines join parents and children."


def _concept_scene(
    hierarchy: geo.ConceptHierarchy, vectors: Vectors
) -> tuple[plots.Colouring, plots.ConceptTree, list[plots.MapPanel]]:
    empty = np.empty(0, dtype=np.int64)
    nothing = dict.fromkeys(hierarchy.names, empty)
    colouring = family_colouring(hierarchy, nothing, 0)
    tree = plots.ConceptTree([short(name) for name in hierarchy.names], hierarchy.edges, [empty] * len(hierarchy))
    panels = [
        plots.MapPanel(name, np.empty((0, 2)), f"parent to child: {ratio:.2f} of any pair", places)
        for name, (places, ratio) in vectors.items()
    ]
    return colouring, tree, panels


def _mapper_graph(found: "Mapper") -> plots.MapperGraph:
    graph, concepts = found.comparison.graph, found.concepts
    largest = np.argsort(-(concepts.shares * concepts.sizes[:, None]).sum(axis=0), kind="stable")[:CATEGORIES]
    shares = concepts.shares[:, largest]
    meanings = []
    for bridge in found.bridges:
        one, other = (short(name) or "nothing named" for name in bridge.concepts)
        through = f"{one} and {other} meet" if one != other else f"both {one}"
        meanings.append(f"{through} in {', '.join(word.strip() for word in bridge.words[:12])}")
    return plots.MapperGraph(
        graph.layout(),
        [[word.strip() for word in words] for words in concepts.words],
        [short(name) or "other" for name in concepts.dominant],
        concepts.purity,
        [short(concepts.concepts[index]) for index in largest],
        # A word of two kinds counts half for each.
        shares / np.maximum(1, shares.sum(axis=1, keepdims=True)),
        [(int(one), int(other)) for one, other in graph.edges],
        graph.shared,
        meanings,
    )


def mapper_finding(found: "Mapper", concept: str) -> str:
    test = found.comparison
    purity, p = test.values["purity"], test.p_value("purity", "shuffled rows")
    noise = float(np.nanmean(test.nulls["shuffled rows"]["purity"]))
    holes, p_holes = test.values["holes"], test.p_value("holes", "shuffled rows")
    shape = "loops are no more than noise has" if not p_holes <= 0.05 else "its loops differ from noise's"
    return (
        f"Kinds of {short(concept)} hold together: node purity {purity:.2f}, shuffled rows {noise:.2f} (p = {p:.3f});"
        f" {shape} ({holes:.0f})"
    )


def mapper_detail(found: "Mapper") -> str:
    values, choice = found.comparison.values, found.sweep.choice
    return (
        f"Mapper of {len(found.labelled)} words, one spelling each; lens: projections on the kinds' vectors; cover of"
        f" {choice.cover.cubes} balanced intervals overlapping by {choice.cover.overlap:.0%}, chosen with the clusterer"
        f" by stability under resampling. {values['components']:.0f} components, {values['loops']:.0f} loops of the"
        f" graph of which {values['holes']:.0f} are not filled by triple overlaps."
    )


def mapper_figure(found: "Mapper", concept: str) -> plots.Figure:
    return plots.plot_mapper(_mapper_graph(found), finding=mapper_finding(found, concept), detail=mapper_detail(found))


def mapper_html(found: "Mapper", concept: str) -> str:
    return plots.mapper_page(_mapper_graph(found), title=mapper_finding(found, concept), detail=mapper_detail(found))
