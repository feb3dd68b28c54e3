"""Shape hypotheses for a set of values: simplex, line, circle or tree, as a scikit-learn classifier.

Each shape is a graph, and squared distances between values are distances along it: a path (line, straight or bent), a
cycle (circle), a tree, or a star, in which all are equally far (simplex). Values close on the shape predict each other;
a simplex predicts of a value that it has not seen no more than the mean of all others.
"""

from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

Shape = Literal["simplex", "line", "circle", "tree"]
SHAPES: tuple[Shape, ...] = get_args(Shape)

# How much of the values' spread the shape may explain: variance along it over variance off it.
_RATIOS = np.array([0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0])


class ShapeClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Nearest-centre classifier whose centres lie on a hypothesised shape.

    The means of the values are modelled as x_i = m + s_i + e_i, with independent e and a Gaussian s whose
    covariance r K is the shape's: K = −½ D, centred, with D the distances along the graph: |t_i − t_j| between
    positions t (line), the shorter way around (circle), 0 within a group and 1 between (tree); K = I for a
    simplex. The ratio r is chosen by restricted maximum likelihood.

    Parameters:
        shape: "simplex", "line", "circle" or "tree".
        period: length of the circle; default, the number of classes.
        groups: class label → branch of the tree; default, every class is its own.

    Attributes:
        classes_: shape (k,), sorted; numeric labels are positions on line and circle, others are numbered.
        centres_: shape (k, d), the means drawn towards the shape (of a simplex: the means).
        ratio_: r, variance along the shape over variance off it; where it is 0 the values do not lie on the shape, all
            centres are one point, and one class is predicted throughout.
        left_out_score_: see `left_out_score`; nan with fewer than 3 classes.

    Source: Kriging with an unknown mean: Cressie, Statistics for Spatial Data (1993), chapter 3.
    """

    def __init__(
        self, shape: Shape = "simplex", *, period: float | None = None, groups: dict[Any, Any] | None = None
    ) -> None:
        self.shape = shape
        self.period = period
        self.groups = groups

    def fit(self, X: ArrayLike, y: ArrayLike) -> "ShapeClassifier":  # noqa: N803 (scikit-learn's name)
        """Fit to rows `X`, shape (n, d), of the values `y`, shape (n,).

        Raises ValueError: an unknown shape, one class only, a class without group, or what scikit-learn refuses.
        """
        if self.shape not in SHAPES:
            raise ValueError(f"unknown shape {self.shape!r}; choose from {', '.join(SHAPES)}")
        rows, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        k = len(self.classes_)
        if k < 2:
            raise ValueError(f"a shape needs at least two classes; y holds one class, {self.classes_[0]!r}")
        means = np.stack([rows[codes == code].mean(axis=0) for code in range(k)])
        numeric = np.issubdtype(self.classes_.dtype, np.number)
        positions = self.classes_.astype(np.float64) if numeric else np.arange(k, dtype=np.float64)
        groups = None
        if self.groups is not None:
            if missing := [label for label in self.classes_.tolist() if label not in self.groups]:
                raise ValueError(f"groups must name every class; {missing[0]!r} is missing")
            groups = np.array([self.groups[label] for label in self.classes_.tolist()])
        kernel = shape_kernel(self.shape, positions, period=self.period, groups=groups)
        self.ratio_, self.centres_ = _centres(kernel, means)
        if self.shape == "simplex":  # its means may lie anywhere
            self.ratio_, self.centres_ = np.inf, means
        self.left_out_score_ = left_out_score(kernel, means @ means.T, rows.shape[1]) if k >= 3 else float("nan")
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """The class of the nearest centre, shape (n,)."""
        check_is_fitted(self)
        rows: NDArray[np.float64] = validate_data(self, X, reset=False, dtype=np.float64)
        distance = (self.centres_**2).sum(axis=1) - 2 * rows @ self.centres_.T
        return self.classes_[distance.argmin(axis=1)]


def shape_kernel(
    shape: Shape, positions: NDArray[np.float64], *, period: float | None = None, groups: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Covariance K of values at `positions`, shape (k, k), with mean variance 1 after centring.

    A shape that cannot tell its values apart (a tree of one group each, a simplex) gives the identity.
    """
    k = len(positions)
    apart = np.abs(np.subtract.outer(positions, positions))
    if shape == "circle":
        around = k if period is None else period
        apart = np.minimum(apart % around, around - apart % around)
    elif shape == "tree" and groups is not None:
        apart = np.not_equal.outer(groups, groups).astype(np.float64)
    elif shape != "line":
        apart = 1 - np.eye(k)
    kernel = -apart / 2
    centred = kernel - kernel.mean(axis=0) - kernel.mean(axis=1, keepdims=True) + kernel.mean()
    variance = float(np.trace(centred)) / k
    return centred / variance if variance > 1e-12 else np.eye(k)


def left_out_score(kernel: NDArray[np.float64], gram: NDArray[np.float64], width: int) -> float:
    """How well a shape predicts the mean of a value from those of the others: R² over values left out in turn.

    1 − Σ‖x_i − x̂_i‖² / Σ‖x_i − mean of the others‖², where x̂_i is the kriging prediction with r chosen
    without x_i. 0 for a simplex, negative where the shape misleads.

    Parameters:
        kernel: K, shape (k, k), k ≥ 3.
        gram: inner products of the values' means, shape (k, k).
        width: d, the number of independent coordinates behind the inner products.
    """
    plan = _left_out(kernel.tobytes(), len(kernel))
    among = gram[plan.rest[:, :, None], plan.rest[:, None, :]]
    best = plan.profile.likelihood(among, width).argmax(axis=-1)
    weights = np.take_along_axis(plan.weights, best[:, None, None], axis=1)[:, 0]
    towards = np.take_along_axis(gram, plan.rest, axis=1)
    missed = np.zeros(2)
    for column, subset in enumerate((weights, np.full_like(weights, 1 / plan.rest.shape[1]))):
        inner = np.einsum("in,inm,im->", subset, among, subset)
        missed[column] = np.trace(gram) - 2 * (subset * towards).sum() + inner
    error, baseline = missed
    return float(1 - error / baseline) if baseline > 0 else float("nan")


class _Profile(NamedTuple):
    """Restricted log likelihood of covariances, mean and scale profiled out, but for the inner products.

    Attributes:
        projected: the inverses without the mean, shape (..., n, n).
        penalty: log|C| + log 1ᵀC⁻¹1, shape (...).
    """

    projected: NDArray[np.float64]
    penalty: NDArray[np.float64]

    @classmethod
    def of(cls, covariance: NDArray[np.float64], inverse: NDArray[np.float64]) -> "_Profile":
        ones = inverse.sum(axis=-1)
        total = ones.sum(axis=-1)
        projected = inverse - ones[..., :, None] * ones[..., None, :] / total[..., None, None]
        return cls(projected, np.linalg.slogdet(covariance)[1] + np.log(total))

    def likelihood(self, gram: NDArray[np.float64], width: int) -> NDArray[np.float64]:
        """Of every covariance; `gram` has the leading axes of the penalty but the last, shape (..., n, n)."""
        n = gram.shape[-1]
        quadratic = np.einsum("...rij,...ji->...r", self.projected, gram, optimize=True)
        scale = np.maximum(quadratic, np.finfo(np.float64).tiny) / ((n - 1) * width)
        return np.asarray(-0.5 * width * (self.penalty + (n - 1) * np.log(scale)))


class _LeftOut(NamedTuple):
    """What predicts value i from the others, for every ratio; the same whatever the values are.

    Attributes:
        rest: the others, shape (k, k − 1).
        profile: of the others' covariances, shape (k, ratios).
        weights: kriging weights, shape (k, ratios, k − 1).
    """

    rest: NDArray[np.int64]
    profile: _Profile
    weights: NDArray[np.float64]


# Permuted orders share the shape.
@lru_cache(maxsize=64)
def _left_out(kernel: bytes, k: int) -> _LeftOut:
    covariance = _RATIOS[:, None, None] * np.frombuffer(kernel).reshape(k, k) + np.eye(k)
    rest = np.stack([np.delete(np.arange(k), i) for i in range(k)])
    known = covariance[:, rest[:, :, None], rest[:, None, :]].swapaxes(0, 1)
    inverse = np.asarray(np.linalg.inv(known), dtype=np.float64)
    towards = np.stack([covariance[:, own, i] for i, own in enumerate(rest)])
    return _LeftOut(rest, _Profile.of(known, inverse), _kriging_weights(inverse, towards))


def _kriging_weights(inverse: NDArray[np.float64], towards: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of the known values, which sum to 1, for one with covariances `towards` them, shape (..., n)."""
    ones = inverse.sum(axis=-1)
    lacking = (1 - (ones * towards).sum(axis=-1)) / ones.sum(axis=-1)
    return np.asarray(np.einsum("...ij,...j->...i", inverse, towards) + ones * lacking[..., None])


def _centres(kernel: NDArray[np.float64], means: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The chosen ratio, and the part of the means that lies along the shape, around their mean."""
    covariance = _RATIOS[:, None, None] * kernel + np.eye(len(kernel))
    inverse = np.asarray(np.linalg.inv(covariance), dtype=np.float64)
    best = int(_Profile.of(covariance, inverse).likelihood(means @ means.T, means.shape[1]).argmax())
    mean = means.mean(axis=0)
    return float(_RATIOS[best]), mean + _RATIOS[best] * kernel @ inverse[best] @ (means - mean)
