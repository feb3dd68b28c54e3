"""The figures of the comparison: what each shows, its finding in a sentence, and its nulls."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import squareform

import geometry.plots as plots
from geometry.compare import OWN_CLAIMS, PAIR_MEASURES, ModelProfile, consensus, dendrogram
from geometry.concepts import ConceptHierarchy, short_name
from geometry.evidence import OrthogonalityResult, verdict_word
from geometry.experiments.result import FigureSpec
from geometry.results import Results, TestResult

# Verdicts that say a claim holds, and those that say it does not; the others are open.
_HOLDS = (
    "supported",
    "significant, small effect",
    "orthogonal within 0.15",
    "near-orthogonal: deviates, within 0.15",
)
_FAILS = ("explained by nesting", "not significant", "contradicted")
_MOST_LEAVES = 40
_MOST_SHARED = 0.1
_SPECTRUM_POINTS = 200

Profiles = Sequence[ModelProfile]
Trees = Mapping[str, TestResult]


def similarity(profiles: Profiles, pairs: Results) -> FigureSpec:
    """Every pair of models by every measure."""
    similar = [result for result in pairs if result.name == "cka"]
    ranked = [result for result in pairs if result.name == "representational_similarity"]
    # By both: of few concepts either may be high by chance.
    beyond = [both for both in zip(similar, ranked, strict=True) if all(test.p_value <= test.p_floor for test in both)]
    title = "Which concepts are similar agrees"
    if unmeasured := [test for both in zip(similar, ranked, strict=True) for test in both if not test.measured]:
        title = f"Too few common concepts to say which are similar ({unmeasured[0].lacking or 'all are alike'})"
    elif len(beyond) == len(similar):
        lowest = min(result.value for result in similar)
        null = max(0.005, *(abs(result.nulls["permuted"].mean) for result in similar))
        title += f" between models: debiased CKA ≥ {lowest:.2f}, permuted lemmas within ±{null:.2f}"
    elif beyond:
        title += f" beyond permuted lemmas in {len(beyond)} of {len(similar)} pairs of models"
    else:
        title += " between models no more than between their permuted lemmas"
    caption = (
        f"Below the diagonal pairs of models, above it (grey) permuted lemmas. {len(profiles[0].hierarchy)} common"
        " concepts; a, b, d: pairs that share no word; c: mean 1 − cos on a subtree left out of aligning (1 unrelated)."
        " Vectors of few or rare words are less like others in any model: that is in a, of permuted lemmas too, and not"
        " in b."
    )
    names = [profile.name for profile in profiles]
    above = np.triu(np.ones((len(names), len(names)), dtype=np.bool_))
    panels = []
    for measure in PAIR_MEASURES:
        results = [result for result in pairs if result.name == measure.name]
        nulls = squareform([result.nulls["permuted"].mean for result in results])
        shown = np.where(above, nulls, squareform([result.value for result in results]))
        texts = np.array(plots.numbers(shown), dtype=object)
        np.fill_diagonal(texts, "")
        cmap, bar = ("YlGnBu", "similarity, 1 the same") if measure.identical == 1 else ("Oranges", "error, 0 the same")
        look: dict[str, Any] = {"cmap": cmap, "colourbar": bar, "texts": texts.tolist(), "null": above}
        panels.append(plots.HeatmapPanel(shown, names, names, measure.measure, **look))
    return FigureSpec("similarity", title, caption, partial(plots.heatmap, panels, ncols=2))


def claims(profiles: Profiles) -> FigureSpec:
    """Every claim in every model."""
    rows = list(zip(*(profile.claims for profile in profiles), strict=True))
    words = [{verdict_word(result.verdict) for result in results} for results in rows]
    measured = [verdicts for verdicts in words if verdicts != {"not measurable"}]
    decided = [verdicts for verdicts in measured if verdicts <= {*_HOLDS, *_FAILS}]
    agreeing = sum(verdicts <= {*_HOLDS} or verdicts <= {*_FAILS} for verdicts in decided)
    title = f"The models agree on {agreeing} of the {len(decided)} claims that are decided in all of them"
    title = title if decided else "No claim is decided in all models"
    title += f"; {len(measured) - len(decided)} are open in some" if len(decided) < len(measured) else ""
    caption = (
        f"Value on the {len(profiles[0].hierarchy)} common concepts, verdict. In brackets permuted lemmas; of"
        " orthogonality, a debiased cosine, the exact theory twin. Colour: from the null mean, of orthogonality the"
        " twin tilted by 0.3 (0), to the exact theory twin (1); white where a claim does not hold or is open."
    )
    shown = [[test.relative(test.value) if holds(test) else np.nan for test in row] for row in rows]
    look: dict[str, Any] = {"cmap": "YlGnBu", "colourbar": "from the null mean (0) to the exact theory twin (1)"}
    look |= {"texts": [list(map(cell_text, row)) for row in rows], "null": np.isnan(shown)}
    names = [profile.name for profile in profiles]
    panel = plots.HeatmapPanel(shown, [row[0].title for row in rows], names, **look)
    return FigureSpec("claims", title, caption, partial(plots.heatmap, [panel]))


def holds(result: TestResult) -> bool:
    """Whether the verdict says so."""
    return verdict_word(result.verdict) in _HOLDS


def cell_text(result: TestResult, apart: str = "\n") -> str:
    """Value, null mean or of orthogonality the exact twin's, and verdict."""
    if not result.measured:
        return "–"
    null, theory = result.ends
    beside = theory if isinstance(result, OrthogonalityResult) else null
    return f"{result.value:.2f}" + (f" ({beside:.2f})" if np.isfinite(beside) else "") + f"{apart}{result.verdict}"


def scale(profiles: Profiles) -> FigureSpec:
    """The main claims on common and on own concepts, by width and vocabulary."""
    existence = [(profile.claims["existence"].value, profile.own_claims["existence"].value) for profile in profiles]
    change = max(abs(common - own) for common, own in existence)
    widest = max(profiles, key=lambda profile: int(profile.model["width"]))
    title = (
        f"A model's own vocabulary moves existence by at most {change:.2f};"
        f" the widest model, {widest.name}, has {widest.claims['existence'].value:.2f}"
    )
    caption = (
        "Means with 95% bootstrap intervals, nulls on common concepts; V: tokens. Dimensionality caveat: in more"
        " dimensions (d) as many words say less about held-out ones, so models of different width are not on one scale."
    )
    panels = []
    for name in (claim.name for claim in OWN_CLAIMS):
        rows = []
        for profile in profiles:
            common, own = profile.claims[name], profile.own_claims[name]
            tests = {"common concepts": common, "own concepts": own}
            nulls = [common.nulls["permuted"], common.nulls["random_subset"]]
            estimates = {label: plots.Estimate(test.value, *test.interval) for label, test in tests.items()}
            marks = {null.label: plots.NullMark(null.mean, null.marker) for null in nulls}
            rows.append(plots.ForestRow(estimates, marks))
        panels.append(plots.ForestPanel(common.measure, rows, references={1.0: "prediction"}))
    sizes = [(profile.name, profile.model["width"], profile.model["vocabulary"]) for profile in profiles]
    names = [f"{name}, d = {width}, V = {tokens:,}" for name, width, tokens in sizes]
    return FigureSpec("scale", title, caption, partial(plots.forest, panels, names))


def spectra(profiles: Profiles) -> FigureSpec:
    """The eigenvalues of Σ."""
    shares = [(profile.effective_dimension / len(profile.eigenvalues), profile.name) for profile in profiles]
    (low, least), (high, most) = min(shares), max(shares)
    title = f"Effective dimension as a share of the width: {low:.2f} ({least}) to {high:.2f} ({most})"
    caption = (
        "Σ is the covariance of the rows that text can produce, λ its eigenvalues; effective dimension is the"
        " participation ratio (Σλ)²/Σλ². An isotropic cloud has the dotted line."
    )
    eigenvalues, cumulated = {}, {}
    for profile in profiles:
        descending, d = profile.eigenvalues[::-1], len(profile.eigenvalues)
        rank = np.unique(np.geomspace(1, d, _SPECTRUM_POINTS).astype(int))
        eigenvalues[profile.name] = plots.Curve(rank / d, (descending / descending.mean())[rank - 1])
        cumulated[profile.name] = plots.Curve(rank / d, (np.cumsum(descending) / descending.sum())[rank - 1])
    log: dict[str, Any] = {"title": "eigenvalues of Σ", "references": {1.0: "isotropic"}, "log": "xy", "marked": False}
    panels = [
        plots.CurvePanel("rank / d", "eigenvalue / mean", eigenvalues, **log),
        plots.CurvePanel("rank / d", "share of the variance", cumulated, title="cumulated", marked=False),
    ]
    return FigureSpec("spectra", title, caption, partial(plots.curves, panels))


def tree(profiles: Profiles, trees: Trees) -> FigureSpec:
    """The tree of all models together, and how far each follows the hierarchy."""
    hierarchy = profiles[0].hierarchy
    measured = {name: result for name, result in trees.items() if result.measured}
    beyond = [name for name, result in measured.items() if result.p_value <= result.p_floor]
    if not measured:
        title = "The common concepts are too flat a hierarchy to compare trees with"
    elif beyond:
        title = f"Clusters follow the hierarchy beyond every permutation of lemmas in {', '.join(beyond)}"
    else:
        best = max(result.value for result in measured.values())
        title = f"Clusters follow the hierarchy no more than those of permuted lemmas do: at best {best:.2f}"
    caption = (
        f"a: average linkage of the mean rank of cosines over {len(profiles)} models; {len(leaves(hierarchy))} of the"
        f" {len(hierarchy)} common concepts that share hardly a word. b: cophenetic correlation with {hierarchy.name},"
        " all common concepts, word-disjoint pairs; grey bars hold 95% of the permutations, their tick the mean."
    )
    if lacking := [result.lacking for result in trees.values() if result.lacking]:
        caption += f" Not measurable: {lacking[0]}."
    return FigureSpec("tree", title, caption, partial(_draw_tree, profiles, trees))


def _draw_tree(profiles: Profiles, trees: Trees, **heading: Any) -> "plots.Figure":
    hierarchy = profiles[0].hierarchy
    chosen = leaves(hierarchy)
    rows = []
    for result in trees.values():
        marks = {null.label: plots.NullMark(null.mean, "|", *null.interval) for null in result.nulls.values()}
        rows.append(plots.ForestRow({"models": plots.Estimate(result.value)}, marks))
    panel = plots.ForestPanel("cophenetic correlation", rows, references={0.0: ""})
    if len(chosen) < 2:  # nested in one another: nothing to cluster
        return plots.forest([panel], list(trees), **heading)
    size = (7.2, max(3.6, 1.7 + 0.13 * len(chosen)))
    figure, axes = plots.grid(1, 2, figsize=size, width_ratios=(1.1, 1), **heading)
    joined = dendrogram(consensus([profile.matrix for profile in profiles])[np.ix_(chosen, chosen)])
    names = [short_name(hierarchy.names[index]) for index in chosen]
    plots.dendrogram(joined, names, [branch(hierarchy, index) for index in chosen.tolist()], ax=axes[0])
    plots.forest([panel], list(trees), ax=axes[1])
    for letter, each in zip("ab", axes, strict=True):
        plots.tag_panel(each, letter)
    return figure


def leaves(hierarchy: ConceptHierarchy) -> NDArray[np.int64]:
    """At most 40 concepts, the smallest first, none of which has more than a tenth of its words from another."""
    shared, sizes = hierarchy.shared_tokens(), np.array([len(members) for members in hierarchy.members])
    chosen: list[int] = []
    for index in np.argsort(sizes, kind="stable").tolist():
        if (shared[index, chosen] <= _MOST_SHARED * np.minimum(sizes[index], sizes[chosen])).all():
            chosen.append(index)
    return np.array(sorted(chosen[:_MOST_LEAVES]), dtype=np.int64)


def branch(hierarchy: ConceptHierarchy, index: int) -> str:
    """The ancestor two steps below the root, by first parents."""
    line = [hierarchy.names[index]]
    while hierarchy.parents[line[-1]]:
        line.append(hierarchy.parents[line[-1]][0])
    return short_name(line[max(0, len(line) - 3)])
