"""The one result of every test: values beside those of null models, an interval, p-values, a verdict."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.display import fitted, html_table, in_short
from geometry.errors import EstimationError, shown
from geometry.intervals import FEWEST_UNITS, bootstrap_means, central, interval_of, mean_of, means_of
from geometry.results.null_values import NullValues
from geometry.significance import Alternative, permutation_p

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame


LEVEL = 0.05
_NAMED, _LONGEST_NAMED = 5, 40  # of the lost words, and characters of these, in a line
_LONGEST = 165  # characters of a line, to which kinds of results add their own
EXACT, TILTED = "exact", "tilted"


class Difference(NamedTuple):
    """Of the model from something beside it, with a 95% bootstrap interval."""

    value: float
    interval: tuple[float, float]


@checked(nulls=Mapping)
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class TestResult:
    """A statistic of the model, per concept, edge or pair, beside the same statistic on null models.

    >>> import numpy as np
    >>> nulls = {"shuffled": np.random.default_rng(0).normal(size=(99, 3))}
    >>> result = TestResult(name="demo", labels=("a", "b", "c"), values=np.array([3.0, 4.0, 5.0]), nulls=nulls)
    >>> result.value, round(result.p_value, 2)
    (4.0, 0.01)
    >>> print(result)
    demo: 4.000 [3.000, 5.000] (n = 3); shuffled -0.036; p = 0.01

    Attributes:
        name: what the user called: a statistic ("parent_orthogonality") or a claim ("existence").
        labels: what each value belongs to.
        values: shape (m,); nan where there was too little to measure.
        nulls: name → `NullValues`; arrays of shape (permutations, m') or (permutations,) do as well.
        title: what is claimed, in a sentence.
        measure: what the number is, for an axis.
        subject: the hierarchy, series or family that was measured.
        alternative: on which side of the reference null the claim puts the model.
        reference: the null that gives the p-value; by default the first, None for no test.
        unstructured: the value where there is no structure.
        predicted: the value if the theory is right; None where it says nothing.
        clusters: shape (m,), numbers of the labels that a bootstrap draws together; None: each by itself.
        resampled: bootstrap means, where drawing the labels again would not be a bootstrap.
        twin: what it would be if the theory were true: "exact" or "tilted" → the value on each seed of the theory
            twin (`geometry.evidence.TheoryTwin`).
        share: noise-corrected share of variance that the claim is about, from 0 to 1; nan where it is about none.
        p_adjusted: p-value adjusted for the other tests of a run (see `Results.adjusted`); unadjusted until then.
        rule: from the result to its verdict; a claim owns it.
        lost: words of what was measured that are no single token of the vocabulary, and so were left out.
        related: further results that the rule consults, such as the cosine "as published".
        lacking: why there was nothing to measure, "needs at least 8 families, has 1"; empty where there was.
    """

    __test__ = False  # pytest collects classes by this name

    name: str
    labels: tuple[str, ...]
    values: NDArray[np.float64]
    nulls: Mapping[str, NullValues] = field(default_factory=dict)
    title: str = ""
    measure: str = ""
    subject: str = ""
    alternative: Alternative = "greater"
    reference: str | None = ""
    unstructured: float = 0.0
    predicted: float | None = None
    clusters: NDArray[np.int64] | None = None
    resampled: NDArray[np.float64] | None = None
    twin: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    share: float = float("nan")
    p_adjusted: float = float("nan")
    rule: "Callable[[TestResult], str] | None" = None
    related: "Mapping[str, TestResult]" = field(default_factory=dict)
    lost: tuple[str, ...] = ()
    lacking: str = ""

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # the dataclass is frozen
        set_field(
            self, "nulls", {name: _null_values(name, null, len(self.values)) for name, null in self.nulls.items()}
        )
        if self.reference == "":
            set_field(self, "reference", next(iter(self.nulls), None))
        if not np.isfinite(self.p_adjusted):
            set_field(self, "p_adjusted", self.p_value)

    @property
    def measured(self) -> bool:
        """Whether there was anything to measure."""
        return bool(np.isfinite(self.values).any())

    @property
    def value(self) -> float:
        """Mean over everything that was measured; nan if nothing was."""
        return mean_of(self.values)

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95% bootstrap interval of the mean, clusters drawn together."""
        return interval_of(self.values, self.clusters) if self.resampled is None else central(self.resampled)

    @property
    def n(self) -> int:
        """How many values were measured."""
        return int(np.isfinite(self.values).sum())

    @property
    def skipped(self) -> tuple[str, ...]:
        """Labels without a value."""
        return tuple(label for label, missing in zip(self.labels, np.isnan(self.values), strict=True) if missing)

    @property
    def lost_in_short(self) -> str:
        """How many words are lost, and the first of them: the end of a line; empty where none is."""
        named = ", ".join(self.lost[:_NAMED]) + (", …" if len(self.lost) > _NAMED else "")
        return f"; {len(self.lost)} lost: {in_short(named, _LONGEST_NAMED)}" if self.lost else ""

    @cached_property
    def p_value(self) -> float:
        """Permutation p of the mean against the reference null; nan without one or if not measured."""
        return self.p_against(self.reference) if self.reference else float("nan")

    def p_against(self, null: str) -> float:
        """Permutation p of the mean against the means of a null's permutations; see `permutation_p`."""
        return permutation_p(self.value, self.nulls[null].means, self.alternative)

    @property
    def p_floor(self) -> float:
        """The smallest p-value that the number of permutations allows; nan without a reference null."""
        sides = 2 if self.alternative == "two-sided" else 1
        if not self.reference:
            return float("nan")
        return sides / (1 + int(np.isfinite(self.nulls[self.reference].means).sum()))

    @property
    def verdict(self) -> str:
        """One of `geometry.evidence.VERDICTS`; empty where nothing is claimed."""
        return self.rule(self) if self.rule else ""

    def difference(self, null: str) -> Difference:
        """The model's mean less a null's: of the same labels where the null has them, else of both means."""
        other = self.nulls[null]
        if self.resampled is not None and other.resampled is not None:
            return Difference(self.value - other.mean, central(self.resampled - other.resampled))
        if other.aligned and self.resampled is None:
            paired = self.values - means_of(other.values.T)
            return Difference(mean_of(paired), interval_of(paired, self.clusters))
        if self.resampled is None and self.n < FEWEST_UNITS:
            return Difference(self.value - other.mean, (float("nan"), float("nan")))
        own = bootstrap_means(self.values, self.clusters) if self.resampled is None else self.resampled
        theirs = bootstrap_means(other.values)[::-1]  # not the samples of `own`, with which they have nothing in common
        if not len(own) or not len(theirs):
            return Difference(float("nan"), (float("nan"), float("nan")))
        n = min(len(own), len(theirs))
        return Difference(self.value - other.mean, central(own[:n] - theirs[:n]))

    def beyond(self, null: str) -> bool:
        """Whether the model lies on the claimed side of a null: the interval of the difference does."""
        low, high = self.difference(null).interval
        return {"greater": low > 0, "less": high < 0, "two-sided": low > 0 or high < 0}[self.alternative]

    def short_of(self, null: str) -> bool:
        """Whether it lies on the other side."""
        low, high = self.difference(null).interval
        return {"greater": high < 0, "less": low > 0, "two-sided": False}[self.alternative]

    @property
    def compared(self) -> tuple[str, ...]:
        """The nulls that `difference` can subtract label by label."""
        return tuple(name for name, null in self.nulls.items() if null.aligned and null.values.size)

    @property
    def ends(self) -> tuple[float, float]:
        """What it would be without the structure and if the theory were true: the null's and the exact twin's mean."""
        null = self.nulls[self.reference].mean if self.reference else float("nan")
        predicted = float("nan") if self.predicted is None else self.predicted
        return null, mean_of(self.twin[EXACT]) if EXACT in self.twin else predicted

    def relative(self, value: float) -> float:
        """A value on a scale from the null's mean (0) to the exact twin's, or the prediction without one (1)."""
        null, theory = self.ends
        return (value - null) / (theory - null) if abs(theory - null) > 1e-9 else float("nan")

    @property
    def standing(self) -> float:
        """Where the model stands between its null (0) and the exact theory twin (1); nan without a twin."""
        return self.relative(self.value) if EXACT in self.twin else float("nan")

    @cached_property
    def power(self) -> Mapping[str, int]:
        """How many exact twins would be significant: at their own effect, at half of it, and of how many.

        Against the model's permutations, unadjusted.
        """
        if EXACT not in self.twin or not self.reference:
            return {}
        values, null = self.twin[EXACT], self.nulls[self.reference]
        halved = {"exact": values, "half": null.mean + (values - null.mean) / 2}
        found = {
            name: sum(permutation_p(float(value), null.means, self.alternative) <= LEVEL for value in effects)
            for name, effects in halved.items()
        }
        return {**found, "of": len(values)}

    def effect(self, null: str) -> float:
        """Cohen's d: difference of means in units of the pooled standard deviation."""
        values = self.nulls[null].values
        if self.n < 2 or not np.isfinite(values).any():
            return float("nan")
        pooled = np.sqrt((np.nanvar(self.values) + np.nanvar(values)) / 2)
        return float("nan") if pooled == 0 else (self.value - self.nulls[null].mean) / float(pooled)

    def absolute(self) -> "TestResult":
        """The same with magnitudes, for statistics whose prediction is zero."""
        nulls = {name: replace(null, values=np.abs(null.values)) for name, null in self.nulls.items()}
        resampled = None if self.resampled is None else np.abs(self.resampled)
        return replace(self, values=np.abs(self.values), nulls=nulls, resampled=resampled, p_adjusted=float("nan"))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and texts, as they stand in results.json; nulls by name → mean. A claim says what it is of."""
        entry: dict[str, Any] = {
            "claim" if self.rule else "name": self.name,
            "hierarchy" if self.rule else "subject": self.subject,
            "title": self.title,
            "measure": self.measure,
            "value": self.value,
            "interval": list(self.interval) if self.measured else None,
            "n": self.n,
            "predicted": self.predicted,
            "nulls": {name: null.mean for name, null in self.nulls.items()},
            "effects": {name: self.effect(name) for name in self.nulls},
            "n_permutations": {name: len(null.values) for name, null in self.nulls.items()},
            "alternative": self.alternative,
            "p_value": self.p_value,
            "p_floor": self.p_floor,
            "p_adjusted": self.p_adjusted,
            "verdict": self.verdict,
        }
        if self.lacking:
            entry["lacking"] = self.lacking
        if self.lost:
            entry["lost"] = {"count": len(self.lost), "words": list(self.lost)}
        entry["differences"] = {name: self.difference(name)._asdict() for name in self.compared}
        if self.twin:
            entry["twin"] = {name: mean_of(values) for name, values in self.twin.items()}
            entry |= {"standing": self.standing, "power": dict(self.power)}
        if np.isfinite(self.share):
            entry["share"] = self.share
        kept = ("value", "interval", "n", "nulls", "twin")
        for name, related in self.related.items():
            entry[name] = {key: value for key, value in related.to_dict().items() if key in kept}
        return {key: value for key, value in entry.items() if value != ""}

    def to_frame(self) -> "DataFrame":
        """A row for every label: its value beside the null models' means, of those that have the same labels."""
        from pandas import DataFrame

        beside = {name: null.values.T for name, null in self.nulls.items() if null.aligned}
        means = {name: [mean_of(column) for column in columns] for name, columns in beside.items()}
        return DataFrame({"value": self.values, **means}, index=list(self.labels))

    def plot(self, *, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """The distribution of the values above those of the null models; `options` as of `plots.strip`."""
        from geometry.plots import StripPanel, StripRow, strip  # numbers must not need matplotlib

        nulls = [StripRow(null.label, null.values, null=True) for null in self.nulls.values()]
        references = {} if self.predicted is None else {self.predicted: "prediction"}
        panel = StripPanel(self.measure or self.name, [StripRow("model", self.values), *nulls], references=references)
        heading = {} if ax is not None else {"title": self.title or str(self)}
        return strip([panel], ax=ax, **(heading | options))

    def __repr__(self) -> str:
        low, high = self.interval
        head = f"{self.subject + ', ' if self.subject else ''}{self.name}: {self.value:.3f} [{low:.3f}, {high:.3f}]"
        nulls = [f"{name} {null.mean:.3f}" for name, null in self.nulls.items()]
        tested = f"; p = {self.p_value:.2g}" if nulls else ""
        verdict = f"; not measurable ({self.lacking})" if self.lacking else ""
        verdict = f"; {self.verdict}" if self.rule else verdict
        return fitted(f"{head} (n = {self.n})", nulls, tested + verdict + self.lost_in_short, longest=_LONGEST)

    def row(self) -> dict[str, Any]:
        """A row of a table of results: value, interval, each null's mean under its label, p-values and verdict."""
        low, high = self.interval
        row: dict[str, Any] = {"subject": self.subject, "name": self.name, "value": self.value}
        row |= {"low": low, "high": high}
        row |= {null.label: null.mean for null in self.nulls.values()}
        predicted = float("nan") if self.predicted is None else self.predicted
        row |= {f"{name} twin": mean_of(values) for name, values in self.twin.items()}
        row |= {"predicted": predicted, "p_value": self.p_value, "p_adjusted": self.p_adjusted}
        return row | {"verdict": self.verdict} | ({"lost": len(self.lost)} if self.lost else {})

    def _repr_html_(self) -> str:
        return html_table(("", self.name), self.row().items(), self.title or repr(self))


def _null_values(name: str, null: "NullValues | NDArray[np.float64]", n: int) -> NullValues:
    if isinstance(null, NullValues):
        return null
    try:
        values = np.asarray(null, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EstimationError(f"nulls: {shown(name)} must be NullValues or an array, not {shown(null)}") from error
    if values.ndim not in (1, 2):
        raise EstimationError(f"nulls: {shown(name)} must be of shape (permutations, labels), not {values.shape}")
    values = values[:, None] if values.ndim == 1 else values
    return NullValues(values, name.replace("_", " "), aligned=values.shape[1] == n)
