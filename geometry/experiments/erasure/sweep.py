"""Every target erased by every method at the site, and all concepts looked for before and after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.experiments.erasure.methods import ERASURE, MEAN, METHODS, PERMUTED, RANDOM, by_method, fitted
from geometry.experiments.erasure.probes import discriminated, neighbours
from geometry.experiments.erasure.setup import Bench, Indices, Points
from geometry.experiments.study import Step
from geometry.intervals import mean_of
from geometry.randomness import generator
from geometry.steering import Eraser

Array = NDArray[np.float64]
FRACTIONS = (1 / 8, 1 / 4, 1 / 2, 1.0)  # of the words that erasers are fitted to
NEAREST = (ERASURE, MEAN, RANDOM, PERMUTED)  # methods whose nearest neighbours are asked too, the first draw


@dataclass(frozen=True, eq=False)
class Sweep:
    """What all concepts look like after each target was erased; t targets, k concepts.

    Attributes:
        before, before_nearest: AUC of each concept by the linear probe and by nearest neighbours, shape (k,).
        linear: method → AUC of the linear probe, the mean of its draws, shape (t, k). nearest: the same.
        contrast: method → the share of each concept's contrast, in whitened units, that the erasure removes on words
            that it was not fitted to, shape (t, k).
        covariance: the largest covariance with the labels that is left on the words of the fit, over the largest that
            was there, shape (t,).
        counts: how many words erasers were fitted to; by_count: AUC of the target after that, shape (counts, t).
    """

    before: Array
    before_nearest: Array
    linear: Mapping[str, Array]
    nearest: Mapping[str, Array]
    contrast: Mapping[str, Array]
    covariance: Array
    counts: tuple[int, ...]
    by_count: Array

    __repr__ = short_repr


def swept(bench: Bench, step: Step) -> Sweep:
    """Erase one target after the other."""
    contrasts = _Contrasts(bench)
    linear: dict[str, list[Array]] = {method: [] for method in METHODS}
    nearest: dict[str, list[Array]] = {method: [] for method in NEAREST}
    removed: dict[str, list[Array]] = {method: [] for method in METHODS}
    covariance, curve = [], []
    for number, target in enumerate(bench.targets):
        step(f"erasing {target.label} ({number + 1} of {len(bench.targets)})")
        drawn: dict[str, list[tuple[Array, Array]]] = {method: [] for method in METHODS}
        for method, eraser in by_method(bench, target):
            points: Points = eraser.erase(bench.points)
            drawn[method].append((discriminated(bench, points), contrasts.removed(eraser)))
            if method in NEAREST and len(drawn[method]) == 1:
                nearest[method].append(discriminated(bench, points, neighbours))
            if method == ERASURE:
                covariance.append(_left(bench, eraser, target.columns))
        for method, draws in drawn.items():
            found, shares = (np.mean(values, axis=0) for values in zip(*draws, strict=True))
            linear[method].append(np.asarray(found))
            removed[method].append(np.asarray(shares))
        whole = float(linear[ERASURE][-1][target.columns].mean())
        order = generator(bench.study.seed, "words to fit").permutation(bench.fitted)
        curve.append([*(_after(bench, target.columns, order[:count], number) for count in _counts(bench)[:-1]), whole])
    return Sweep(
        discriminated(bench, bench.points),
        discriminated(bench, bench.points, neighbours),
        {method: np.array(values) for method, values in linear.items()},
        {method: np.array(values) for method, values in nearest.items()},
        {method: np.array(values) for method, values in removed.items()},
        np.array(covariance),
        _counts(bench),
        np.array(curve).T,
    )


def _counts(bench: Bench) -> tuple[int, ...]:
    return tuple(round(part * len(bench.fitted)) for part in FRACTIONS)


def _after(bench: Bench, columns: Indices, rows: Indices, number: int) -> float:
    """AUC of a target after an eraser of fewer words; concepts that these do not show are not erased."""
    own = bench.members[rows][:, columns]
    shown = own.any(axis=0) & ~own.all(axis=0)
    if not shown.any():
        return float("nan")
    eraser = fitted(bench, bench.targets[number], rows, own[:, shown])
    return float(discriminated(bench, eraser.erase(bench.points))[columns].mean())


def _left(bench: Bench, eraser: Eraser, columns: Indices) -> float:
    """Of the covariance with the labels on the words of the fit."""
    states = bench.samples[:, bench.fitted].reshape(-1, bench.samples.shape[2]).astype(np.float64)
    labels = np.tile(bench.members[bench.fitted][:, columns], (len(bench.samples), 1)).astype(np.float64)
    labels -= labels.mean(axis=0)
    before, after = (np.abs(labels.T @ rows).max() for rows in (states, eraser.erase(states)))
    return float(after / before)


class _Contrasts:
    """Mean differences of every concept on the two parts that no eraser was fitted to, whitened by the half's Σ.

    Their product over the two parts is the squared length of the contrast without that of the noise in it.
    """

    def __init__(self, bench: Bench) -> None:
        from sklearn.covariance import ledoit_wolf

        states = bench.samples[:, bench.fitted].reshape(-1, bench.samples.shape[2]).astype(np.float64)
        covariance = torch.from_numpy(ledoit_wolf(states)[0])
        self._precision = torch.linalg.inv(covariance)
        self._parts = [self._differences(bench, rows) for rows in (bench.first, bench.second)]
        self._before = self._products(*self._parts)

    @staticmethod
    def _differences(bench: Bench, rows: Indices) -> torch.Tensor:
        points, inside = bench.points[rows].astype(np.float64), bench.members[rows].astype(np.float64)
        sums, count = inside.T @ points, inside.sum(axis=0)[:, None]
        return torch.from_numpy(sums / count - (points.sum(axis=0) - sums) / (len(rows) - count))

    def _products(self, first: torch.Tensor, second: torch.Tensor) -> Array:
        return np.asarray(((first @ self._precision) * second).sum(dim=1).numpy())

    def removed(self, eraser: Eraser) -> Array:
        """The share of each concept's contrast, shape (k,); nan of one that the two parts do not agree on."""
        after = [each - (each @ eraser.right.T) @ eraser.left for each in self._parts]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = 1 - self._products(after[0], after[1]) / self._before
        return np.asarray(np.where(self._before > 0, share, np.nan))


def own(values: Array, columns: Sequence[Indices]) -> Array:
    """Of every target the mean over what is erased in it, shape (t,)."""
    return np.array([mean_of(row[each]) for row, each in zip(values, columns, strict=True)])
