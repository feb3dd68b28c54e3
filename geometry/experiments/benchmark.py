"""Speed and memory of what this package computes, against the textbook way, side by side in one run.

    python -m analysis.benchmark [--model M] [--every N] [--rounds N]

Ratios are the result: both sides run in turn on the same machine, model and tokens. The textbook side
builds each concept's d × d Ledoit–Wolf covariance and its pseudo-inverse, as the published code does, in
float64 so that its singular value decomposition converges.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

import geometry as geo
from analysis.script import DEFAULT_MODEL, whole_number
from geometry.cli import OneLineParser
from geometry.models import locate

TOKENS = 24
SIZES = (100, 200, 576, 2000, 10**9)


def textbook(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Concept vector through a d × d covariance and its pseudo-inverse, cost O(d³)."""
    covariance, _ = ledoit_wolf(rows)
    mean = rows.mean(axis=0)
    direction = np.linalg.pinv(covariance, hermitian=False) @ mean
    direction /= np.linalg.norm(direction)
    vector: NDArray[np.float64] = (direction @ mean) * direction
    return vector


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> int:
    """Run all comparisons and print them."""
    parser = OneLineParser(prog="python -m analysis.benchmark", description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument(
        "--every", type=whole_number(1), default=8, metavar="N", help="textbook on every N-th concept (default: 8)"
    )
    parser.add_argument(
        "--rounds",
        type=whole_number(1),
        default=5,
        metavar="N",
        help="of steered and unsteered generation (default: 5)",
    )
    options = parser.parse_args()
    try:
        if locate(options.model).suffix == ".gguf":
            reading(options.model)  # first: a child's peak memory counts what its parent held at the start
        unembedding = geo.Unembedding.load(options.model)
        space = geo.CausalSpace.fit(unembedding)
        nouns = geo.concepts.wordnet_hierarchy("noun", unembedding.vocabulary)
        concept_vectors(space, nouns, options.every)
        battery(space, nouns)
        projections(space, nouns)
        steering(options.model, options.rounds)
    except geo.GeometryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def concept_vectors(space: geo.CausalSpace, nouns: geo.ConceptHierarchy, every: int) -> None:
    """Concept by concept against the textbook, then all fits of an analysis."""
    cloud = geo.directions.TokenCloud.of(space, nouns)
    order = sorted(range(len(nouns)), key=lambda index: len(nouns.concepts[index]))
    chosen = order[every // 2 :: every]
    ours, theirs, apart = {}, {}, 0.0
    for index in chosen:
        rows = cloud.points[torch.from_numpy(nouns.members[index])]
        plain = rows.numpy()
        found = geo.estimators.concept_vector(rows).vector.numpy()
        expected = textbook(plain)
        apart = max(apart, float(np.linalg.norm(found - expected) / np.linalg.norm(expected)))
        ours[index] = min(seconds(lambda rows=rows: geo.estimators.concept_vector(rows)) for _ in range(3))  # type: ignore[misc]
        theirs[index] = min(seconds(lambda plain=plain: textbook(plain)) for _ in range(3))  # type: ignore[misc]
    print(f"Concept vectors, d = {space.width}: {len(chosen)} of {len(nouns)} noun concepts, one by one")
    print(f"  {'tokens':>14} {'concepts':>9} {'textbook':>10} {'ours':>10} {'ratio':>7}")
    low = 0
    for high in SIZES:
        group = [index for index in chosen if low <= len(nouns.concepts[index]) < high]
        if group:
            one, other = sum(theirs[index] for index in group), sum(ours[index] for index in group)
            name = f"{low}-{high - 1}" if high < SIZES[-1] else f"{low} and more"
            print(f"  {name:>14} {len(group):>9} {one:>8.2f} s {other:>8.3f} s {one / other:>6.0f}x")
        low = high
    print(f"  largest relative difference of the two vectors: {apart:.1e}")

    train = geo.evidence.train_mask(nouns, "token", np.random.default_rng(0))
    shuffled = geo.NULLS["shuffled"].draw(space, cloud, np.random.default_rng(0))
    whole = seconds(
        lambda: [
            geo.ConceptDirections.fit_cloud(source, train=mask)
            for source in (cloud, shuffled)
            for mask in (None, train)
        ]
    )
    estimate = 4 * sum(theirs.values()) * len(nouns) / len(chosen)
    print(f"All vectors, true and shuffled, whole and split (4 x {len(nouns)}): {whole:.1f} s")
    print(f"  textbook, from the sample above: {estimate:.0f} s, ratio {estimate / whole:.0f}x\n")


def projections(space: geo.CausalSpace, nouns: geo.ConceptHierarchy) -> None:
    """Scores of every token along two directions, without whitening the vocabulary."""
    pair = geo.ConceptDirections.fit(space, nouns).vectors[:2]
    tokens = np.arange(space.unembedding.matrix.shape[0])
    ours = min(seconds(lambda: space.scores(pair)) for _ in range(3))
    theirs = min(seconds(lambda: space.rows(tokens) @ pair.T) for _ in range(3))
    print(f"Projecting all {len(tokens)} tokens on two directions: {ours:.2f} s")
    print(f"  whitening the vocabulary first: {theirs:.2f} s, ratio {theirs / ours:.0f}x")


def battery(space: geo.CausalSpace, nouns: geo.ConceptHierarchy) -> None:
    """One draw of the battery with large concepts thinned to d/2 tokens, and with all of their tokens."""
    cloud = geo.directions.TokenCloud.of(space, nouns)
    masks = [geo.evidence.train_mask(nouns, split, np.random.default_rng(0)) for split in ("whole", "lemma", "halves")]

    def draw(largest: int | None) -> float:
        return seconds(lambda: [geo.ConceptDirections.fit_cloud(cloud, train=mask, largest=largest) for mask in masks])

    ours, theirs = draw(space.width // 2), draw(None)
    print(f"Fits of one draw, concepts thinned to {space.width // 2} tokens: {ours:.2f} s")
    print(f"  with all tokens: {theirs:.2f} s, ratio {theirs / ours:.1f}x\n")


def steering(name: str, rounds: int) -> None:
    """Seconds a token of greedy generation with a vector of zeros at work and without, in turn; batch of 8."""
    model, tokenizer = geo.load_model(name)
    prompts = geo.steering.load_prompts("neutral").beginnings[:8]
    zero, depth = torch.zeros(model.config.get_text_config().hidden_size), len(geo.steering.Architecture.of(model).blocks)
    one = geo.SteeringVector({geo.Site("output", depth // 2): zero})
    every = geo.SteeringVector({geo.Site("output", block): zero for block in range(depth)})
    relative = geo.SteeringVector({geo.Site("output", depth // 2, relative=True): zero})
    cases: dict[str, tuple[geo.SteeringVector, geo.steering.PositionName]] = {
        "one block, every token": (one, "all"),
        "one block, relative to the norm": (relative, "all"),
        "all blocks, every token": (every, "all"),
        "all blocks, the prompt alone": (every, "prompt"),
    }

    def generate() -> int:
        return max(len(one.token_ids) for (one,) in geo.generate(model, tokenizer, prompts, max_new_tokens=TOKENS))

    length = generate()
    print(f"Steered generation, batch of {len(prompts)}, {length} tokens each, vector scaled to 0")
    for case, (vector, positions) in cases.items():
        steered, unsteered = [], []
        for _ in range(rounds):
            unsteered.append(seconds(generate))
            with geo.steer(model, vector, positions=positions):
                steered.append(seconds(generate))
        ours, theirs = min(steered), min(unsteered)
        print(
            f"  {case:<32} {1e3 * ours / length:>6.1f} ms a token, unsteered {1e3 * theirs / length:>6.1f},"
            f" ratio {ours / theirs:.3f} (of medians {np.median(steered) / np.median(unsteered):.3f})"
        )

    several(model, tokenizer, geo.steering.load_prompts("neutral").beginnings[:48], depth // 2)


def several(model: Any, tokenizer: Any, prompts: Sequence[str], block: int) -> None:
    """Every prompt under a vector of its own: six vectors in one batch, and one after the other."""
    drawn = torch.randn((6, model.config.get_text_config().hidden_size), generator=torch.Generator().manual_seed(0))
    vectors = [geo.SteeringVector({geo.Site("output", block): row}).relative(0.1) for row in drawn]
    each = [vectors[place % 6] for place in range(len(prompts))]

    def together() -> None:
        with geo.steer_each(model, each):
            geo.generate(model, tokenizer, prompts, max_new_tokens=TOKENS // 3)

    def in_turn() -> None:
        for place, vector in enumerate(vectors):
            with geo.steer(model, vector):
                geo.generate(model, tokenizer, prompts[place::6], max_new_tokens=TOKENS // 3)

    ours, theirs = seconds(together), seconds(in_turn)
    print(f"{len(prompts)} prompts under 6 vectors, {TOKENS // 3} tokens each, in one batch: {ours:.1f} s")
    print(f"  a batch for each vector: {theirs:.1f} s, ratio {theirs / ours:.1f}x\n")


def reading(model: str) -> None:
    """Time and peak memory of reading the unembedding alone and of reading every tensor, each in a process."""
    one = "import geometry as geo; geo.Unembedding.load(sys.argv[1])"
    every = (
        "import gguf, geometry as geo; geo.Unembedding.load(sys.argv[1]);"
        "kept = [gguf.quants.dequantize(t.data, t.tensor_type)"
        " for t in gguf.GGUFReader(geo.models.locate(sys.argv[1])).tensors]"
    )
    ours, theirs = _process(one, model), _process(every, model)
    print(f"Reading the unembedding and the vocabulary: {ours[0]:.1f} s, peak {ours[1]:.2f} GB")
    print(
        f"  reading every tensor as well: {theirs[0]:.1f} s, peak {theirs[1]:.2f} GB,"
        f" ratios {theirs[0] / ours[0]:.1f}x and {theirs[1] / ours[1]:.1f}x\n"
    )


def _process(code: str, model: str) -> tuple[float, float]:
    timed = (
        "import sys, time, resource; start = time.perf_counter();"
        f"{code};"
        "print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", timed, model], check=True, capture_output=True, text=True)
    elapsed, peak = done.stdout.split()
    return float(elapsed), float(peak) / 1e6


if __name__ == "__main__":
    sys.exit(main())
