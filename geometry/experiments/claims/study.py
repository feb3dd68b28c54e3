"""Which claims of the theory hold in a model, and which would noise satisfy as well? The whole battery.

    python -m analysis.structure [--model M] [--hierarchies H ...] [--recipe R] [--quick | --draws N] [--out DIR]

Writes an overview, a page for each claim, results.json and results.npz to figures/<model>/structure/. Every claim
stands beside its null models; p-values come from permutations of the vocabulary and are adjusted over all claims.
"""

import re
import sys
from collections import Counter
from typing import Any

import numpy as np

import geometry as geo
from analysis.panels import NULL_NAMES, series_panel, standing
from analysis.script import Run, arguments, run, whole_number
from geometry import plots

QUICK_DRAWS = 19
IN_POSITIONS = ("weekdays", "months", "number words", "ordinals")
CLASSES = (("mammal", "bird", "reptile", "amphibian", "fish"), ("insect",))


def main() -> int:
    """Parse arguments and run."""
    parser = arguments("structure", __doc__.splitlines()[0])
    parser.add_argument(
        "--hierarchies",
        nargs="+",
        default=["wordnet-noun", "wordnet-verb"],
        metavar="H",
        help="wordnet-noun, wordnet-verb, packaged names, or YAML or JSON files (default: both of WordNet's)",
    )
    parser.add_argument(
        "--recipe",
        choices=("published", "complete"),
        default="published",
        help="of WordNet's words (default: published)",
    )
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument(
        "--draws", type=whole_number(1), default=99, help="permutations, shared by all claims (default: 99)"
    )
    amount.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK_DRAWS} permutations, one draw of other nulls, fewer words of large concepts",
    )
    return run("structure", parser.parse_args(), analyse)


def analyse(this: Run) -> None:
    """The whole analysis, in the order of a method section."""
    settings = this.settings
    draws, others, share = (QUICK_DRAWS, 1, 3) if settings["quick"] else (settings["draws"], None, 2)
    settings["draws"] = draws
    this.step(f"reading the unembedding of {this.model}")
    unembedding = geo.Unembedding.load(this.model)
    names = dict.fromkeys(settings["hierarchies"])
    hierarchies = [geo.load_hierarchy(name, unembedding.vocabulary, recipe=settings["recipe"]) for name in names]
    counts = Counter(hierarchy.name for hierarchy in hierarchies)
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise geo.errors.HierarchyError(f"two of the hierarchies have the name {repeated[0]!r}; rename one in its file")
    space = geo.CausalSpace.fit(unembedding)

    this.step(f"testing {len(geo.CLAIMS)} claims on {len(hierarchies)} hierarchies")
    battery = geo.evaluate_claims(
        space, hierarchies, draws=draws, other_draws=others, largest=max(3, space.width // share), seed=this.seed
    )
    this.step("testing series of values and pairs of words")
    series, skipped = all_series(unembedding.vocabulary)
    shapes, compared = geo.evidence.shape_claims(space, series, draws=draws, seed=this.seed)
    families = geo.concepts.load_pairs(unembedding.vocabulary)
    contrasts, pairs = geo.evidence.contrast_claims(space, families, draws=draws, seed=this.seed)
    composition = compose(space, series, draws, this.seed, skipped)
    composed = [composition[0]] if composition else []
    results = geo.evidence.adjusted([*battery, *shapes, *composed, *contrasts])
    skipped |= {name: "too few values, or all alike" for name in series if name not in compared}
    skipped |= {name: "too few pairs in this vocabulary" for name in families if name not in pairs}

    this.step("drawing")
    on_hierarchies, on_series = results[: len(battery)], results[len(battery) :]
    this.output.figure("overview", overview(on_hierarchies, on_series))
    for claim in geo.CLAIMS:
        these = [result for result in on_hierarchies if result.claim is claim and result.test.measured]
        if these:
            this.output.figure(claim.name, claim_page(these))
    changes = logit_changes(space, hierarchies, this.seed)
    if changes:
        this.output.figure("logit-changes", logit_figure(changes))
    if compared:
        this.output.figure(
            "shapes", shapes_figure(compared, [r for r in on_series if r.claim.name.startswith("shape")])
        )
    if composition:
        composed = [result for result in on_series if result.claim.name == "composition"]
        this.output.figure("composition", composition_figure(composition[1], composed[0], series))
    if contrasts:
        this.output.figure("contrasts", contrasts_figure([r for r in on_series if r.claim.name == "contrast"]))
    this.write_results(
        unembedding.summary(),
        {
            "claims": [result.to_dict() for result in results],
            "permutations": draws,
            "p_floor": 1 / (1 + draws),
            "hierarchies": {hierarchy.name: describe(space, hierarchy, this.seed) for hierarchy in hierarchies},
            "logit_changes": {name: summary(model) for name, (model, _) in changes.items()},
            "shapes": {name: found.to_dict() for name, found in compared.items()},
            "contrasts": {name: found.to_dict() for name, found in pairs.items()},
            "composition": composition[1].to_dict() if composition else None,
            "skipped": skipped,
        },
    )
    this.output.arrays("results", **arrays(results, changes))


def all_series(vocabulary: geo.Vocabulary) -> tuple[dict[str, geo.concepts.Series], dict[str, str]]:
    """The packaged series and the animal classes, and what this vocabulary lacks of them."""
    skipped: dict[str, str] = {}
    series = geo.concepts.load_series(vocabulary, skipped=skipped)
    try:
        organisms = geo.load_hierarchy("organisms", vocabulary, only=sum(CLASSES, ()))
        series["animal classes"] = geo.concepts.Series.from_hierarchy("animal classes", organisms, CLASSES)
    except geo.GeometryError as error:
        skipped["animal classes"] = str(error)
    for name, values in series.items():
        skipped |= {f"{name}: {value}": reason for value, reason in values.skipped.items()}
    return series, skipped


def compose(
    space: geo.CausalSpace, series: dict[str, geo.concepts.Series], draws: int, seed: int, skipped: dict[str, str]
) -> tuple[geo.evidence.ClaimResult, geo.evidence.Composition] | None:
    """Composition over the series that this vocabulary has, or a word on why not."""
    chosen = {name: series[name] for name in IN_POSITIONS if name in series}
    try:
        return geo.evidence.composition_claim(space, chosen, draws=draws, seed=seed)
    except geo.GeometryError as error:
        skipped["composition"] = str(error)
        return None


def overview(on_hierarchies: list[geo.evidence.ClaimResult], on_series: list[geo.evidence.ClaimResult]) -> plots.Figure:
    rows: list[tuple[str, dict[str, plots.Standing]]] = []
    for claim in geo.CLAIMS:
        these = [result for result in on_hierarchies if result.claim is claim]
        rows.append((claim.says, {result.hierarchy: standing(result) for result in these if result.test.measured}))
    rows += [(result.claim.says, {"series and pairs": standing(result)}) for result in on_series]
    verdicts = [result.verdict for result in on_hierarchies if result.test.measured]
    first = on_hierarchies[0]
    return plots.plot_overview(
        [(says, by) for says, by in rows if by],
        finding=f"Of {len(verdicts)} tests on concept hierarchies: {count(verdicts)}",
        detail="Each claim on its own scale, from noise (shuffled rows; for series shuffled orders or positions, for"
        " pairs random swaps) to what the theory predicts; bars are"
        f" 95% intervals. Verdicts at q ≤ 0.05 over all tests, {len(first.test.nulls['shuffled'])} permutations"
        f" (p ≥ {first.floor:.2g}). weak: real, but nearer to noise than to the theory. by construction: random subsets"
        " of the parent do as well, or for log-odds arbitrary concepts. not found: noise does as well."
        + (" beyond all draws: above noise in each, too few for the level." if "beyond all draws" in verdicts else "")
        + " Orthogonality is shown between halves without a common word.",
    )


def count(verdicts: list[str]) -> str:
    return ", ".join(f"{number} {verdict}" for verdict, number in Counter(verdicts).most_common())


def claim_page(results: list[geo.evidence.ClaimResult]) -> plots.Figure:
    """One claim on all hierarchies: every null, and of orthogonality the published form as well."""
    claim = results[0].claim
    panels = [strips(result, result.test, f"{result.hierarchy}: {result.verdict}", claim.measure) for result in results]
    for result in results:
        if result.published is not None:
            panels.append(
                strips(result, result.published.absolute(), f"{result.hierarchy}, as published", "|cos|, all words")
            )
    numbers = "; ".join(
        f"{result.hierarchy} {result.test.mean:.3f}, shuffled rows {result.test.null_mean('shuffled'):.3f}"
        f" ({result.verdict}, {significance(result)})"
        for result in results
    )
    return plots.plot_strips(
        panels,
        finding=f"{claim.says}: {' and '.join(dict.fromkeys(result.verdict for result in results))}",
        detail=f"{numbers}. Every point is a concept, an edge or a pair; black ticks are means.",
        columns=min(2, len(results)),
    )


def significance(result: geo.evidence.ClaimResult) -> str:
    side = "above" if result.claim.alternative == "greater" else "below"
    return f"p = {result.p_value:.2g} for being {side} them, q = {result.q_value:.2g}"


def strips(result: geo.evidence.ClaimResult, test: geo.TestResult, title: str, axis: str) -> plots.Strips:
    nulls = [(NULL_NAMES[name], values.ravel(), False) for name, values in test.nulls.items()]
    return plots.Strips(title, axis, [("model", test.values, True), *nulls], {result.claim.predicted: "theory"})


def logit_changes(
    space: geo.CausalSpace, hierarchies: list[geo.ConceptHierarchy], seed: int
) -> dict[str, tuple[geo.evidence.LogitChanges, geo.evidence.LogitChanges]]:
    """Hierarchy, if it has a usable pair → changes in the model and on one draw of shuffled rows."""
    found = {}
    for hierarchy in hierarchies:
        train = geo.evidence.train_mask(hierarchy, "lemma", geo.randomness.generator(seed, "lemma"))
        cloud = geo.directions.TokenCloud.of(space, hierarchy)
        shuffled = geo.NULLS["shuffled"].draw(space, cloud, geo.randomness.generator(seed, "shuffled"))
        model, null = (
            geo.evidence.logit_changes(geo.ConceptDirections.fit_cloud(some, train=train, missing="nan"))
            for some in (cloud, shuffled)
        )
        if np.isfinite(model.selectivity).any():
            found[hierarchy.name] = model, null
    return found


def summary(changes: geo.evidence.LogitChanges) -> dict[str, Any]:
    """Means over all usable pairs, as in a row of table 1 of arXiv 2406.01506."""
    usable = np.isfinite(changes.selectivity)
    parent, child = changes.parent[usable], changes.child[usable]
    return {
        "pairs": int(usable.sum()),
        "parent": {"mean": parent[:, 0].mean(), "sd_over_words": parent[:, 1].mean()},
        "child": {
            "mean": child[:, 0].mean(),
            "mean_absolute": np.abs(child[:, 0]).mean(),
            "sd_over_words": child[:, 1].mean(),
        },
    }


def logit_figure(changes: dict[str, tuple[geo.evidence.LogitChanges, geo.evidence.LogitChanges]]) -> plots.Figure:
    panels, findings = [], []
    for name, both in changes.items():
        for kind, found in zip(("model", "shuffled rows"), both, strict=True):
            about = summary(found)
            note = (
                f"parents {about['parent']['mean']:.2f} ± {about['parent']['sd_over_words']:.2f}\n"
                f"children {about['child']['mean']:.2f} ± {about['child']['sd_over_words']:.2f},"
                f" |mean| {about['child']['mean_absolute']:.2f}"
            )
            title = f"{name}, {kind}: {about['pairs']} pairs"
            panels.append(plots.LogitPanel(title, found.parent[:, 0], found.child[:, 0], note, kind != "model"))
        about = summary(both[0])
        findings.append(f"{name} parents {about['parent']['mean']:.1f}, children {about['child']['mean_absolute']:.1f}")
    return plots.plot_logits(
        panels,
        finding=f"A unit step along a parent contrast moves log-odds of unseen words (nats): {'; '.join(findings)}",
        detail="One point for every sibling pair and pair of children of one of them; ± is the standard deviation over"
        " word pairs, children's |mean| its average size. The theory puts all points on the horizontal line; on the"
        " dotted lines children move as far as their parents.",
    )


def shapes_figure(compared: dict[str, geo.evidence.ShapeComparison], results: list[geo.evidence.ClaimResult]) -> plots.Figure:
    verdicts = {result.hierarchy: result for result in results}
    panels = []
    for name, found in compared.items():
        expected = verdicts[name].claim.name.removeprefix("shape-")
        title = f"{name}, a {expected}?\n{verdicts[name].verdict}"
        panels.append(series_panel(title, found, ordered=expected != "simplex", closed=expected == "circle"))
    ordered = [result for result in results if result.verdict not in ("not found", "not refuted")]
    clear = sum(" or " not in result.verdict and result.verdict != "beyond all draws" for result in ordered)
    return plots.plot_series(
        panels,
        finding=f"{len(ordered)} of {len(results)} series are in order: their values are predicted by their neighbours."
        f" The shape itself is clear in {clear or 'none'} of them",
        detail="Above: means of the values on their principal axes, joined in order, dark to light. Below: R² of each"
        " value predicted from the others by the shape (black: standard error), on grey the 95% range of random orders;"
        " 0 is a simplex, on which no value predicts another.",
    )


def composition_figure(found: geo.evidence.Composition, result: geo.evidence.ClaimResult, series: dict[str, geo.concepts.Series]) -> plots.Figure:
    table: dict[str, list[tuple[int, str, int, int]]] = {}
    for (name, value), rank, size in zip(found.cells, found.ranks.tolist(), found.sizes.tolist(), strict=True):
        position = int(series[name].positions[series[name].values.index(value)])
        table.setdefault(name, []).append((position, value, rank, size))
    return plots.plot_composition(
        table,
        found.score,
        found.shuffled,
        finding=f"Category + position finds the left-out value at {found.score:.2f} (1 always first, 0 always last);"
        f" with shuffled positions at {found.shuffled.mean():.2f}: {result.verdict}",
        detail="Each value is predicted from all others as the sum of its series and its position, and its series is"
        f" ranked by cosine to that. p = {result.p_value:.2g}, {len(found.shuffled)} shuffles. Shuffles lie below ½, as"
        " the mean of the other values is closer to them.",
    )


def contrasts_figure(results: list[geo.evidence.ClaimResult]) -> plots.Figure:
    rows = []
    for result in results:
        rows.append((result.hierarchy, result.test.values, True))
        rows.append(("shuffled partners", result.test.nulls["shuffled_partners"].ravel(), False))
        rows.append(("random swaps", result.test.nulls["shuffled"].ravel(), False))
    verdicts = [result.verdict for result in results]
    return plots.plot_strips(
        [
            plots.Strips(
                "difference of a pair against the mean difference of the others",
                "cosine",
                rows,
                {0.0: "unrelated", 1.0: "theory"},
            )
        ],
        finding=f"Differences of {len(results)} families of pairs as one direction each: {count(verdicts)}",
        detail="Shuffled partners: the two classes of words still differ, pairs mean nothing. Random swaps: nothing"
        " differs. One point a pair of words; of nulls, one a draw.",
        columns=1,
    )


def describe(space: geo.CausalSpace, hierarchy: geo.ConceptHierarchy, seed: int) -> dict[str, Any]:
    """What the hierarchy holds and lacks, and how far the angles of each simplex in it are from 60°."""
    deviations = geo.test_against_nulls(
        space, hierarchy, [geo.evidence.simplex_angles()], nulls=(), missing="nan", seed=seed, progress=False
    )["angles/halves"]
    return {
        "simplex_angle_deviation": dict(zip(deviations.labels, deviations.values.tolist(), strict=True)),
        "concepts": len(hierarchy),
        "edges": len(hierarchy.edges),
        "tokens": len(hierarchy.tokens),
        "recipe": hierarchy.recipe,
        "notes": list(hierarchy.notes),
        "skipped": geo.evidence.skipped_concepts(hierarchy, seed=seed),
    }


def arrays(
    results: list[geo.evidence.ClaimResult], changes: dict[str, tuple[geo.evidence.LogitChanges, geo.evidence.LogitChanges]]
) -> dict[str, Any]:
    """The numbers behind the figures: of every claim the values and each draw's mean; of every pair the log-odds."""
    found: dict[str, Any] = {}

    def add(name: str, **parts: Any) -> None:
        key = re.sub(r"[^\w.-]", "_", name)
        while any(taken.split(":")[0] == key for taken in found):
            key += "_"
        found.update({f"{key}:{part}": values for part, values in parts.items()})

    for result in results:
        draws = {
            name: np.nanmean(values[np.isfinite(values).any(axis=1)], axis=1)
            for name, values in result.test.nulls.items()
        }
        labels = np.array(result.test.labels)
        add(f"{result.hierarchy}.{result.claim.name}", values=result.test.values, labels=labels, **draws)
    for name, (model, _) in changes.items():
        add(f"{name}.logit_changes", labels=np.array(model.labels), parent=model.parent, child=model.child)
    return found


if __name__ == "__main__":
    sys.exit(main())
