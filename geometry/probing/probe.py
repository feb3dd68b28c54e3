"""A linear probe: which class do activations belong to, by ridge regression on the classes?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.arguments import checked
from geometry.display import short_repr
from geometry.errors import EstimationError

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


def ridge(width: int) -> "Pipeline":
    """Ridge regression on standardised dimensions, `width` of them.

    The penalty d on standardised dimensions equals the mean eigenvalue of the Gram matrix, so it is neither tuned nor
    does it depend on scale.
    """
    # Imported here: these take memory that analyses of unembeddings alone do without.
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), Ridge(alpha=width, solver="cholesky"))


def matrix(points: ArrayLike, what: str = "points") -> NDArray[np.float64]:
    """The points as floats, shape (n, d); EstimationError where they are not a finite matrix of numbers."""
    rows = np.asarray(points)
    if rows.ndim != 2 or not rows.size or rows.dtype.kind not in "biuf":
        raise EstimationError(f"{what} of shape {rows.shape}, {rows.dtype}: not a matrix of numbers, a row a point")
    if not np.isfinite(rows).all():
        raise EstimationError(f"{what}: finite points are needed; these hold NaN or infinite values")
    return rows.astype(np.float64, copy=False)


@dataclass(frozen=True, eq=False)
class Probe:
    """A fitted probe.

    >>> points = np.array([[0.0, 1.0], [0.1, 0.9], [1.0, 0.0], [0.9, 0.2]])
    >>> Probe.fit(points, ["calm", "calm", "angry", "angry"]).predict(points).tolist()
    [0, 0, 1, 1]

    Attributes:
        classes: their names, in the order in which they first stood among the labels.
    """

    classes: tuple[str, ...]
    _regression: "Pipeline"

    __repr__ = short_repr

    @classmethod
    @checked(points=ArrayLike, labels=Iterable[Any])
    def fit(cls, points: NDArray[np.floating], labels: Sequence[str]) -> "Probe":
        """Fit to points, shape (n, d), and the class of each.

        Raises EstimationError: lengths that differ, fewer than two classes, or points that are not finite.
        """
        rows, labels = matrix(points), [str(label) for label in labels]
        classes = tuple(dict.fromkeys(labels))
        if len(rows) != len(labels):
            raise EstimationError(f"points of shape {rows.shape} have {len(labels)} labels")
        if len(classes) < 2:
            raise EstimationError(f"a probe needs two classes, not {len(classes)}")
        targets = np.array([[label == name for name in classes] for label in labels], dtype=np.float64)
        return cls(classes, ridge(rows.shape[1]).fit(rows, targets))

    @checked(points=ArrayLike)
    def scores(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """How much of each class the points have, shape (n, k); about 1 for a class they are in."""
        rows = matrix(points)
        if rows.shape[1] != self._regression.n_features_in_:
            raise EstimationError(
                f"the probe was fitted to width {self._regression.n_features_in_}, not {rows.shape[1]}"
            )
        return self._regression.predict(rows)

    @checked(points=ArrayLike)
    def predict(self, points: NDArray[np.floating]) -> NDArray[np.int64]:
        """The number of the class with the highest score, shape (n,)."""
        return self.scores(points).argmax(axis=1)
