"""Steering with whole and with pruned vectors at equal KL divergence, judged by words that made none of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.experiments.anatomy.candidates import Candidates, random_like
from geometry.experiments.anatomy.neutral_texts import Texts
from geometry.experiments.anatomy.pruning_part import PruningPart
from geometry.experiments.anatomy.setup import Subject
from geometry.experiments.anatomy.verdicts import RANDOM, WHOLE
from geometry.experiments.study import silent
from geometry.layers.equal_kl import AtKL, off_target_kl
from geometry.randomness import generator
from geometry.steering import SteeringVector

Array = NDArray[np.float64]
Tokens = NDArray[np.int64]
NATS = (0.5, 2.0)
_TINY = 1e-30


class Finder(Protocol):
    """What `EqualKL` is: it finds vectors at equal KL divergence, and keeps the unsteered laws."""

    unsteered: torch.Tensor

    def find(self, vectors: Sequence[SteeringVector]) -> Iterable[AtKL]:
        """Each vector at its coefficient."""


@dataclass(frozen=True)
class Steered:
    """What a vector does at a KL divergence, means over prompts.

    Attributes:
        effect: change of the log-odds of the words, nats. cost: KL divergence of all other tokens, nats.
        coefficient: times the residual norm.
    """

    effect: float = np.nan
    cost: float = np.nan
    coefficient: float = np.nan

    __repr__ = short_repr


def log_odds(law: torch.Tensor, words: tuple[Tokens, Tokens]) -> Array:
    """Of the first words against the second, or against all others where there are no second, shape (n,), in nats."""
    p = law.double().exp()
    first = p[:, torch.from_numpy(words[0])].sum(dim=1)
    second = p[:, torch.from_numpy(words[1])].sum(dim=1) if len(words[1]) else 1 - first
    return np.asarray((first.clamp(min=_TINY).log() - second.clamp(min=_TINY).log()).numpy())


def steered_at(
    finder: Finder, entries: Sequence[tuple[Subject, SteeringVector]], words: Callable[[Subject], tuple[Tokens, Tokens]]
) -> list[Steered]:
    """Each vector at the finder's KL divergence, by the words of its subject."""
    found = [Steered()] * len(entries)
    for at in finder.find([vector.relative(1) for _, vector in entries]):
        subject, law = entries[at.index][0], at.log_probabilities
        if law is None:
            continue
        change = log_odds(law, words(subject)) - log_odds(finder.unsteered, words(subject))
        cost = off_target_kl(law, finder.unsteered, subject.own)
        found[at.index] = Steered(float(change.mean()), float(cost.mean()), at.coefficient)
    return found


def measure_pruning(
    subjects: Sequence[Subject],
    candidates: Mapping[str, Candidates],
    finders: Mapping[tuple[str, float], Finder],
    *,
    counts: Sequence[int],
    n_prompts: tuple[int, int],
    left_out: Mapping[str, str],
    texts: Texts | None,
    seed: int,
    tolerance: float,
    step: Callable[[str], None] = silent,
) -> PruningPart:
    """Choose k on one half of the prompts by some words, and report it on the others by other words.

    Parameters:
        candidates: subject → its pruned vectors and their controls.
        finders: ("choosing", the first nats) and ("reporting", each of them).
        texts: whose loss is measured under all but the curves and random vectors, at the first nats; None: not.
    """
    nats = sorted({value for half, value in finders if half == "reporting"})
    keys = [
        (subject, basis, k)
        for subject in subjects
        for basis, found in candidates[subject.name].pruned.items()
        for k in found
    ]
    vectors = [(subject, candidates[subject.name].pruned[basis][k]) for subject, basis, k in keys]
    step(f"choosing among {len(keys)} pruned vectors at {nats[0]:g} nats")
    tried = steered_at(finders["choosing", nats[0]], vectors, lambda subject: subject.choose)
    chosen: dict[tuple[str, str], Any] = {}
    best: dict[tuple[str, str], float] = {}
    for (subject, basis, k), one in zip(keys, tried, strict=True):
        if np.isfinite(one.effect) and one.effect > best.get((subject.name, basis), -np.inf):
            best[subject.name, basis], chosen[subject.name, basis] = one.effect, k
    step(f"steering with {len(keys)} pruned vectors and {len(subjects)} whole ones at {nats[0]:g} nats")
    whole = [(subject, subject.vector) for subject in subjects]
    first = finders["reporting", nats[0]]
    reported = steered_at(first, vectors, lambda subject: subject.judge)
    curve = {(s.name, basis, k): one for (s, basis, k), one in zip(keys, reported, strict=True)}
    results: dict[tuple[str, str, float], Steered] = {}
    steered: dict[tuple[str, str], SteeringVector] = {}
    for value in nats:
        if value != nats[0]:
            step(f"steering at {value:g} nats")
        entries: list[tuple[str, Subject, SteeringVector]] = [(WHOLE, *each) for each in whole]
        for index, subject in enumerate(subjects):
            drawn = random_like(subject.vector, generator(seed, "random vectors", index))
            entries.append((RANDOM, subject, drawn))
            for basis, found in candidates[subject.name].pruned.items():
                if (k := chosen.get((subject.name, basis))) is None:
                    continue
                if value == nats[0]:
                    results[subject.name, basis, value] = curve[subject.name, basis, k]
                    steered[subject.name, basis] = found[k]
                else:
                    entries.append((basis, subject, found[k]))
                control = candidates[subject.name].control[basis]
                if len(control):
                    # Random parts may be fewer: then as many as there are.
                    entries.append((f"random {basis}", subject, control.get(k, list(control.values())[-1])))
        measured = steered_at(
            finders["reporting", value], [(subject, vector) for _, subject, vector in entries], lambda s: s.judge
        )
        for (kind, subject, vector), one in zip(entries, measured, strict=True):
            results[subject.name, kind, value] = one
            steered.setdefault((subject.name, kind), vector)
    rises: dict[tuple[str, str], Array] = {}
    if texts is not None:
        at = {key: results[*key, nats[0]].coefficient for key in steered if key[1] != RANDOM}
        given = [key for key, coefficient in at.items() if np.isfinite(coefficient)]
        step(f"measuring the loss of {sum(texts.sets.values())} neutral texts under {len(given)} vectors")
        rows = texts.rises([at[key] * steered[key].relative(1) for key in given])
        rises = dict(zip(given, rows, strict=True))
    return PruningPart.of(
        subjects, candidates, curve, results, rises, {} if texts is None else texts.sets, chosen, counts, nats,
        n_prompts, dict(left_out), seed, tolerance,
    )  # fmt: skip
