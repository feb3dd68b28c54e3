"""Speed and memory of what this package computes, against the textbook way, side by side in one run.

Ratios are the result: both sides run in turn on the same machine, model and tokens. The textbook side builds each
concept's d × d Ledoit–Wolf covariance and its pseudo-inverse, as the published code does, in float64 so that its
singular value decomposition converges.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy, wordnet_hierarchy
from geometry.directions import ConceptDirections, TokenCloud
from geometry.estimators import concept_vector
from geometry.evidence import MAX_TOKENS, NULLS, train_mask
from geometry.experiments.result import TableSpec
from geometry.experiments.study import Step, silent
from geometry.models import Unembedding, load_model, locate
from geometry.steering import (
    Architecture,
    PositionName,
    Site,
    SteeringVector,
    generate,
    load_prompts,
    steer,
    steer_each,
)

__all__ = ["Benchmark", "Comparison", "run_benchmark"]

_TOKENS = 24
_SIZES = (100, 200, 576, 2000, 10**9)
_PROMPTS, _VECTORS = 48, 6


@dataclass(frozen=True)
class Comparison:
    """What this package takes for something, and what the other way takes, over one or several rounds in turn."""

    measured: str
    ours: Sequence[float]
    instead: Sequence[float]
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """How many times as much the other way takes, at best."""
        return min(self.instead) / min(self.ours)

    def row(self) -> list[str]:
        """Its line of the table."""
        values = [f"{min(side):.3g} {self.unit}" for side in (self.ours, self.instead)]
        return [self.measured, *values, f"{self.ratio:.3g}", f"{median(self.instead) / median(self.ours):.3g}"]


@dataclass(frozen=True)
class Benchmark:
    """All comparisons, and the largest relative difference of a concept vector from the textbook's."""

    comparisons: Sequence[Comparison]
    difference: float

    def table(self) -> TableSpec:
        """A line a comparison."""
        return TableSpec(
            "Speed and memory, side by side",
            ("measured", "ours", "instead", "ratio", "of medians"),
            [comparison.row() for comparison in self.comparisons],
            "Of steering, instead is not to steer: a ratio of 1 costs nothing.",
        )

    def __str__(self) -> str:
        table = self.table()
        said = f"largest relative difference of the concept vectors: {self.difference:.1e}"
        return f"{table}\n{table.caption}\n{said}"


def run_benchmark(model: str, *, every: int = 8, rounds: int = 5, step: Step = silent) -> Benchmark:
    """Run all comparisons on a model.

    >>> print(run_benchmark("smollm2-135m"))  # doctest: +SKIP

    Parameters
    ----------
    every : the textbook on every so manieth noun concept.
    rounds : of steered and unsteered generation.

    Raises
    ------
    GeometryError
        A model that cannot be read, or whose vocabulary has no noun concepts.
    """
    comparisons: list[Comparison] = []
    if locate(model).suffix == ".gguf":
        step("reading")  # first: a child's peak memory counts what its parent held at the start
        comparisons += _reading(model)
    unembedding = Unembedding.load(model)
    space = CausalSpace.fit(unembedding)
    nouns = wordnet_hierarchy("noun", unembedding.vocabulary)
    step("concept vectors")
    vectors, difference = _vectors(space, nouns, every)
    comparisons += [*vectors, _thinned(space, nouns), _projections(space, nouns)]
    step("steering")
    comparisons += _steering(model, rounds)
    return Benchmark(tuple(comparisons), difference)


def textbook(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Concept vector of rows, shape (n, d), through a d × d covariance and its pseudo-inverse, cost O(d³)."""
    covariance, _ = ledoit_wolf(rows)
    mean = rows.mean(axis=0)
    direction = np.linalg.pinv(covariance, hermitian=False) @ mean
    direction /= np.linalg.norm(direction)
    vector: NDArray[np.float64] = (direction @ mean) * direction
    return vector


def _seconds(work: Callable[[], object], rounds: int = 1) -> list[float]:
    """Wall time of each of several calls."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times


def _vectors(space: CausalSpace, nouns: ConceptHierarchy, every: int) -> tuple[list[Comparison], float]:
    """Concept by concept against the textbook, by size, then all fits of a study."""
    cloud = TokenCloud.of(space, nouns)
    order = sorted(range(len(nouns)), key=lambda index: len(nouns.concepts[index]))
    chosen = order[every // 2 :: every]
    ours, instead, difference = {}, {}, 0.0
    for index in chosen:
        rows = cloud.points[torch.from_numpy(nouns.members[index])]
        expected = textbook(rows.numpy())
        apart = np.linalg.norm(concept_vector(rows).vector.numpy() - expected) / np.linalg.norm(expected)
        difference = max(difference, float(apart))
        ours[index] = min(_seconds(lambda rows=rows: concept_vector(rows), 3))  # type: ignore[misc]
        instead[index] = min(_seconds(lambda rows=rows: textbook(rows.numpy()), 3))  # type: ignore[misc]
    comparisons = []
    for low, high in zip((0, *_SIZES), _SIZES, strict=False):
        group = [index for index in chosen if low <= len(nouns.concepts[index]) < high]
        if group:
            tokens = f"{low}–{high - 1}" if high < _SIZES[-1] else f"{low} or more"
            sums = [[sum(side[index] for index in group)] for side in (ours, instead)]
            said = f"{len(group)} concept vectors of {tokens} tokens, d = {space.width}"
            comparisons.append(Comparison(said, sums[0], sums[1]))
    masks = (None, train_mask(nouns, "token", np.random.default_rng(0)))
    clouds = (cloud, NULLS["shuffled"].draw(space, cloud, np.random.default_rng(0)))
    whole = _seconds(lambda: [ConceptDirections.fit_cloud(each, train=mask) for each in clouds for mask in masks])
    estimate = 4 * sum(instead.values()) * len(nouns) / len(chosen)
    said = f"all vectors, true and shuffled, whole and split (4 x {len(nouns)}; instead: estimated)"
    return [*comparisons, Comparison(said, whole, [estimate])], difference


def _thinned(space: CausalSpace, nouns: ConceptHierarchy) -> Comparison:
    """The fits of one permutation of the claims with large concepts thinned, and with all of their tokens."""
    cloud = TokenCloud.of(space, nouns)
    masks = [train_mask(nouns, split, np.random.default_rng(0)) for split in ("whole", "lemma", "halves")]
    ours, instead = (
        _seconds(lambda most=most: [ConceptDirections.fit_cloud(cloud, train=mask, max_tokens=most) for mask in masks])  # type: ignore[misc]
        for most in (MAX_TOKENS, None)
    )
    return Comparison(f"fits of one permutation, at most {MAX_TOKENS} tokens a concept (instead: all)", ours, instead)


def _projections(space: CausalSpace, nouns: ConceptHierarchy) -> Comparison:
    """Scores of every token along two directions, without whitening the vocabulary."""
    pair = ConceptDirections.fit(space, nouns).vectors[:2]
    tokens = np.arange(space.unembedding.matrix.shape[0])
    ours = _seconds(lambda: space.scores(pair), 3)
    instead = _seconds(lambda: space.rows(tokens) @ pair.T, 3)
    return Comparison(f"{len(tokens)} tokens on two directions (instead: whitened first)", ours, instead)


def _steering(name: str, rounds: int) -> list[Comparison]:
    """Milliseconds a token of greedy generation with a vector of zeros at work and without, in turn; batch of 8."""
    model, tokenizer = load_model(name)
    beginnings = load_prompts("neutral").beginnings
    prompts, blocks = beginnings[:8], len(Architecture.of(model).blocks)
    zero = torch.zeros(model.config.get_text_config().hidden_size)
    middle = SteeringVector({Site("output", blocks // 2): zero})
    relative = SteeringVector({Site("output", blocks // 2, relative=True): zero})
    everywhere = SteeringVector({Site("output", block): zero for block in range(blocks)})
    cases: dict[str, tuple[SteeringVector, PositionName]] = {
        "one block, every token": (middle, "all"),
        "one block, relative to the residual norm": (relative, "all"),
        "all blocks, every token": (everywhere, "all"),
        "all blocks, the prompt alone": (everywhere, "prompt"),
    }

    def generation() -> int:
        return max(len(one.token_ids) for (one,) in generate(model, tokenizer, prompts, max_new_tokens=_TOKENS))

    length = generation()
    comparisons = []
    for case, (vector, positions) in cases.items():
        steered, unsteered = [], []
        for _ in range(rounds):
            unsteered += _seconds(generation)
            with steer(model, vector, positions=positions):
                steered += _seconds(generation)
        ours, instead = ([1e3 * seconds / length for seconds in side] for side in (steered, unsteered))
        said = f"steered generation, {case} (instead: unsteered)"
        comparisons.append(Comparison(said, ours, instead, "ms a token"))
    return [*comparisons, _each(model, tokenizer, beginnings[:_PROMPTS], blocks // 2)]


def _each(model: Any, tokenizer: Any, prompts: Sequence[str], block: int) -> Comparison:
    """Every prompt under a vector of its own: six vectors in one batch, and one after the other."""
    rng, width = torch.Generator().manual_seed(0), model.config.get_text_config().hidden_size
    rows = torch.randn((_VECTORS, width), generator=rng)
    vectors = [SteeringVector({Site("output", block): row}).relative(0.1) for row in rows]

    def together() -> None:
        with steer_each(model, [vectors[index % _VECTORS] for index in range(len(prompts))]):
            generate(model, tokenizer, prompts, max_new_tokens=_TOKENS // 3)

    def in_turn() -> None:
        for index, vector in enumerate(vectors):
            with steer(model, vector):
                generate(model, tokenizer, prompts[index::_VECTORS], max_new_tokens=_TOKENS // 3)

    said = f"{len(prompts)} prompts under {_VECTORS} vectors in one batch (instead: a batch a vector)"
    return Comparison(said, _seconds(together), _seconds(in_turn))


def _reading(model: str) -> list[Comparison]:
    """Time and peak memory of reading the unembedding alone and of reading every tensor, each in a process."""
    alone = "import geometry as geo; geo.Unembedding.load(sys.argv[1])"
    every = (
        f"import gguf; {alone};"
        "kept = [gguf.quants.dequantize(t.data, t.tensor_type)"
        " for t in gguf.GGUFReader(geo.models.locate(sys.argv[1])).tensors]"
    )
    (ours, our_peak), (instead, peak) = _process(alone, model), _process(every, model)
    said = "reading unembedding and vocabulary (instead: every tensor)"
    return [Comparison(said, [ours], [instead]), Comparison(f"{said}, peak memory", [our_peak], [peak], "GB")]


def _process(code: str, model: str) -> tuple[float, float]:
    timed = (
        "import sys, time, resource; start = time.perf_counter();"
        f"{code};"
        "print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", timed, model], check=True, capture_output=True, text=True)
    elapsed, peak = done.stdout.split()
    return float(elapsed), float(peak) / 1e6
