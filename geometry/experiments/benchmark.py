"""Speed and memory of what this package computes, against the textbook way, side by side in one run.

Ratios are the result. The textbook side builds each concept's d × d Ledoit–Wolf covariance and its pseudo-inverse, as
the published code does, in float64 to converge.
"""

import subprocess
import sys
import timeit
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy, wordnet_hierarchy
from geometry.directions import ConceptDirections, TokenCloud, thinned
from geometry.display import short_repr
from geometry.estimators import concept_vector
from geometry.evidence import MAX_TOKENS, NULLS, LemmaBlocks, train_mask
from geometry.experiments.result import TableSpec
from geometry.experiments.study import silent
from geometry.models import Unembedding, load_model, locate
from geometry.models.placement import Placement
from geometry.steering import Architecture, Site, SteeringVector, generate, load_prompts, steer, steer_each

_SIZES = (100, 200, 576, 2000, 10**9)
_TOKENS, _PROMPTS, _VECTORS = 24, 48, 6
_HERE = Placement()
_seconds = partial(timeit.repeat, number=1, repeat=1)  # wall time of each of several calls


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

    __repr__ = short_repr

    def _repr_html_(self) -> str:
        return self._table._repr_html_()

    @property
    def _table(self) -> TableSpec:
        head = ("measured", "ours", "instead", "ratio", "of medians")
        return TableSpec("Speed and memory, side by side", head, [comparison.row() for comparison in self.comparisons])

    def __str__(self) -> str:
        said = f"largest relative difference of the concept vectors: {self.difference:.1e}"
        return f"{self._table}\nOf steering, instead is not to steer: a ratio of 1 costs nothing.\n{said}"


def run_benchmark(
    model: str, *, every: int = 8, rounds: int = 5, place: Placement = _HERE, step: Callable[[str], None] = silent
) -> Benchmark:
    """Run all comparisons: the textbook on every so manieth noun concept, so many rounds of generation.

    `place` is where our side runs and in which precision; the textbook runs in NumPy.

    GeometryError: a model that cannot be read, or whose vocabulary has no noun concepts.
    """
    comparisons: list[Comparison] = []
    if locate(model).suffix == ".gguf":
        step("reading")  # first: a child's peak memory counts what its parent held at the start
        comparisons += _reading(model)
    space = CausalSpace.fit(Unembedding.load(model, **place.of_unembedding), **place.of_space)
    nouns = wordnet_hierarchy("noun", space.unembedding.vocabulary)
    step("concept vectors")
    vectors, difference = _vectors(space, nouns, every)
    step("steering")
    return Benchmark((*comparisons, *vectors, *_steering(model, rounds, place)), difference)


def textbook(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Concept vector of rows, shape (n, d), through a d × d covariance and its pseudo-inverse, cost O(d³)."""
    mean = rows.mean(axis=0)
    direction = np.linalg.pinv(ledoit_wolf(rows)[0], hermitian=False) @ mean
    direction /= np.linalg.norm(direction)
    return (direction @ mean) * direction


def _vectors(space: CausalSpace, nouns: ConceptHierarchy, every: int) -> tuple[list[Comparison], float]:
    """Concept by concept against the textbook, by size; all fits of a study, with fewer tokens and with all; scores."""
    cloud = TokenCloud.of(space, nouns)
    chosen = sorted(nouns.members, key=len)[every // 2 :: every]
    times, difference = np.empty((len(chosen), 2)), 0.0
    for index, members in enumerate(chosen):
        rows = cloud.points[torch.from_numpy(members)]
        dense = rows.cpu().double().numpy()
        expected = textbook(dense)
        apart = np.linalg.norm(concept_vector(rows).vector.numpy(force=True) - expected) / np.linalg.norm(expected)
        difference = max(difference, float(apart))
        sides = (partial(concept_vector, rows), partial(textbook, dense))
        times[index] = [min(_seconds(side, repeat=3)) for side in sides]
    comparisons, sizes = [], np.array([len(members) for members in chosen])
    for low, high in pairwise((0, *_SIZES)):
        if len(group := times[(low <= sizes) & (sizes < high)]):
            tokens = f"{low}–{high - 1}" if high < _SIZES[-1] else f"{low} or more"
            said = f"{len(group)} concept vectors of {tokens} tokens, d = {space.width}"
            comparisons.append(Comparison(said, *group.sum(axis=0)[:, None].tolist()))

    def fits(clouds: Sequence[TokenCloud], *splits: Any, most: int | None = None) -> list[float]:
        masks = [train_mask(nouns, split, np.random.default_rng(0)) for split in splits]
        fit = partial(ConceptDirections.fit_cloud, max_tokens=most)
        return _seconds(lambda: [fit(each, train=mask) for each in clouds for mask in masks])

    both = (cloud, NULLS["shuffled"].draw(space, cloud, np.random.default_rng(0)))
    estimate = 4 * float(times[:, 1].sum()) * len(nouns) / len(chosen)
    said = f"all vectors, true and shuffled, whole and split (4 x {len(nouns)}; instead: estimated)"
    comparisons.append(Comparison(said, fits(both, "whole", "token"), [estimate]))
    few, whole = (fits([cloud], "whole", "lemma", "halves", most=most) for most in (MAX_TOKENS, None))
    said = f"fits of one permutation, at most {MAX_TOKENS} tokens a concept (instead: all)"
    comparisons.append(Comparison(said, few, whole))
    cloud.products.fit(nouns.members[:1])  # compiles, and multiplies all rows: once for all permutations
    order = LemmaBlocks.of(nouns).permutation(np.random.default_rng(0))
    sets = [thinned(members, MAX_TOKENS) for members in nouns.members]

    def directly() -> None:
        permuted = cloud.permuted(order).points
        for members in sets:
            concept_vector(permuted[torch.from_numpy(members)])

    fit = partial(ConceptDirections.fit_cloud, cloud.permuted(order), max_tokens=MAX_TOKENS)
    said = f"fits of one permutation of lemmas, {len(nouns)} concepts (instead: each from its rows)"
    comparisons.append(Comparison(said, _seconds(fit, repeat=5), _seconds(directly, repeat=5)))
    pair, every_token = ConceptDirections.fit(space, nouns).vectors[:2], np.arange(len(space.unembedding.matrix))
    scores = _seconds(lambda: space.scores(pair), repeat=3)
    whitened = _seconds(lambda: space.rows(every_token) @ pair.T, repeat=3)
    said = f"{len(every_token)} tokens on two directions (instead: whitened first)"
    return [*comparisons, Comparison(said, scores, whitened)], difference


def _steering(name: str, rounds: int, place: Placement) -> list[Comparison]:
    """Milliseconds a token with a vector of zeros and without, in turn; every prompt under a vector of its own."""
    model, tokenizer = load_model(name, **place.of_model)
    prompts, blocks = load_prompts("neutral").beginnings[:_PROMPTS], len(Architecture.of(model).blocks)
    zero = torch.zeros(model.config.get_text_config().hidden_size)
    middle = Site("output", blocks // 2)
    everywhere = SteeringVector({Site("output", block): zero for block in range(blocks)})
    cases: list[tuple[str, SteeringVector, Any]] = [
        ("one block, every token", SteeringVector({middle: zero}), "all"),
        ("one block, relative to the residual norm", SteeringVector({replace(middle, relative=True): zero}), "all"),
        ("all blocks, every token", everywhere, "all"),
        ("all blocks, the prompt alone", everywhere, "prompt"),
    ]

    def run(prompts: Sequence[str] = prompts[:8], tokens: int = _TOKENS) -> int:
        return max(len(one.token_ids) for (one,) in generate(model, tokenizer, prompts, max_new_tokens=tokens))

    length, comparisons = run(), []
    for case, vector, positions in cases:
        steered, unsteered = [], []
        for _ in range(rounds):
            unsteered += _seconds(run)
            with steer(model, vector, positions=positions):
                steered += _seconds(run)
        ours, instead = ([1e3 * seconds / length for seconds in side] for side in (steered, unsteered))
        comparisons.append(Comparison(f"steered generation, {case} (instead: unsteered)", ours, instead, "ms a token"))
    rows = torch.randn((_VECTORS, len(zero)), generator=torch.Generator().manual_seed(0))
    vectors = [SteeringVector({middle: row}).relative(0.1) for row in rows]

    def together() -> None:
        with steer_each(model, [vectors[index % _VECTORS] for index in range(len(prompts))], positions="all"):
            run(prompts, _TOKENS // 3)

    def in_turn() -> None:
        for index, vector in enumerate(vectors):
            with steer(model, vector, positions="all"):
                run(prompts[index::_VECTORS], _TOKENS // 3)

    said = f"{len(prompts)} prompts under {_VECTORS} vectors in one batch (instead: a batch a vector)"
    return [*comparisons, Comparison(said, _seconds(together), _seconds(in_turn))]


def _reading(model: str) -> list[Comparison]:
    """Time and peak memory of reading the unembedding alone and of reading every tensor, each in a process."""
    alone = "import geometry as geo; geo.Unembedding.load(sys.argv[1])"
    tensors = "gguf.GGUFReader(geo.models.locate(sys.argv[1])).tensors"
    every = f"import gguf; {alone}; kept = [gguf.quants.dequantize(t.data, t.tensor_type) for t in {tensors}]"
    sides: list[list[float]] = []
    for code in (alone, every):
        timed = f"import sys, time, resource; start = time.perf_counter(); {code}; print(time.perf_counter() - start,"
        timed += " resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)"
        done = subprocess.run([sys.executable, "-c", timed, model], check=True, capture_output=True, text=True)
        sides.append([float(number) for number in done.stdout.split()])
    (ours, our_peak), (instead, peak) = sides
    said = "reading unembedding and vocabulary (instead: every tensor)"
    return [Comparison(said, [ours], [instead]), Comparison(f"{said}, peak memory", [our_peak], [peak], "GB")]
