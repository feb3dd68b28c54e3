"""What the study of calibration gives: rates of p ≤ 0.05, and verdicts, of models whose answer is known."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

import geometry.experiments.calibration.figures as figures
from geometry.display import short_repr
from geometry.evidence import VERDICTS
from geometry.evidence.verdicts import ENOUGH_POWER
from geometry.experiments.calibration.worlds import WORLDS
from geometry.experiments.result import FigureSpec, StudyResult, TableSpec
from geometry.results import LEVEL

BLOCKS, TOKENS = "permuted lemmas", "permuted tokens"  # the order of p-values


class Rate(NamedTuple):
    """In how many models, of those in which there was something to measure, a claim was found."""

    found: int
    of: int

    @property
    def share(self) -> float:
        """From 0 to 1; nan of no models."""
        return self.found / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """95% of Clopper and Pearson."""
        if not self.of:
            return float("nan"), float("nan")
        low, high = binomtest(self.found, self.of).proportion_ci()
        return float(low), float(high)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.share:.2f} [{low:.2f}, {high:.2f}]" if self.of else "–"


@dataclass(frozen=True, eq=False)
class Judged:
    """A large model: its world, the true cosine of claim (b), and of each claim the value and the verdict's word."""

    world: str
    true_cosine: float
    values: Mapping[str, float]
    verdicts: Mapping[str, str]

    __repr__ = short_repr


@dataclass(frozen=True, eq=False, kw_only=True)
class CalibrationResult(StudyResult):
    """Rates and verdicts.

    Attributes:
        claims: name of each claim that has a p-value → what it measures.
        p_values: world → p-values, shape (models, claims, 2): against permuted lemmas and against permuted tokens.
        judged: the large models.
    """

    claims: Mapping[str, str]
    p_values: Mapping[str, NDArray[np.float64]]
    judged: Sequence[Judged]

    __repr__ = short_repr

    def rate(self, world: str, claim: str, null: str = BLOCKS) -> Rate:
        """How often p ≤ 0.05."""
        p = self.p_values[world][:, list(self.claims).index(claim), (BLOCKS, TOKENS).index(null)]
        return Rate(int((p <= LEVEL).sum()), int(np.isfinite(p).sum()))

    @property
    def unstructured(self) -> list[str]:
        """The worlds in which every claim found is a false positive."""
        return [name for name in self.p_values if not WORLDS[name].structured]

    @property
    def structured(self) -> list[str]:
        """The others, in which it is a true one."""
        return [name for name in self.p_values if WORLDS[name].structured]

    def confusion(self, claims: Sequence[str]) -> dict[str, Counter[str]]:
        """World → how often these claims had each verdict."""
        counts: dict[str, Counter[str]] = {}
        for one in self.judged:
            counts.setdefault(one.world, Counter()).update(one.verdicts[name] for name in claims)
        return counts

    @property
    def groups(self) -> dict[str, list[str]]:
        """Claims whose verdicts are counted together: (b), the other cosines, and those of structure."""
        names = list(self.judged[0].verdicts)
        cosines = [name for name in names if name.startswith("orthogonality-")]
        others = [name for name in cosines if name != "orthogonality-b"]
        return {
            "orthogonality (b)": ["orthogonality-b"],
            "orthogonality (a), (c), (d)": others,
            f"the other {len(names) - len(cosines)} claims": [name for name in names if name not in cosines],
        }

    @property
    def true_cosines(self) -> dict[str, float]:
        """World → mean true cosine of claim (b); nan where there are no concepts."""
        worlds = dict.fromkeys(one.world for one in self.judged)
        return {name: float(np.mean([one.true_cosine for one in self.judged if one.world == name])) for name in worlds}

    def summary(self) -> list[str]:
        """What the figures say, and which claims have little power."""
        power = {(world, claim): self.rate(world, claim) for world in self.structured for claim in self.claims}
        weak = [f"{claim} {rate.share:.2f}" for (_, claim), rate in power.items() if rate.share < ENOUGH_POWER]
        found, verdicts = (spec.title for spec in self.figures())
        says = f"Where concepts are as the theory says, {len(power) - len(weak)} of {len(power)} claims have a power of"
        says += f" at least {ENOUGH_POWER}" + (f"; the others: {', '.join(weak)}" if weak else "")
        return [found, says, verdicts]

    def to_dict(self) -> dict[str, Any]:
        """Rates, confusion tables and true cosines."""
        rates = {
            world: {claim: {null: self.rate(world, claim, null) for null in (BLOCKS, TOKENS)} for claim in self.claims}
            for world in self.p_values
        }
        return {
            "worlds": {name: WORLDS[name].says for name in WORLDS},
            "rates": {
                world: {
                    claim: {
                        null: {"found": rate.found, "of": rate.of, "share": rate.share, "interval": rate.interval}
                        for null, rate in both.items()
                    }
                    for claim, both in of_world.items()
                }
                for world, of_world in rates.items()
            },
            "verdicts": {title: self.confusion(claims) for title, claims in self.groups.items()},
            "true_cosines": self.true_cosines,
            "models": [
                {"world": one.world, "true_cosine": one.true_cosine, "values": one.values, "verdicts": one.verdicts}
                for one in self.judged
            ],
        }

    def arrays(self) -> dict[str, ArrayLike]:
        """The p-values."""
        return {"claims": list(self.claims), "nulls": [BLOCKS, TOKENS], **self.p_values}

    def figures(self) -> list[FigureSpec]:
        """Rates, then verdicts."""
        return [figures.rates(self), figures.verdicts(self)]

    def tables(self) -> list[TableSpec]:
        """Rates by world, for lemmas and for tokens permuted, and the verdicts of claim by claim."""
        says = "Share of models with p ≤ 0.05 and its 95% binomial interval; – where nothing could be measured."
        tables = []
        for null in (BLOCKS, TOKENS):
            rows = [[name, *(str(self.rate(world, name, null)) for world in self.p_values)] for name in self.claims]
            tables.append(TableSpec(f"Rates, {null}", ("claim", *self.p_values), rows, says))
        worlds, found = list(self.true_cosines), []
        for name in self.judged[0].verdicts:
            counts = self.confusion([name])
            found.append([name, *(_counted(counts[world]) for world in worlds)])
        cosines = ", ".join(f"{name} {value:.2f}" for name, value in self.true_cosines.items() if np.isfinite(value))
        says = f"Mean true cosine of claim (b): {cosines}."
        return [*tables, TableSpec("Verdicts", ("claim", *worlds), found, says)]


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[word]} {word}" for word in VERDICTS if counts[word])
