"""The result of the study of claims: its numbers in words, tables and results.json."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import geometry.evidence as evidence
from geometry.concepts import ConceptHierarchy, Series
from geometry.experiments.claims.illustrations import Illustration
from geometry.experiments.result import FigureSpec, StudyResult, TableSpec
from geometry.results import Results, TestResult

if TYPE_CHECKING:
    from geometry.experiments.claims.study import ClaimsStudy

_BESIDE = {
    "projection_token": "projection of held-out tokens instead of lemmas",
    "separation": "AUC of ℓ(child) instead of its contrast",
    "separation_token": "AUC of ℓ(child), held-out tokens",
}
_BESIDE_NULLS = ("shuffled", "gaussian", "random_subset")


@dataclass(frozen=True, eq=False, kw_only=True)
class ClaimsResult(StudyResult):
    """What was measured of each claim, beside its nulls.

    Attributes:
        claims: of every hierarchy every claim, p-values adjusted over `claims` and `series_claims` together.
        series_claims: of shapes of series, composition and pair contrasts.
        beside: hierarchy → further statistics of the same pass, which claim nothing.
        cosines: hierarchy → cosines of its concept vectors, and of those of the first permutation of shuffled rows.
        changes: hierarchy → changes of log-odds in the model, and on the same permutation.
        series: the series of values, and the shapes that common sense expects of them.
        shapes: series → how the shapes compare.
        planes, simplex: of hand-made classes; None where the vocabulary is too small.
        skipped: what was left out, and why.
    """

    study: "ClaimsStudy"
    claims: Results
    series_claims: Results
    beside: Mapping[str, Results]
    hierarchies: Mapping[str, ConceptHierarchy]
    cosines: Mapping[str, tuple[NDArray[np.float64], ...]]
    changes: Mapping[str, tuple[evidence.LogitChanges, evidence.LogitChanges]]
    shapes: Mapping[str, evidence.ShapeComparison]
    series: Mapping[str, Series]
    planes: Illustration | None
    simplex: Illustration | None
    skipped: Mapping[str, str]

    @cached_property
    def composition(self) -> evidence.Composition | None:
        """Composition of the series that this vocabulary has, if they are enough."""
        return next((test for test in self.series_claims if isinstance(test, evidence.Composition)), None)

    @cached_property
    def contrasts(self) -> Results:
        """The families of pairs."""
        return Results([test for test in self.series_claims if test.name == "contrast"])

    def summary(self) -> list[str]:
        """How many claims came to which verdict, and which."""
        groups = evidence.by_verdict(self.claims)
        counts = "; ".join(f"{len(tests)} {word}" for word, tests in groups.items() if word != "not measurable")
        said = [
            f"Of {sum(test.measured for test in self.claims)} tests on {' and '.join(self.hierarchies)}: {counts}"
            f" (adjusted p ≤ 0.05 over all {len(self.claims) + len(self.series_claims)} tests of the run)."
        ]
        if "supported" in groups:
            numbers = [f"{test.name} on {test.subject} {_beside_null(test)}" for test in groups["supported"]]
            said.append(f"Supported: {', '.join(numbers)}.")
        if small := groups.get("significant, small effect"):
            said.append(f"There, but nearer to the null mean than to the prediction: {self._named(small)}.")
        others = ("explained by nesting", "contradicted", "inconclusive", "not significant")
        if lacking := [f"{self._named(groups[word])} ({word})" for word in others if word in groups]:
            said.append(f"No evidence for {'; '.join(lacking)}.")
        if self.series_claims:
            verdicts = Counter(test.verdict for test in self.series_claims)
            counts = "; ".join(f"{number} {verdict}" for verdict, number in verdicts.most_common())
            said.append(f"Of {len(self.series_claims)} tests on series and pairs of words: {counts}.")
        return said

    def _named(self, tests: Sequence[TestResult]) -> str:
        """The claims' names, with the hierarchies where that is not true of all that could be measured."""
        subjects: dict[str, list[str]] = {}
        for test in tests:
            subjects.setdefault(test.name, []).append(test.subject)
        every = Counter(test.name for test in self.claims if test.measured)
        return ", ".join(
            name if len(where) == every[name] else f"{name} on {' and '.join(where)}"
            for name, where in subjects.items()
        )

    def tables(self) -> list[TableSpec]:
        """A table a hierarchy, one of series and pairs, what was measured besides, and what the verdicts mean."""
        n = self.study.n_permutations
        total = len(self.claims) + len(self.series_claims)
        spread = f"p: {n} permutations, so p ≥ {1 / (1 + n):.2g}; adjusted over all {total} tests of the run"
        spread += " (Benjamini–Hochberg). Brackets: 95% bootstrap interval of the mean."
        head = ("claim", "verdict", "value", "shuffled rows", "random subset", "predicted", "p", "adjusted p")
        tables = []
        for name, hierarchy in self.hierarchies.items():
            rows = [_row(test, ("shuffled", "random_subset")) for test in self.claims.about(name)]
            caption = f"{len(hierarchy)} concepts, {len(hierarchy.edges)} edges; concepts are fitted to at most"
            caption += f" {evidence.MAX_TOKENS} of their words. {spread}"
            tables.append(TableSpec(f"Claims on {name}", head, rows, caption))
        if self.series_claims:
            rows = [_row(test, (test.reference,)) for test in self.series_claims]
            caption = (
                f"Null: of shapes permuted orders, of composition shuffled positions, of pairs sign flips. {spread}"
            )
            title, others = "Claims on series of values and pairs of words", (*head[:3], "null", *head[5:])
            tables.append(TableSpec(title, others, rows, caption))
        rows = [
            [f"{name}: {_BESIDE[test.name]}", _value(test), *(_null(test, null) for null in _BESIDE_NULLS)]
            for name, tests in self.beside.items()
            for test in tests
            if test.name in _BESIDE and test.measured
        ]
        if rows:
            besides = ("measured besides", "value", "shuffled rows", "Gaussian rows", "random subset")
            caption = "Forms of one word fall on both sides when tokens are held out instead of lemmas."
            tables.append(TableSpec("The same with other splits and vectors", besides, rows, caption))
        words = dict.fromkeys(evidence.verdict_word(test.verdict) for test in (*self.claims, *self.series_claims))
        tables.append(
            TableSpec("Verdicts", ("verdict", "meaning"), [[word, evidence.VERDICTS[word]] for word in words])
        )
        return tables

    def to_dict(self) -> dict[str, Any]:
        """Every test under "claims", and what else was measured."""
        composition = self.composition.to_dict() if self.composition else {}
        return {
            "max_tokens": evidence.MAX_TOKENS,
            "n_permutations": self.study.n_permutations,
            "claims": [TestResult.to_dict(test) for test in (*self.claims, *self.series_claims)],
            "hierarchies": {name: self._describe(name) for name in self.hierarchies},
            "logit_changes": {name: model.means() for name, (model, _) in self.changes.items()},
            "shapes": {name: comparison.to_dict() for name, comparison in self.shapes.items()},
            "composition": {key: composition[key] for key in ("by_series", "ranks")} if composition else None,
            "contrasts": {
                test.subject: dict(zip(test.labels, test.values.tolist(), strict=True)) for test in self.contrasts
            },
            "planes": self.planes.to_dict() if self.planes else None,
            "simplex": self.simplex.to_dict() if self.simplex else None,
            "skipped": dict(self.skipped),
        }

    def _describe(self, name: str) -> dict[str, Any]:
        """What a hierarchy holds and lacks, and what was measured besides the claims."""
        hierarchy, tests = self.hierarchies[name], self.beside[name]
        existence = self.claims.about(name)["existence"]
        angles = tests["simplex_angles"]
        return {
            "concepts": len(hierarchy),
            "edges": len(hierarchy.edges),
            "tokens": len(hierarchy.tokens),
            "lemmas": int(hierarchy.lemmas.max()) + 1,
            "recipe": hierarchy.recipe,
            "notes": list(hierarchy.notes),
            "skipped": evidence.skipped_concepts(hierarchy, seed=self.study.seed),
            "besides": {key: tests[key].to_dict() for key in _BESIDE},
            "simplex_angle_deviation": dict(zip(angles.labels, angles.values.tolist(), strict=True)),
            "per_concept": {
                concept.name: {"tokens": len(concept), "held_out_projection": value}
                for concept, value in zip(hierarchy, existence.values.tolist(), strict=True)
            },
        }

    def arrays(self) -> dict[str, ArrayLike]:
        """Of every test the values and each permutation's mean; of every pair the log-odds; all cosines."""
        arrays: dict[str, ArrayLike] = {}

        def add(name: str, **parts: Any) -> None:
            key = re.sub(r"[^\w.-]", "_", name)
            while any(taken.split(":")[0] == key for taken in arrays):
                key += "_"
            arrays.update({f"{key}:{part}": values for part, values in parts.items()})

        for test in (*self.claims, *self.series_claims):
            nulls = {name: null.means for name, null in test.nulls.items()}
            add(f"{test.subject}.{test.name}", values=test.values, labels=np.array(test.labels), **nulls)
        for name, tests in self.beside.items():
            for test in tests:
                nulls = {null: values.means for null, values in test.nulls.items()}
                add(f"{name}.besides.{test.name}", values=test.values, labels=np.array(test.labels), **nulls)
        for name, (model, _) in self.changes.items():
            add(f"{name}.logit_changes", labels=np.array(model.labels), parent=model.parent, child=model.child)
        for name, hierarchy in self.hierarchies.items():
            model_cosines, shuffled = self.cosines[name]
            structure = {"edges": np.array(hierarchy.edges), "tree_distance": hierarchy.tree_distance()}
            add(f"{name}.concepts", names=np.array(hierarchy.names), **structure)
            add(f"{name}.cosines", model=model_cosines, shuffled=shuffled)
        return arrays

    def figures(self) -> list[FigureSpec]:
        """The overview, then a figure for each claim, then illustrations and series."""
        from geometry.experiments.claims.figures import claim_figures  # numbers must not need matplotlib
        from geometry.experiments.claims.series_figures import series_figures

        illustrations = [result.figure for result in (self.planes, self.simplex) if result]
        return [*claim_figures(self), *illustrations, *series_figures(self)]


def _number(value: float, digits: int = 3) -> str:
    if not np.isfinite(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}") if round(value, digits) else f"{0:.{digits}f}"


def _value(test: TestResult) -> str:
    low, high = test.interval
    return f"{_number(test.value)} [{_number(low)}, {_number(high)}]" if test.measured else "–"


def _null(test: TestResult, null: str | None) -> str:
    return _number(test.nulls[null].mean) if null and null in test.nulls else "–"


def _row(test: TestResult, nulls: Sequence[str | None]) -> list[str]:
    predicted = "–" if test.predicted is None else f"{test.predicted:.3g}"
    p_values = [f"{p:.2g}" if np.isfinite(p) else "–" for p in (test.p_value, test.p_adjusted)]
    return [test.title, test.verdict, _value(test), *(_null(test, null) for null in nulls), predicted, *p_values]


def _beside_null(test: TestResult) -> str:
    return f"{_number(test.value, 2)} ({test.nulls['shuffled'].label} {_number(test.nulls['shuffled'].mean, 2)})"
