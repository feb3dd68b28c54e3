"""What vectors do, named through concepts, at equal KL: log-odds beside random vectors, agreement over prompts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.concepts import short_name
from geometry.display import short_repr
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.search.kinds import DIRECTION, JACOBIAN, RANDOM, SEARCHED, Kinds, random_vectors
from geometry.experiments.search.labels import (
    AGREEMENT,
    ALIKE,
    CLOSE,
    CLOSENESS,
    FAR,
    LARGEST,
    SPREAD,
    STATISTICS,
)
from geometry.experiments.search.laws import NATS, LawReader, Read, agreement
from geometry.experiments.search.setup import Bench
from geometry.intervals import interval_of, said_mean, summarise
from geometry.selectivity import TreeRelations

Array = NDArray[np.float64]
_NEAR = 8  # concepts that rise most, among which closeness in the tree is measured


@dataclass(frozen=True, eq=False, kw_only=True)
class ConceptsPart(Part):
    """Vectors at 0.5 nats of KL on held-out prompts, c concepts.

    Attributes:
        names: of the concepts.
        read: kind → its vectors, read; random ones among them.
        proximity: 1/(1 + steps between two concepts in the tree), shape (c, c).
        norm: × residual norm that coefficients multiply.
    """

    names: tuple[str, ...]
    read: Mapping[str, Read]
    proximity: Array
    norm: float
    seed: int

    __repr__ = short_repr

    def reached(self, kind: str) -> NDArray[np.int64]:
        """Which vectors of a kind reach the KL divergence."""
        return np.flatnonzero(np.isfinite(self.read[kind].coefficients)).astype(np.int64)

    @cached_property
    def z(self) -> dict[str, Array]:
        """Kind → mean change of log-odds of each concept, in standard deviations of random vectors from their mean,
        shape (vectors, c); each random vector against all others."""
        random = self.read[RANDOM].profile[self.reached(RANDOM)]
        found = {}
        for kind in self.read:
            rows = self.read[kind].profile[self.reached(kind)]
            if kind == RANDOM:
                rest = [np.delete(random, row, axis=0) for row in range(len(random))]
                found[kind] = np.stack(
                    [(row - r.mean(axis=0)) / r.std(axis=0, ddof=1) for row, r in zip(rows, rest, strict=True)]
                )
            else:
                found[kind] = (rows - random.mean(axis=0)) / random.std(axis=0, ddof=1)
        return found

    @cached_property
    def statistics(self) -> dict[str, dict[str, Array]]:
        """Kind → statistic → one number a vector."""
        found = {}
        for kind, read in self.read.items():
            chosen = self.reached(kind)
            odds, profile = read.odds[chosen], read.profile[chosen]
            top = np.argsort(-profile, axis=1, kind="stable")[:, :_NEAR]
            pairs = np.triu_indices(min(_NEAR, profile.shape[1]), 1)
            near = [self.proximity[np.ix_(row, row)][pairs].mean() for row in top]
            found[kind] = {
                SPREAD: profile.std(axis=1),
                AGREEMENT: agreement(odds, odds).mean(axis=1),
                CLOSENESS: np.array(near),
                LARGEST: np.abs(self.z[kind]).max(axis=1),
            }
        return found

    def said(self, row: Array, count: int = 3) -> str:
        """The concepts that rise most against random vectors, and those that fall most."""
        order = np.argsort(-row, kind="stable")
        up, down = (", ".join(short_name(self.names[k]) for k in part) for part in (order[:count], order[::-1][:count]))
        return f"+ {up}; − {down}"

    def compare(self, statistic: str, kind: str = SEARCHED) -> str:
        """A kind beside random vectors, in words."""
        own, random = (self.statistics[name][statistic] for name in (kind, RANDOM))
        low, high = interval_of(own)
        ends = interval_of(random)
        return f"{own.mean():.2f} [{low:.2f}, {high:.2f}] (random {random.mean():.2f} [{ends[0]:.2f}, {ends[1]:.2f}])"

    def beside_random(self, statistic: str) -> int:
        """1 or −1 where the 95% intervals of the means of searched and random vectors are apart, else 0."""
        own, random = (interval_of(self.statistics[name][statistic]) for name in (SEARCHED, RANDOM))
        return int(own[0] > random[1]) - int(own[1] < random[0])

    def summary(self) -> list[str]:
        """Are searched vectors more coherent than random ones."""
        counts = {kind: (len(self.reached(kind)), len(read.kl)) for kind, read in self.read.items()}
        short = [f"{kind} {done} of {count}" for kind, (done, count) in counts.items() if done < count]
        left = f" ({', '.join(short)} reach it; the others are left out)" if short else ""
        far, alike, close = (
            words[self.beside_random(name)] for name, words in ((SPREAD, FAR), (AGREEMENT, ALIKE), (CLOSENESS, CLOSE))
        )
        return [
            f"At {NATS:g} nats of KL on held-out prompts{left} searched vectors move concepts' log-odds {far} random"
            f" ones: standard deviation over concepts {self.compare(SPREAD)} nats (intervals over vectors).",
            f"What they do to concepts is {alike} from prompt to prompt: correlation {self.compare(AGREEMENT)}. The"
            f" {_NEAR} concepts that rise most lie {close} in the tree: 1/(1 + distance) {self.compare(CLOSENESS)}.",
            f"The largest |z| over {len(self.names)} concepts is {self.compare(LARGEST)}.",
        ]

    def to_dict(self) -> dict[str, Any]:
        """Statistics of every kind, and what each searched vector does."""
        own = self.reached(SEARCHED)
        return {
            "nats": NATS,
            "seed": self.seed,
            "concepts": len(self.names),
            "vectors": {
                kind: {
                    "vectors": len(read.kl),
                    "reached": len(self.reached(kind)),
                    "norm": summarise(self.norm * read.coefficients),
                    **{name: summarise(values) for name, values in self.statistics[kind].items()},
                }
                for kind, read in self.read.items()
            },
            "searched": [
                {
                    "vector": int(index) + 1,
                    "tokens": list(self.read[SEARCHED].tokens[index]),
                    "concepts": self.said(row),
                }
                for index, row in zip(own, self.z[SEARCHED], strict=True)
            ],
        }

    def figures(self) -> list[FigureSpec]:
        """Concept × vector, and the statistics."""
        from geometry.experiments.search import concept_figures

        return [concept_figures.concepts(self), concept_figures.coherence(self)]

    def tables(self) -> list[TableSpec]:
        """Each vector in words, and the statistics."""
        rows = []
        for kind in (SEARCHED, RANDOM):
            indices = self.reached(kind)[: len(self.read[SEARCHED].kl)]
            for index, row in zip(indices, self.z[kind], strict=False):
                norm = self.norm * self.read[kind].coefficients[index]
                words = ", ".join(repr(token) for token in self.read[kind].tokens[index])
                rows.append([f"{kind} {index + 1}", f"{norm:.3f}", words, self.said(row)])
        names = [[kind, *(said_mean(values[name]) for name in STATISTICS)] for kind, values in self.statistics.items()]
        return [
            TableSpec(
                f"What vectors say at {NATS:g} nats",
                ["vector", "norm (× residual norm)", "tokens that gain most", "concepts against random vectors"],
                rows,
                "Tokens by gained probability, mean over held-out prompts; concepts by z of their log-odds.",
            ),
            TableSpec(
                f"Coherence at {NATS:g} nats, mean over vectors [95%]",
                ["vectors", *STATISTICS],
                names,
                f"{len(self.read[RANDOM].kl)} random vectors, seed {self.seed}. Agreement: correlation over concepts of"
                " one prompt's change with the mean of all others.",
            ),
        ]

    def arrays(self) -> dict[str, ArrayLike]:
        """Changes of log-odds by prompt, z, coefficients."""
        flat: dict[str, ArrayLike] = {"names": np.array(self.names)}
        for kind, read in self.read.items():
            flat |= {f"{kind}/odds": read.odds, f"{kind}/z": self.z[kind], f"{kind}/coefficients": read.coefficients}
        return flat


def name_concepts(bench: Bench, kinds: Kinds, held_out: LawReader) -> ConceptsPart:
    """Searched vectors, their rivals and random ones, all at 0.5 nats on held-out prompts."""
    found = kinds.searches[0]
    sets: dict[str, Sequence[Any]] = {name: kinds.vectors[name] for name in (SEARCHED, DIRECTION, JACOBIAN)}
    sets[RANDOM] = random_vectors(found, bench.study.n_random)
    read = {kind: held_out.at_equal_kl(vectors) for kind, vectors in sets.items()}
    distance = TreeRelations.of(bench.hierarchy).distance
    return ConceptsPart(
        names=tuple(bench.hierarchy.names), read=read, proximity=1 / (1 + distance), norm=found.norm,
        seed=bench.study.seed,
    )  # fmt: skip
