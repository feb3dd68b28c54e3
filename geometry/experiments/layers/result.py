"""What the study of layers gives: claims by block, depth, metrics, what holds across contexts and lemmas."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from geometry.concepts import ConceptHierarchy
from geometry.display import short_repr
from geometry.evidence import by_verdict
from geometry.experiments.layers import figures
from geometry.experiments.layers.block_steering_figures import block_steering_figures
from geometry.experiments.layers.block_steering_result import BlockSteeringResult
from geometry.experiments.layers.by_block import ClaimByBlock
from geometry.experiments.layers.depth import DepthOrder
from geometry.experiments.layers.pictures import Pictures
from geometry.experiments.layers.pictures_figures import picture_figures, picture_pages
from geometry.experiments.layers.words import sentences
from geometry.experiments.result import FigureSpec, StudyResult, TableSpec
from geometry.results import EXACT, Results, TestResult
from geometry.steering import Site

if TYPE_CHECKING:
    from geometry.experiments.layers.study import LayersStudy


@dataclass(frozen=True, eq=False, kw_only=True)
class LayersResult(StudyResult):
    """All claims at all sites.

    Attributes:
        hierarchy: over the phrases that were read.
        contexts: in which they were read.
        claims: name → the claim at every site.
        orthogonality: its four claims at the blocks that have twins.
        of_the_tree: name → further statistics of the tree at every site, beside few permutations.
        depths: of which claims, whether the coarse comes first.
        metrics: of the other inner products, name → claim → site → its statistic.
        held_out_context: site → of each context, the projection of its held-out words on the others' vectors.
        pictures: planes, simplices and maps of layers.
        steered: vectors found at blocks beside others; `without_steering` says why there is none.
        without_control: why no word vectors stand beside the model; empty where they do.
    """

    study: "LayersStudy"
    hierarchy: ConceptHierarchy
    contexts: Sequence[str]
    claims: Mapping[str, ClaimByBlock]
    orthogonality: Mapping[str, ClaimByBlock]
    of_the_tree: Mapping[str, ClaimByBlock]
    depths: Sequence[DepthOrder]
    metrics: Mapping[str, Mapping[str, Mapping[Site, TestResult]]]
    held_out_context: Mapping[Site, Sequence[float]]
    pictures: Pictures | None = None
    steered: BlockSteeringResult | None = None
    without_steering: str = ""
    without_control: str = ""
    left_out: str = ""

    __repr__ = short_repr

    @property
    def sites(self) -> list[Site]:
        """Where it was measured, in the order of the model."""
        return list(next(iter(self.claims.values())).tests)

    @property
    def tests(self) -> dict[str, Results]:
        """Site, as it is written → all its results."""
        return {str(site): Results([claim.tests[site] for claim in self.claims.values()]) for site in self.sites}

    def summary(self) -> list[str]:
        """Where claims appear and are sharpest, what else is as good, and whether the coarse comes first."""
        return sentences(self)

    def to_dict(self) -> dict[str, Any]:
        """Every claim at every site, depth, metrics and what is held out."""
        return {
            "hierarchy": {
                "name": self.hierarchy.name,
                "concepts": len(self.hierarchy),
                "phrases": len(self.hierarchy.words),
            },
            "contexts": list(self.contexts),
            "sites": {site: results.to_dict() for site, results in self.tests.items()},
            "claims": {name: _claim_entry(claim) for name, claim in self.claims.items()},
            "orthogonality": {name: _claim_entry(claim) for name, claim in self.orthogonality.items()},
            "of_the_tree": {name: _claim_entry(claim) for name, claim in self.of_the_tree.items()},
            "word_vectors": [claim.control.to_dict() for claim in self.claims.values() if claim.control is not None]
            or {"left_out": self.without_control},
            "depth": [depth.to_dict() for depth in self.depths],
            "metrics": {
                metric: {name: _means_and_nulls(own) for name, own in by.items()} for metric, by in self.metrics.items()
            },
            "held_out_context": {str(site): list(values) for site, values in self.held_out_context.items()},
            "steering": {"left_out": self.without_steering} if self.steered is None else self.steered.to_dict(),
            "pictures": None if self.pictures is None else self.pictures.to_dict(),
        }

    def arrays(self) -> dict[str, ArrayLike]:
        """Values of every claim, of shape (sites, labels); of depth the places of appearance."""
        arrays: dict[str, ArrayLike] = {}
        for name, claim in self.claims.items():
            arrays[f"{name}:places"] = claim.places
            arrays[f"{name}:values"] = np.array([test.values for test in claim.tests.values()])
            arrays[f"{name}:labels"] = np.array(claim.first.labels)
        for depth in self.depths:
            arrays |= {f"depth:{depth.name}:depths": depth.depths, f"depth:{depth.name}:values": depth.values}
        beside = (self.pictures, self.steered)
        return arrays | {name: values for one in beside if one is not None for name, values in one.arrays().items()}

    def pages(self) -> dict[str, tuple[str, str]]:
        """A page that moves through the layers, and the Mapper graph."""
        return picture_pages(self.pictures) if self.pictures else {}

    def figures(self) -> list[FigureSpec]:
        """Claims × blocks, the claims' curves, depth, metrics, held-out contexts and lemmas."""
        found = figures.all_figures(self)
        found += block_steering_figures(self.steered) if self.steered else []
        return [*found, *(picture_figures(self.pictures) if self.pictures else [])]

    def tables(self) -> list[TableSpec]:
        """Each claim where it is sharpest."""
        head = ("claim", "appears", "sharpest", "value", "permuted", "exact twin", "word vectors", "verdict there")
        rows = []
        for name, claim in (self.claims | self.orthogonality).items():  # type: ignore[operator]
            site = claim.sharpest
            if site is None:
                rows.append((name, *["–"] * 6, claim.first.verdict))
                continue
            test, index = claim.tests[site], list(claim.tests).index(site)
            places, twins = claim.twins()
            twin = float(np.interp(claim.places[index], places, twins)) if len(places) else float("nan")
            control = claim.control.value if claim.control is not None else float("nan")
            numbers = (_number(value) for value in (test.value, claim.nulls[index], twin, control))
            rows.append((name, str(claim.appears or "–"), str(site), *numbers, test.verdict))
        says = (
            "Appears: the first site with 90% of the way from permuted phrases to the sharpest site. Exact twin: theory"
            " planted in the model's own activations, between blocks that have one by interpolation. Word vectors:"
            " GloVe, the mean of a phrase's words. So do verdicts."
        )
        return [TableSpec("Claims where they are sharpest", head, rows, says)]


def _claim_entry(claim: ClaimByBlock) -> dict[str, Any]:
    verdicts = {
        word: [str(site) for site, test in claim.tests.items() if any(test is one for one in own)]
        for word, own in by_verdict(test for test in claim.tests.values() if test.rule).items()
    }
    return {
        "appears": None if claim.appears is None else str(claim.appears),
        "sharpest": None if claim.sharpest is None else str(claim.sharpest),
        "values": claim.values.tolist(),
        "intervals": claim.intervals.tolist(),
        "permuted": claim.nulls.tolist(),
        "exact_twin": dict(zip(*(side.tolist() for side in claim.twins(EXACT)), strict=True)),
        "word_vectors": None if claim.control is None else claim.control.value,
        "verdicts": verdicts,
    }


def _means_and_nulls(tests: Mapping[Site, TestResult]) -> dict[str, dict[str, float]]:
    return {str(site): {"value": test.value, "permuted": test.nulls["permuted"].mean} for site, test in tests.items()}


def _number(value: float) -> str:
    return "–" if not np.isfinite(value) else f"{value:.3f}"
