"""Which of two nouns plays which role: "a duck on a horse", additive parts, linear maps by role, and their controls."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from geometry.anatomy.linear_maps import kernel_weights
from geometry.arguments import checked
from geometry.display import short_repr
from geometry.errors import EstimationError

Array = NDArray[np.float64]
_FEWEST = 5
_PENALTY = 0.1  # × the mean squared length of a row


@dataclass(frozen=True, eq=False)
class TwoWayShares:
    """Shares of the variance of activations of "an A on a B" by the nouns alone.

    Attributes:
        shares: "first", "second": what a noun adds in either role; "interaction": what their sum leaves.
        jackknife: the same without each of n nouns, shape (n,).
        permuted: the same where activations are given to other pairs, means over permutations.
    """

    shares: Mapping[str, float]
    jackknife: Mapping[str, Array]
    permuted: Mapping[str, float]

    __repr__ = short_repr

    def interval(self, name: str) -> tuple[float, float]:
        """95%, by the jackknife over nouns."""
        without = self.jackknife[name]
        error = float(np.sqrt((len(without) - 1) * np.var(without)))
        return self.shares[name] - 1.96 * error, self.shares[name] + 1.96 * error


@checked
def two_way_shares(activations: NDArray[np.float64], *, n_permutations: int = 19, seed: int = 0) -> TwoWayShares:
    """How much of what differs between pairs is the first noun, the second, and what only both together give.

    Example::

        two_way_shares(activations).shares  # of shape (n, n, d), [i, j] that of "a noun i on a noun j"

    Parameters:
        activations: shape (n, n, d), n ≥ 5; the diagonal is not looked at.

    Raises EstimationError: another shape, fewer nouns, or numbers that are not finite.

    Shares are of sums of squares: what a role adds to the additive model of the other, and what that model leaves.
    """
    count = _checked(activations)
    pairs = _ordered(count)
    rows = activations[pairs[:, 0], pairs[:, 1]]
    rng = np.random.default_rng(seed)
    drawn = [_shares(pairs, rows[rng.permutation(len(rows))]) for _ in range(n_permutations)]
    without = []
    for left in range(count):
        kept = (pairs != left).all(axis=1)
        without.append(_shares(pairs[kept], rows[kept]))
    return TwoWayShares(
        _shares(pairs, rows),
        {name: np.array([each[name] for each in without]) for name in ("first", "second", "interaction")},
        {name: float(np.mean([each[name] for each in drawn])) for name in ("first", "second", "interaction")},
    )


@dataclass(frozen=True, eq=False)
class RoleMaps:
    """Linear maps from nouns to pairs, judged on pairs of two nouns that they were not fitted to; m ordered pairs.

    Attributes:
        pairs: (first, second), shape (m, 2).
        errors: "roles", "bag" → squared errors of predictions, shape (m,).
        totals: squared distances from the mean of training pairs, shape (m,).
        ordered: whether a pair is nearer to its own prediction by roles than to that of nouns exchanged, shape (m,).
        permuted: R² by roles where training pairs are given each other's activations, shape (n_permutations,).
        flipped: mean of ordered where pairs have their roles exchanged at random, shape (n_permutations,).
    """

    pairs: NDArray[np.int64]
    errors: Mapping[str, Array]
    totals: Array
    ordered: Array
    permuted: Array
    flipped: Array

    __repr__ = short_repr

    def r2(self, name: str) -> float:
        """Of all held-out pairs together."""
        return float(1 - self.errors[name].sum() / self.totals.sum())

    @property
    def p_order(self) -> float:
        """How often as many orders are recovered where pairs have their roles exchanged at random."""
        return float((1 + (self.flipped >= self.ordered.mean()).sum()) / (1 + len(self.flipped)))

    def r2_without(self, name: str) -> Array:
        """The same without the pairs of each noun, for a jackknife, shape (n,)."""
        kept = [(self.pairs != noun).all(axis=1) for noun in range(int(self.pairs.max()) + 1)]
        return np.array([1 - self.errors[name][each].sum() / self.totals[each].sum() for each in kept])

    def interval(self, name: str) -> tuple[float, float]:
        """95% of R², by the jackknife over nouns."""
        without = self.r2_without(name)
        error = float(np.sqrt((len(without) - 1) * np.var(without)))
        return self.r2(name) - 1.96 * error, self.r2(name) + 1.96 * error


@checked
def role_maps(
    activations: NDArray[np.float64], nouns: NDArray[np.float64], *, n_permutations: int = 19, seed: int = 0
) -> RoleMaps:
    """Whether a pair's activation is one linear map of its first noun plus another of its second.

    Example::

        found = role_maps(activations, nouns)
        found.r2("roles"), found.r2("bag"), found.ordered.mean()

    Parameters:
        activations: shape (n, n, d), n ≥ 5, as of `two_way_shares`; nouns: shape (n, d), each alone.

    Every two nouns are left out with all of their pairs, and their two pairs predicted: a multiple of each noun, and a
    ridge map of it for what that leaves. "bag" has one multiple and one map of the sum of both nouns, which cannot tell
    who is where.

    Raises EstimationError: other shapes, fewer nouns, or numbers that are not finite.
    """
    count = _checked(activations)
    if nouns.shape != (count, activations.shape[2]) or not np.isfinite(nouns).all():
        raise EstimationError(
            f"role maps need a finite row of {activations.shape[2]} for each of {count} nouns, not an array"
            f" {nouns.shape}"
        )
    pairs = _ordered(count)
    rows = activations[pairs[:, 0], pairs[:, 1]]
    rng = np.random.default_rng(seed)
    keys = rng.random((n_permutations, len(rows)))
    back = {(int(i), int(j)): index for index, (i, j) in enumerate(pairs)}
    swapped = np.array([back[int(j), int(i)] for i, j in pairs])
    flips = []
    for _ in range(n_permutations):
        flip = {frozenset(each): bool(rng.integers(2)) for each in combinations(range(count), 2)}
        flips.append(np.array([swapped[k] if flip[frozenset(map(int, pair))] else k for k, pair in enumerate(pairs)]))
    first, second = nouns[pairs[:, 0]], nouns[pairs[:, 1]]
    inputs = {"roles": (first, second), "bag": (first + second,)}
    kernels = {"roles": first @ first.T + second @ second.T, "bag": (first + second) @ (first + second).T}
    errors: dict[str, list[float]] = {"roles": [], "bag": []}
    totals, ordered, tested = [], [], []
    permuted, flipped = np.zeros(n_permutations), np.zeros(n_permutations)
    for one, other in combinations(range(count), 2):
        train = np.flatnonzero(~np.isin(pairs, (one, other)).any(axis=1))
        test = np.array([back[one, other], back[other, one]])
        goal, own = rows[test], rows[train]
        predict = {name: _guess(kernels[name], inputs[name], train, test) for name in kernels}
        guesses = {name: each(own) for name, each in predict.items()}
        for name, guess in guesses.items():
            errors[name] += ((goal - guess) ** 2).sum(axis=1).tolist()
        totals += ((goal - own.mean(axis=0)) ** 2).sum(axis=1).tolist()
        tested += pairs[test].tolist()
        ordered += _in_order(goal, guesses["roles"])
        for draw in range(n_permutations):
            permuted[draw] += float(((goal - predict["roles"](own[keys[draw, train].argsort()])) ** 2).sum())
            # Test pairs too: else a map that has learned either direction would be all right or all wrong.
            flipped[draw] += sum(_in_order(rows[flips[draw][test]], predict["roles"](rows[flips[draw][train]])))
    return RoleMaps(
        np.array(tested), {name: np.array(values) for name, values in errors.items()}, np.array(totals),
        np.array(ordered, dtype=np.float64), 1 - permuted / sum(totals), flipped / len(ordered),
    )  # fmt: skip


def _guess(
    kernel: Array, inputs: Sequence[Array], train: NDArray[np.int64], test: NDArray[np.int64]
) -> Callable[[Array], Array]:
    """Predictions of the test pairs from whatever rows the training pairs are given, each shape (2, d).

    Every input has a coefficient of its own, and what these leave is mapped by ridge regression: a map that is shrunk
    towards a multiple of the noun itself, without which nothing could be said of a held-out noun.
    """
    weights = kernel_weights(kernel, train, test, _PENALTY)
    known = [each[train] - each[train].mean(axis=0) for each in inputs]
    asked = [each[test] - each[train].mean(axis=0) for each in inputs]
    gram = np.array([[float((one * other).sum()) for other in known] for one in known])

    def predict(given: Array) -> Array:
        mean = given.mean(axis=0)
        centred = given - mean
        share = np.linalg.lstsq(gram, np.array([float((each * centred).sum()) for each in known]), rcond=None)[0]
        rest = centred - sum(part * each for part, each in zip(share, known, strict=True))
        return np.asarray(mean + sum(part * each for part, each in zip(share, asked, strict=True)) + weights @ rest)

    return predict


def _in_order(goal: Array, guess: Array) -> list[float]:
    """Whether each of two is nearer to its own prediction; ½ where both are as near."""
    distances = ((goal[:, None] - guess[None]) ** 2).sum(axis=2)
    own, crossed = distances.diagonal(), distances[[0, 1], [1, 0]]
    even = np.abs(own - crossed) <= 1e-9 * np.maximum(own, crossed)
    return [0.5 if same else float(near) for same, near in zip(even, own < crossed, strict=True)]


def _shares(pairs: NDArray[np.int64], rows: Array) -> dict[str, float]:
    centred = rows - rows.mean(axis=0)
    first, second = (_dummies(column) for column in pairs.T)
    both = _explained(np.concatenate([first, second], axis=1), centred)
    total = max(float((centred**2).sum()), np.finfo(np.float64).tiny)
    return {
        "first": (both - _explained(second, centred)) / total,
        "second": (both - _explained(first, centred)) / total,
        "interaction": 1 - both / total,
    }


def _dummies(column: NDArray[np.int64]) -> Array:
    return np.asarray(np.unique(column)[None] == column[:, None], dtype=np.float64)


def _explained(design: Array, rows: Array) -> float:
    left, values, _ = np.linalg.svd(design, full_matrices=False)
    basis = left[:, values > 1e-9 * values.max()]
    return float(((basis.T @ rows) ** 2).sum())


def _ordered(count: int) -> NDArray[np.int64]:
    return np.array([(i, j) for i in range(count) for j in range(count) if i != j], dtype=np.int64)


def _checked(activations: Array) -> int:
    shape = activations.shape
    if len(shape) != 3 or shape[0] != shape[1] or shape[0] < _FEWEST:
        raise EstimationError(f"pairs of nouns need activations (n, n, d) with n of {_FEWEST} or more, not {shape}")
    off = ~np.eye(shape[0], dtype=np.bool_)
    if not np.isfinite(activations[off]).all():
        raise EstimationError("pairs of nouns need finite activations; these hold NaN or infinite values")
    return int(shape[0])
