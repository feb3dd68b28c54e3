"""The figures of what vectors say of concepts: words and layout, no measurement."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

import geometry.plots as plots
from geometry.concepts import short_name
from geometry.experiments.result import FigureSpec
from geometry.experiments.search.kinds import RANDOM, SEARCHED
from geometry.experiments.search.labels import AGREEMENT, ALIKE, CLOSE, CLOSENESS, FAR, LARGEST, SPREAD
from geometry.experiments.search.laws import NATS

if TYPE_CHECKING:
    from geometry.experiments.search.concepts import ConceptsPart

_EACH = 3  # concepts a vector
_LIMIT = 6.0


def concepts(part: "ConceptsPart") -> FigureSpec:
    """Concept × vector, in standard deviations of random vectors."""
    own = part.z[SEARCHED]
    random = part.z[RANDOM][: len(own)]
    strongest = [np.argsort(-np.abs(row), kind="stable") for row in own]
    chosen = list(dict.fromkeys(int(k) for row in strongest for k in row[:_EACH]))
    chosen.sort(key=lambda k: (int(np.argmax(np.abs(own[:, k]))), -own[:, k].sum()))
    rows = [short_name(part.names[k]) for k in chosen]

    def panel(values: np.ndarray, title: str) -> plots.HeatmapPanel:
        return plots.HeatmapPanel(
            values[:, chosen].T, rows, [f"{index + 1}" for index in range(len(values))], title=title,
            limits=(-_LIMIT, _LIMIT), cmap="RdBu_r", colourbar="change of log-odds (z)", column_axis="vector",
            texts=plots.numbers(values[:, chosen].T, 1),
        )  # fmt: skip

    largest = [np.abs(part.z[kind]).max(axis=1).mean() for kind in (SEARCHED, RANDOM)]
    return FigureSpec(
        "concepts",
        f"At {NATS:g} nats the concept that a searched vector moves most lies {largest[0]:.1f} standard deviations from"
        f" random vectors, that of a random vector {largest[1]:.1f} from the others",
        f"Change of the log-odds of a concept's words on held-out prompts, mean over prompts, in standard deviations of"
        f" {len(part.read[RANDOM].kl)} random vectors from their mean, every vector at {NATS:g} nats of KL. Rows: the"
        f" {_EACH} concepts of {len(part.names)} that each searched vector moves most, so that the left panel is chosen"
        " to be strong and the right one is not; the title compares each with its own largest. Right: as many random"
        " vectors, each against all others.",
        partial(plots.heatmap, [panel(own, "searched vectors"), panel(random, "random vectors")], ncols=2),
    )


def coherence(part: "ConceptsPart") -> FigureSpec:
    """One number a vector by kind: how far, how alike over prompts, how close in the tree."""
    labels = {
        SPREAD: ("How far concepts' log-odds move", "standard deviation over concepts (nats)"),
        AGREEMENT: ("The same after every prompt?", "correlation over concepts between prompts"),
        CLOSENESS: ("Do the concepts that rise belong together?", "1/(1 + distance in the tree)"),
        LARGEST: ("The concept moved most", "|z| against random vectors"),
    }
    panels = [
        plots.StripPanel(
            label,
            [
                plots.StripRow(kind, values[name], null=kind == RANDOM, bar=False)
                for kind, values in part.statistics.items()
            ],
            title=title,
        )
        for name, (title, label) in labels.items()
    ]
    means = {name: [part.statistics[kind][name].mean() for kind in (SEARCHED, RANDOM)] for name in labels}

    numbers = {name: f"({own:.2f}, random {random:.2f})" for name, (own, random) in means.items()}
    far, alike, close = (
        words[part.beside_random(name)] for name, words in ((SPREAD, FAR), (AGREEMENT, ALIKE), (CLOSENESS, CLOSE))
    )
    return FigureSpec(
        "coherence",
        f"At equal KL searched vectors move concepts {far} random ones ({means[SPREAD][0]:.2f} and"
        f" {means[SPREAD][1]:.2f} nats); what they do is {alike} from prompt to prompt {numbers[AGREEMENT]}, and the"
        f" concepts that rise lie {close} in the tree {numbers[CLOSENESS]}",
        f"Points: vectors, each at {NATS:g} nats of KL on held-out prompts; grey: {len(part.read[RANDOM].kl)} random"
        " vectors. “About”: the 95% intervals of both means, over vectors, overlap.",
        partial(plots.strip, panels, ncols=2),
    )
