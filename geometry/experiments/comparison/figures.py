"""The figures and the page of the comparison of models: what each shows, in a sentence, from the results."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import geometry as geo
from geometry import compare, plots

Pairs = Mapping[tuple[str, str], Mapping[str, geo.TestResult]]
Profiles = Sequence[compare.ModelProfile]

REAL = ("supported", "weak", "beyond all draws")
SCALED = ("existence", "separation")
MOST_LEAVES = 40
MOST_SHARED = 0.1
SPECTRUM_POINTS = 200


def claims_figure(profiles: Profiles) -> plots.Figure:
    rows: list[tuple[str, list[plots.Cell | None]]] = []
    alike = 0
    for place, first in enumerate(profiles[0].claims):
        of_common = [one.claims[place] for one in profiles]
        own = [next((r for r in one.own_claims if r.claim.name == first.claim.name), None) for one in profiles]
        alike += len({result.verdict in REAL for result in of_common}) == 1
        cells = [_cell(result) for pair in zip(of_common, own, strict=True) for result in pair]
        rows.append((first.claim.says, cells))
    columns = [
        (one.name, f"{what}: {len(hierarchy)}")
        for one in profiles
        for what, hierarchy in (("common", one.hierarchy), ("own", one.own))
    ]
    return plots.plot_standings(
        rows,
        columns,
        finding=f"On {alike} of {len(rows)} claims all {len(profiles)} agree whether there is structure beyond noise",
        detail="The model's value and, in brackets, shuffled rows'; the colour goes from noise to what the theory"
        " predicts. Below it the verdict. For each model the concepts that all have in common, and its own full set;"
        " the number is how many concepts that is.",
    )


def _cell(result: geo.evidence.ClaimResult | None) -> plots.Cell | None:
    if result is None or not result.test.measured:
        return None
    value, noise = result.test.mean, result.test.null_mean("shuffled")
    return plots.Cell(value, noise, result.relative(value), result.verdict, result.verdict in REAL)


def alikeness_figure(profiles: Profiles, pairs: Pairs) -> plots.Figure:
    names = [one.name for one in profiles]
    panels = []
    for measure in compare.PAIR_MEASURES:
        values, noise = (np.full((len(names), len(names)), np.nan) for _ in range(2))
        for (one, other), tests in pairs.items():
            place = np.ix_([names.index(one), names.index(other)], [names.index(one), names.index(other)])
            values[place], noise[place] = tests[measure.name].mean, tests[measure.name].null_mean("shuffled")
        above = np.triu(np.ones_like(values, dtype=np.bool_))
        shown = np.where(above, noise, values)
        np.fill_diagonal(shown, np.nan)
        panels.append(plots.Square(measure.says, names, shown, above, (measure.unrelated, measure.alike)))
    found = [tests["similarity"] for tests in pairs.values()]
    low, high = min(test.mean for test in found), max(test.mean for test in found)
    tree_real = sum(tests["tree"].mean > tests["tree"].nulls["shuffled"].max() for tests in pairs.values())
    spread = f"{low:.2f}" if len(found) == 1 else f"{low:.2f} to {high:.2f}"
    noise_high = max(abs(test.null_mean("shuffled")) for test in found)
    return plots.plot_squares(
        panels,
        finding=f"Concepts that are alike in one model are alike in another: ρ {spread}, shuffled rows within"
        f" ±{max(noise_high, 0.005):.2f}",
        detail=f"Below the diagonal the models, above it their shuffled rows. {len(profiles[0].hierarchy)} common"
        " concepts; pairs of concepts that share a word are left out of a, b and d, and c aligns on concepts with less"
        " than a tenth of their words from the subtree left out. The recovered trees agree beyond every draw of"
        f" shuffled rows in {tree_real} of {len(pairs)} pairs: nested concepts make trees alike in any model.",
    )


def scale_figure(profiles: Profiles) -> plots.Figure:
    panels = []
    for name in SCALED:
        rows = []
        for one in profiles:
            both = {"common concepts": one.claims, "own concepts": one.own_claims}
            results = {key: next(r for r in claims if r.claim.name == name) for key, claims in both.items()}
            rows.append(
                plots.DotRow(
                    {key: (result.test.mean, *result.test.interval) for key, result in results.items()},
                    {
                        "shuffled rows": results["common concepts"].test.null_mean("shuffled"),
                        "random subset of the parent": results["common concepts"].test.null_mean("random_subset"),
                    },
                )
            )
        panels.append(plots.Dots(results["common concepts"].claim.measure, rows, 1.0))
    names = [f"{one.name}\nd {one.model['width']}, V {one.model['vocabulary']:,}" for one in profiles]
    change = max(abs(row.values["common concepts"][0] - row.values["own concepts"][0]) for row in panels[0].rows)
    widest = max(profiles, key=lambda one: int(one.model["width"]))
    return plots.plot_dots(
        panels,
        names,
        finding=f"Vocabulary size moves existence by at most {change:.2f}; the widest model, {widest.name}, has"
        f" {panels[0].rows[list(profiles).index(widest)].values['common concepts'][0]:.2f}",
        detail="Means over concepts or edges with bootstrap intervals, vectors fitted to equally many words in all"
        " models. Nulls on the common concepts. In more dimensions as many words say less about where unseen ones"
        " lie, so compare widths with care.",
    )


def spectra_figure(profiles: Profiles) -> plots.Figure:
    lines, cumulated = {}, {}
    for one in profiles:
        descending = one.eigenvalues[::-1]
        rank = np.arange(1, len(descending) + 1) / len(descending)
        kept = np.unique(np.geomspace(1, len(descending), SPECTRUM_POINTS).astype(int)) - 1
        lines[one.name] = (rank[kept], descending[kept] / descending.mean())
        cumulated[one.name] = (rank[kept], (np.cumsum(descending) / descending.sum())[kept])
    shares = ", ".join(f"{one.name} {one.dimensions / len(one.eigenvalues):.2f}" for one in profiles)
    return plots.plot_curves(
        [
            plots.Curves(
                "Eigenvalues of Σ", "rank / d", "eigenvalue / mean", lines, (1.0, "isotropic"), "xy", marked=False
            ),
            plots.Curves("Cumulated", "rank / d", "share of the variance", cumulated, marked=False),
        ],
        finding="How many directions the rows fill, as a share of d (participation ratio): " + shares,
        detail="Σ is the covariance of the rows that text can produce. An isotropic cloud has the dotted line.",
    )


def tree_figure(profiles: Profiles, trees: Mapping[str, geo.TestResult]) -> plots.Figure:
    hierarchy = profiles[0].hierarchy
    chosen = leaves(hierarchy)
    together = compare.consensus([one.matrix for one in profiles])
    merges = compare.dendrogram(together[np.ix_(chosen, chosen)])
    measured = {name: test for name, test in trees.items() if test.measured}
    above = [name for name, test in measured.items() if (test.nulls["shuffled"] < test.mean).all()]
    if measured:
        best = max(measured, key=lambda name: measured[name].mean)
        beyond = (
            f"beyond every draw of shuffled rows for {', '.join(above)}" if above else "no more than shuffled rows do"
        )
        finding = f"Clusters follow the hierarchy's tree {beyond} (at best {measured[best].mean:.2f}, {best})"
    else:
        finding = "The common concepts are too flat a hierarchy to compare trees with"
    return plots.plot_tree(
        merges,
        [hierarchy.names[index].split(".")[0].replace("_", " ") for index in chosen],
        [branch(hierarchy, int(index)) for index in chosen],
        [plots.Recovery(name, test.mean, test.nulls) for name, test in trees.items()],
        measure=f"cophenetic correlation with {hierarchy.name}",
        finding=finding,
        detail=f"a: average linkage of the mean rank of cosines over {len(profiles)} models, {len(chosen)} of the"
        f" {len(hierarchy)} common concepts that share hardly a word. b: of all common concepts, word-disjoint pairs;"
        " grey bars hold 95% of the draws.",
    )


def leaves(hierarchy: geo.ConceptHierarchy) -> np.ndarray[Any, np.dtype[np.int64]]:
    """At most 40 concepts, the smallest first, none of which has more than a tenth of its words from another."""
    shared, sizes = hierarchy.shared_tokens(), np.array([len(members) for members in hierarchy.members])
    chosen: list[int] = []
    for index in np.argsort(sizes, kind="stable").tolist():
        if all(shared[index, other] <= MOST_SHARED * min(sizes[index], sizes[other]) for other in chosen):
            chosen.append(index)
    return np.array(sorted(chosen[:MOST_LEAVES]), dtype=np.int64)


def branch(hierarchy: geo.ConceptHierarchy, index: int) -> str:
    """The ancestor two steps below the root, by first parents."""
    line = [hierarchy.names[index]]
    while hierarchy.parents[line[-1]]:
        line.append(hierarchy.parents[line[-1]][0])
    return line[max(0, len(line) - 3)].split(".")[0].replace("_", " ")


def comparison_page(
    pictures: Mapping[str, bytes], results: Mapping[str, Any], settings: Mapping[str, Any], seed: int
) -> str:
    """Everything on one page: what each figure shows, the models, and every pair's numbers with nulls and p."""
    sections: list[tuple[str, list[plots.Block]]] = [("Models", [_models_table(results["models"])])]
    for name, (heading, says) in _SECTIONS.items():
        links = (("PNG", f"{name}.png"), ("SVG", f"{name}.svg"))
        picture = plots.Picture(plots.downsampled(pictures[name]), says, links)
        tables = [_pairs_table(results)] if name == "alikeness" else []
        sections.append((heading, [picture, *tables]))
    chosen = " ".join(f"'{model}'" if " " in model else model for model in settings["models"])
    command = (
        f"python -m analysis.compare --models {chosen} --hierarchy {settings['hierarchy']} --draws {settings['draws']}"
        f" --permutations {settings['permutations']} --seed {seed}"
    )
    data = plots.Links(
        [("results.json", "results.json", "all numbers"), ("results.npz", "results.npz", "cosines, spectra and draws")]
    )
    sections.append(("Data, and how to rerun", [data, plots.Commands(command)]))
    names = ", ".join(model["name"] for model in results["models"])
    return plots.document_page(
        "One geometry, many models",
        f"How {names} lay out the concepts of {settings['hierarchy']} in their token matrices, beside null models.",
        sections,
    )


_SECTIONS = {
    "claims": ("Claim by claim", "Which claims of the theory hold, in the common concepts and in each model's own."),
    "alikeness": ("Likeness of pairs", "Four ways to compare two models' concept vectors; shuffled rows above."),
    "scale": ("Width and vocabulary", "Existence and separation in common and in own concepts."),
    "spectra": ("Spectra", "How the variance of the rows is spread over directions."),
    "tree": ("Trees", "The tree that clustering recovers, and how far it is the hierarchy's."),
}


def _models_table(models: Sequence[Mapping[str, Any]]) -> plots.Table:
    head = ("model", "family", "vocabulary", "width", "matrix", "dimensions filled", "concepts own", "words own")
    rows = [
        (
            str(one["name"]),
            str(one["family"]),
            f"{one['vocabulary']:,}",
            str(one["width"]),
            "tied" if one["tied"] else str(one["side"]),
            f"{one['participation_ratio']:.0f}",
            str(one["concepts"]["own"]),
            f"{one['words']['own']:,}",
        )
        for one in models
    ]
    common = models[0]
    says = f"{common['concepts']['common']} concepts of {common['words']['common']:,} words are common to all."
    return plots.Table(head, rows, says)


def _pairs_table(results: Mapping[str, Any]) -> plots.Table:
    rows = []
    for pair, measures in results["similarity"].items():
        for name, about in results["measures"].items():
            found = measures[name]
            shown = [found["value"], found["nulls"]["shuffled"], found["nulls"]["permuted"]]
            p = [found["p_value"], found["q_value"]]
            numbers = [f"{value:.2f}" if np.isfinite(value) else "–" for value in shown]
            rows.append(
                (pair, about["says"], *numbers, *(f"{value:.3f}" if np.isfinite(value) else "–" for value in p))
            )
    return plots.Table(
        ("pair", "measure", "value", "shuffled rows", "permuted concepts", "p", "q"),
        rows,
        "p is the share of draws of shuffled rows as alike as the models, q after Benjamini and Hochberg over all."
        " Concepts that share words cannot be exchanged, so the permuted ones only show where no pairing leads.",
    )
