"""The figures of the study of layers: what each shows, its finding in a sentence, and its nulls."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

import geometry.plots as plots
from geometry.experiments.layers import words
from geometry.experiments.layers.by_block import ClaimByBlock, place
from geometry.experiments.result import FigureSpec
from geometry.results import EXACT, TILTED

if TYPE_CHECKING:
    from geometry.experiments.layers.result import LayersResult

_AXIS = "blocks passed"
_UNITS = {
    "spectral_splitting": "share of contrasts",
    "spectral_order": "Somers' D",
    "depth_probe": "Spearman's ρ",
    "distance_probe": "Spearman's ρ",
    "hyperbolicity": "relative Gromov δ",
}


def all_figures(result: "LayersResult") -> list[FigureSpec]:
    """The main figure first."""
    found = [claims_figure(result), overview_figure(result)]
    found += [orthogonality_figure(result)] if result.orthogonality else []
    found += [depth_figure(result)] if result.depths else []
    found += [metrics_figure(result)] if result.metrics else []
    found += [held_out_figure(result)] if result.held_out_context or result.of_the_tree else []
    return [*found, tree_figure(result)] if result.of_the_tree else found


def claims_figure(result: "LayersResult") -> FigureSpec:
    """Every claim by block, between permuted phrases and theory twins, beside word vectors."""
    panels = [_panel(claim) for claim in result.claims.values() if claim.sharpest is not None]
    title = words.headline(result)
    caption = (
        f"{len(result.hierarchy.words):,} words and phrases of {len(result.hierarchy)} concepts"
        f" ({result.hierarchy.name}), read at their last token in {len(result.contexts)} contexts; inner product:"
        f" {result.study.metric}. Bands: 95% bootstrap intervals over families. Grey: {result.study.n_permutations}"
        " permutations of phrases, and the theory planted in the same activations, exactly and with a cosine of 0.3."
        " Dotted: GloVe's vectors of the same phrases."
    )
    return FigureSpec("claims", title, caption, partial(plots.curves, panels))


def _panel(claim: ClaimByBlock) -> "plots.CurvePanel":
    low, high = claim.intervals.T
    curves = {"model": plots.Curve(claim.places, claim.values, low=low, high=high)}
    if not claim.orthogonal:
        curves["permuted phrases"] = plots.Curve(claim.places, claim.nulls, null=True)
    elif all("unrelated" in test.nulls for test in claim.tests.values()):
        unrelated = [test.nulls["unrelated"].mean for test in claim.tests.values()]
        curves["unrelated parents"] = plots.Curve(claim.places, unrelated, null=True)
    for kind, name in ((EXACT, "exact twin"), (TILTED, "tilted twin")):
        places, means = claim.twins(kind)
        if len(places):
            curves[name] = plots.Curve(places, means, null=True)
    known = claim.control is not None and np.isfinite(claim.control.value)
    references = {claim.control.value: "GloVe"} if known and claim.control is not None else {}
    title = claim.name.replace("_", " ")
    return plots.CurvePanel(_AXIS, _short(claim), curves, title=title, references=references, marked=False)


def _short(claim: ClaimByBlock) -> str:
    """What the number is, without how it was held out, which the caption says."""
    return _UNITS.get(claim.name) or (claim.first.measure or claim.name).partition(",")[0]


def overview_figure(result: "LayersResult") -> FigureSpec:
    """Claims × blocks: where between null and exact twin the model stands."""
    claims = [claim for claim in result.claims.values() if not claim.orthogonal and claim.sharpest is not None]
    values = np.array([np.where(claim.significant, claim.standing, np.nan) for claim in claims])
    columns = [str(number) for number in (claims[0].places if claims else [])]
    panel = plots.HeatmapPanel(
        values, [claim.name for claim in claims], columns, limits=(0, 1), colourbar="permuted phrases → exact twin",
        column_axis=_AXIS,
    )  # fmt: skip
    held = sum(bool(claim.significant.all()) for claim in claims)
    title = f"{held} of {len(claims)} claims are significant at every one of {len(columns)} sites"
    caption = (
        "Colour: where the model stands between permuted phrases (0) and the exact theory twin (1), which is known at"
        f" {len(next(iter(result.claims.values())).twins()[0])} blocks and interpolated between them. Grey: not"
        " significant (p adjusted over all claims and sites > .05)."
    )
    return FigureSpec("overview", title, caption, partial(plots.heatmap, [panel]))


def orthogonality_figure(result: "LayersResult") -> FigureSpec:
    """Debiased cosines at the blocks with twins, beside those of the exact and of the tilted twin."""
    panels = [_panel(claim) for claim in result.orthogonality.values() if claim.sharpest is not None]
    caption = (
        "Debiased cosines (a: child contrast and parent; b: sibling contrast and parent; c: contrasts of parents and of"
        " their children; d: steps down a chain) from word-disjoint folds, with 95% bootstrap intervals over families."
        " Grey: the theory planted in the same activations, exactly and tilted by a cosine of 0.3"
        " (not at 0 either: what this cosine is, of so few words, when the theory holds), and unrelated parents."
    )
    return FigureSpec("orthogonality", words.orthogonality_sentence(result), caption, partial(plots.curves, panels))


def depth_figure(result: "LayersResult") -> FigureSpec:
    """Values by depth in the tree: does the coarse come first?"""
    panels = []
    for depth in result.depths:
        claim = result.claims[depth.name]
        curves = {f"depth {level}": plots.Curve(depth.places, means) for level, means in _few(depth.means).items()}
        curves["permuted phrases"] = plots.Curve(claim.places, claim.nulls, null=True)
        panels.append(plots.CurvePanel(_AXIS, _short(claim), curves, title=depth.name, marked=False))
    first, *others = [words.depth_sentence(depth) for depth in result.depths]
    title = "; ".join([first, *(said[0].lower() + said[1:] for said in others)])
    caption = (
        "Means over concepts of one depth in the tree, 0 the root; of separation the depth of the child. A level has"
        " appeared where its mean has 90% of its largest distance from permuted phrases; the slope of blocks passed by"
        " then over depth, with a 95% bootstrap interval over families and p of permuted depths."
    )
    return FigureSpec("depth", title, caption, partial(plots.curves, panels))


def _few(by_depth: "dict[int, np.ndarray]") -> "dict[int, np.ndarray]":
    """At most seven depths, evenly spread."""
    depths = list(by_depth)
    chosen = sorted({depths[int(index)] for index in np.linspace(0, len(depths) - 1, min(7, len(depths))).round()})
    return {depth: by_depth[depth] for depth in chosen}


def metrics_figure(result: "LayersResult") -> FigureSpec:
    """Claims under the four inner products, each less its own null."""
    panels = []
    for name, claim in result.claims.items():
        if claim.orthogonal or claim.sharpest is None:
            continue
        curves = {result.study.metric: plots.Curve(claim.places, claim.values - claim.nulls)}
        for metric, by in result.metrics.items():
            differences = [test.value - test.nulls["permuted"].mean for test in by[name].values()]
            curves[metric] = plots.Curve([place(site) for site in by[name]], differences)
        label = f"{name} − permuted"
        panels.append(plots.CurvePanel(_AXIS, label, curves, title=name, references={0.0: "null"}, marked=False))
    caption = (
        "Inner products of activations: of the layer's covariance on neutral text, Euclidean, and pulled back through"
        " the rest of the model: causal E[JᵀΣJ], by the variance of logits over the vocabulary, and Fisher"
        " E[JᵀCov_p(γ)J], by the divergence of next-token laws. Each less permuted phrases under the same one."
    )
    return FigureSpec("metrics", words.metric_sentence(result), caption, partial(plots.curves, panels))


def held_out_figure(result: "LayersResult") -> FigureSpec:
    """What holds in a context, and for a lemma, that vectors were not fitted on."""
    panels = []
    if result.held_out_context:
        places = [place(site) for site in result.held_out_context]
        values = np.array(list(result.held_out_context.values()))
        mean = plots.Curve(places, values.mean(axis=1), low=values.min(axis=1), high=values.max(axis=1))
        curves = {"held out": mean}
        if (claim := result.claims.get("existence")) is not None:
            curves["same contexts"] = plots.Curve(claim.places, claim.values)
            curves["permuted phrases"] = plots.Curve(claim.places, claim.nulls, null=True)
        panels.append(
            plots.CurvePanel(_AXIS, "projection of held-out words", curves, title="context left out", marked=False)
        )
    if result.of_the_tree:
        lemma = result.of_the_tree["leave_one_lemma_out"]
        low, high = lemma.intervals.T
        curves = {
            "held out": plots.Curve(lemma.places, lemma.values, low=low, high=high),
            "permuted phrases": plots.Curve(lemma.places, lemma.nulls, null=True),
        }
        known = lemma.control is not None and np.isfinite(lemma.control.value)
        beside = {lemma.control.value: "GloVe"} if known and lemma.control is not None else {}
        measure = "accuracy, chance-corrected"
        panels.append(plots.CurvePanel(_AXIS, measure, curves, title="lemma left out", references=beside, marked=False))
    caption = (
        "Context left out: vectors of the other contexts, held-out words read in the one left out (band: the lowest and"
        " highest of all contexts). Lemma left out: each word classified among siblings by centroids without its lemma."
    )
    title = words.context_sentence(result) if result.held_out_context else words.lemma_sentence(result)
    return FigureSpec("held_out", title, caption, partial(plots.curves, panels))


def tree_figure(result: "LayersResult") -> FigureSpec:
    """Further statistics of the tree: spectral splitting, probes, hyperbolicity."""
    shown = [one for name, one in result.of_the_tree.items() if name != "leave_one_lemma_out"]
    panels = [_panel(claim) for claim in shown if claim.sharpest is not None]
    caption = (
        "Spectral splitting: share of each level's contrasts in the next leading eigenvectors of the words' Gram"
        " matrix, and order, Somers' D of level and mean eigen-index. Depth and distance probes: linear, on held-out"
        f" families. δ-hyperbolicity: 0 for a tree. Grey: {_permutations(shown[0])} permutations of phrases; dotted:"
        " GloVe's vectors of the same phrases."
    )
    return FigureSpec("tree", words.splitting_sentence(result), caption, partial(plots.curves, panels))


def _permutations(claim: ClaimByBlock) -> int:
    return len(claim.first.nulls["permuted"].values)
