"""What the study of training gives: claims by step and site, when each is there, depth, and what was left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.concepts import ConceptHierarchy
from geometry.display import short_repr
from geometry.experiments.layers.depth import DepthOrder
from geometry.experiments.result import FigureSpec, StudyResult, TableSpec
from geometry.experiments.training import figures, words
from geometry.experiments.training.by_step import ClaimByStep

if TYPE_CHECKING:
    from geometry.experiments.training.study import TrainingStudy

UNEMBEDDING = words.UNEMBEDDING


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingResult(StudyResult):
    """All claims at all sites of all checkpoints.

    Attributes:
        checkpoints: that were measured, by step: "step", "given" (as it was named) and `Unembedding.summary`.
        named: whether names said the steps; else they are the order in which checkpoints were given.
        claims: site, "unembedding" first → claim → itself over the steps.
        hierarchies: site → the concepts over its words.
        depths: site → of which claims, whether the coarse comes first.
        left_out: checkpoint → why it could not be measured.
        notes: checkpoints that are one and the same.
        without_control: why no word vectors stand beside the model; empty where they do.
    """

    study: "TrainingStudy"
    checkpoints: Sequence[Mapping[str, Any]]
    named: bool
    claims: Mapping[str, Mapping[str, ClaimByStep]]
    hierarchies: Mapping[str, ConceptHierarchy]
    depths: Mapping[str, Sequence[DepthOrder]]
    left_out: Mapping[str, str]
    notes: Sequence[str] = ()
    without_control: str = ""

    __repr__ = short_repr

    @property
    def steps(self) -> NDArray[np.int64]:
        """Of the checkpoints that were measured, ascending."""
        return np.array([checkpoint["step"] for checkpoint in self.checkpoints], dtype=np.int64)

    @property
    def step(self) -> str:
        """What a step is called."""
        return "step" if self.named else "checkpoint"

    @property
    def blocks(self) -> list[str]:
        """The sites of the residual stream, in the order of the model."""
        return [site for site in self.claims if site != UNEMBEDDING]

    @property
    def first(self) -> ClaimByStep:
        """The leading claim at the unembedding."""
        return self.first_at(UNEMBEDDING)

    def first_at(self, site: str) -> ClaimByStep:
        """The leading claim at a site: the first with a null that can be measured."""
        return words.leading(self.claims[site])

    @property
    def permutations(self) -> int:
        """How many, of each claim."""
        return self.study.n_permutations

    def summary(self) -> list[str]:
        """When each claim is there, in which order, whether the coarse comes first, and what was left out."""
        return words.sentences(self)

    def to_dict(self) -> dict[str, Any]:
        """Every claim at every site by step, depth, and what was left out."""
        return {
            "checkpoints": [dict(checkpoint) for checkpoint in self.checkpoints],
            "steps_are": "named" if self.named else "the order given",
            "left_out": dict(self.left_out),
            "notes": list(self.notes),
            "hierarchies": {
                site: {"name": own.name, "concepts": len(own), "words": len(own.words)}
                for site, own in self.hierarchies.items()
            },
            "sites": {
                site: {name: claim.to_dict() for name, claim in own.items()} for site, own in self.claims.items()
            },
            "depth": {site: [depth.to_dict() for depth in own] for site, own in self.depths.items()},
            "word_vectors": {"left_out": self.without_control} if self.without_control else self.study.control,
        }

    def arrays(self) -> dict[str, ArrayLike]:
        """Values of every claim, of shape (steps, labels); of depth the same."""
        arrays: dict[str, ArrayLike] = {"steps": self.steps}
        for site, own in self.claims.items():
            for name, claim in own.items():
                arrays[f"{site}:{name}:values"] = np.array([test.values for test in claim.tests.values()])
                arrays[f"{site}:{name}:labels"] = np.array(claim.first.labels)
            for depth in self.depths.get(site, ()):
                arrays[f"{site}:depth:{depth.name}:depths"] = depth.depths
                arrays[f"{site}:depth:{depth.name}:values"] = depth.values
        return arrays

    def figures(self) -> list[FigureSpec]:
        """Claims at the unembedding, at blocks, block × step, and by depth in the tree."""
        return figures.all_figures(self)

    def tables(self) -> list[TableSpec]:
        """When each claim is there, at every site."""
        head = ("claim", "site", "there at", "interval", "best at", "best", "permuted", "last", "exact twin", "verdict")
        rows = []
        for site, own in self.claims.items():
            for name, claim in own.items():
                last = claim.tests[int(self.steps[-1])]
                best = claim.tests.get(claim.best if claim.best is not None else -1, last)
                interval = "–" if claim.interval is None else f"{claim.interval[0]:,} to {claim.interval[1]:,}"
                numbers = (_number(value) for value in (best.value, best.null, last.value, last.twin))
                there, best_at = ("–" if step is None else f"{step:,}" for step in (claim.appears, claim.best))
                rows.append((name, site, there, interval, best_at, *numbers, last.verdict))
        says = (
            "There: the first step with 90% of the way from permuted words to the claim's best; of orthogonality, with"
            " the cosine's interval within its bound. Interval: 95% of bootstraps over families, of the checkpoints"
            " that were measured. Last, exact twin and verdict are of the last checkpoint, its p-values adjusted over"
            " the claims of that site alone."
        )
        return [TableSpec("When claims are there", head, rows, says)]


def _number(value: float) -> str:
    return "–" if not np.isfinite(value) else f"{value:.3f}"
