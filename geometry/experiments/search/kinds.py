"""The vectors that are compared: searched ones, and what stands beside them as control or rival."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from geometry.display import short_repr
from geometry.experiments.search.setup import Bench
from geometry.experiments.study import Step
from geometry.randomness import generator
from geometry.search import FoundVectors
from geometry.steering import SteeringVector

SEARCHED, REVERSED = "searched", "searched, reversed"
SHUFFLED, DIRECTION = "searched on shuffled prompts", "searched by direction"
JACOBIAN = "singular vectors of the Jacobian"
FILTERED, RANDOM = "random, filtered", "random"
NULLS = (FILTERED, RANDOM)
CONTROLS = (REVERSED, SHUFFLED, *NULLS)


@dataclass(frozen=True, eq=False)
class Kinds:
    """Vectors by how they came about, all of one norm.

    Attributes:
        searches: with different seeds, the study's own first.
        filtered: random vectors filtered by their change, with the same seeds.
        others: name → a further search.
    """

    searches: tuple[FoundVectors, ...]
    filtered: tuple[FoundVectors, ...]
    others: dict[str, FoundVectors]

    __repr__ = short_repr

    @property
    def vectors(self) -> dict[str, tuple[SteeringVector, ...]]:
        """Name → its vectors, searched ones first."""
        first = self.searches[0]
        return {
            SEARCHED: first.vectors,
            REVERSED: tuple(-vector for vector in first),
            **{name: found.vectors for name, found in self.others.items()},
            FILTERED: self.filtered[0].vectors,
            RANDOM: random_vectors(first, len(first)),
        }


def random_vectors(found: FoundVectors, count: int) -> tuple[SteeringVector, ...]:
    """Random vectors of the same norm at the same site; others than the search began with."""
    drawn = generator(found.seed, "random beside search").standard_normal((count, found[0].width))
    rows = torch.from_numpy(drawn)
    rows = found.norm * rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    site = found[0].sites[0]
    return tuple(
        replace(found[0], parts={site: row.float()}, provenance=f"random vector {number}")
        for number, row in enumerate(rows)
    )


def search_all(bench: Bench, step: Step) -> Kinds:
    """All searches, one after the other."""
    study = bench.study
    searches = []
    for number in range(study.n_searches):
        step(f"search {number + 1} of {study.n_searches}: {study.n_vectors} vectors, {study.n_steps} steps")
        searches.append(bench.find(seed=study.seed + number))
    filtered = [bench.find(seed=study.seed + number, n_steps=0) for number in range(study.n_searches)]
    step("searching on shuffled prompts, by direction, and along the Jacobian")
    others = {
        SHUFFLED: bench.find(prompts=shuffled(bench)),
        DIRECTION: bench.find(measure="direction"),
        JACOBIAN: bench.find(method="jacobian", n_steps=min(20, study.n_steps)),
    }
    return Kinds(tuple(searches), tuple(filtered), others)


def shuffled(bench: Bench) -> Sequence[str]:
    """The prompts with their tokens in another order."""
    texts = []
    for number, prompt in enumerate(bench.prompts):
        ids = bench.tokenizer.encode(prompt, add_special_tokens=False)
        order = generator(bench.study.seed, "shuffled prompts", number).permutation(len(ids))
        texts.append(str(bench.tokenizer.decode([ids[place] for place in order])))
    return texts
