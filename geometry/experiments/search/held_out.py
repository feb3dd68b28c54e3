"""What searched vectors change on prompts that they were not searched on, and at what cost, beside controls."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.display import short_repr
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.search.kinds import JACOBIAN, NULLS, RANDOM, REVERSED, SEARCHED, SHUFFLED, Kinds
from geometry.experiments.search.labels import CHANGES, HELD_OUT, KL_HELD_OUT, KL_NEUTRAL, NEUTRAL, ON_PROMPTS
from geometry.experiments.search.laws import LawReader
from geometry.experiments.search.setup import Bench
from geometry.intervals import said_mean, summarise
from geometry.search import FoundVectors, LaterChanges, later_changes

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class HeldOutPart(Part):
    """Changes and costs of every kind of vectors.

    Attributes:
        found: the study's first search.
        measured: measure → kind → shape (k, n): changes × residual norm at the read site, KL in nats.
        coordinates: kind → how many coordinates carry the change on held-out prompts, shape (k, n).
        of: the residual stream's coordinates, d.
    """

    found: FoundVectors
    measured: Mapping[str, Mapping[str, Array]]
    coordinates: Mapping[str, Array]
    of: int

    __repr__ = short_repr

    def by_prompt(self, measure: str, kind: str) -> Array:
        """Mean over vectors, shape (n,)."""
        return np.asarray(self.measured[measure][kind].mean(axis=0))

    def less_random(self, measure: str, kind: str) -> dict[str, Any]:
        """Paired difference by prompt."""
        return summarise(self.by_prompt(measure, kind) - self.by_prompt(measure, RANDOM))

    def mean(self, measure: str, kind: str) -> float:
        """Over vectors and prompts."""
        return float(self.measured[measure][kind].mean())

    def summary(self) -> list[str]:
        """On the prompts, beyond them, and at what cost."""
        found, said = self.found, []
        own, random = (self.cell(ON_PROMPTS, kind) for kind in (SEARCHED, RANDOM))
        beyond, held, nothing = (self.cell(HELD_OUT, kind) for kind in (SEARCHED, SHUFFLED, RANDOM))
        said.append(
            f"{len(found)} orthogonal vectors of {found.norm:g} × residual norm, searched at {found.site} for their"
            f" change at {found.read_site}, change it by {own} × residual norm on the {len(found.prompts)} prompts that"
            f" they were searched on (random vectors {random})"
        )
        n = self.measured[HELD_OUT][SEARCHED].shape[1]
        said[-1] += f", and by {beyond} on {n} held-out ones (random {nothing}, searched on shuffled prompts {held})."
        said.append(
            f"Their next-token KL on held-out prompts is {self.cell(KL_HELD_OUT, SEARCHED)} nats (random"
            f" {self.cell(KL_HELD_OUT, RANDOM)}), on neutral text {self.cell(KL_NEUTRAL, SEARCHED)}"
            f" (random {self.cell(KL_NEUTRAL, RANDOM)}); of the opposite sign {self.cell(KL_HELD_OUT, REVERSED)}."
        )
        within, within_random = found.neutral_change.mean(), found.random_neutral_change.mean()
        said.append(
            f"On the {len(found.neutral)} neutral texts within the objective they change it by {within:.2f} (random"
            f" {within_random:.2f}), on {self.measured[NEUTRAL][SEARCHED].shape[1]} others by"
            f" {self.cell(NEUTRAL, SEARCHED)} (random {self.cell(NEUTRAL, RANDOM)})."
        )
        said.append(
            f"Singular vectors of the Jacobian, the linear rival, change held-out prompts by"
            f" {self.cell(HELD_OUT, JACOBIAN)}; change is carried by {self.coordinates[SEARCHED].mean():.0f} of"
            f" {self.of} coordinates under searched vectors, by {self.coordinates[RANDOM].mean():.0f} under random ones"
            " (participation ratio)."
        )
        return said

    def cell(self, measure: str, kind: str) -> str:
        """Mean and interval over prompts."""
        return said_mean(self.by_prompt(measure, kind))

    def to_dict(self) -> dict[str, Any]:
        """Every kind by every measure."""
        found = self.found
        return {
            "site": str(found.site),
            "read_site": str(found.read_site),
            "norm": found.norm,
            "penalty": found.penalty,
            "orthogonality": found.orthogonality,
            "prompts": list(found.prompts),
            "seed": found.seed,
            "neutral texts within the objective": {
                SEARCHED: summarise(found.neutral_change.mean(axis=0)),
                RANDOM: summarise(found.random_neutral_change.mean(axis=0)),
            },
            "vectors": {
                kind: {
                    **{measure: summarise(self.by_prompt(measure, kind)) for measure in self.measured},
                    "less_random": {measure: self.less_random(measure, kind) for measure in self.measured},
                    "coordinates": summarise(self.coordinates[kind].mean(axis=0)),
                }
                for kind in self.coordinates
            },
        }

    def figures(self) -> list[FigureSpec]:
        """The search, and what holds beyond it."""
        from geometry.experiments.search import held_out_figures

        return [held_out_figures.held_out(self), held_out_figures.objective(self)]

    def tables(self) -> list[TableSpec]:
        """Kind × measure, and vector by vector."""
        found = self.found
        rows = [
            [kind, *(self.cell(measure, kind) for measure in self.measured), f"{self.coordinates[kind].mean():.0f}"]
            for kind in self.coordinates
        ]
        own = [
            [f"{order + 1}", *(said_mean(self.measured[measure][SEARCHED][order]) for measure in self.measured)]
            for order in range(len(found))
        ]
        return [
            TableSpec(
                "Change at the read site and next-token KL, mean over vectors [95% over prompts]",
                ["vectors", *self.measured, "coordinates"],
                rows,
                f"Changes in units of the residual norm at {found.read_site}, KL in nats. {len(found)} vectors of"
                f" {found.norm:g} × residual norm of each kind, seed {found.seed}; nulls: {', '.join(NULLS)}.",
            ),
            TableSpec("The same, vector by vector", ["searched vector", *self.measured], own),
        ]

    def arrays(self) -> dict[str, ArrayLike]:
        """All measures, and the vectors themselves."""
        flat: dict[str, ArrayLike] = {
            f"{measure}/{kind}": rows for measure, by in self.measured.items() for kind, rows in by.items()
        }
        own: dict[str, ArrayLike] = {"objective": self.found.objective, "random_objective": self.found.random_objective}
        return flat | own | {"directions": self.found.directions}


def measure_held_out(bench: Bench, kinds: Kinds, held_out: LawReader, neutral: LawReader) -> HeldOutPart:
    """Every kind on the prompts, on held-out ones and on neutral text."""
    measured: dict[str, dict[str, Array]] = {name: {} for name in (*CHANGES, KL_HELD_OUT, KL_NEUTRAL)}
    coordinates = {}
    texts = dict(zip(CHANGES, (bench.prompts, bench.held_out, bench.neutral), strict=True))
    for kind, vectors in kinds.vectors.items():
        changes: dict[str, LaterChanges] = {
            name: later_changes(bench.model, bench.tokenizer, vectors, own, bench.read_site)
            for name, own in texts.items()
        }
        for name, each in changes.items():
            measured[name][kind] = each.moved()
        coordinates[kind] = changes[HELD_OUT].coordinates
        measured[KL_HELD_OUT][kind], measured[KL_NEUTRAL][kind] = held_out.at(vectors).kl, neutral.at(vectors).kl
    return HeldOutPart(
        found=kinds.searches[0], measured=measured, coordinates=coordinates, of=kinds.searches[0][0].width
    )
