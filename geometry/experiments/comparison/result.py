"""What the comparison gives: profiles of the models, similarity of their pairs, trees; and its page."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

import geometry.plots as plots
from geometry.compare import PAIR_MEASURES, ModelProfile
from geometry.evidence import MAX_TOKENS, VERDICTS, verdict_word
from geometry.experiments.comparison.figures import cell_text, figure_specs
from geometry.experiments.result import FigureSpec, StudyResult, TableSpec
from geometry.results import Results, TestResult

__all__ = ["ComparisonResult"]

# Figure → the tables that the page shows below it.
_TABLES = {
    "similarity": ("Similarity of pairs",),
    "claims": ("Claim by claim", "Verdicts"),
    "tree": ("Recovered trees",),
}
_DPI = 150


@dataclass(frozen=True, eq=False, kw_only=True)
class ComparisonResult(StudyResult):
    """The numbers of a comparison.

    Attributes
    ----------
    profiles : one a model.
    pairs : every measure of every two models, `pairs.about("a | b")["cka"]`, p-values adjusted over all.
    agreement : of every two models, whether each claim holds of the same concepts in both.
    trees : model, or "consensus", → cophenetic correlation with the hierarchy.
    notes : what could not be compared, and why.
    """

    profiles: Sequence[ModelProfile]
    pairs: Results
    agreement: Results
    trees: Mapping[str, TestResult]
    notes: Sequence[str] = field(default=())

    def summary(self) -> list[str]:
        """What the figures say."""
        return [spec.title for spec in self.figures()]

    def to_dict(self) -> dict[str, Any]:
        """Models, similarity of pairs, trees."""
        similarity: dict[str, dict[str, Any]] = {}
        for first, second in combinations(self.profiles, 2):
            pair = f"{first.name} | {second.name}"
            similarity[pair] = {result.name: result.to_dict() for result in self.pairs.about(pair)}
            similarity[pair]["claims"] = {
                result.name: {
                    "verdicts": [mine.verdict, theirs.verdict],
                    "n_common": int((np.isfinite(mine.values) & np.isfinite(theirs.values)).sum()),
                    **result.to_dict(),
                }
                for mine, theirs, result in zip(first.claims, second.claims, self.agreement.about(pair), strict=True)
            }
        return {
            "models": [profile.to_dict() for profile in self.profiles],
            "measures": {
                measure.name: {
                    "measure": measure.measure,
                    "unrelated": measure.unrelated,
                    "identical": measure.identical,
                }
                for measure in PAIR_MEASURES
            },
            "similarity": similarity,
            "trees": {name: tree.to_dict() for name, tree in self.trees.items()},
            "max_tokens": MAX_TOKENS,
            "notes": list(self.notes),
        }

    def arrays(self) -> dict[str, ArrayLike]:
        """Cosines, spectra, and every pair's values and permutations."""
        arrays: dict[str, ArrayLike] = {"concepts": self.profiles[0].hierarchy.names}
        for profile in self.profiles:
            arrays[f"{profile.name}:cosines"] = profile.cosines.values
            arrays[f"{profile.name}:eigenvalues"] = profile.eigenvalues
        for result in self.pairs:
            arrays[f"{result.subject}:{result.name}"] = result.values
            arrays |= {f"{result.subject}:{result.name}:{name}": null.values for name, null in result.nulls.items()}
        for model, tree in self.trees.items():
            arrays |= {f"{model}:tree:{name}": null.values for name, null in tree.nulls.items()}
        return arrays

    def figures(self) -> list[FigureSpec]:
        """Similarity, claims, scale, spectra and tree."""
        return figure_specs(self.profiles, self.pairs, self.trees)

    def tables(self) -> list[TableSpec]:
        """Models, pairs, claims and trees, and what the verdicts mean."""
        return [self._models(), self._pairs(), self._claims(), self._trees(), self._verdicts()]

    def pages(self) -> dict[str, tuple[str, str]]:
        """index.html: every figure and table on one page."""
        return {"index.html": ("The comparison on one page", self._page())}

    def _models(self) -> TableSpec:
        head = ("model", "family", "vocabulary", "width", "matrix", "effective dimension", "concepts own", "words own")
        rows = []
        for profile in self.profiles:
            model = profile.model
            matrix = "tied" if model["tied"] else str(model["side"])
            sizes = (f"{model['vocabulary']:,}", str(model["width"]), matrix, f"{profile.effective_dimension:.0f}")
            own = (str(len(profile.own)), f"{len(profile.own.tokens):,}")
            rows.append((profile.name, str(model["family"]), *sizes, *own))
        common = self.profiles[0].hierarchy
        says = f"{len(common)} concepts of {len(common.tokens):,} words are common to all. " + ". ".join(self.notes)
        return TableSpec("Models", head, rows, says.strip())

    def _claims(self) -> TableSpec:
        head = ("claim", *(profile.name for profile in self.profiles))
        cells = zip(*([cell_text(result, ", ") for result in profile.claims] for profile in self.profiles), strict=True)
        rows = [(claim.name, *texts) for claim, texts in zip(self.profiles[0].claims, cells, strict=True)]
        says = "On the common concepts: the model's value and, in brackets, that of shuffled rows; the verdict."
        return TableSpec("Claim by claim", head, rows, says)

    def _verdicts(self) -> TableSpec:
        results = [result for profile in self.profiles for result in (*profile.claims, *profile.own_claims)]
        words = dict.fromkeys(verdict_word(result.verdict) for result in results)
        return TableSpec("Verdicts", ("verdict", "meaning"), [(word, VERDICTS[word]) for word in words])

    def _pairs(self) -> TableSpec:
        head = ("pair", "measure", "value", "shuffled rows", "permuted concepts", "p", "adjusted p")
        rows = [(result.subject, result.measure, *_numbers(result)) for result in self.pairs]
        return TableSpec(
            "Similarity of pairs",
            head,
            rows,
            "p is the share of permutations of shuffled rows as similar as the models, adjusted after Benjamini and"
            " Hochberg over all. Concepts that share words are not exchangeable: permuted ones test nothing.",
        )

    def _trees(self) -> TableSpec:
        head = ("tree", "cophenetic correlation", "shuffled rows", "permuted concepts", "p", "adjusted p")
        rows = [(name, *_numbers(tree)) for name, tree in self.trees.items()]
        says = f"Average linkage against {self.profiles[0].hierarchy.name}, word-disjoint pairs of concepts."
        return TableSpec("Recovered trees", head, rows, says)

    def _page(self) -> str:
        pages = plots.pages
        tables = {table.title: pages.Table(table.head, table.rows, table.caption) for table in self.tables()}
        sections: list[tuple[str, list[pages.Block]]] = [("Models", [tables["Models"]])]
        for spec in self.figures():
            links = (("PNG", f"{spec.name}.png"), ("SVG", f"{spec.name}.svg"))
            picture = pages.Picture(_png(spec), spec.caption, links, spec.title)
            sections.append((spec.title, [picture, *(tables[title] for title in _TABLES.get(spec.name, ()))]))
        data = pages.Links(
            [
                ("results.json", "results.json", "all numbers"),
                ("results.npz", "results.npz", "cosines, spectra and permutations"),
            ]
        )
        sections.append(("Data, and how to rerun", [data, pages.Commands(self.study.command)]))
        names = ", ".join(profile.name for profile in self.profiles)
        detail = f"How {names} lay out the concepts of {self.profiles[0].hierarchy.name}, beside null models."
        return pages.document_page("One geometry, many models", detail, sections)


def _numbers(result: TestResult) -> list[str]:
    shown = [result.value, *(result.nulls[null].mean for null in ("shuffled", "permuted"))]
    p_values = (result.p_value, result.p_adjusted)
    texts = [f"{value:.2f}" if np.isfinite(value) else "–" for value in shown]
    return texts + [f"{p:.3f}" if np.isfinite(p) else "–" for p in p_values]


def _png(spec: FigureSpec) -> bytes:
    held = io.BytesIO()
    with plots.style():
        spec.figure().savefig(held, format="png", dpi=_DPI, facecolor="white")
    return plots.pages.downsampled(held.getvalue(), _DPI)
