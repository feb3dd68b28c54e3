"""Fit clouds and evaluate statistics on them, the same for a model, its nulls and its twins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections, TokenCloud
from geometry.display import short_repr
from geometry.estimators import Estimator
from geometry.evidence.splits import Split, train_mask, training_parts
from geometry.evidence.statistics.statistic import Statistic
from geometry.randomness import generator

Fits = tuple[ConceptDirections, ...]  # one, or those of two halves
Missing = Literal["raise", "nan"]


@dataclass(frozen=True, eq=False)
class Fitting:
    """How the vectors of a run are fitted: one split of each kind, one estimator, one bound.

    Attributes:
        masks: split → the tokens to fit on.
        estimator, max_tokens, missing: as of `ConceptDirections.fit_cloud`.
        model: the model's fits, from which other clouds take what is the same there.
    """

    masks: Mapping[Split, NDArray[np.bool_]]
    estimator: Estimator
    max_tokens: int | None
    missing: Missing
    model: Mapping[Split, Fits] = field(default_factory=dict)

    __repr__ = short_repr

    @classmethod
    def of(
        cls,
        hierarchy: ConceptHierarchy,
        splits: Sequence[Split],
        *,
        estimator: Estimator,
        train_fraction: float,
        max_tokens: int | None,
        missing: Missing,
        seed: int,
    ) -> "Fitting":
        """Draw one split of each kind."""
        masks = {split: train_mask(hierarchy, split, generator(seed, split), train_fraction) for split in splits}
        return cls(masks, estimator, max_tokens, missing)

    def fit(self, cloud: TokenCloud, split: Split, estimator: Estimator | None = None) -> Fits:
        """Directions on the split's training parts."""
        estimator = estimator or self.estimator
        parts = training_parts(split, self.masks[split])
        model = self.model.get(split)
        permuted = cloud.permutation_of is not None  # whose points nobody needs all of
        shared = not permuted and model and cloud.points is model[0].cloud.points and estimator == model[0].estimator
        reused = model if model and shared else [None] * len(parts)
        options: Any = {"estimator": estimator, "max_tokens": self.max_tokens, "missing": self.missing}
        return tuple(
            ConceptDirections.fit_cloud(cloud, train=train, reuse=reuse, **options)
            for train, reuse in zip(parts, reused, strict=True)
        )

    def evaluate(
        self, cloud: TokenCloud, statistics: Sequence[Statistic], estimator: Estimator | None = None
    ) -> dict[str, tuple[NDArray[np.float64], Fits]]:
        """Statistic → its values and what they were measured on."""
        result: dict[str, tuple[NDArray[np.float64], Fits]] = {}
        for split in self.masks:
            wanted = [statistic for statistic in statistics if statistic.split == split]
            fits = self.fit(cloud, split, estimator) if wanted else ()
            result |= {statistic.name: (statistic.evaluate(*fits), fits) for statistic in wanted}
        return result
