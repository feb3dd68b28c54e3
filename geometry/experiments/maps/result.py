"""What the study of maps gives: maps, how far to trust them, a Mapper graph, and their pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike

import geometry.experiments.maps.figures as figures
from geometry.display import short_repr
from geometry.experiments.maps.parts import PRODUCTS, ConceptMap, MappedVocabulary, MapperOfConcept, VocabularyMap
from geometry.experiments.result import FigureSpec, StudyResult, TableSpec

if TYPE_CHECKING:
    from geometry.experiments.maps.study import MapsStudy


@dataclass(frozen=True, eq=False, kw_only=True)
class MapsResult(StudyResult):
    """All tokens, mapped under both products; product, or "shuffled rows", → map of the concept vectors; Mapper.

    Where there is no Mapper graph, `without_mapper` says why.
    """

    study: "MapsStudy"
    vocabulary: MappedVocabulary
    concepts: Mapping[str, ConceptMap]
    mapper: MapperOfConcept | None
    without_mapper: str = ""

    __repr__ = short_repr

    def summary(self) -> list[str]:
        """What the figures say, and how much of the neighbourhoods the main map preserves."""
        trust = self.vocabulary.maps["causal"].trust
        said = f"The vocabulary map preserves {trust.kept:.0%} of the {trust.k} nearest neighbours in causal space"
        first, *others = [spec.title for spec in self.figures()]
        left_out = [f"Mapper is left out: {self.without_mapper}"] if self.mapper is None else []
        return [f"{sentence}." for sentence in (first, said, *others, *left_out)]

    def to_dict(self) -> dict[str, Any]:
        """Maps of the vocabulary, maps of its concepts, Mapper."""
        return {
            "vocabulary": {product: _map_entry(mapped) for product, mapped in self.vocabulary.maps.items()},
            "concepts": {name: mapped.ratio for name, mapped in self.concepts.items()},
            "mapper": {"left_out": self.without_mapper} if self.mapper is None else _mapper_entry(self.mapper),
        }

    def arrays(self) -> dict[str, ArrayLike]:
        """Coordinates of all maps."""
        vocabulary = {f"vocabulary:{product}": mapped.coordinates for product, mapped in self.vocabulary.maps.items()}
        concepts = {f"concepts:{name}": mapped.coordinates for name, mapped in self.concepts.items()}
        return {"tokens": self.vocabulary.tokens, **vocabulary, **concepts}

    def figures(self) -> list[FigureSpec]:
        """The vocabulary, kNN purity, concepts and Mapper."""
        concepts = figures.concepts_figure(self.vocabulary.hierarchy, self.concepts)
        vocabulary = [figures.vocabulary_figure(self.vocabulary), figures.purity_figure(self.vocabulary)]
        return [*vocabulary, concepts, *([figures.mapper_figure(self.mapper)] if self.mapper else [])]

    def tables(self) -> list[TableSpec]:
        """How far the maps can be trusted, and the numbers of Mapper."""
        rows: list[tuple[str, ...]] = []
        for product, mapped in self.vocabulary.maps.items():
            trust, said = mapped.trust, PRODUCTS[product]
            rows += [
                (f"trustworthiness, {said}", *_numbers(trust.value, trust.nulls["permuted"].mean, trust.p_value)),
                (f"neighbourhood preservation, {said}", *_numbers(trust.kept, np.mean(trust.null_kept), np.nan)),
            ]
            for where, test in mapped.purity.items():
                numbers = _numbers(test.value, test.nulls["shuffled"].mean, test.p_value)
                rows.append((f"kNN purity, {said}, {where}", *numbers))
        says = "Null: of trustworthiness and preservation the map with its points permuted (0.5 and nothing by chance),"
        says += " of kNN purity shuffled concepts."
        maps = TableSpec("Maps of the vocabulary", ("measure", "value", "null", "p"), rows, says)
        if self.mapper is None:
            return [maps]
        tests = list(self.mapper.comparison.tests.values())
        heads = [head for null in tests[0].nulls.values() for head in (null.label, f"p, {null.label}")]
        rows = []
        for test in tests:
            nulls = [number for name, null in test.nulls.items() for number in (null.mean, test.p_against(name))]
            rows.append((test.measure, *_numbers(test.value, *nulls)))
        says = "p of node purity is one-sided, of all else two-sided; – where no permutation changes the number."
        return [maps, TableSpec(f"Mapper of {self.mapper.concept}", ("measure", "value", *heads), rows, says)]

    def pages(self) -> dict[str, tuple[str, str]]:
        """The vocabulary, the concepts and Mapper to explore, and the Mapper graph as GraphML."""
        pages = figures.pages(self.vocabulary, self.concepts, self.mapper)
        if self.mapper is None:
            return pages
        graph = self.mapper.comparison.graph.to_networkx(self.mapper.concepts.attributes())
        return pages | {"mapper.graphml": ("The Mapper graph", "\n".join(nx.generate_graphml(graph)))}


def _map_entry(mapped: VocabularyMap) -> dict[str, Any]:
    trust = mapped.trust.to_dict()
    return {
        "trustworthiness": trust,
        "neighbourhood_preservation": {"value": trust["kept"], "null": trust["null_kept"], "k": trust["k"]},
        "knn_purity": {where: result.to_dict() for where, result in mapped.purity.items()},
    }


def _mapper_entry(mapper: MapperOfConcept) -> dict[str, Any]:
    return {
        "concept": mapper.concept,
        "points": len(mapper.labelled),
        "numbers": mapper.comparison.to_dict(),
        "bridges": [bridge.to_dict() for bridge in mapper.bridges if bridge.between],
        "stability": mapper.sweep.to_dict(),
    }


def _numbers(*values: Any) -> list[str]:
    return [
        "–" if not np.isfinite(value) else f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.3f}"
        for value in values
    ]
