"""Do later blocks rebuild what was erased? Probes fitted anew after each, without erasing, with it, and at random."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.experiments.erasure.methods import ERASURE, RANDOM, fitted, randomly
from geometry.experiments.erasure.probes import both_ways
from geometry.experiments.erasure.setup import Bench, Indices, Target
from geometry.experiments.study import Step
from geometry.layers import PhraseActivations, read_phrases
from geometry.randomness import generator
from geometry.steering import Site, steer

Array = NDArray[np.float64]
UNSTEERED = "nothing erased"
CONDITIONS = (UNSTEERED, ERASURE, RANDOM)
_INSIDE, _OUTSIDE = 30, 60  # words of each part, of the concept and of others


@dataclass(frozen=True, eq=False)
class Downstream:
    """AUC of erased concepts after later blocks.

    Attributes:
        sites: where, the erased one first.
        targets: names.
        auc: condition → shape (targets, sites).
    """

    sites: tuple[Site, ...]
    targets: tuple[str, ...]
    auc: Mapping[str, Array]

    __repr__ = short_repr


def followed(bench: Bench, targets: tuple[Target, ...], step: Step) -> Downstream:
    """Run fewer words through the rest of the model, with each target erased at every token of them."""
    chosen = [_words(bench, target) for target in targets]
    every = np.unique(np.concatenate([np.concatenate(parts) for parts in chosen]))
    step(f"reading {len(every):,} words after {len(bench.later)} blocks")
    plain = _read(bench, every, cache=True)
    auc: dict[str, list[Array]] = {condition: [] for condition in CONDITIONS}
    for number, (target, (first, second)) in enumerate(zip(targets, chosen, strict=True)):
        step(f"following {target.label} to later blocks ({number + 1} of {len(targets)})")
        rows = np.concatenate([first, second])
        eraser = fitted(bench, target)
        steered = {UNSTEERED: (plain, np.searchsorted(every, rows))}
        for condition, acting in ((ERASURE, eraser), (RANDOM, randomly(bench, target, eraser))):
            with steer(bench.model, acting, positions="all"):
                steered[condition] = (_read(bench, rows), np.arange(len(rows)))
        labels = bench.members[rows][:, target.columns[:1]]
        parts = np.arange(len(first)), np.arange(len(first), len(rows))
        for condition, (read, places) in steered.items():
            points = [read.mean(site).numpy()[places] for site in bench.later]
            auc[condition].append(np.array([both_ways(rows_, labels, *parts)[0] for rows_ in points]))
    return Downstream(
        bench.later,
        tuple(target.label for target in targets),
        {condition: np.array(values) for condition, values in auc.items()},
    )


def _read(bench: Bench, rows: Indices, *, cache: bool = False) -> PhraseActivations:
    words = [bench.words[row] for row in rows]
    return read_phrases(
        bench.model, bench.tokenizer, words, contexts=bench.contexts.first(1), sites=bench.later, cache=cache
    )  # fmt: skip


def _words(bench: Bench, target: Target) -> tuple[Indices, Indices]:
    """Of each part some words of the concept and some others, at random."""
    parts = []
    inside = bench.members[:, target.columns[0]]
    for number, part in enumerate((bench.first, bench.second)):
        rng = generator(bench.study.seed, f"words of {target.name}", number)
        own, others = part[inside[part]], part[~inside[part]]
        drawn = [
            rng.choice(words, min(count, len(words)), replace=False)
            for words, count in ((own, _INSIDE), (others, _OUTSIDE))
        ]
        parts.append(np.sort(np.concatenate(drawn)))
    return parts[0], parts[1]
