"""Judge: scores texts, one number each; a function of the user's, or one of those that are ready."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.display import in_short
from geometry.errors import EstimationError, GeometryError, shown


@checked
@dataclass(frozen=True, eq=False, repr=False)
class Judge:
    """Scores texts.

    >>> length = Judge("length", "words", lambda texts: [len(text.split()) for text in texts])
    >>> length(["A robin sang.", ""])
    array([3., 0.])

    Parameters:
        name, unit: of its scores, for tables and axes.
        function: texts → a number each, in their order.
        notes: what a reader of its scores should know, such as how accurate it is.

    Raises EstimationError: when called, texts that are none, or a function that fails or gives other than a finite
        number for each text.
    """

    name: str
    unit: str
    function: Callable[[Sequence[str]], Any]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({in_short(self.name, 80)}, in {in_short(self.unit, 40)})"

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """The scores of n texts, shape (n,)."""
        given = list(texts) if isinstance(texts, Iterable) else []
        if isinstance(texts, str) or not given or not all(isinstance(text, str) for text in given):
            raise EstimationError(f"{self.name} scores a list of texts, not {shown(texts)}")
        try:
            scores = np.asarray(self.function(given), dtype=np.float64)
        except GeometryError:
            raise
        except Exception as error:  # whatever a function of the user's does
            raise EstimationError(f"{self.name} failed: {type(error).__name__}: {error}") from error
        if scores.shape != (len(given),) or not np.isfinite(scores).all():
            raise EstimationError(
                f"{self.name} gave {shown(scores.tolist())} for {len(given)} texts, not a finite number for each"
            )
        return scores
