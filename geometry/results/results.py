"""The results of several tests together: looked up by name, adjusted, as a table, as a forest."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from geometry.display import fitted, html_table, in_short, listed
from geometry.errors import EstimationError
from geometry.results.result import TestResult
from geometry.significance import adjusted_p_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame


# Beginnings of the verdicts that say a claim holds.
_HOLDS = ("supported", "orthogonal", "near-orthogonal", "significant, small")


class Results(Sequence[TestResult]):
    """The results of several tests, in order; `results["existence"]` looks one up by name.

    >>> import numpy as np
    >>> tests = [TestResult(name=name, labels=("a",), values=np.ones(1)) for name in ("existence", "span")]
    >>> Results(tests)["span"].value
    1.0
    """

    def __init__(self, tests: Sequence[TestResult]) -> None:
        self._tests = tuple(tests)

    @overload
    def __getitem__(self, key: int | str) -> TestResult: ...

    @overload
    def __getitem__(self, key: slice) -> "Results": ...

    def __getitem__(self, key: int | str | slice) -> "TestResult | Results":
        """By place, by name (EstimationError for an unknown name or one of several subjects), or a slice."""
        if isinstance(key, slice):
            return Results(self._tests[key])
        if isinstance(key, int):
            return self._tests[key]
        matching = [test for test in self._tests if test.name == key]
        if not matching:
            names = dict.fromkeys(test.name for test in self._tests)
            raise EstimationError(f"no result is called {key!r}; there are {', '.join(names)}")
        if len(matching) > 1:
            subjects = ", ".join(test.subject for test in matching)
            chosen = f"results.about({matching[0].subject!r})"
            raise EstimationError(f"{key!r} was tested on {subjects}; choose one: {chosen}")
        return matching[0]

    def __len__(self) -> int:
        return len(self._tests)

    def __iter__(self) -> Iterator[TestResult]:
        return iter(self._tests)

    def __contains__(self, key: object) -> bool:
        return any(key in (test, test.name) for test in self._tests)

    def about(self, subject: str) -> "Results":
        """Those on one hierarchy, series or family."""
        return Results([test for test in self._tests if test.subject == subject])

    def adjusted(self) -> "Results":
        """The same with p-values adjusted after Benjamini and Hochberg over all of them together."""
        adjusted = adjusted_p_values([test.p_value for test in self._tests])
        return Results([replace(test, p_adjusted=float(p)) for test, p in zip(self._tests, adjusted, strict=True)])

    def to_dict(self) -> list[dict[str, Any]]:
        """A list of every result's `to_dict`."""
        return [test.to_dict() for test in self._tests]

    def to_frame(self) -> "DataFrame":
        """A row for every test: value, interval, each null's mean, p-values and verdict."""
        from pandas import DataFrame

        rows = [test.row() for test in self._tests]
        return DataFrame(rows).set_index(["subject", "name"]) if rows else DataFrame()

    def plot(self, *, ax: "Axes | None" = None, **options: Any) -> "Figure":
        """A forest: every test on its scale from the null mean to the prediction; `options` as of `plots.forest`."""
        from geometry.plots import forest  # numbers must not need matplotlib

        panel, names, columns = self.forest_panel()
        return forest([panel], names, columns=columns, ax=ax, **options)

    def forest_panel(self) -> tuple[Any, list[str], tuple[str, ...]]:
        """The panel, names and column heads that `plots.forest` draws: a row a claim, a series a subject.

        Each claim's scale runs from its null mean to its exact theory twin, or to the prediction where it has no twin;
        an orthogonality's from the tilted to the exact twin.
        """
        from geometry.plots import Estimate, ForestPanel, ForestRow, NullMark

        rows, names = [], []
        for name in dict.fromkeys(test.name for test in self._tests):
            if not (same := [test for test in self._tests if test.name == name and test.measured]):
                continue
            estimates, texts = {}, {}
            marks: dict[tuple[str, str], list[float]] = {}
            for test in same:
                low, high = sorted(test.relative(bound) for bound in test.interval)
                estimates[test.subject] = Estimate(test.relative(test.value), low, high)
                for null in test.nulls.values():
                    marks.setdefault((null.label, null.marker), []).append(test.relative(null.mean))
                shown = (f"{end:.3f}" if np.isfinite(end) else "–" for end in (test.value, *test.ends))
                texts[test.subject] = (*shown, test.verdict)
            # One mark a null over all subjects, as wide as they differ.
            ends = {look: (min(at), max(at)) if len(at) > 1 else () for look, at in marks.items()}
            nulls = {look[0]: NullMark(float(np.mean(at)), look[1], *ends[look]) for look, at in marks.items()}
            rows.append(ForestRow(estimates, nulls, texts, all(test.verdict.startswith(_HOLDS) for test in same)))
            titles = {test.title for test in same}
            names.append(name if len(titles) > 1 else titles.pop() or name)
        theory = "exact twin" if any(test.twin for test in self._tests) else "prediction"
        references = {0.0: "null", 1.0: theory}
        panel = ForestPanel(f"from the null to the {theory}", rows, references=references, limits=(-0.75, 1.75))
        return panel, names, ("model", "null", theory, "verdict")

    def __str__(self) -> str:
        return "\n".join(map(repr, self._tests)) or "no results"

    def __repr__(self) -> str:
        subjects = listed(list(dict.fromkeys(test.subject for test in self._tests if test.subject)))
        verdicts = Counter(test.verdict for test in self._tests if test.verdict).most_common()
        head = f"Results of {len(self)} tests{f' on {in_short(subjects, 60)}' if subjects else ''}"
        return fitted(head, [f"{times} {verdict}" for verdict, times in verdicts], "")

    def _repr_html_(self) -> str:
        heads = ("subject", "name", "value", "low", "high", "null", "theory", "p", "verdict")
        rows = (
            (test.subject, test.name, test.value, *test.interval, *test.ends, test.p_adjusted, test.verdict)
            for test in self._tests
        )
        return html_table(heads, rows, repr(self))
