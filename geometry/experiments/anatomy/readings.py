"""A few vectors explained, two that should say nothing among them: numbers, sentences, figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from geometry.anatomy import VectorReading, explain, pair_differences
from geometry.anatomy.lens import said_concepts, said_words
from geometry.anatomy.pair_reading import exchanged
from geometry.concepts import load_opposites, short_name
from geometry.display import short_repr
from geometry.experiments.anatomy.candidates import random_like
from geometry.experiments.anatomy.setup import Bench
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.study import Step
from geometry.randomness import generator
from geometry.steering import ConceptSteering, SteeringVector

Array = NDArray[np.float64]
SHUFFLED, RANDOM, OUTPUT = "sides exchanged", "random", "after the norm"
_DRAWS = 20


@dataclass(frozen=True, eq=False, kw_only=True)
class ReadingPart(Part):
    """What each of several vectors says.

    Attributes:
        readings: name → what was read. controls: name → readings of several that should say nothing, alike; the
            first of each is among `readings`.
        n_random: vectors of the null beside each.
    """

    readings: Mapping[str, VectorReading]
    controls: Mapping[str, tuple[VectorReading, ...]]
    n_random: int

    __repr__ = short_repr

    @property
    def shown(self) -> dict[str, VectorReading]:
        """Those at the block, controls last."""
        return {name: reading for name, reading in self.readings.items() if not name.endswith(OUTPUT)}

    def counts(self, kind: str) -> dict[str, tuple[int, int]]:
        """Of vectors at the block, one after the norm, each control: how many are beyond chance, of how many."""
        named = {name: reading for name, reading in self.readings.items() if name not in self.controls}
        own = [reading for name, reading in named.items() if not name.endswith(OUTPUT)]
        after = [reading for name, reading in named.items() if name.endswith(OUTPUT)]
        groups: dict[str, Sequence[VectorReading]] = {"vectors": own, OUTPUT: after, **self.controls}
        return {name: (sum(_beyond(each, kind) for each in group), len(group)) for name, group in groups.items()}

    def summary(self) -> list[str]:
        """How many say something beyond their null, and what."""
        said = [
            "The null of a vector made of texts is vectors of the same texts without the trait, sides exchanged or"
            " labels shuffled; of others random vectors."
        ]
        for kind, what in (("words", "move a word"), ("concepts", "lie near a concept"), ("parts", "hold a concept")):
            found = ", ".join(f"{count} of {of} {name}" for name, (count, of) in self.counts(kind).items())
            said.append(f"Beyond 95% of their null {what}: {found}.")
        for name, reading in self.readings.items():
            concepts = f"; nearest concepts {said_concepts(reading.nearest[:3])}" if reading.nearest else ""
            left = reading.decomposition.residual_share if reading.decomposition else 1.0
            said.append(
                f"{name}: {said_words(reading.promoted[:4])}{concepts}; {left:.0%} is left of its sum of concepts."
            )
        return said

    def to_dict(self) -> dict[str, Any]:
        """All readings."""
        return {
            "n_random": self.n_random,
            "beyond": {kind: self.counts(kind) for kind in ("words", "concepts", "parts")},
            **{name: reading.to_dict() for name, reading in self.readings.items()},
        }

    def figures(self) -> list[FigureSpec]:
        """All vectors beside each other, and one of them wholly."""
        from geometry.experiments.anatomy.reading_figures import overview, whole

        return [overview(self), whole(self)]

    def tables(self) -> list[TableSpec]:
        """What each vector says, in a row."""
        rows = [
            [
                name,
                said_words(reading.promoted[:3]),
                f"{reading.chance_z:.1f}",
                said_concepts(reading.nearest[:2]),
                f"{reading.chance_cosine:.2f}",
                ", ".join(map(short_name, reading.decomposition.names)) if reading.decomposition else "",
            ]
            for name, reading in self.readings.items()
        ]
        head = ["", "words (z)", "95% of the null", "nearest concepts (cosine)", "95% of the null", "made of"]
        return [TableSpec("What vectors say", head, rows)]

    def arrays(self) -> dict[str, ArrayLike]:
        """What the null reaches beside each."""
        return {
            f"{name}/{what}": values
            for name, reading in self.readings.items()
            for what, values in (("z", reading.largest_at_random), ("cosine", reading.nearest_at_random))
        }


def measure_readings(bench: Bench, step: Step) -> ReadingPart:
    """A concept at the block and after the norm, pairs of words, a contrast of sentences with its pairs; controls."""
    study = bench.study
    step("explaining vectors, a random and a shuffled one among them")
    given: dict[str, Any] = {"n_random": study.n_random, "seed": study.seed}
    place: tuple[Any, ...] = (bench.space, bench.directions, bench.model)
    first = next(subject for subject in bench.subjects if subject.concept)
    null = shuffled_labels(first.rows, first.others, study.n_random, generator(study.seed, "labels"))
    readings = {short_name(first.name): explain(first.vector, *place, null=null, **given)}
    at_output = f"{short_name(first.name)}, {OUTPUT}"
    readings[at_output] = explain(ConceptSteering(bench.space, bench.directions)[first.name], *place, **given)
    for subject in bench.subjects:
        if not subject.concept:
            null = exchanged(subject.differences, study.n_random, study.seed)
            readings[subject.name] = explain(subject.vector, *place, null=null, **given)
    contrast = next(iter(load_opposites().values()))
    pairs = list(contrast.pairs)
    differences = pair_differences(bench.model, bench.tokenizer, pairs, bench.site)
    vector = _vector(differences.mean(axis=0), bench, f"mean difference of {contrast.name}")
    readings[contrast.name] = explain(vector, *place, pairs=pairs, tokenizer=bench.tokenizer, **given)
    rng, controls = generator(study.seed, "controls"), {}
    # As many pairs either way round, so that nothing of the trait is left; the null is of other halves.
    means = exchanged(differences, _DRAWS + study.n_random, study.seed)
    turned = [_vector(mean, bench, SHUFFLED) for mean in means[:_DRAWS]]
    drawn = [replace(random_like(vector, rng), provenance=RANDOM) for _ in range(_DRAWS)]
    for name, vectors, others in ((SHUFFLED, turned, means[_DRAWS:]), (RANDOM, drawn, None)):
        controls[name] = tuple(explain(each, *place, null=others, **given) for each in vectors)
        readings[name] = controls[name][0]
    # The same as if no better null were known.
    controls[f"{SHUFFLED}, against random vectors"] = tuple(explain(each, *place, **given) for each in turned)
    return ReadingPart(readings=readings, controls=controls, n_random=study.n_random)


def _beyond(reading: VectorReading, kind: str) -> bool:
    """Whether its strongest word, its nearest concept, or a concept that it is made of is beyond chance."""
    if kind == "words":
        return max(abs(reading.promoted[0][1]), abs(reading.suppressed[0][1])) > reading.chance_z
    if kind == "concepts":
        return bool(reading.nearest) and reading.nearest[0][1] > reading.chance_cosine
    return bool(reading.decomposition and reading.decomposition.names)


def shuffled_labels(rows: Array, others: Array, count: int, rng: np.random.Generator) -> Array:
    """Differences of means of the same rows (n, d), (m, d) with their labels shuffled, shape (count, d)."""
    pooled, n = np.concatenate([rows, others]), len(rows)
    orders = (rng.permutation(len(pooled)) for _ in range(count))
    return np.stack([pooled[order[:n]].mean(axis=0) - pooled[order[n:]].mean(axis=0) for order in orders])


def _vector(part: Array, bench: Bench, provenance: str) -> SteeringVector:
    return SteeringVector({bench.site: torch.from_numpy(part)}, provenance, bench.family)
