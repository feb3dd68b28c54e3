"""Are hierarchies laid out alike in different models? Claims, cosines, alignment and trees, each beside its nulls.

    python -m analysis.compare [--models M M ...] [--hierarchy H] [--draws N] [--permutations N] [--out DIR] [--seed N]

Writes five figures, index.html, results.json and results.npz to figures/comparison/. Models are compared on the words
that are single tokens in all of them, and each on its own words besides. Of an untied model the input embedding
stands beside the unembedding. Only these matrices are read, one after the other.
"""

import sys
from itertools import combinations
from typing import Any, Literal

import torch

import geometry as geo
from analysis.compare_figures import (
    alikeness_figure,
    claims_figure,
    comparison_page,
    scale_figure,
    spectra_figure,
    tree_figure,
)
from analysis.script import Run, arguments, run, whole_number
from geometry import compare
from geometry.memory import few_arenas, give_back

MODELS = ("smollm2-135m", "gemma3-270m", "tinyllama-1.1b")
FEWEST_CONCEPTS = 5

Side = tuple[str, Literal["output", "input"]]  # a model as given, and which of its matrices


def main() -> int:
    """Parse arguments and run."""
    parser = arguments("compare", __doc__.splitlines()[0], several=MODELS)
    parser.add_argument(
        "--hierarchy",
        default="wordnet-noun",
        help="wordnet-noun, wordnet-verb, a packaged name, or a YAML or JSON file (default: wordnet-noun)",
    )
    parser.add_argument("--draws", type=whole_number(2), default=19, help="of shuffled rows (default: 19)")
    parser.add_argument(
        "--permutations", type=whole_number(19), default=19, help="of the concepts of a pair (default: 19)"
    )
    return run("compare", parser.parse_args(), analyse)


def analyse(this: Run) -> None:
    """The whole analysis, in the order of a method section."""
    few_arenas()  # matrices of several models go through the same few hundred megabytes
    settings = this.settings
    sides, summaries, vocabularies = read(this)
    compare.same_weights(summaries)
    common = common_hierarchy(settings["hierarchy"], vocabularies)
    # One bound for all, so that width does not decide how many words a vector rests on.
    largest = max(3, min(int(summary["width"]) for summary in summaries) // 3)

    profiles = []
    for (model, side), name in zip(sides, vocabularies, strict=True):
        this.step(f"measuring {name}")
        unembedding = geo.Unembedding.load(model, side=side)
        shared = common.over(unembedding.vocabulary)
        own = geo.load_hierarchy(settings["hierarchy"], unembedding.vocabulary)
        space = geo.CausalSpace.fit(unembedding).to(torch.float32)
        profiles.append(
            compare.model_profile(space, shared, own, draws=settings["draws"], largest=largest, seed=this.seed)
        )
        del unembedding, space
        give_back()  # the next model may be the largest

    this.step("comparing pairs")
    options = {"permutations": settings["permutations"], "seed": this.seed}
    pairs = {
        (one.name, other.name): compare.compare_pair(one, other, **options) for one, other in combinations(profiles, 2)
    }
    agreement = {
        (one.name, other.name): compare.claim_agreement(one, other) for one, other in combinations(profiles, 2)
    }
    trees = recovered(profiles, options)

    this.step("drawing")
    figures = {
        "claims": claims_figure(profiles),
        "alikeness": alikeness_figure(profiles, pairs),
        "scale": scale_figure(profiles),
        "spectra": spectra_figure(profiles),
        "tree": tree_figure(profiles, trees),
    }
    pictures = {name: this.output.figure(name, figure).read_bytes() for name, figure in figures.items()}
    results = summary(profiles, pairs, agreement, trees)
    this.output.text("index.html", comparison_page(pictures, results, settings, this.seed))
    this.write_results(None, {**results, "largest": largest})
    this.output.arrays("results", **arrays(profiles, pairs, trees))


def read(this: Run) -> tuple[list[Side], list[dict[str, Any]], dict[str, geo.Vocabulary]]:
    """Which matrices there are to compare; each is read and let go again, so that bad input is refused before work."""
    sides: list[Side] = []
    summaries: list[dict[str, Any]] = []
    vocabularies: dict[str, geo.Vocabulary] = {}

    def add(unembedding: geo.Unembedding, model: str) -> None:
        if unembedding.name in vocabularies:
            raise geo.errors.ModelError(f"two models are called {unembedding.name!r}; name each once, or rename a folder")
        sides.append((model, unembedding.side))
        summaries.append(unembedding.summary())
        vocabularies[unembedding.name] = unembedding.vocabulary

    for model in this.settings["models"]:
        this.step(f"reading {model}")
        unembedding = geo.Unembedding.load(model)
        tied = unembedding.tied
        add(unembedding, model)
        del unembedding
        if not tied:
            try:
                add(geo.Unembedding.load(model, side="input"), model)
            except geo.errors.ModelError as error:
                print(f"{model}: compared without its input embedding: {error}", file=sys.stderr)
    if len(sides) < 2:
        raise geo.errors.ModelError(f"{this.settings['models'][0]}: nothing to compare it with; name two models or more")
    return sides, summaries, vocabularies


def common_hierarchy(name: str, vocabularies: dict[str, geo.Vocabulary]) -> geo.ConceptHierarchy:
    """The concepts that all models have, over the first one's tokens; refused if they are too few."""
    common = compare.common_vocabulary(vocabularies)
    sizes = ", ".join(f"{model} {len(vocabulary.words)}" for model, vocabulary in vocabularies.items())
    shared = (
        f"{len(common.words)} words are single tokens in each (of {sizes}); leave out the model that lacks most of them"
    )
    try:
        hierarchy = geo.load_hierarchy(name, common)
    except geo.errors.HierarchyError as error:
        raise geo.errors.HierarchyError(f"no concepts of {name} in common: {shared}; {error}") from error
    if len(hierarchy) < FEWEST_CONCEPTS:
        raise geo.errors.HierarchyError(
            f"{len(hierarchy)} concepts of {name} in common and {FEWEST_CONCEPTS} are needed: {shared}"
        )
    return hierarchy


def recovered(profiles: list[compare.ModelProfile], options: dict[str, int]) -> dict[str, geo.TestResult]:
    """The tree of each model and that of all together against the hierarchy's."""
    hierarchy = profiles[0].hierarchy
    trees = {one.name: compare.recovered_tree(one.matrix, one.shuffled, hierarchy, **options) for one in profiles}
    together = compare.consensus([one.matrix for one in profiles])
    noise = [compare.consensus(list(draws)) for draws in zip(*(one.shuffled for one in profiles), strict=True)]
    return {**trees, "consensus": compare.recovered_tree(together, noise, hierarchy, **options)}


def summary(
    profiles: list[compare.ModelProfile],
    pairs: dict[tuple[str, str], dict[str, geo.TestResult]],
    agreement: dict[tuple[str, str], dict[str, Any]],
    trees: dict[str, geo.TestResult],
) -> dict[str, Any]:
    """results.json: models, similarity of pairs with nulls, p and q, trees."""
    tests = [(pair, name, test) for pair, measures in pairs.items() for name, test in measures.items()]
    p = [compare.pair_p_value(test) for _, _, test in tests]
    q = geo.significance.adjusted_p_values(p)
    similarity: dict[str, dict[str, Any]] = {}
    for (pair, name, test), p_value_, q_value in zip(tests, p, q, strict=True):
        entry = {
            "value": test.mean,
            "nulls": {null: test.null_mean(null) for null in test.nulls},
            "draws": {null: len(draws) for null, draws in test.nulls.items()},
            "p_value": p_value_,
            "q_value": float(q_value),
        }
        similarity.setdefault(" | ".join(pair), {})[name] = entry
    for pair, claims in agreement.items():
        similarity[" | ".join(pair)]["claims"] = claims
    return {
        "models": [one.to_dict() for one in profiles],
        "measures": {one.name: {"says": one.says, "unrelated": one.unrelated} for one in compare.PAIR_MEASURES},
        "similarity": similarity,
        "trees": {
            name: {
                "value": test.mean,
                "nulls": {null: test.null_mean(null) for null in test.nulls},
                "p_value": test.p_value("shuffled", "greater"),
            }
            for name, test in trees.items()
        },
    }


def arrays(
    profiles: list[compare.ModelProfile],
    pairs: dict[tuple[str, str], dict[str, geo.TestResult]],
    trees: dict[str, geo.TestResult],
) -> dict[str, Any]:
    """What the figures are drawn from."""
    found: dict[str, Any] = {"concepts": profiles[0].hierarchy.names}
    for one in profiles:
        found[f"{one.name}:cosines"] = one.cosines.values
        found[f"{one.name}:eigenvalues"] = one.eigenvalues
    for pair, measures in pairs.items():
        for name, test in measures.items():
            found[f"{' | '.join(pair)}:{name}"] = test.values
            found |= {f"{' | '.join(pair)}:{name}:{null}": draws for null, draws in test.nulls.items()}
    for name, test in trees.items():
        found |= {f"{name}:tree:{null}": draws for null, draws in test.nulls.items()}
    return found


if __name__ == "__main__":
    sys.exit(main())
