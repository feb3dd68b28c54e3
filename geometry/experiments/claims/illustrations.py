"""Is the hierarchical geometry of an unembedding real? Existence, orthogonality and separation, with nulls.

    python -m analysis.hierarchy [--model M] [--hierarchy H] [--out DIR] [--seed N] [--draws N]

Writes five figures, results.json and results.npz to figures/<model>/hierarchy/. The hierarchy, by default
WordNet's nouns, carries the numbers; the planes and the simplex use hand-made animal and plant classes, whose
words are few but checked.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.spatial.distance import squareform

import geometry as geo
from analysis.script import Run, arguments, run, whole_number
from geometry import plots

NULL_NAMES = {"shuffled": "shuffled rows", "gaussian": "Gaussian rows", "random_subset": "random subset"}
PLANES = ("animal", "plant", "mammal", "bird")
CLASSES = ("mammal", "bird", "fish", "insect")
ROW_NULLS = ("shuffled", "gaussian")


def main() -> int:
    """Parse arguments and run."""
    parser = arguments("hierarchy", __doc__.splitlines()[0])
    parser.add_argument(
        "--hierarchy",
        default="wordnet-noun",
        help="wordnet-noun, wordnet-verb, a packaged name, or a YAML or JSON file (default: wordnet-noun)",
    )
    parser.add_argument("--draws", type=whole_number(1), default=3, help="draws of each null model (default: 3)")
    return run("hierarchy", parser.parse_args(), analyse)


def analyse(this: Run) -> None:
    """The whole analysis, in the order of a method section."""
    this.step(f"reading the unembedding of {this.model}")
    unembedding = geo.Unembedding.load(this.model)
    hierarchy = geo.load_hierarchy(this.settings["hierarchy"], unembedding.vocabulary)
    space = geo.CausalSpace.fit(unembedding)

    this.step(f"comparing {len(hierarchy)} concepts with null models")
    statistics = [
        geo.evidence.projection("token"),
        geo.evidence.projection("lemma"),
        geo.evidence.parent_orthogonality(),
        geo.evidence.separation("token"),
        geo.evidence.separation("lemma"),
        geo.evidence.separation("lemma", contrast=True),
        geo.evidence.tree_correlation("all"),
        geo.evidence.tree_correlation("word-disjoint"),
        geo.evidence.pairwise_cosines(),
    ]
    tests = geo.test_against_nulls(
        space, hierarchy, statistics, draws=this.settings["draws"], missing="nan", seed=this.seed
    )
    for name in ("projection/lemma", "cosine/whole", "auc/lemma"):
        if not tests[name].measured:
            raise geo.errors.EstimationError(f"{name}: hierarchy {hierarchy.name!r} has no edges, or too few words a concept")

    this.step("drawing")
    this.output.figure("existence", existence_figure(tests, hierarchy))
    this.output.figure("orthogonality", orthogonality_figure(tests))
    this.output.figure("heatmap", heatmap_figure(tests, hierarchy))
    illustrated = illustrate(this, space)
    this.write_results(unembedding.summary(), results(hierarchy, tests) | illustrated)
    this.output.arrays("results", **arrays(hierarchy, tests))


def existence_figure(tests: dict[str, geo.TestResult], hierarchy: geo.ConceptHierarchy) -> plots.Figure:
    token, lemma = tests["projection/token"], tests["projection/lemma"]
    sizes = [len(concept) for concept in hierarchy]
    null_sizes = {"random_subset": [sizes[child] for _, child in hierarchy.edges]}
    leak = token.mean - lemma.mean > 0.02
    return plots.plot_existence(
        {"unseen tokens": token.values, "unseen lemmas": lemma.values},
        {NULL_NAMES[null]: (values, null_sizes.get(null, sizes)) for null, values in lemma.nulls.items()},
        sizes,
        finding=f"Unseen lemmas reach {lemma.mean:.2f} of their concept's vector; random lemmas of the parent concept"
        f" {lemma.null_mean('random_subset'):.2f}, shuffled rows {lemma.null_mean('shuffled'):.2f}",
        detail=f"{len(hierarchy)} concepts ({hierarchy.name}), vectors fitted to 70% of the lemmas; nulls after the"
        f" same split. Holding out tokens instead gives {token.mean:.2f}"
        + (", as case and plural variants of one word then fall on both sides." if leak else "."),
    )


def orthogonality_figure(tests: dict[str, geo.TestResult]) -> plots.Figure:
    cosine, auc = tests["cosine/whole"].absolute(), tests["auc/lemma"]
    verdict = geo.evidence.orthogonality_verdict(tests["cosine/whole"])
    orthogonality = {
        "not orthogonal": f"Child contrasts are not orthogonal to their parents (|cos| {cosine.mean:.2f})",
        "by construction": "Orthogonality to the parent is no evidence: random subsets of it have it too",
        "undecided": "Child contrasts are closer to orthogonal than random subsets, which alone decides nothing",
    }[verdict]
    panels = [
        plots.Distribution(
            "Child contrast against its parent",
            "|cos| of ℓ(child) − ℓ(parent) with ℓ(parent)",
            cosine.values,
            {NULL_NAMES[null]: values for null, values in cosine.nulls.items()},
            expected=cosine.unstructured,
            verdict=f"verdict: {verdict}",
        ),
        plots.Distribution(
            "Child's unseen lemmas against the parent's others",
            "AUC of ℓ(child)",
            auc.values,
            {NULL_NAMES[null]: values for null, values in auc.nulls.items()},
            expected=auc.unstructured,
            verdict=f"mean {auc.mean:.2f}, 95% interval {auc.interval[0]:.2f} to {auc.interval[1]:.2f}",
        ),
    ]
    return plots.plot_distributions(
        panels,
        finding=f"{orthogonality}. Telling unseen words apart: AUC {auc.mean:.2f},"
        f" {auc.null_mean('random_subset'):.2f} for random subsets",
        detail=f"{len(cosine.values)} parent–child edges. A random subset of the parent's words is orthogonal to it in"
        " expectation, in any dimension and under any inner product; what can carry signal is whether the child's"
        " words are told apart.",
    )


def heatmap_figure(tests: dict[str, geo.TestResult], hierarchy: geo.ConceptHierarchy) -> plots.Figure:
    every, separate = tests["tree-all/whole"], tests["tree-word-disjoint/whole"]
    cosines = tests["cosines/whole"]
    order = np.array(hierarchy.depth_first)
    ordered = np.ix_(order, order)
    ones = np.eye(len(hierarchy))
    correlation = (
        f"ρ = {separate.mean:.2f} between concepts that share no word, {separate.null_mean('shuffled'):.2f} on"
        " shuffled rows"
        if separate.measured
        else "too few concepts that share no word"
    )
    blocks = hierarchy.blocks()
    boxes = "; boxes are subtrees" if any(stop - start > 1 for _, start, stop in blocks) else ""
    return plots.plot_heatmaps(
        1 / (1 + hierarchy.tree_distance()[ordered]),
        (squareform(cosines.values) + ones)[ordered],
        (squareform(cosines.nulls["shuffled"][0]) + ones)[ordered],
        blocks,
        null_name="shuffled rows",
        finding=f"Cosine against closeness in the tree: {correlation}",
        detail=f"{len(hierarchy)} concepts ({hierarchy.name}), depth first{boxes}. Over all pairs"
        f" ρ = {every.mean:.2f}, but shuffled rows give {every.null_mean('shuffled'):.2f} there: nested concepts share"
        " words, and shared words make vectors alike in any model.",
    )


def illustrate(this: Run, space: geo.CausalSpace) -> dict[str, Any]:
    """The planes and the simplex of hand-made classes; what a small vocabulary cannot show is said and left out."""
    skipped: dict[str, str] = {}
    found: dict[str, Any] = {}

    def attempt(figure: str, work: Callable[[], dict[str, Any]]) -> None:
        try:
            found.update(work())
        except geo.GeometryError as error:
            skipped[figure] = str(error)
            print(f"{figure}: left out: {error}", file=sys.stderr)

    attempt("planes", lambda: planes(this, space))
    attempt("simplex", lambda: simplex(this, space))
    return {**found, "skipped": skipped}


def fit_and_compare(
    this: Run, space: geo.CausalSpace, names: tuple[str, ...], statistics: list[geo.Statistic]
) -> tuple[dict[str, geo.ConceptDirections], dict[str, geo.TestResult]]:
    """Directions on 70% of the lemmas, in the model and in the first shuffled draw, and the statistics beside nulls."""
    hierarchy = geo.load_hierarchy("organisms", space.unembedding.vocabulary, only=names)
    options = {"nulls": ROW_NULLS, "draws": this.settings["draws"], "seed": this.seed, "progress": False}
    tests = geo.test_against_nulls(space, hierarchy, statistics, **options)
    train = geo.evidence.train_mask(hierarchy, "lemma", geo.randomness.generator(this.seed, "lemma"))
    cloud = geo.directions.TokenCloud.of(space, hierarchy)
    shuffled = geo.NULLS["shuffled"].draw(space, cloud, geo.randomness.generator(this.seed, "shuffled"))
    directions = {
        "model": geo.ConceptDirections.fit_cloud(cloud, train=train),
        "shuffled rows": geo.ConceptDirections.fit_cloud(shuffled, train=train),
    }
    return directions, tests


def planes(this: Run, space: geo.CausalSpace) -> dict[str, Any]:
    fitted, tests = fit_and_compare(this, space, PLANES, [geo.evidence.projection("lemma")])
    test = tests["projection/lemma"]
    figure = plots.plot_planes(
        [plane_row(space, directions, source) for source, directions in fitted.items()],
        finding=f"Unseen {', '.join(PLANES[:-1])} and {PLANES[-1]} words reach {test.mean:.2f} of their"
        f" concept's vector; on shuffled rows {test.null_mean('shuffled'):.2f}",
        detail="Planes of the unified space, drawn to scale; hand-made classes. Vectors fitted to 70% of the lemmas;"
        " coloured points are the words of the others. Top: the model. Bottom: the same fit on shuffled rows, one of"
        f" {len(test.nulls['shuffled'])} draws.",
    )
    this.output.figure("planes", figure)
    return {"planes": test.to_dict()}


def plane_row(space: geo.CausalSpace, directions: geo.ConceptDirections, source: str) -> list[plots.Plane]:
    """The three planes of arXiv 2406.01506, figure 2."""
    animal, plant, mammal, bird = (directions[name] for name in PLANES)
    unseen = {name: directions.held_out(directions.hierarchy.index(name)) for name in PLANES}
    unseen["other animal"] = np.setdiff1d(unseen["animal"], np.concatenate([unseen["mammal"], unseen["bird"]]))
    spans = [
        ("ℓ(animal)", animal, "ℓ(mammal), orthogonal part", mammal, ("mammal", "other animal"), ("animal", "mammal")),
        ("ℓ(animal)", animal, "ℓ(bird) − ℓ(mammal)", bird - mammal, ("mammal", "bird"), ("animal", "bird", "mammal")),
        (
            "ℓ(animal) − ℓ(plant)",
            animal - plant,
            "ℓ(bird) − ℓ(mammal)",
            bird - mammal,
            ("mammal", "bird", "plant"),
            ("animal", "plant", "bird"),
        ),
    ]
    row = []
    for x_name, x, y_name, y, shown, arrows in spans:
        frame = geo.frames.Frame.spanned_by(x, y)
        points, words = directions.cloud.points, directions.hierarchy.words
        row.append(
            plots.Plane(
                x_name,
                y_name,
                frame.of_vocabulary(space),
                {name: frame.coordinates(points[torch.from_numpy(unseen[name])]) for name in shown},
                {name: [words[token] for token in unseen[name]] for name in shown},
                {name: frame.coordinates(directions[name]) for name in arrows},
                source,
            )
        )
    return row


def simplex(this: Run, space: geo.CausalSpace) -> dict[str, Any]:
    statistics = [geo.evidence.simplex_membership(CLASSES), geo.evidence.simplex_edge_variation(CLASSES)]
    fitted, tests = fit_and_compare(this, space, CLASSES, statistics)
    member, irregular = tests["simplex-membership/lemma"], tests["simplex-irregularity/lemma"]
    measured = {source: geo.evidence.simplex(directions, CLASSES) for source, directions in fitted.items()}
    panels = []
    for source, directions in fitted.items():
        vertices = torch.stack([directions[name] for name in CLASSES])
        frame = geo.frames.Frame.spanned_by(*(vertices[1:] - vertices[0]), origin=vertices.mean(dim=0))
        unseen = {name: directions.held_out(directions.hierarchy.index(name)) for name in CLASSES}
        panels.append(
            plots.SimplexPanel(
                f"{source}: balanced accuracy {measured[source].recall.mean():.2f},\n"
                f"edge lengths vary by {measured[source].irregularity:.0%}",
                dict(zip(CLASSES, frame.coordinates(vertices), strict=True)),
                {
                    name: frame.coordinates(directions.cloud.points[torch.from_numpy(tokens)])
                    for name, tokens in unseen.items()
                },
            )
        )
    figure = plots.plot_simplex(
        panels,
        finding=f"Nearest-vertex accuracy on unseen words is {member.mean:.2f}, on shuffled rows"
        f" {member.null_mean('shuffled'):.2f} (chance {member.unstructured:.2f}); edges vary by {irregular.mean:.0%},"
        f" on shuffled rows by {irregular.null_mean('shuffled'):.0%}",
        detail=f"Span of {', '.join(f'ℓ({name})' for name in CLASSES)}, centred. Large marks: concept vectors, fitted"
        f" to 70% of the lemmas. Small marks: the {measured['model'].confusion.sum()} words of the others. Accuracy is"
        f" balanced over the classes. Panel b: one of {len(member.nulls['shuffled'])} draws.",
    )
    this.output.figure("simplex", figure)
    return {
        "simplex": {
            "concepts": list(CLASSES),
            "confusion": measured["model"].confusion.tolist(),
            "edge_lengths": measured["model"].edges.tolist(),
            "balanced_accuracy": member.to_dict(),
            "irregularity": irregular.to_dict(),
        }
    }


def results(hierarchy: geo.ConceptHierarchy, tests: dict[str, geo.TestResult]) -> dict[str, Any]:
    """The summaries of results.json."""

    def beside(test: geo.TestResult, name: str) -> dict[str, Any]:
        summary = test.to_dict()
        return {name: {**summary["value"], "skipped": summary["skipped"]}, **summary["nulls"]}

    cosine = tests["cosine/whole"]
    magnitude = cosine.absolute().to_dict()
    return {
        "concepts": len(hierarchy),
        "edges": len(hierarchy.edges),
        "hierarchy": {
            "name": hierarchy.name,
            "recipe": hierarchy.recipe,
            "tokens": len(hierarchy.tokens),
            "lemmas": int(hierarchy.lemmas.max()) + 1,
            "notes": list(hierarchy.notes),
        },
        "existence": {
            f"{split}_split": beside(tests[f"projection/{split}"], "held_out_projection")
            for split in ("token", "lemma")
        },
        "orthogonality": {
            "parent": {
                "abs_cos": magnitude["value"],
                "cos": cosine.to_dict()["value"],
                **{null: {"abs_cos": summary} for null, summary in magnitude["nulls"].items()},
                "verdict": geo.evidence.orthogonality_verdict(cosine),
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
            pairs: {
                "model": test.mean,
                "interval": test.interval,
                **{
                    null: {"mean": test.null_mean(null), "draws": draws.ravel().tolist()}
                    for null, draws in test.nulls.items()
                },
            }
            for pairs, test in (
                ("all_pairs", tests["tree-all/whole"]),
                ("word_disjoint_pairs", tests["tree-word-disjoint/whole"]),
            )
        },
        "per_concept": {
            name: {"tokens": len(concept), "held_out_projection": float(value)}
            for name, concept, value in zip(hierarchy.names, hierarchy, tests["projection/lemma"].values, strict=True)
        },
    }


def arrays(hierarchy: geo.ConceptHierarchy, tests: dict[str, geo.TestResult]) -> dict[str, Any]:
    """The numbers behind the figures."""
    named = {name.replace("/", "_").replace("-", "_"): test for name, test in tests.items()}
    return {
        "concepts": np.array(hierarchy.names),
        "edges": np.array(hierarchy.edges),
        "tree_distance": hierarchy.tree_distance(),
        **{name: test.values for name, test in named.items()},
        **{f"{name}_{null}": values for name, test in named.items() for null, values in test.nulls.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
