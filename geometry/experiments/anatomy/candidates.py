"""The vectors that pruning is judged by: rebuilt from few parts of each basis, and the same from random parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.anatomy import Components, components, without_shared
from geometry.anatomy.pruning import prunings
from geometry.dictionaries import FeatureDictionary, random_dictionary
from geometry.display import short_repr
from geometry.errors import GeometryError
from geometry.experiments.anatomy.setup import Bench, Subject
from geometry.randomness import generator
from geometry.steering import SteeringVector

Array = NDArray[np.float64]
SINGULAR, CONCEPTS, FEATURES, SHARED = BASES = (
    "singular directions",
    "concepts",
    "SAE features",
    "without shared part",
)
COUNTS = (1, 2, 4, 8, 16)
HOW: tuple[Literal["mean", "projection"], ...] = ("mean", "projection")  # of the shared part, in the place of k


@dataclass
class Candidates:
    """Of one subject.

    Attributes:
        pruned: basis → k (or how) → the vector. control: the same of random parts.
    """

    pruned: dict[str, dict[Any, SteeringVector]] = field(default_factory=dict)
    control: dict[str, dict[Any, SteeringVector]] = field(default_factory=dict)

    __repr__ = short_repr


def candidates(
    bench: Bench, dictionary: FeatureDictionary | None, counts: Sequence[int] = COUNTS
) -> dict[str, Candidates]:
    """Subject → its vectors; a basis that the package refuses for one subject is left out of it."""
    found = {subject.name: Candidates() for subject in bench.subjects}
    rows = np.concatenate([part for subject in bench.subjects for part in (subject.rows, subject.others)])
    control = None if dictionary is None else random_dictionary(dictionary, rows, seed=bench.study.seed)
    for index, subject in enumerate(bench.subjects):
        one, v = found[subject.name], subject.vector
        rng = generator(bench.study.seed, "random parts", index)
        singular = components(subject.differences, most=max(counts), n_random=19, seed=bench.study.seed)
        kept = [k for k in counts if k <= len(singular.directions)]
        one.pruned[SINGULAR] = prunings(v, singular, kept)
        one.control[SINGULAR] = prunings(v, _turned(singular, subject.differences, rng), kept)
        kept = [k for k in counts if k <= len(bench.atoms)]
        one.pruned[CONCEPTS] = prunings(v, bench.atoms, kept, called="concepts")
        one.control[CONCEPTS] = prunings(v, bench.permuted_atoms, kept, called="concepts of permuted words")
        if dictionary is not None and control is not None:
            pairs = ((dictionary, one.pruned, "features"), (control, one.control, "random features"))
            for source, to, called in pairs:
                active = active_difference(source, subject)
                most = [k for k in counts if k <= int((active != 0).sum())]
                atoms = source.decoder.double().numpy()
                to[FEATURES] = prunings(v, atoms, most, coefficients=active, called=called)
    _shared(bench, found)
    return found


def active_difference(dictionary: FeatureDictionary, subject: Subject) -> Array:
    """Each feature's mean activation on the subject's rows less that on the others, shape (f,)."""
    first, second = (dictionary.encode(rows).double().mean(dim=0) for rows in (subject.rows, subject.others))
    return np.asarray((first - second).numpy())


def random_like(vector: SteeringVector, rng: np.random.Generator) -> SteeringVector:
    """A random direction at the same site, of the same norm."""
    ((site, part),) = vector.parts.items()
    drawn = rng.standard_normal(len(part))
    drawn *= float(torch.linalg.vector_norm(part)) / np.linalg.norm(drawn)
    return SteeringVector({site: torch.from_numpy(drawn)}, f"random, as long as {vector.provenance}", vector.model)


def _turned(singular: Components, differences: Array, rng: np.random.Generator) -> Components:
    """Random orthonormal directions within the span of the differences in the place of the strongest."""
    span = np.linalg.qr(differences.T)[0].T
    turn = np.linalg.qr(rng.standard_normal((len(span), len(span))))[0]
    return replace(singular, directions=(turn @ span)[: len(singular.directions)])


def _shared(bench: Bench, found: Mapping[str, Candidates]) -> None:
    classes = {subject.name: subject.vector for subject in bench.subjects if subject.concept}
    for how in HOW:
        try:
            own = without_shared(classes, how)
        except GeometryError:  # fewer classes than share anything
            return
        for index, (name, vector) in enumerate(own.items()):
            taken = classes[name] - vector
            rng = generator(bench.study.seed, f"random {how}", index)
            found[name].pruned.setdefault(SHARED, {})[how] = vector
            found[name].control.setdefault(SHARED, {})[how] = classes[name] - random_like(taken, rng)
