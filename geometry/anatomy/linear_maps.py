"""Linear maps between values of series: from one category to another, and from a value to the next.

The idea that a model has one successor for numbers, days and letters is that of successor heads (Gould et al., arXiv
2312.09230), who find features of a number modulo 10 behind it; here it is asked of activations, category by category.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.display import short_repr
from geometry.errors import EstimationError

Array = NDArray[np.float64]
SeriesVectors = Mapping[str, tuple[tuple[str, ...], NDArray[np.int64], Array]]
_PENALTIES = (0.01, 0.1, 1.0, 10.0)  # × the mean squared length of a row
_FEWEST = 4  # pairs that a map is fitted to


@dataclass(frozen=True, eq=False)
class RidgeMap:
    """An affine map fitted by ridge regression, of which only products of rows are ever taken.

    Attributes:
        rows: inputs less their mean, shape (n, d). dual: shape (n, e).
        origin, target: means of inputs (d,) and outputs (e,).
        penalty: × the mean squared length of a row.
    """

    rows: Array
    dual: Array
    origin: Array
    target: Array
    penalty: float

    __repr__ = short_repr

    def __call__(self, x: Array) -> Array:
        """Predictions, shape (m, e) of inputs (m, d)."""
        return np.asarray((x - self.origin) @ self.rows.T @ self.dual + self.target)


@checked
def ridge_map(x: NDArray[np.float64], y: NDArray[np.float64]) -> RidgeMap:
    """The affine map from rows x to rows y whose penalty predicts left-out rows best.

    Example::

        to_next = ridge_map(vectors[:-1], vectors[1:])
        to_next(vectors[:1])

    Parameters:
        x, y: shape (n, d) and (n, e), n ≥ 3.

    Raises EstimationError: other shapes, fewer rows, or numbers that are not finite.

    Of four penalties that one is taken whose leave-one-out error e_i/(1 − H_ii) is least.
    """
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) < 3:
        raise EstimationError(f"a map takes rows (n, d) and (n, e) with n of 3 or more, not {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise EstimationError("a map takes finite rows; these hold NaN or infinite values")
    origin, target = x.mean(axis=0), y.mean(axis=0)
    rows, outputs = x - origin, y - target
    gram = rows @ rows.T
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0)
    scale = max(float(values.mean()), np.finfo(np.float64).tiny)
    rotated = vectors.T @ outputs
    best: tuple[float, float] = (np.inf, _PENALTIES[-1])
    for penalty in _PENALTIES:
        shrunk = values / (values + penalty * scale)
        residual = outputs - vectors @ (shrunk[:, None] * rotated)
        # The mean is fitted too, which takes 1/n of every row.
        leverage = (vectors**2 * shrunk).sum(axis=1) + 1 / len(x)
        error = float(((residual / np.maximum(1 - leverage, 1e-6)[:, None]) ** 2).sum())
        best = min(best, (error, penalty))
    dual = vectors @ (rotated / (values + best[1] * scale)[:, None])
    return RidgeMap(rows, dual, origin, target, best[1])


@dataclass(frozen=True, eq=False)
class MapAccuracy:
    """How often a linear map finds the value that it is to find, among those of a category.

    Attributes:
        cells: (category, value) that was mapped, of n.
        correct: shape (n,).
        baselines: name → the same of what is no such map, shape (n,).
        permuted: mean accuracies where values have been put in another order, shape (n_permutations,).
        chance: of a guess, the mean of 1 / number of candidates.
    """

    cells: tuple[tuple[str, str], ...]
    correct: Array
    baselines: Mapping[str, Array]
    permuted: Array
    chance: float

    __repr__ = short_repr

    @property
    def accuracy(self) -> float:
        """Mean over cells."""
        return float(self.correct.mean())

    @property
    def p_value(self) -> float:
        """How often another order is found as well."""
        return float((1 + (self.permuted >= self.accuracy).sum()) / (1 + len(self.permuted)))

    def to_dict(self) -> dict[str, Any]:
        """Accuracies by category."""
        owners = np.array([category for category, _ in self.cells])
        return {
            "accuracy": self.accuracy,
            "baselines": {name: float(values.mean()) for name, values in self.baselines.items()},
            "permuted": float(self.permuted.mean()),
            "p": self.p_value,
            "chance": self.chance,
            "by_category": {
                name: float(self.correct[owners == name].mean()) for name in dict.fromkeys(owners.tolist())
            },
        }


@checked
def successor_map(series: SeriesVectors, *, n_permutations: int = 19, seed: int = 0) -> MapAccuracy:
    """One map from a value to the next, fitted to all categories but one, finds the next values of that one.

    Example::

        found = successor_map({"weekdays": (days, np.arange(7), vectors), "months": …, "letters": …})
        found.accuracy, found.baselines["nearest"].mean(), found.permuted.mean()

    Each category's mean is taken out of its vectors first, so that only what tells its values apart is mapped. The next
    value is to be the nearest to the prediction by cosine, among the category's others.

    Parameters:
        series: name → (values, positions (k,), vectors (k, d)); a value without the next position is not mapped.
        n_permutations: of the order within every category that maps are fitted to.

    Baselines: "nearest", the value nearest to the word itself; "mean step", the word plus the mean difference to the
    next in the other categories.

    Raises EstimationError: fewer than two series with a step, or vectors that are not finite.
    """
    centred = _centred(series)
    steps = {name: _steps(positions) for name, (_, positions, _) in series.items()}
    names = [name for name in series if len(steps[name])]
    if len(names) < 2 or any(sum(len(steps[other]) for other in names if other != name) < _FEWEST for name in names):
        raise EstimationError("a successor map needs at least two series of several values next to each other")
    rng = np.random.default_rng(seed)
    cells, correct, nearest, mean_step, chance = [], [], [], [], []
    permuted = np.zeros(n_permutations)
    for name in names:
        rows, pairs = centred[name], steps[name]
        x, y = _pairs(centred, steps, [other for other in names if other != name], None)
        start, goal = rows[pairs[:, 0]], pairs[:, 1]
        correct.append(_found(ridge_map(x, y)(start), rows, pairs[:, 0], goal))
        nearest.append(_found(start, rows, pairs[:, 0], goal))
        mean_step.append(_found(start + (y - x).mean(axis=0), rows, pairs[:, 0], goal))
        chance.append(np.full(len(pairs), 1 / (len(rows) - 1)))
        cells += [(name, series[name][0][index]) for index in pairs[:, 0]]
        for draw in range(n_permutations):
            orders = {other: rng.permutation(len(centred[other])) for other in names}
            x, y = _pairs(centred, steps, [other for other in names if other != name], orders)
            permuted[draw] += _found(ridge_map(x, y)(start), rows, pairs[:, 0], goal).sum()
    baselines = {"nearest": np.concatenate(nearest), "mean step": np.concatenate(mean_step)}
    flat = np.concatenate(correct)
    return MapAccuracy(tuple(cells), flat, baselines, permuted / len(flat), float(np.concatenate(chance).mean()))


@checked
def position_map(series: SeriesVectors, *, n_permutations: int = 19, seed: int = 0) -> MapAccuracy:
    """A map from the values of one category to those of another tells two positions apart that it was not fitted to.

    Example::

        found = position_map({"number words": (words, np.arange(12), vectors), "months": …})

    For every ordered pair of categories and every two positions that both have: fitted to the other positions, the map
    of the first category's two values is to match them with the second's two, the right way round by the sum of cosines
    (leave-two-out, chance ½). One position left out would be biased against itself, as the others' mean points away
    from it.

    Parameters:
        series, n_permutations: as of `successor_map`; the order of the second category is permuted.

    Raises EstimationError: no two series with 5 positions in common, or vectors that are not finite.
    Source: Mitchell et al., Science 2008, for leave-two-out matching.
    """
    centred = _centred(series)
    rng = np.random.default_rng(seed)
    cells: list[tuple[str, str]] = []
    correct: list[Array] = []
    permuted = np.zeros(n_permutations)
    for first, (values, positions, _) in series.items():
        for second, (_, others, _) in series.items():
            shared = np.intersect1d(positions, others)
            if first == second or len(shared) < _FEWEST + 1:
                continue
            own = [int(np.flatnonzero(positions == p)[0]) for p in shared]
            x = centred[first][own]
            y = centred[second][[int(np.flatnonzero(others == p)[0]) for p in shared]]
            orders = [np.arange(len(y)), *(rng.permutation(len(y)) for _ in range(n_permutations))]
            matched = _matched(x @ x.T, np.stack([y[order] for order in orders]))
            correct.append(matched[0])
            permuted += matched[1:].sum(axis=1)
            two = combinations([values[index] for index in own], 2)
            cells += [(f"{first} → {second}", f"{one}, {other}") for one, other in two]
    if not correct:
        raise EstimationError(f"a position map needs two series with at least {_FEWEST + 1} positions in common")
    flat = np.concatenate(correct)
    return MapAccuracy(tuple(cells), flat, {}, permuted / len(flat), 0.5)


def kernel_weights(kernel: Array, train: NDArray[np.int64], test: NDArray[np.int64], penalty: float = 0.1) -> Array:
    """What of every training row a ridge prediction of test rows is made of, shape (test, train); means are taken out.

    Parameters:
        kernel: products of all rows, shape (n, n). penalty: × the mean squared length of a training row.
    """
    own = kernel[np.ix_(train, train)]
    mean = own.mean(axis=0)
    centred = own - mean - mean[:, None] + mean.mean()
    across = kernel[np.ix_(test, train)]
    across = across - mean - across.mean(axis=1, keepdims=True) + mean.mean()
    ridge = penalty * max(float(centred.diagonal().mean()), np.finfo(np.float64).tiny)
    return np.asarray(np.linalg.solve(centred + ridge * np.eye(len(own)), across.T).T)


def _matched(kernel: Array, targets: Array) -> Array:
    """Whether every two are matched the right way round, for every order of the targets (orders, n, e); 1, 0 or ½."""
    rows = []
    for two in combinations(range(len(kernel)), 2):
        test = np.array(two)
        train = np.setdiff1d(np.arange(len(kernel)), test)
        mean = targets[:, train].mean(axis=1, keepdims=True)
        guess = kernel_weights(kernel, train, test) @ (targets[:, train] - mean)
        cosines = _unit(guess) @ _unit(targets[:, test] - mean).transpose(0, 2, 1)
        right = cosines[:, 0, 0] + cosines[:, 1, 1]
        wrong = cosines[:, 0, 1] + cosines[:, 1, 0]
        rows.append(0.5 + 0.5 * np.sign(right - wrong))
    return np.stack(rows, axis=1)


def _unit(rows: Array) -> Array:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-300))


def _centred(series: SeriesVectors) -> dict[str, Array]:
    for name, (values, positions, vectors) in series.items():
        if len(values) != len(positions) or len(values) != len(vectors) or vectors.ndim != 2 or not len(values):
            raise EstimationError(
                f"{name!r}: values, positions (k,) and vectors (k, d) must be of one number, 1 or more"
            )
        if not np.isfinite(vectors).all():
            raise EstimationError(f"{name!r}: vectors must be finite; these hold NaN or infinite values")
    return {name: vectors - vectors.mean(axis=0) for name, (_, _, vectors) in series.items()}


def _steps(positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """(index, index of the next) for every value whose next position is there, shape (n, 2)."""
    where = {int(position): index for index, position in enumerate(positions)}
    steps = [(index, where[p + 1]) for p, index in where.items() if p + 1 in where]
    return np.array(steps, dtype=np.int64).reshape(-1, 2)


def _pairs(
    centred: Mapping[str, Array], steps: Mapping[str, NDArray[np.int64]], names: list[str],
    orders: Mapping[str, NDArray[np.int64]] | None,
) -> tuple[Array, Array]:  # fmt: skip
    x, y = [], []
    for name in names:
        rows = centred[name] if orders is None else centred[name][orders[name]]
        x.append(rows[steps[name][:, 0]])
        y.append(rows[steps[name][:, 1]])
    return np.concatenate(x), np.concatenate(y)


def _found(predicted: Array, rows: Array, itself: NDArray[np.int64], goal: NDArray[np.int64]) -> Array:
    """Whether the goal is the nearest row by cosine, the word itself left out; shape (n,)."""
    lengths = np.maximum(np.linalg.norm(rows, axis=1), 1e-300)
    scores = predicted @ (rows / lengths[:, None]).T
    scores[np.arange(len(scores)), itself] = -np.inf
    return np.asarray((scores.argmax(axis=1) == goal).astype(np.float64))
