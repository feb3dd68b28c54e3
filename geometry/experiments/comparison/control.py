"""The control: word vectors, which no language model made, beside the models on the words that all of them share."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from scipy.spatial.distance import squareform

import geometry.plots as plots
from geometry.compare import PAIR_MEASURES, ModelProfile
from geometry.concepts import ConceptHierarchy
from geometry.display import short_repr
from geometry.experiments.result import FigureSpec
from geometry.results import Results, TestResult

_SHOWN = PAIR_MEASURES[:2]


@dataclass(frozen=True, eq=False)
class Control:
    """Word vectors and every model on the same words, which are fewer than those the models are compared on.

    Attributes:
        profiles: of the models, then of the word vectors; of their claims only `OWN_CLAIMS`.
        pairs: every measure of every two of them, p-values adjusted over all.
    """

    profiles: Sequence[ModelProfile]
    pairs: Results

    __repr__ = short_repr

    @property
    def own(self) -> ModelProfile:
        """The word vectors'."""
        return self.profiles[-1]

    @property
    def hierarchy(self) -> ConceptHierarchy:
        """The concepts that all of them have."""
        return self.profiles[0].hierarchy

    @property
    def names(self) -> list[str]:
        """What figures and tables call them."""
        return [*(profile.name for profile in self.profiles[:-1]), f"{self.own.name} (word vectors)"]

    def similar(self, measure: str) -> tuple[list[TestResult], list[TestResult]]:
        """A measure of the models' pairs, and of every model with the word vectors."""
        results = [result for result in self.pairs if result.name == measure]
        pairs = combinations(range(len(self.profiles)), 2)
        with_vectors = [second == len(self.profiles) - 1 for _, second in pairs]
        among, beside = (
            [result for result, here in zip(results, with_vectors, strict=True) if here is wanted]
            for wanted in (False, True)
        )
        return among, beside

    def to_dict(self) -> dict[str, Any]:
        """The words, claims by model, similarity by pair."""
        subjects = dict.fromkeys(result.subject for result in self.pairs)
        return {
            "model": dict(self.own.model),
            "language_model": False,
            "compared_on": "words in lower case that word vectors and all models have; so is all in here",
            "concepts": len(self.hierarchy),
            "words": len(self.hierarchy.tokens),
            "claims": {profile.name: profile.claims.to_dict() for profile in self.profiles},
            "similarity": {
                pair: {result.name: result.to_dict() for result in self.pairs.about(pair)} for pair in subjects
            },
        }

    def rows(self) -> list[tuple[str, ...]]:
        """Each model's claims, of the word vectors last."""
        return [
            (name, *(_cell(test, " ") for test in profile.claims))
            for name, profile in zip(self.names, self.profiles, strict=True)
        ]

    def figure(self) -> FigureSpec:
        """How similar word vectors and models are, and three claims about each, on one set of words."""
        among, beside = self.similar("cka")
        if all(result.p_value <= result.p_floor for result in beside):
            null = max(abs(result.nulls["permuted"].mean) for result in beside)
            title = f"Word vectors, no language model, are like the models: CKA {_range(beside)}"
            title += f" (models {_range(among)}; permuted lemmas at most {null:.2f})"
        else:
            beyond = sum(result.p_value <= result.p_floor for result in beside)
            title = f"Word vectors, no language model, are like {beyond} of {len(beside)} models beyond permuted lemmas"
        caption = (
            f"{self.own.name}: vectors of words by what they occur with, in place of an unembedding. All numbers here"
            f" are of the {len(self.hierarchy)} concepts of {len(self.hierarchy.tokens):,} words in lower case that"
            " word vectors and models share; the other figures have more words. Above the diagonal (grey) and in"
            " brackets: permuted lemmas. a, b: pairs of concepts that share no word."
        )
        above = np.triu(np.ones((len(self.names), len(self.names)), dtype=np.bool_))
        panels = []
        for measure in _SHOWN:
            results = [result for result in self.pairs if result.name == measure.name]
            shown = np.where(above, *(squareform(list(side)) for side in zip(*map(_both, results), strict=True)))
            texts = np.array(plots.numbers(shown), dtype=object)
            np.fill_diagonal(texts, "")
            look: dict[str, Any] = {"cmap": "YlGnBu", "texts": texts.tolist(), "null": above}
            panels.append(plots.HeatmapPanel(shown, self.names, self.names, measure.measure.split(",")[0], **look))
        panels.append(_claims(self.profiles, self.names))
        return FigureSpec("control", title, caption, partial(plots.heatmap, panels, ncols=3))


def _both(result: TestResult) -> tuple[float, float]:
    return result.nulls["permuted"].mean, result.value


def _claims(profiles: Sequence[ModelProfile], names: Sequence[str]) -> plots.HeatmapPanel:
    shown = [[test.relative(test.value) for test in profile.claims] for profile in profiles]
    texts = [[_cell(test) for test in profile.claims] for profile in profiles]
    look: dict[str, Any] = {"cmap": "YlGnBu", "colourbar": "null mean (0) to prediction (1)"}
    return plots.HeatmapPanel(shown, names, [test.name for test in profiles[0].claims], "claims", texts=texts, **look)


def _cell(test: TestResult, apart: str = "\n") -> str:
    return f"{test.value:.2f}{apart}({test.nulls['permuted'].mean:.2f})" if test.measured else "–"


def _range(results: Sequence[TestResult]) -> str:
    low, high = (f"{of(result.value for result in results):.2f}" for of in (min, max))
    return low if low == high else f"{low} to {high}"


def without(control: str, why: object) -> str:
    """The note of a run without its control."""
    return f"{control} is left out, so that no word vectors stand beside the models: {why}"
