"""What the comparison gives: profiles of the models, similarity of their pairs, trees; and its page."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

import geometry.experiments.comparison.figures as figures
import geometry.plots as plots
from geometry.compare import PAIR_MEASURES, ModelProfile
from geometry.display import short_repr
from geometry.evidence import MAX_TOKENS, VERDICTS, verdict_word
from geometry.experiments.comparison.control import Control
from geometry.experiments.result import FigureSpec, StudyResult, TableSpec
from geometry.results import Results, TestResult

# Figure → the tables that the page shows below it.
_TABLES = {
    "similarity": ("Similarity of pairs",),
    "claims": ("Claim by claim", "Verdicts"),
    "tree": ("Recovered trees",),
    "control": ("Word vectors and models on the same words",),
}
_NUMBERS = ("permuted lemmas", "permuted concepts", "p", "adjusted p")
_DPI = 150


@dataclass(frozen=True, eq=False, kw_only=True)
class ComparisonResult(StudyResult):
    """Profiles of the models, every measure of every two, `pairs.about("a | b")["cka"]`, p-values adjusted over all.

    `agreement` says of every two models whether each claim holds of the same concepts in both; `trees` is model, or
    "consensus", → cophenetic correlation with the hierarchy; `control` is word vectors beside the models, on words of
    its own; `notes` what could not be compared, and why.
    """

    profiles: Sequence[ModelProfile]
    pairs: Results
    agreement: Results
    trees: Mapping[str, TestResult]
    control: Control | None = None
    notes: Sequence[str] = ()

    __repr__ = short_repr

    def summary(self) -> list[str]:
        """What the figures say."""
        return [spec.title for spec in self.figures()]

    def to_dict(self) -> dict[str, Any]:
        """Models, similarity of pairs, trees."""
        similarity: dict[str, dict[str, Any]] = {}
        for first, second in combinations(self.profiles, 2):
            pair = f"{first.name} | {second.name}"
            agreement = {result.name: result for result in self.agreement.about(pair)}
            claims: dict[str, dict[str, Any]] = {}
            for mine, theirs in zip(first.claims, second.claims, strict=True):
                claims[mine.name] = {"verdicts": [mine.verdict, theirs.verdict]}
                if mine.name in agreement:
                    n_common = int(np.isfinite(mine.values + theirs.values).sum())
                    claims[mine.name] |= {"n_common": n_common} | agreement[mine.name].to_dict()
            similarity[pair] = {result.name: result.to_dict() for result in self.pairs.about(pair)} | {"claims": claims}
        keys = ("measure", "unrelated", "identical")
        return {
            "models": [profile.to_dict() for profile in self.profiles],
            "measures": {measure.name: {key: getattr(measure, key) for key in keys} for measure in PAIR_MEASURES},
            "similarity": similarity,
            "trees": {name: tree.to_dict() for name, tree in self.trees.items()},
            "control": self.control and self.control.to_dict(),
            "max_tokens": MAX_TOKENS,
            "notes": list(self.notes),
        }

    def arrays(self) -> dict[str, ArrayLike]:
        """Cosines, spectra, and every pair's values and permutations."""
        nulls = [(f"{result.subject}:{result.name}", result) for result in self.pairs]
        nulls += [(f"{model}:tree", tree) for model, tree in self.trees.items()]
        beside = self.control.profiles if self.control else ()
        return {
            "concepts": self.profiles[0].hierarchy.names,
            **{f"{profile.name}:cosines": profile.cosines.values for profile in self.profiles},
            **{f"{profile.name}:eigenvalues": profile.eigenvalues for profile in self.profiles},
            **{f"{result.subject}:{result.name}": result.values for result in self.pairs},
            **{f"{key}:{name}": null.values for key, result in nulls for name, null in result.nulls.items()},
            **({"control:concepts": self.control.hierarchy.names} if self.control else {}),
            **{f"control:{profile.name}:cosines": profile.cosines.values for profile in beside},
        }

    def figures(self) -> list[FigureSpec]:
        """Similarity, claims, scale, spectra, tree and, where there is one, the control; nothing is drawn yet."""
        similarity, tree = figures.similarity(self.profiles, self.pairs), figures.tree(self.profiles, self.trees)
        specs = [spec(self.profiles) for spec in (figures.claims, figures.scale, figures.spectra)]
        return [similarity, *specs, tree, *([self.control.figure()] if self.control else [])]

    def tables(self) -> list[TableSpec]:
        """Models, pairs, claims and trees, and what the verdicts mean."""
        rows: list[tuple[str, ...]]
        common, names = self.profiles[0].hierarchy, [profile.name for profile in self.profiles]
        claims = zip(*(profile.claims for profile in self.profiles), strict=True)
        says = f"{len(common)} concepts of {len(common.tokens):,} words are common to all. {'. '.join(self.notes)}"
        tests = (test for profile in self.profiles for test in (*profile.claims, *profile.own_claims))
        head = ("model", "family", "vocabulary", "width", "matrix", "effective dimension", "concepts own", "words own")
        shown = [*self.profiles, *([self.control.own] if self.control else [])]
        tables = [TableSpec("Models", head, [_model_row(profile) for profile in shown], says.strip())]
        says = "p is the share of permutations of lemmas as similar as the models, adjusted after Benjamini and"
        says += " Hochberg over all. Concepts that share words are not exchangeable: permuted ones test nothing."
        rows = [(result.subject, f"{result.measure}{_why(result)}", *_numbers(result)) for result in self.pairs]
        tables.append(TableSpec("Similarity of pairs", ("pair", "measure", "value", *_NUMBERS), rows, says))
        says = "On the common concepts: the model's value and, in brackets, that of permuted lemmas, of orthogonality"
        says += " that of exact theory twins; the verdict."
        rows = [(row[0].name, *(figures.cell_text(result, ", ") for result in row)) for row in claims]
        tables.append(TableSpec("Claim by claim", ("claim", *names), rows, says))
        says = f"Average linkage against {common.name}, word-disjoint pairs of concepts."
        rows = [(f"{name}{_why(tree)}", *_numbers(tree)) for name, tree in self.trees.items()]
        tables.append(TableSpec("Recovered trees", ("tree", "cophenetic correlation", *_NUMBERS), rows, says))
        if self.control:
            says = f"All on the {len(self.control.hierarchy)} concepts of {len(self.control.hierarchy.tokens):,} words"
            says += " in lower case that word vectors and models share; in brackets permuted lemmas."
            columns = ("model", *(test.measure for test in self.control.own.claims))
            tables.append(TableSpec("Word vectors and models on the same words", columns, self.control.rows(), says))
        words = dict.fromkeys(verdict_word(test.verdict) for test in tests)
        return [*tables, TableSpec("Verdicts", ("verdict", "meaning"), [(word, VERDICTS[word]) for word in words])]

    def pages(self) -> dict[str, tuple[str, str]]:
        """index.html: every figure and table on one page."""
        pages = plots.pages
        tables = {table.title: pages.Table(table.head, table.rows, table.caption) for table in self.tables()}
        sections: list[tuple[str, list[plots.pages.Block]]] = [("Models", [tables["Models"]])]
        for spec in self.figures():
            links = (("PNG", f"{spec.name}.png"), ("SVG", f"{spec.name}.svg"))
            picture = pages.Picture(_png(spec), spec.caption, links, spec.title)
            sections.append((spec.title, [picture, *(tables[title] for title in _TABLES.get(spec.name, ()))]))
        says = {"results.json": "all numbers", "results.npz": "cosines, spectra and permutations"}
        data = pages.Links([(name, name, text) for name, text in says.items()])
        sections.append(("Data, and how to rerun", [data, pages.Commands(self.study.command)]))
        names = ", ".join(profile.name for profile in self.profiles)
        detail = f"How {names} lay out the concepts of {self.profiles[0].hierarchy.name}, beside null models."
        page = pages.document_page("One geometry, many models", detail, sections)
        return {"index.html": ("The comparison on one page", page)}


def _model_row(profile: ModelProfile) -> list[str]:
    model = profile.model
    matrix = "tied" if model["tied"] else model["side"]
    sizes = f"{model['vocabulary']:,}", f"{model['width']}", matrix, f"{profile.effective_dimension:.0f}"
    own = [f"{len(profile.own)}", f"{len(profile.own.tokens):,}"] if profile.own else ["–", "–"]
    return [profile.name, f"{model['family']}", *sizes, *own]


def _why(result: TestResult) -> str:
    return f": not measurable, {result.lacking}" if result.lacking else ""


def _numbers(result: TestResult) -> list[str]:
    means = [result.value, result.nulls["permuted"].mean, result.nulls["concepts"].mean]
    texts = [*(f"{mean:.2f}" for mean in means), f"{result.p_value:.3f}", f"{result.p_adjusted:.3f}"]
    return ["–" if text == "nan" else text for text in texts]


def _png(spec: FigureSpec) -> bytes:
    held = io.BytesIO()
    with plots.style():
        spec.figure().savefig(held, format="png", dpi=_DPI, facecolor="white")
    return plots.pages.downsampled(held.getvalue(), _DPI)
