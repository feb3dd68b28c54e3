"""One claim at one site of one checkpoint, as it is kept in the cache; and the file of a checkpoint's claims."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.cache import Entry
from geometry.display import short_repr
from geometry.evidence.orthogonality.result import OrthogonalityResult
from geometry.intervals import bootstrap_means
from geometry.output import open_regular
from geometry.results import EXACT, TestResult

Values = NDArray[np.float64]
Claims = Mapping[str, Sequence["MeasuredClaim"]]  # site → its claims

_NAME = "claims"


@dataclass(frozen=True)
class MeasuredClaim:
    """What a study over training keeps of a claim's result: numbers and texts alone.

    Attributes:
        sign: 1 where more is sharper, −1 where less is.
        null: mean of the reference null; nan of a claim of orthogonality.
        within: of orthogonality, whether the cosine is within its bound, its interval included.
        labels, values, clusters: of what was measured, as of `TestResult`.
        pooled: bootstrap means, where the values are not those that a bootstrap draws again.
        twins: "exact" or "tilted" → the value on each twin.
        verdict: as this checkpoint and site alone would have it.
    """

    name: str
    title: str
    measure: str
    sign: int
    orthogonal: bool
    value: float
    interval: tuple[float, float]
    null: float
    p_value: float
    p_floor: float
    within: bool
    verdict: str
    labels: tuple[str, ...]
    values: tuple[float, ...]
    clusters: tuple[int, ...]
    pooled: tuple[float, ...]
    twins: Mapping[str, tuple[float, ...]]

    __repr__ = short_repr

    @classmethod
    def of(cls, test: TestResult) -> "MeasuredClaim":
        """From a claim's result."""
        orthogonal = isinstance(test, OrthogonalityResult)
        return cls(
            name=test.name,
            title=test.title,
            measure=test.measure,
            sign=-1 if orthogonal or test.alternative == "less" else 1,
            orthogonal=orthogonal,
            value=float(test.value),
            interval=(float(test.interval[0]), float(test.interval[1])),
            null=test.nulls[test.reference].mean if test.reference else float("nan"),
            p_value=test.p_value,
            p_floor=test.p_floor,
            within=isinstance(test, OrthogonalityResult) and bool(test.within),
            verdict=test.verdict,
            labels=tuple(test.labels),
            values=tuple(np.asarray(test.values, dtype=np.float64).tolist()),
            clusters=() if test.clusters is None else tuple(test.clusters.tolist()),
            pooled=() if test.resampled is None else tuple(np.asarray(test.resampled, dtype=np.float64).tolist()),
            twins={name: tuple(values.tolist()) for name, values in test.twin.items()},
        )

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> "MeasuredClaim":
        """The inverse of `dataclasses.asdict`, after JSON has made lists of tuples."""
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()
        }
        plain["twins"] = {name: tuple(values) for name, values in entry["twins"].items()}
        return cls(**{each.name: plain[each.name] for each in fields(cls)})

    @cached_property
    def resampled(self) -> Values:
        """Bootstrap means, of families drawn in the same way at every checkpoint; empty of orthogonality."""
        if self.orthogonal:
            return np.empty(0)
        clusters = np.array(self.clusters, dtype=np.int64) if self.clusters else None
        return np.array(self.pooled) if self.pooled else bootstrap_means(np.array(self.values), clusters)

    @property
    def measurable(self) -> bool:
        """Whether there was anything to measure it on."""
        return not self.verdict.startswith("not measurable")

    @property
    def twin(self) -> float:
        """Mean of the exact twins; nan without."""
        return float(np.mean(self.twins[EXACT])) if self.twins.get(EXACT) else float("nan")


def kept_claims(entry: Entry) -> Claims | None:
    """What the file holds; None if there is none, or a damaged one."""
    try:
        with open_regular(entry.path) as file:
            size = os.fstat(file.fileno()).st_size - 8 - int.from_bytes(file.read(8), "little")
        found = entry.read({_NAME: ((max(0, size),), np.uint8)})
        if found is None:
            return None
        content = json.loads(found[_NAME].tobytes())
        return {site: [MeasuredClaim.from_dict(each) for each in entries] for site, entries in content.items()}
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return None


def keep_claims(entry: Entry, claims: Claims) -> None:
    """Write the file; where none can be written, do without."""
    text = json.dumps({site: [asdict(each) for each in own] for site, own in claims.items()})
    entry.write({_NAME: np.frombuffer(text.encode(), dtype=np.uint8)})
