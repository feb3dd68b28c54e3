"""The figures of the comparison: what each shows, its finding in a sentence, and its nulls."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import geometry.plots as plots
from geometry.compare import OWN_CLAIMS, PAIR_MEASURES, ModelProfile, consensus, dendrogram
from geometry.concepts import ConceptHierarchy, short_name
from geometry.experiments.result import FigureSpec
from geometry.results import Results, TestResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["branch", "cell_text", "figure_specs", "leaves"]

# Verdicts of structure beyond shuffled rows.
_BEYOND = ("supported", "significant, small effect", "too few permutations to decide")
_MOST_LEAVES = 40
_MOST_SHARED = 0.1
_SPECTRUM_POINTS = 200
_SIMILARITIES, _ERRORS = "YlGnBu", "Oranges"

Profiles = Sequence[ModelProfile]
Trees = Mapping[str, TestResult]


def figure_specs(profiles: Profiles, pairs: Results, trees: Trees) -> list[FigureSpec]:
    """All figures of a comparison, the main one first; nothing is drawn yet."""
    return [
        _similarity(profiles, pairs),
        _claims(profiles),
        _scale(profiles),
        _spectra(profiles),
        _tree(profiles, trees),
    ]


def _similarity(profiles: Profiles, pairs: Results) -> FigureSpec:
    similar = [result for result in pairs if result.name == "representational_similarity"]
    beyond = [result for result in similar if result.p_value <= result.p_floor]
    null = max(abs(result.nulls["shuffled"].mean) for result in similar)
    if len(beyond) == len(similar):
        lowest = min(result.value for result in similar)
        title = (
            f"Which concepts are similar agrees between models: RSA ρ ≥ {lowest:.2f},"
            f" shuffled rows within ±{max(null, 0.005):.2f}"
        )
    elif beyond:
        title = (
            f"Which concepts are similar agrees beyond shuffled rows in {len(beyond)} of {len(similar)} pairs of models"
        )
    else:
        title = "Which concepts are similar agrees between models no more than between their shuffled rows"
    caption = (
        f"Below the diagonal pairs of models, above it (grey) their shuffled rows. {len(profiles[0].hierarchy)} common"
        " concepts; a, b, d: pairs of concepts that share no word; c: mean 1 − cos after aligning on concepts with less"
        " than a tenth of their words from the subtree held out (0 the same, 1 unrelated)."
    )
    return FigureSpec("similarity", title, caption, partial(_draw_similarity, profiles, pairs))


def _draw_similarity(profiles: Profiles, pairs: Results, **heading: Any) -> "Figure":
    names = [profile.name for profile in profiles]
    above = np.triu(np.ones((len(names), len(names)), dtype=np.bool_))
    panels = []
    for measure in PAIR_MEASURES:
        shown = np.full(above.shape, np.nan)
        for first, second in combinations(range(len(names)), 2):
            result = pairs.about(f"{names[first]} | {names[second]}")[measure.name]
            shown[second, first], shown[first, second] = result.value, result.nulls["shuffled"].mean
        texts = plots.numbers(shown)
        for place in range(len(names)):
            texts[place][place] = ""
        error = measure.identical < measure.unrelated
        panel = plots.HeatmapPanel(
            shown,
            names,
            names,
            title=measure.measure,
            cmap=_ERRORS if error else _SIMILARITIES,
            colourbar="error, 0 the same" if error else "similarity, 1 the same",
            texts=texts,
            null=above,
        )
        panels.append(panel)
    return plots.heatmap(panels, ncols=2, **heading)


def _claims(profiles: Profiles) -> FigureSpec:
    of_claims = list(zip(*(profile.claims for profile in profiles), strict=True))
    measured = [results for results in of_claims if any(result.measured for result in results)]
    agreeing = sum(len({result.verdict in _BEYOND for result in results}) == 1 for results in measured)
    title = f"The models agree on {agreeing} of {len(measured)} claims whether there is structure beyond the nulls"
    caption = (
        f"The model's value on the {len(profiles[0].hierarchy)} common concepts and, in brackets, that of shuffled"
        " rows; below it the verdict. Colour: from the null mean (0) to the prediction (1); white where nothing is"
        " beyond the nulls that the verdict consults."
    )
    return FigureSpec("claims", title, caption, partial(_draw_claims, profiles))


def cell_text(result: TestResult, apart: str = "\n") -> str:
    """Value, null mean and verdict."""
    if not result.measured:
        return "–"
    return f"{result.value:.2f} ({result.nulls['shuffled'].mean:.2f}){apart}{result.verdict}"


def _draw_claims(profiles: Profiles, **heading: Any) -> "Figure":
    rows = list(zip(*(profile.claims for profile in profiles), strict=True))
    shown = np.array(
        [
            [result.relative(result.value) if result.verdict in _BEYOND else np.nan for result in results]
            for results in rows
        ]
    )
    panel = plots.HeatmapPanel(
        shown,
        [claim.title for claim in profiles[0].claims],
        [profile.name for profile in profiles],
        cmap=_SIMILARITIES,
        colourbar="from the null mean (0) to the prediction (1)",
        texts=[[cell_text(result) for result in results] for results in rows],
        null=np.isnan(shown),
    )
    return plots.heatmap([panel], **heading)


def _scale(profiles: Profiles) -> FigureSpec:
    existence = [(profile.claims["existence"].value, profile.own_claims["existence"].value) for profile in profiles]
    change = max(abs(common - own) for common, own in existence)
    widest = max(profiles, key=lambda profile: int(profile.model["width"]))
    title = (
        f"A model's own vocabulary moves existence by at most {change:.2f};"
        f" the widest model, {widest.name}, has {widest.claims['existence'].value:.2f}"
    )
    caption = (
        "Means over concepts or edges with 95% bootstrap intervals; V: tokens; vectors are fitted to equally many words"
        " in all models, nulls are on the common concepts. Dimensionality caveat: in more dimensions (d) as many words"
        " say less about where held-out ones lie, so models of different width are not on one scale."
    )
    return FigureSpec("scale", title, caption, partial(_draw_scale, profiles))


def _draw_scale(profiles: Profiles, **heading: Any) -> "Figure":
    panels = []
    for name in (claim.name for claim in OWN_CLAIMS):
        rows = []
        for profile in profiles:
            common, own = profile.claims[name], profile.own_claims[name]
            estimates = {
                "common concepts": plots.Estimate(common.value, *common.interval),
                "own concepts": plots.Estimate(own.value, *own.interval),
            }
            nulls = {
                null.label: plots.NullMark(null.mean, null.marker)
                for null in (common.nulls["shuffled"], common.nulls["random_subset"])
            }
            rows.append(plots.ForestRow(estimates, nulls))
        panels.append(plots.ForestPanel(common.measure, rows, references={1.0: "prediction"}))
    names = [
        f"{profile.name}, d = {profile.model['width']}, V = {profile.model['vocabulary']:,}" for profile in profiles
    ]
    return plots.forest(panels, names, **heading)


def _spectra(profiles: Profiles) -> FigureSpec:
    shares = {profile.name: profile.effective_dimension / len(profile.eigenvalues) for profile in profiles}
    low, high = min(shares, key=lambda name: shares[name]), max(shares, key=lambda name: shares[name])
    title = f"Effective dimension as a share of the width: {shares[low]:.2f} ({low}) to {shares[high]:.2f} ({high})"
    caption = (
        "Σ is the covariance of the rows that text can produce, λ its eigenvalues; effective dimension is the"
        " participation ratio (Σλ)²/Σλ². An isotropic cloud has the dotted line."
    )
    return FigureSpec("spectra", title, caption, partial(_draw_spectra, profiles))


def _draw_spectra(profiles: Profiles, **heading: Any) -> "Figure":
    eigenvalues, cumulated = {}, {}
    for profile in profiles:
        descending = profile.eigenvalues[::-1]
        rank = np.arange(1, len(descending) + 1) / len(descending)
        kept = np.unique(np.geomspace(1, len(descending), _SPECTRUM_POINTS).astype(int)) - 1
        eigenvalues[profile.name] = plots.Curve(rank[kept], (descending / descending.mean())[kept])
        cumulated[profile.name] = plots.Curve(rank[kept], (np.cumsum(descending) / descending.sum())[kept])
    panels = [
        plots.CurvePanel(
            "rank / d",
            "eigenvalue / mean",
            eigenvalues,
            title="eigenvalues of Σ",
            references={1.0: "isotropic"},
            log="xy",
            marked=False,
        ),
        plots.CurvePanel("rank / d", "share of the variance", cumulated, title="cumulated", marked=False),
    ]
    return plots.curves(panels, **heading)


def _tree(profiles: Profiles, trees: Trees) -> FigureSpec:
    hierarchy = profiles[0].hierarchy
    measured = {name: tree for name, tree in trees.items() if tree.measured}
    beyond = [name for name, tree in measured.items() if tree.p_value <= tree.p_floor]
    if not measured:
        title = "The common concepts are too flat a hierarchy to compare trees with"
    elif beyond:
        title = f"Clusters follow the hierarchy beyond every permutation of shuffled rows in {', '.join(beyond)}"
    else:
        best = max(tree.value for tree in measured.values())
        title = f"Clusters follow the hierarchy no more than those of shuffled rows do: at best {best:.2f}"
    caption = (
        f"a: average linkage of the mean rank of cosines over {len(profiles)} models; {len(leaves(hierarchy))} of the"
        f" {len(hierarchy)} common concepts that share hardly a word. b: cophenetic correlation with {hierarchy.name},"
        " all common concepts, word-disjoint pairs; grey bars hold 95% of the permutations, their tick the mean."
    )
    return FigureSpec("tree", title, caption, partial(_draw_tree, profiles, trees))


def _draw_tree(profiles: Profiles, trees: Trees, *, title: str, caption: str) -> "Figure":
    hierarchy = profiles[0].hierarchy
    chosen = leaves(hierarchy)
    together = consensus([profile.matrix for profile in profiles])
    height = max(3.6, 1.7 + 0.13 * len(chosen))
    figure, (left, right) = plots.grid(1, 2, figsize=(7.2, height), title=title, caption=caption, width_ratios=(1.1, 1))
    plots.dendrogram(
        dendrogram(together[np.ix_(chosen, chosen)]),
        [short_name(hierarchy.names[index]) for index in chosen],
        [branch(hierarchy, index) for index in chosen.tolist()],
        ax=left,
    )
    rows = [
        plots.ForestRow(
            {"models": plots.Estimate(tree.value)},
            {null.label: plots.NullMark(null.mean, "|", *null.interval) for null in tree.nulls.values()},
        )
        for tree in trees.values()
    ]
    panel = plots.ForestPanel("cophenetic correlation", rows, references={0.0: ""})
    plots.forest([panel], list(trees), ax=right)
    for letter, axes in zip("ab", (left, right), strict=True):
        plots.tag_panel(axes, letter)
    return figure


def leaves(hierarchy: ConceptHierarchy) -> NDArray[np.int64]:
    """At most 40 concepts, the smallest first, none of which has more than a tenth of its words from another."""
    shared, sizes = hierarchy.shared_tokens(), np.array([len(members) for members in hierarchy.members])
    chosen: list[int] = []
    for index in np.argsort(sizes, kind="stable").tolist():
        if all(shared[index, other] <= _MOST_SHARED * min(sizes[index], sizes[other]) for other in chosen):
            chosen.append(index)
    return np.array(sorted(chosen[:_MOST_LEAVES]), dtype=np.int64)


def branch(hierarchy: ConceptHierarchy, index: int) -> str:
    """The ancestor two steps below the root, by first parents."""
    line = [hierarchy.names[index]]
    while hierarchy.parents[line[-1]]:
        line.append(hierarchy.parents[line[-1]][0])
    return short_name(line[max(0, len(line) - 3)])
