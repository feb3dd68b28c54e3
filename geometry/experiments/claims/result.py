"""The result of the study of claims: its numbers in words, tables and results.json."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import geometry.evidence as evidence
from geometry.concepts import ConceptHierarchy, Series
from geometry.concepts.words import lost_in_words
from geometry.display import short_repr
from geometry.experiments.claims.illustrations import Illustration
from geometry.experiments.claims.tables import BESIDE, claim_tables
from geometry.experiments.result import FigureSpec, StudyResult, TableSpec
from geometry.results import Results, TestResult

if TYPE_CHECKING:
    from geometry.experiments.claims.study import ClaimsStudy


@dataclass(frozen=True, eq=False)
class ControlPair:
    """The claims on the words that the model and a control both have.

    Attributes:
        hierarchy: over the model's tokens.
        model: the model's results on it.
        name: of the control.
        control: the control's.
    """

    hierarchy: ConceptHierarchy
    model: Results
    name: str
    control: Results

    __repr__ = short_repr

    def rows(self) -> list[tuple[TestResult, TestResult]]:
        """Each claim that both were measured on, by the model and by the control."""
        pairs = zip(self.model, self.control, strict=True)
        return [(own, other) for own, other in pairs if own.measured and other.measured]

    def in_words(self) -> str:
        """The main numbers side by side."""
        shown = ("existence", "separation", "membership", "tree-correlation-disjoint", "quartets")
        numbers = [
            f"{own.name} {own.value:.2f} and {other.value:.2f}" for own, other in self.rows() if own.name in shown
        ]
        words = f"{len(self.hierarchy.tokens):,} words that both have"
        return f"On the {words}, {self.hierarchy.name}, the model and {self.name} give {', '.join(numbers)}."

    def to_dict(self) -> dict[str, Any]:
        """Each claim's value, interval and null mean, by both."""
        kept = ("claim", "value", "interval", "nulls", "p_value")
        both = {"model": self.model, self.name: self.control}
        results = {
            name: [{key: value for key, value in test.to_dict().items() if key in kept} for test in tests]
            for name, tests in both.items()
        }
        return {"concepts": len(self.hierarchy), "words": len(self.hierarchy.tokens), "claims": results}


def products_in_words(name: str, tests: Iterable[TestResult]) -> str:
    """Which claims gain by the causal inner product over both others, and by how much over the Euclidean one."""
    gains, others = [], []
    for test in tests:
        if test.measured and "euclidean" in test.compared:
            value, (low, high) = test.difference("euclidean")
            # Of a single concept or family there is no interval.
            products = [null for null in ("euclidean", "random_metric") if null in test.compared]
            if np.isfinite(low) and all(map(test.beyond, products)):
                numbers = f"{value:+.3f} [{low:+.3f}, {high:+.3f}]".replace("-", "\N{MINUS SIGN}")
                gains.append(f"{test.name} ({numbers} beside the Euclidean product)")
            else:
                others.append(test.name)
    said = f"On {name} the causal inner product helps {', '.join(gains) or 'no claim'}"
    return f"{said}; {', '.join(others)} do not need it." if others else f"{said}."


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
        control: hierarchy → the claims on the words that a control has too; empty without one.
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
    control: Mapping[str, ControlPair]
    planes: Illustration | None
    simplex: Illustration | None
    skipped: Mapping[str, str]

    __repr__ = short_repr

    @cached_property
    def composition(self) -> evidence.Composition | None:
        """Composition of the series that this vocabulary has, if they are enough."""
        return next((test for test in self.series_claims if isinstance(test, evidence.Composition)), None)

    @cached_property
    def contrasts(self) -> Results:
        """The families of pairs."""
        return Results([test for test in self.series_claims if test.name == "contrast"])

    def summary(self) -> list[str]:
        """How many claims came to which verdict, which, and whose doing it is."""
        groups = evidence.by_verdict(self.claims)
        counts = "; ".join(f"{len(tests)} {word}" for word, tests in groups.items() if word != "not measurable")
        said = [
            f"Of {sum(test.measured for test in self.claims)} tests on {' and '.join(self.hierarchies)}: {counts}"
            f" (adjusted p ≤ 0.05 over the tests with a p-value)."
        ]
        for word, tests in groups.items():
            if word not in ("not measurable", "inconclusive"):
                said.append(f"{word[0].upper()}{word[1:]}: {self._named(tests)}.")
        if unsure := groups.get("inconclusive"):
            families = [f"{test.name} on {test.subject}: {test.verdict}" for test in unsure]
            said.append(f"Undecided, with the families that would decide: {'; '.join(families)}.")
        for name, hierarchy in self.hierarchies.items():
            said += [f"{sentence}." for sentence in lost_in_words(hierarchy.lost, name)]
        said += [products_in_words(name, self.claims.about(name)) for name in self.hierarchies]
        for pair in self.control.values():
            said.append(pair.in_words())
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
        """See `tables.claim_tables`."""
        return claim_tables(self)

    def to_dict(self) -> dict[str, Any]:
        """Every test under "claims", and what else was measured."""
        composition = self.composition.to_dict() if self.composition else {}
        return {
            "max_tokens": evidence.MAX_TOKENS,
            "n_permutations": self.study.n_permutations,
            "n_twins": self.study.n_twins,
            # Of series the plain result: what else they hold has entries of its own.
            "claims": [*self.claims.to_dict(), *(TestResult.to_dict(test) for test in self.series_claims)],
            "hierarchies": {name: self._describe(name) for name in self.hierarchies},
            "logit_changes": {name: model.means() for name, (model, _) in self.changes.items()},
            "shapes": {name: comparison.to_dict() for name, comparison in self.shapes.items()},
            "composition": {key: composition[key] for key in ("by_series", "ranks")} if composition else None,
            "contrasts": {
                test.subject: dict(zip(test.labels, test.values.tolist(), strict=True)) for test in self.contrasts
            },
            "planes": self.planes.to_dict() if self.planes else None,
            "simplex": self.simplex.to_dict() if self.simplex else None,
            "control": {name: pair.to_dict() for name, pair in self.control.items()},
            "skipped": dict(self.skipped),
        }

    def _describe(self, name: str) -> dict[str, Any]:
        """What a hierarchy holds and lacks, and what was measured besides the claims."""
        hierarchy, tests = self.hierarchies[name], self.beside[name]
        existence, angles = self.claims.about(name)["existence"], self.claims.about(name)["angles"]
        blocks = evidence.LemmaBlocks.of(hierarchy)
        return {
            "concepts": len(hierarchy),
            "edges": len(hierarchy.edges),
            "tokens": len(hierarchy.tokens),
            "lemmas": int(hierarchy.lemmas.max()) + 1,
            "recipe": hierarchy.recipe,
            "notes": list(hierarchy.notes),
            "lost": {"count": len(hierarchy.lost), "words": list(hierarchy.lost)},
            "skipped": evidence.skipped_concepts(hierarchy, seed=self.study.seed),
            "strata": len(blocks.strata),
            "lemmas_that_cannot_move": blocks.fixed,
            "besides": {key: tests[key].to_dict() for key in BESIDE},
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
            twins = {f"{name}_twin": values for name, values in test.twin.items()}
            add(f"{test.subject}.{test.name}", values=test.values, labels=np.array(test.labels), **nulls, **twins)
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
