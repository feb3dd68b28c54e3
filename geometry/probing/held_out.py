"""Are classes discriminated on held-out groups of points: prompts of another template, another domain?"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.arguments import checked
from geometry.display import html_table, short_repr
from geometry.errors import EstimationError
from geometry.probing.probe import matrix, ridge
from geometry.results import NullValues, TestResult


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class HeldOutClassification(TestResult):
    """Probe accuracy on held-out groups; the value is balanced accuracy, the mean recall over classes.

    The interval is a bootstrap over held-out groups.

    Attributes:
        groups: group → balanced accuracy on it, by a classifier that was fitted to the others.
        confusion: shape (k, k), points of class i classified as class j, over all held-out groups.
    """

    groups: Mapping[str, float]
    confusion: NDArray[np.int64]

    @property
    def chance(self) -> float:
        """1/k."""
        return self.unstructured

    def to_dict(self) -> dict[str, Any]:
        """The result, with accuracy by group and the confusion matrix."""
        return super().to_dict() | {
            "chance": self.chance,
            "groups": dict(self.groups),
            "shuffled_95%": float(np.quantile(self.nulls["shuffled"].means, 0.95)),
            "confusion": self.confusion.tolist(),
        }


@checked(results=Sequence[HeldOutClassification])
@dataclass(frozen=True, eq=False)
class HeldOutSweep:
    """One classification after another: the same points, labels and shuffles, after each block of a model.

    Attributes:
        results: one a block, in order; all with the same seed, so that a shuffle is the same at each block.
    """

    results: Sequence[HeldOutClassification]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not len(self.results):
            raise EstimationError("a sweep needs at least one classification")

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """After each block, shape (blocks,)."""
        return np.array([result.value for result in self.results])

    def _repr_html_(self) -> str:
        threshold = self.threshold
        rows = (
            (index, result.value, *result.interval, result.nulls["shuffled"].mean, result.value > threshold)
            for index, result in enumerate(self.results)
        )
        heads = ("block", "accuracy", "low", "high", "shuffled labels", "beyond the threshold")
        return html_table(heads, rows, f"{self.results[0].name} after each block; threshold {threshold:.3f}", most=100)

    @property
    def threshold(self) -> float:
        """95% of shuffles reach no more than this at their best block, which makes up for looking at many."""
        return float(np.quantile(np.max([result.nulls["shuffled"].means for result in self.results], axis=0), 0.95))

    @property
    def first(self) -> int | None:
        """The block from which on all are beyond the threshold; None where the last is not."""
        below = np.flatnonzero(self.accuracy <= self.threshold)
        start = int(below[-1]) + 1 if len(below) else 0
        return start if start < len(self.results) else None


@checked(points=ArrayLike, labels=Iterable[Any], groups=Iterable[Any], cells=Iterable[Any] | None)
def classify_held_out(
    points: NDArray[np.floating],
    labels: Sequence[str],
    groups: Sequence[str],
    *,
    cells: Sequence[Hashable] | None = None,
    n_permutations: int = 99,
    seed: int = 0,
) -> HeldOutClassification:
    """Ridge regression on the classes, fitted without one group at a time and evaluated on it.

    Parameters:
        points: shape (n, d), finite; each dimension is standardised on the training groups.
        labels, groups: of every point; each class must have points in each group, and there must be two of both.
        cells: labels are shuffled among points of one cell, such as template and domain together, so that what a cell
            says about the class stays as it is; default: among points of one group.

    Raises EstimationError: lengths that differ, fewer than two classes or groups, a class without points in a group,
        points that are not finite.

    All permutations of labels are targets of one fit a group, since the points are the same.
    """
    rows, labels, groups = matrix(points), list(labels), list(groups)
    classes, codes = np.unique(np.array([str(label) for label in labels]), return_inverse=True)
    names, own = np.unique(np.array([str(group) for group in groups]), return_inverse=True)
    if not len(rows) == len(codes) == len(own):
        raise EstimationError(f"points of shape {rows.shape} have {len(codes)} labels and {len(own)} groups")
    if len(classes) < 2 or len(names) < 2:
        raise EstimationError(f"two classes and two groups are needed, not {len(classes)} and {len(names)}")
    if len(empty := np.argwhere(_counted(codes, own, (len(classes), len(names))) == 0)):
        raise EstimationError(f"class {classes[empty[0, 0]]!s} has no points in group {names[empty[0, 1]]!s}")
    _, within = np.unique([repr(cell) for cell in (groups if cells is None else cells)], return_inverse=True)
    if len(within) != len(rows):
        raise EstimationError(f"{len(rows)} points have {len(within)} cells")
    rng = np.random.default_rng(seed)
    shuffled = np.stack([codes, *(_shuffled(codes, within, rng) for _ in range(n_permutations))], axis=1)

    predicted = np.empty_like(shuffled)
    for group in range(len(names)):
        train, test = np.flatnonzero(own != group), np.flatnonzero(own == group)
        targets = np.eye(len(classes))[shuffled[train]].reshape(len(train), -1)
        scores = ridge(rows.shape[1]).fit(rows[train], targets).predict(rows[test])
        predicted[test] = scores.reshape(len(test), -1, len(classes)).argmax(axis=2)
    recalls = [
        np.array([(column[truth == k] == k).mean() for k in range(len(classes))])
        for column, truth in zip(predicted.T, shuffled.T, strict=True)
    ]
    right = predicted[:, 0] == codes
    cells_right = [[right[(own == g) & (codes == k)].mean() for k in range(len(classes))] for g in range(len(names))]
    accuracies = np.array([np.mean(row) for row in cells_right])
    permuted = np.array([recall.mean() for recall in recalls[1:]]).reshape(-1, 1)
    again = np.random.default_rng(seed).integers(0, len(names), size=(1000, len(names)))
    return HeldOutClassification(
        name="held_out_classification",
        labels=tuple(map(str, classes)),
        values=recalls[0],
        nulls={"shuffled": NullValues(permuted, "shuffled labels", ".")},
        measure="probe accuracy on held-out groups, balanced",
        unstructured=1 / len(classes),
        predicted=1.0,
        resampled=accuracies[again].mean(axis=1),
        groups=dict(zip(map(str, names), accuracies.tolist(), strict=True)),
        confusion=_counted(codes, predicted[:, 0], (len(classes), len(classes))),
    )


def _counted(rows: NDArray[np.intp], columns: NDArray[np.intp], shape: tuple[int, int]) -> NDArray[np.int64]:
    return np.bincount(np.ravel_multi_index((rows, columns), shape), minlength=shape[0] * shape[1]).reshape(shape)


def _shuffled(codes: NDArray[np.intp], within: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """Labels permuted among the points of each cell."""
    order = np.lexsort((rng.random(len(codes)), within))
    result = np.empty_like(codes)
    result[np.argsort(within, kind="stable")] = codes[order]
    return result
