"""Mixtures of siblings: shares asked for and reached on prompts that the vector was not found on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections
from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.selectivity.setup import Bench
from geometry.intervals import summarise
from geometry.steering import ConceptSteering, MixtureSteps
from geometry.steering.sibling_mixture import SiblingLaws

Array = NDArray[np.float64]
SHARES = (0.1, 0.25, 0.4, 0.6, 0.75, 0.9)
_FEWEST_WORDS = 10  # of its own, for a share to mean something
_N_RANDOM = 3
_KNOWN = {"bird.n.01", "mammal.n.01"}


@dataclass(frozen=True, eq=False)
class Mixture:
    """One pair of siblings at several shares of the first; r random pairs, n held-out prompts, s shares.

    Attributes:
        parent, siblings: of the hierarchy.
        asked: shares of the first sibling, shape (s,).
        unsteered: its share after each held-out prompt, shape (n,).
        one_vector: by the vector found on the choosing prompts, shape (s, n).
        each: by a shift for every prompt, shape (s, n).
        random: by one vector along two random directions of the same norms, found on the same prompts, shape (r, s, n).
        kl: KL(steered ‖ unsteered) in nats of the one vector, shape (s, n).
        total, total_unsteered: P(both siblings) under the one vector and without, shape (s, n) and (n,).
    """

    parent: str
    siblings: tuple[str, str]
    asked: Array
    unsteered: Array
    one_vector: Array
    each: Array
    random: Array
    kl: Array
    total: Array
    total_unsteered: Array

    __repr__ = short_repr

    def miss(self, shares: Array) -> Array:
        """|share − asked|, averaged over the shares asked for, after each prompt; shape (n,)."""
        return np.asarray(np.abs(shares - self.asked[:, None]).mean(axis=0))

    @property
    def misses(self) -> dict[str, Array]:
        """By what was steered with, shape (n,)."""
        unsteered = np.broadcast_to(self.unsteered, self.one_vector.shape)
        ways = {"unsteered": unsteered, "one vector": self.one_vector, "a shift for each prompt": self.each}
        random = np.mean([self.miss(draw) for draw in self.random], axis=0)
        return {name: self.miss(shares) for name, shares in ways.items()} | {"random directions": random}

    def to_dict(self) -> dict[str, Any]:
        """Siblings, shares with intervals, misses."""
        reached = [
            {"asked": float(asked), **summarise(one), "kl": summarise(kl), "total": summarise(total)}
            for asked, one, kl, total in zip(self.asked, self.one_vector, self.kl, self.total, strict=True)
        ]
        return {
            "parent": self.parent,
            "siblings": list(self.siblings),
            "unsteered": summarise(self.unsteered),
            "total_unsteered": summarise(self.total_unsteered),
            "one_vector": reached,
            "miss": {name: summarise(values) for name, values in self.misses.items()},
        }

    def arrays(self) -> dict[str, ArrayLike]:
        """What the figure is drawn from."""
        kept = ("asked", "unsteered", "one_vector", "each", "random", "kl", "total")
        return {f"{self.parent}/{name}": getattr(self, name) for name in kept}


@dataclass(frozen=True, eq=False)
class Mixtures(Part):
    """All pairs of siblings."""

    pairs: Sequence[Mixture]

    __repr__ = short_repr

    def missed(self, way: str) -> float:
        """Mean |share − asked| by a way, over pairs."""
        return float(np.mean([mixture.misses[way].mean() for mixture in self.pairs]))

    def summary(self) -> list[str]:
        """How near one vector comes."""
        each = [self.missed(way) for way in ("one vector", "unsteered", "random directions", "a shift for each prompt")]
        return [
            f"Asked for chosen shares of {len(self.pairs)} pairs of siblings, one vector comes within {each[0]:.2f} on"
            f" held-out prompts (unsteered {each[1]:.2f}, random directions {each[2]:.2f}); a shift for each prompt"
            f" within {each[3]:.3f}."
        ]

    def to_dict(self) -> dict[str, Any]:
        """Of every pair."""
        return {"pairs": [mixture.to_dict() for mixture in self.pairs]}

    def arrays(self) -> dict[str, ArrayLike]:
        """Of every pair."""
        return {name: values for mixture in self.pairs for name, values in mixture.arrays().items()}

    def figures(self) -> list[FigureSpec]:
        """Shares asked for and reached."""
        from geometry.experiments.selectivity.inside_figures import mixtures

        return [mixtures(self)]

    def tables(self) -> list[TableSpec]:
        """How far they are off."""
        from geometry.experiments.selectivity.inside_figures import mixtures_table

        return [mixtures_table(self)]


def sibling_pairs(hierarchy: ConceptHierarchy, count: int) -> list[tuple[str, tuple[str, str]]]:
    """So many parents with the two children that have most words of their own, the evenest pairs first.

    No concept is taken twice. Birds and mammals come first where they are siblings.
    """
    found: list[tuple[int, str, tuple[str, str]]] = []
    for parent in hierarchy.names:
        children = hierarchy.children[parent]
        tokens = {name: set(hierarchy[name].tokens) for name in children}
        sized = sorted(children, key=lambda name: (-len(tokens[name]), name))
        for first, second in ((sized[0], other) for other in sized[1:3]):
            own = [len(tokens[one] - tokens[two]) for one, two in ((first, second), (second, first))]
            if min(own) >= _FEWEST_WORDS:
                found.append((min(own), parent, (first, second)))
                break
    chosen: list[tuple[str, tuple[str, str]]] = []
    taken: set[str] = set()
    for _, parent, pair in sorted(found, key=lambda each: (set(each[2]) != _KNOWN, -each[0], each[1])):
        line = {parent, *pair}
        if not line & taken and len(chosen) < count:
            chosen.append((parent, pair))
            taken |= line
    return chosen


def mixed_siblings(bench: Bench) -> Mixtures:
    """Pairs of the bench's hierarchy, vectors found after every other prompt and measured after the rest.

    Raises SteeringError: no pair of siblings with enough words of their own.
    """
    pairs = sibling_pairs(bench.hierarchy, bench.study.n_mixtures)
    if not pairs:
        raise SteeringError(f"no two siblings have {_FEWEST_WORDS} words each that the other lacks")
    concepts = ConceptSteering(bench.space, ConceptDirections.fit_cloud(bench.cloud))
    parts = (torch.from_numpy(bench.states[start::2]) for start in (0, 1))
    return measure_mixtures(concepts, pairs, *parts, n_random=_N_RANDOM, seed=bench.study.seed)


def measure_mixtures(
    concepts: ConceptSteering,
    pairs: Sequence[tuple[str, tuple[str, str]]],
    choosing: torch.Tensor,
    reporting: torch.Tensor,
    *,
    n_random: int,
    seed: int,
) -> Mixtures:
    """Find vectors on final hidden states of some prompts (m, d), measure their shares on those of others (n, d)."""
    measured = []
    hierarchy = concepts.directions.hierarchy
    for number, (parent, pair) in enumerate(pairs):
        words = {name: hierarchy[name].tokens for name in pair}
        vectors = {name: concepts[name] for name in pair}
        draws = [
            {
                name: concepts.random(vectors[name], seed + 2 * (n_random * number + draw) + side)
                for side, name in enumerate(pair)
            }
            for draw in range(n_random)
        ]
        own, held_out = (SiblingLaws.at(concepts.space, states, words) for states in (choosing, reporting))
        found: dict[str, list[Any]] = {name: [] for name in ("one", "each", "random")}
        for share in SHARES:
            weights = {pair[0]: share, pair[1]: 1 - share}
            one_vector = own.towards(weights, vectors, one_vector=True)
            found["one"].append(held_out.moved(one_vector.weights, one_vector.shift[:1], one_vector=True))
            found["each"].append(held_out.towards(weights, vectors).shares[:, 0])
            at_random = (own.towards(weights, each, one_vector=True) for each in draws)
            moved = (held_out.moved(steps.weights, steps.shift[:1], one_vector=True) for steps in at_random)
            found["random"].append([steps.shares[:, 0] for steps in moved])
        one: list[MixtureSteps] = found["one"]
        measured.append(
            Mixture(
                parent, pair, np.array(SHARES), one[0].unsteered[:, 0], np.stack([steps.shares[:, 0] for steps in one]),
                np.stack(found["each"]), np.stack([np.stack(each) for each in zip(*found["random"], strict=True)]),
                np.stack([steps.kl for steps in one]), np.stack([steps.total for steps in one]), one[0].total_unsteered,
            )
        )  # fmt: skip
    return Mixtures(measured)
