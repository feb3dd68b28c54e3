"""What features and codes a steering vector is made of: sparse sums, beside a random dictionary's directions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.anatomy import Decomposition, decompose
from geometry.concepts import short_name
from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.experiments.dictionaries.said import said
from geometry.experiments.dictionaries.setup import CODEBOOK, RANDOM, SAE, Bench
from geometry.experiments.dictionaries.vectors import MEAN, ClassVectors
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.study import Step
from geometry.intervals import summarise
from geometry.steering import SteeringVector

Array = NDArray[np.float64]
RANDOM_VECTORS = "random vectors, as many features"
_MOST, _N_RANDOM = 12, 19
_NAMED = 5


@dataclass(frozen=True, eq=False)
class DecompositionPart(Part):
    """Class means less the grand mean as non-negative sums of at most 12 directions.

    Attributes:
        found: dictionary → class → what it is made of.
        tokens: feature of the autoencoder → held-out tokens at which it is most active.
    """

    found: Mapping[str, Mapping[str, Decomposition]]
    tokens: Mapping[int, str]

    __repr__ = short_repr

    def left(self, name: str) -> Array:
        """The share of each class's vector that is left over, shape (c,)."""
        return np.array([each.residual_share for each in self.found[name].values()])

    @property
    def random_left(self) -> Array:
        """Of random vectors by as many of the autoencoder's features, mean over vectors, shape (c,)."""
        return np.array([each.random_share.mean() for each in self.found[SAE].values()])

    @property
    def shares(self) -> dict[str, Array]:
        """What is left, by what the vectors are sums of, the controls last."""
        order = (SAE, CODEBOOK, RANDOM)
        return {name: self.left(name) for name in order} | {RANDOM_VECTORS: self.random_left}

    def parts(self, name: str) -> Array:
        """How many directions were taken, of each class."""
        return np.array([float(len(each.names)) for each in self.found[name].values()])

    def summary(self) -> list[str]:
        """How much is left beside controls."""
        told = {name: said(values, form=".0%") for name, values in self.shares.items()}
        apart = self.left(RANDOM) - self.left(SAE)
        return [
            f"Of {len(self.found[SAE])} class means less the grand mean {told[SAE]} is left by"
            f" {self.parts(SAE).mean():.1f} features each (the {CODEBOOK}'s codes leave {told[CODEBOOK]}, a {RANDOM}'s"
            f" directions {told[RANDOM]}, and of random vectors as many features leave {told[RANDOM_VECTORS]}); less"
            f" than by the {RANDOM}, paired, by {said(apart, form='.0%')}.",
        ]

    def figures(self) -> list[FigureSpec]:
        """What is left."""
        from geometry.experiments.dictionaries.decomposition_figures import left_over

        return [left_over(self)]

    def tables(self) -> list[TableSpec]:
        """The features of every class's vector."""
        rows = []
        for name, each in self.found[SAE].items():
            atoms = [
                f"{atom} ({self.tokens.get(int(atom), '')}) {gain:.0%}"
                for atom, gain in zip(each.names[:_NAMED], each.gains[:_NAMED], strict=True)
            ]
            others = [f"{self.found[other][name].residual_share:.2f}" for other in (CODEBOOK, RANDOM)]
            rows.append(
                [short_name(name), "; ".join(atoms), str(len(each.names)), f"{each.residual_share:.2f}", *others]
            )
        head = ("class", "features (most active at), share explained", "features", "left", CODEBOOK, RANDOM)
        caption = (
            f"Non-negative sums of at most {_MOST} directions, each of which gains more than the best would of noise"
            f" (p ≤ .05 of {_N_RANDOM} draws); the first {_NAMED} are named by the held-out tokens where they"
            " are largest."
        )
        return [TableSpec("What class means are made of", head, rows, caption)]

    def to_dict(self) -> dict[str, Any]:
        """The numbers."""
        given: dict[str, Any] = {"left": {name: summarise(values) for name, values in self.shares.items()}}
        given["directions"] = {name: summarise(self.parts(name)) for name in self.found}
        given["less_than_random"] = summarise(self.left(RANDOM) - self.left(SAE))
        given["classes"] = {
            name: [
                {
                    "feature": int(atom),
                    "coefficient": float(size),
                    "gain": float(gain),
                    "tokens": self.tokens.get(int(atom), ""),
                }
                for atom, size, gain in zip(each.names, each.coefficients, each.gains, strict=True)
            ]
            for name, each in self.found[SAE].items()
        }
        return given

    def arrays(self) -> dict[str, ArrayLike]:
        """What is left of each class's vector."""
        return {f"left/{name}": values for name, values in self.shares.items()}


def measure_decomposition(bench: Bench, made: list[ClassVectors], step: Step) -> DecompositionPart:
    """Of every class's mean less the grand mean."""
    vectors: dict[str, SteeringVector] = {each.name: each.vectors[MEAN] for each in made if MEAN in each.vectors}
    if not vectors:
        raise SteeringError("no class has a mean that differs from the grand mean")
    found: dict[str, dict[str, Decomposition]] = {}
    for name, dictionary in ((SAE, bench.dictionary), (CODEBOOK, bench.codebook), (RANDOM, bench.random)):
        step(f"decomposing {len(vectors)} vectors into directions of the {name}")
        atoms = dictionary.decoder.double().numpy()
        used = np.flatnonzero(np.linalg.norm(atoms, axis=1) > 0)
        names = [str(index) for index in used]
        found[name] = {
            label: decompose(
                next(iter(vector.parts.values())).double().numpy(), atoms[used], names, most=_MOST,
                n_random=_N_RANDOM, seed=bench.study.seed,
            )
            for label, vector in vectors.items()
        }  # fmt: skip
    taken = [int(atom) for each in found[SAE].values() for atom in each.names]
    return DecompositionPart(found, bench.tokens_of(bench.dictionary, taken))
