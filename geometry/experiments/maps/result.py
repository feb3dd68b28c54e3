"""What the study of maps gives: maps, how far to trust them, a Mapper graph, and their pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike

from geometry.experiments.maps.figures import (
    concepts_figure,
    concepts_page,
    mapper_figure,
    mapper_html,
    purity_figure,
    vocabulary_figure,
    vocabulary_page,
)
from geometry.experiments.maps.parts import PRODUCTS, ConceptMap, MappedVocabulary, MapperOfConcept
from geometry.experiments.maps.study import MapsStudy
from geometry.experiments.result import FigureSpec, StudyResult, TableSpec

__all__ = ["MapsResult"]


@dataclass(frozen=True, eq=False, kw_only=True)
class MapsResult(StudyResult):
    """The numbers of the study of maps.

    Attributes
    ----------
    vocabulary : all tokens, mapped under both products.
    concepts : product, or "shuffled rows", → map of the concept vectors.
    mapper : the graph of one concept's words.
    """

    study: MapsStudy
    vocabulary: MappedVocabulary
    concepts: Mapping[str, ConceptMap]
    mapper: MapperOfConcept

    def summary(self) -> list[str]:
        """What the figures say, and how much of the neighbourhoods the main map preserves."""
        trust = self.vocabulary.maps["causal"].trust
        said = f"The vocabulary map preserves {trust.kept:.0%} of the {trust.k} nearest neighbours in causal space"
        first, *others = [spec.title for spec in self.figures()]
        return [f"{sentence}." for sentence in (first, said, *others)]

    def to_dict(self) -> dict[str, Any]:
        """Maps of the vocabulary, maps of its concepts, Mapper."""
        return {
            "vocabulary": {product: mapped.to_dict() for product, mapped in self.vocabulary.maps.items()},
            "concepts": {name: mapped.ratio for name, mapped in self.concepts.items()},
            "mapper": self.mapper.to_dict(),
        }

    def arrays(self) -> dict[str, ArrayLike]:
        """Coordinates of all maps."""
        vocabulary = {f"vocabulary:{product}": mapped.coordinates for product, mapped in self.vocabulary.maps.items()}
        concepts = {f"concepts:{name}": mapped.coordinates for name, mapped in self.concepts.items()}
        return {"tokens": self.vocabulary.tokens, **vocabulary, **concepts}

    def figures(self) -> list[FigureSpec]:
        """The vocabulary, kNN purity, concepts and Mapper."""
        return [
            vocabulary_figure(self.vocabulary),
            purity_figure(self.vocabulary),
            concepts_figure(self.vocabulary.hierarchy, self.concepts),
            mapper_figure(self.mapper),
        ]

    def tables(self) -> list[TableSpec]:
        """How far the maps can be trusted, and the numbers of Mapper."""
        rows = []
        for product, mapped in self.vocabulary.maps.items():
            trust, kept = mapped.trust, np.mean(mapped.trust.null_kept)
            said = PRODUCTS[product]
            rows.append(
                (f"trustworthiness, {said}", *_numbers(trust.value, trust.nulls["permuted"].mean, trust.p_value))
            )
            rows.append((f"neighbourhood preservation, {said}", *_numbers(trust.kept, float(kept)), "–"))
            for where, result in mapped.purity.items():
                numbers = _numbers(result.value, result.nulls["shuffled"].mean, result.p_value)
                rows.append((f"kNN purity, {said}, {where}", *numbers))
        maps = TableSpec(
            "Maps of the vocabulary",
            ("measure", "value", "null", "p"),
            rows,
            "Null: of trustworthiness and preservation the map with its points permuted (0.5 and nothing by chance),"
            " of kNN purity shuffled concepts.",
        )
        nulls = next(iter(self.mapper.comparison.tests.values())).nulls
        heads = [head for null in nulls.values() for head in (null.label, f"p, {null.label}")]
        graph = TableSpec(
            f"Mapper of {self.mapper.concept}",
            ("measure", "value", *heads),
            [
                (
                    test.measure,
                    *_numbers(test.value),
                    *(text for name, null in test.nulls.items() for text in _numbers(null.mean, test.p_against(name))),
                )
                for test in self.mapper.comparison.tests.values()
            ],
            "p of node purity is one-sided, of all else two-sided; – where no permutation changes the number.",
        )
        return [maps, graph]

    def pages(self) -> dict[str, tuple[str, str]]:
        """The vocabulary, the concepts and Mapper to explore, and the Mapper graph as GraphML."""
        graph = self.mapper.comparison.graph.to_networkx(self.mapper.concepts.attributes())
        return {
            "vocabulary.html": ("Explore the vocabulary", vocabulary_page(self.vocabulary, self.study.concept)),
            "concepts.html": ("Explore the concepts", concepts_page(self.vocabulary.hierarchy, self.concepts)),
            "mapper.html": ("Explore the Mapper graph", mapper_html(self.mapper)),
            "mapper.graphml": ("The Mapper graph", "\n".join(nx.generate_graphml(graph))),
        }


def _numbers(*values: float) -> list[str]:
    return [
        "–" if not np.isfinite(value) else f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.3f}"
        for value in values
    ]
