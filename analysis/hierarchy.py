"""Is the hierarchical geometry of an unembedding real? Existence, orthogonality and separation, with nulls.

    python -m analysis.hierarchy [--model M] [--out DIR] [--seed N] [--draws N]

Writes five figures, results.json and results.npz to figures/<model>/hierarchy/. WordNet's nouns carry
the numbers; the planes and the simplex use hand-made animal and plant classes, whose words are few but
checked.
"""

import sys
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import geometry as geo
from analysis.script import Run, arguments, run, whole_number
from geometry import views
from geometry.structure.nulls import NULLS

NULL_NAMES = {
    "shuffled": "shuffled rows",
    "gaussian": "Gaussian rows",
    "random_subset": "random subset of parent",
}
SHORT_NAMES = {**NULL_NAMES, "random_subset": "random subset"}
PLANES = ("animal", "plant", "mammal", "bird")
CLASSES = ("mammal", "bird", "fish", "insect")


def main() -> int:
    """Parse arguments and run."""
    parser = arguments("hierarchy", __doc__.splitlines()[0])
    parser.add_argument("--draws", type=whole_number(1), default=3, help="draws of each null model (default: 3)")
    return run("hierarchy", parser.parse_args(), analyse)


def analyse(this: Run) -> None:
    """The whole analysis, in the order of a method section."""
    this.step(f"reading the unembedding of {this.model}")
    unembedding = geo.Unembedding.load(this.model)
    space = geo.CausalSpace.fit(unembedding)
    nouns = geo.wordnet_hierarchy("noun", unembedding.vocabulary)
    organisms = geo.load_hierarchy("organisms", unembedding.vocabulary)

    this.step(f"comparing {len(nouns)} noun concepts with null models")
    statistics = [
        geo.projection("token"),
        geo.projection("lemma"),
        geo.parent_orthogonality(),
        geo.separation("token"),
        geo.separation("lemma"),
        geo.separation("lemma", contrast=True),
        geo.tree_likeness(),
    ]
    tests = geo.compare_with_nulls(space, nouns, statistics, draws=this.settings["draws"], seed=this.seed)

    this.step("drawing")
    this.output.figure("existence", existence_figure(tests, nouns))
    this.output.figure("orthogonality", orthogonality_figure(tests))
    own = geo.ConceptDirections.fit(space, nouns)
    shuffled = geo.ConceptDirections.fit(NULLS["shuffled"](space, own.cloud, np.random.default_rng(this.seed)))
    this.output.figure("heatmap", heatmap_figure(own, shuffled, tests["tree/whole"]))

    held_out = split_directions(space, organisms, this.seed)
    simplices = {name: geo.simplex(directions, CLASSES) for name, directions in held_out.items()}
    this.output.figure("planes", planes_figure(space, held_out))
    this.output.figure("simplex", simplex_figure(held_out, simplices))

    this.write_results(unembedding.summary(), results(nouns, tests, simplices))
    this.output.arrays("results", **arrays(nouns, own, shuffled, tests))


def split_directions(
    space: geo.CausalSpace, hierarchy: geo.ConceptHierarchy, seed: int
) -> dict[str, geo.ConceptDirections]:
    """Directions fitted to 70% of the lemmas, in the model and on shuffled rows."""
    train = geo.train_mask(hierarchy, "lemma", np.random.default_rng(seed))
    cloud = geo.TokenCloud.of(space, hierarchy)
    shuffled = NULLS["shuffled"](space, cloud, np.random.default_rng(seed))
    return {
        "model": geo.ConceptDirections.fit(cloud, train=train),
        "shuffled rows": geo.ConceptDirections.fit(shuffled, train=train),
    }


def existence_figure(tests: dict[str, geo.Comparison], nouns: geo.ConceptHierarchy) -> views.Figure:
    token, lemma = tests["projection/token"], tests["projection/lemma"]
    return views.plot_existence(
        {"unseen words": token.values, "unseen lemmas": lemma.values},
        {NULL_NAMES[null]: values for null, values in lemma.nulls.items()},
        [len(concept) for concept in nouns],
        finding=f"Unseen lemmas reach {lemma.mean:.2f} of their concept's vector; on shuffled rows"
        f" {lemma.null_mean('shuffled'):.2f}, on Gaussian rows {lemma.null_mean('gaussian'):.2f}",
        detail=f"{len(nouns)} WordNet noun concepts, vectors fitted to 70% of the words. Holding out single words gives"
        f" {token.mean:.2f}, because case and plural variants of a word then fall on both sides; holding out lemmas"
        " keeps them together.",
    )


def orthogonality_figure(tests: dict[str, geo.Comparison]) -> views.Figure:
    cosine, auc = tests["cosine/whole"].absolute(), tests["auc/lemma"]
    beyond = all(cosine.lower_than(null) for null in cosine.nulls)
    orthogonality = (
        f"Child contrasts are closer to orthogonal than every null (|cos| {cosine.mean:.3f})"
        if beyond
        else "Orthogonality to the parent is no evidence: nulls have it too"
    )
    panels = [
        views.Distribution(
            "Child contrast against its parent",
            "|cos| of ℓ(child) − ℓ(parent) with ℓ(parent)",
            cosine.values,
            {SHORT_NAMES[null]: values for null, values in cosine.nulls.items()},
            expected=cosine.unstructured,
            verdict="closer to 0 than every null" if beyond else "not closer to 0 than the nulls: by construction",
        ),
        views.Distribution(
            "Child's unseen lemmas against the parent's others",
            "AUC of ℓ(child)",
            auc.values,
            {SHORT_NAMES[null]: values for null, values in auc.nulls.items()},
            expected=auc.unstructured,
            verdict=f"{auc.effect('random_subset'):+.1f} sd from random subsets of the parent",
        ),
    ]
    return views.plot_distributions(
        panels,
        finding=f"{orthogonality}. Telling unseen words apart: AUC {auc.mean:.2f},"
        f" {auc.null_mean('random_subset'):.2f} for random subsets",
        detail=f"{len(cosine.values)} parent–child edges of WordNet's nouns. A random subset of the parent's words is"
        " orthogonal to it in expectation, in any dimension and under any inner product; what can carry signal is"
        " whether the child's words are told apart.",
    )


def heatmap_figure(own: geo.ConceptDirections, shuffled: geo.ConceptDirections, tree: geo.Comparison) -> views.Figure:
    nouns = own.hierarchy
    order = np.array(nouns.depth_first)
    ordered = np.ix_(order, order)
    all_pairs, disjoint = tree.values
    null_all, null_disjoint = np.nanmean(tree.nulls["shuffled"], axis=0)
    return views.plot_heatmaps(
        1 / (1 + nouns.tree_distance()[ordered]),
        own.cosines()[ordered],
        shuffled.cosines()[ordered],
        nouns.blocks(),
        null_name="shuffled rows",
        finding=f"Cosine against closeness in the tree: ρ = {disjoint:.2f} between concepts that share no word,"
        f" {null_disjoint:.2f} on shuffled rows",
        detail=f"{len(nouns)} WordNet noun concepts, depth first; boxes are subtrees. Over all pairs"
        f" ρ = {all_pairs:.2f}, but shuffled rows give {null_all:.2f} there: nested concepts share words, and"
        " shared words make vectors alike in any model.",
    )


def planes_figure(space: geo.CausalSpace, held_out: dict[str, geo.ConceptDirections]) -> views.Figure:
    reached = {
        source: np.mean([geo.held_out_projection(directions)[directions.hierarchy.index(name)] for name in PLANES])
        for source, directions in held_out.items()
    }
    return views.plot_planes(
        [planes(space, directions, source) for source, directions in held_out.items()],
        finding=f"Unseen {', '.join(PLANES[:-1])} and {PLANES[-1]} words reach {reached['model']:.2f} of their"
        f" concept's vector; on shuffled rows {reached['shuffled rows']:.2f}",
        detail="Planes of the unified space, drawn to scale; hand-made classes. Vectors fitted to 70% of the lemmas;"
        " coloured points are the words of the others. Top: the model. Bottom: the same fit on shuffled rows.",
    )


def planes(space: geo.CausalSpace, directions: geo.ConceptDirections, source: str) -> list[views.Plane]:
    """The three planes of arXiv 2406.01506, figure 2."""
    animal, plant, mammal, bird = (directions[name] for name in PLANES)
    unseen = {name: held_out_words(directions, name) for name in PLANES}
    others = np.setdiff1d(unseen["animal"], np.concatenate([unseen["mammal"], unseen["bird"]]))
    unseen = {
        "mammal": unseen["mammal"],
        "bird": unseen["bird"],
        "other animal": others,
        "plant": unseen["plant"],
    }
    spans = [
        (
            "ℓ(animal)",
            animal,
            "ℓ(mammal), orthogonal part",
            mammal,
            {"animal": animal, "mammal": mammal},
            ("mammal", "other animal"),
        ),
        (
            "ℓ(animal)",
            animal,
            "ℓ(bird) − ℓ(mammal)",
            bird - mammal,
            {"animal": animal, "bird": bird, "mammal": mammal},
            ("mammal", "bird"),
        ),
        (
            "ℓ(animal) − ℓ(plant)",
            animal - plant,
            "ℓ(bird) − ℓ(mammal)",
            bird - mammal,
            {"animal": animal, "plant": plant, "bird": bird},
            ("mammal", "bird", "plant"),
        ),
    ]
    panels = []
    for x_name, x, y_name, y, arrows, concepts in spans:
        frame = geo.Frame.spanned_by(x, y)
        words = {name: unseen[name] for name in concepts}
        panels.append(
            views.Plane(
                x_name,
                y_name,
                frame.of_vocabulary(space),
                {name: frame.coordinates(directions.cloud.points[tokens]) for name, tokens in words.items()},
                {name: [directions.hierarchy.words[token] for token in tokens] for name, tokens in words.items()},
                {name: frame.coordinates(vector) for name, vector in arrows.items()},
                source,
            )
        )
    return panels


def held_out_words(directions: geo.ConceptDirections, name: str) -> NDArray[np.int64]:
    """Positions of a concept's tokens that its vector was not fitted to."""
    members = directions.hierarchy.members[directions.hierarchy.index(name)]
    return members[~directions.train[members]]


def simplex_figure(held_out: dict[str, geo.ConceptDirections], simplices: dict[str, geo.Simplex]) -> views.Figure:
    panels = []
    for source, directions in held_out.items():
        vertices = torch.stack([directions[concept] for concept in CLASSES])
        frame = geo.Frame.spanned_by(*(vertices[1:] - vertices[0]), origin=vertices.mean(dim=0))
        measured = simplices[source]
        panels.append(
            views.SimplexPanel(
                f"{source}: {measured.membership:.0%} of unseen words nearest\n"
                f"their own vertex; edge lengths vary by {measured.irregularity:.0%}",
                dict(zip(CLASSES, frame.coordinates(vertices), strict=True)),
                {
                    concept: frame.coordinates(directions.cloud.points[held_out_words(directions, concept)])
                    for concept in CLASSES
                },
            )
        )
    model, shuffled = (simplices[source] for source in held_out)
    return views.plot_simplex(
        panels,
        finding=f"A near-regular simplex is no evidence, noise makes one too; that {model.membership:.0%} of unseen"
        f" words find their vertex ({shuffled.membership:.0%} on shuffled rows) is the test",
        detail=f"Span of {', '.join(f'ℓ({concept})' for concept in CLASSES)}, centred. Large marks: concept vectors,"
        f" fitted to 70% of the lemmas. Small marks: words of the others ({model.confusion.sum()} words; balanced"
        f" accuracy, chance {1 / len(CLASSES):.0%}).",
    )


def results(
    nouns: geo.ConceptHierarchy, tests: dict[str, geo.Comparison], simplices: dict[str, geo.Simplex]
) -> dict[str, Any]:
    """The summaries of results.json."""

    def beside(test: geo.Comparison, name: str) -> dict[str, Any]:
        summary = test.to_dict()
        return {name: {**summary["value"], "skipped": summary["skipped"]}, **summary["nulls"]}

    cosine = tests["cosine/whole"]
    magnitude = cosine.absolute()
    tree = tests["tree/whole"]
    return {
        "concepts": len(nouns),
        "edges": len(nouns.edges),
        "hierarchy": {"name": nouns.name, "recipe": nouns.recipe, "tokens": len(nouns.tokens)},
        "existence": {
            f"{split}_split": beside(tests[f"projection/{split}"], "held_out_projection")
            for split in ("token", "lemma")
        },
        "orthogonality": {
            "parent": {
                "abs_cos": magnitude.to_dict()["value"],
                "cos": cosine.to_dict()["value"],
                **{null: {"abs_cos": summary} for null, summary in magnitude.to_dict()["nulls"].items()},
            }
        },
        "separation": {
            "token_split": beside(tests["auc/token"], "auc"),
            "lemma_split": {
                **beside(tests["auc/lemma"], "auc"),
                "contrast": beside(tests["contrast-auc/lemma"], "auc"),
            },
        },
        "tree_correlation": {
            label.replace(" ", "_").replace("-", "_"): {
                "model": float(value),
                **{null: float(np.nanmean(draws[:, column])) for null, draws in tree.nulls.items()},
            }
            for column, (label, value) in enumerate(zip(tree.labels, tree.values, strict=True))
        },
        "simplex": {name.replace(" ", "_"): measured.to_dict() for name, measured in simplices.items()},
        "per_concept": {
            name: {"tokens": len(concept), "held_out_projection": float(value)}
            for name, concept, value in zip(nouns.names, nouns, tests["projection/lemma"].values, strict=True)
        },
    }


def arrays(
    nouns: geo.ConceptHierarchy,
    own: geo.ConceptDirections,
    shuffled: geo.ConceptDirections,
    tests: dict[str, geo.Comparison],
) -> dict[str, Any]:
    """The numbers behind the figures."""
    return {
        "concepts": np.array(nouns.names),
        "edges": np.array(nouns.edges),
        "tree_distance": nouns.tree_distance(),
        "cosines": own.cosines(),
        "cosines_shuffled": shuffled.cosines(),
        **{name.replace("/", "_"): test.values for name, test in tests.items()},
        **{
            f"{name.replace('/', '_')}_{null}": values
            for name, test in tests.items()
            for null, values in test.nulls.items()
        },
    }


if __name__ == "__main__":
    sys.exit(main())
