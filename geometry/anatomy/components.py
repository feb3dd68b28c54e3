"""Components of what differs within pairs: principal directions, how many stand out, and how well halves agree.

Arrays in, arrays out; `vector` alone knows of steering.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from geometry.anatomy.parallel_analysis import (
    flipped,
    jackknife,
    parallel_analysis,
    split_half_cosines,
    squares,
    svd,
)
from geometry.arguments import checked
from geometry.display import html_table, short_repr
from geometry.errors import EstimationError
from geometry.significance import permutation_p
from geometry.steering import SteeringVector
from geometry.steering.vector import SiteLike

if TYPE_CHECKING:
    from pandas import DataFrame

Array = NDArray[np.float64]
FEWEST = 4  # pairs: two halves of two
_GROUPS = 50  # of the jackknife
_SPLITS, _NULL_SPLITS, _NULL_DRAWS = 20, 4, 20


@dataclass(frozen=True, eq=False)
class Components:
    """The principal directions of n differences, strongest first.

    Attributes:
        centred: whether about the mean of the differences (PCA), or about 0 (SVD), so that what all share counts.
        directions: unit vectors, shape (k, d); of SVD they point the way of the mean, of PCA to the farthest pair.
        scores: the differences along them, shape (n, k).
        shares: of the squared norm of all differences (less their mean, if centred), shape (k,).
        intervals: 95% of these, by the jackknife over pairs, shape (k, 2).
        null_shares: the mean share of the same numbers under random signs, nan where not tested, shape (k,).
        p: against these, one component after the other until one is not significant; nan after it, shape (k,).
        count: how many stand out.
        stability: mean |cosine| of each component's counterparts in random halves of the pairs, shape (k,).
        null_stability: the 95% quantile of the same under random signs, shape (k,).
        mean_share: of the squared norm of the differences, that along their mean: 1 where all are alike.
        mean_interval: 95% of it, by the jackknife.
        null_mean_share, mean_p: of the same pairs with a random one of both sides subtracted.
    """

    centred: bool
    directions: Array
    scores: Array
    shares: Array
    intervals: Array
    null_shares: Array
    p: Array
    count: int
    stability: Array
    null_stability: Array
    mean_share: float
    mean_interval: tuple[float, float]
    null_mean_share: float
    mean_p: float

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """The numbers of its components; those of the mean are the differences' and not here."""
        return {
            "stand_out": self.count,
            "shares": self.shares.tolist(),
            "intervals": self.intervals.tolist(),
            "null_shares": [None if np.isnan(share) else float(share) for share in self.null_shares],
            "stability": self.stability.tolist(),
            "null_stability": self.null_stability.tolist(),
        }

    def mean_to_dict(self) -> dict[str, Any]:
        """What the differences' mean holds, beside its null."""
        return {
            "mean_share": self.mean_share,
            "mean_interval": list(self.mean_interval),
            "null_mean_share": self.null_mean_share,
            "mean_p": self.mean_p,
        }

    def vector(self, number: int, site: SiteLike, *, model: str = "") -> SteeringVector:
        """A component as a steering vector of norm 1; EstimationError if there are not so many."""
        if not 0 <= number < len(self.directions):
            raise EstimationError(f"components are numbered 0 to {len(self.directions) - 1}, not {number}")
        kind = "principal component" if self.centred else "singular direction"
        name = f"{kind} {number + 1} of {len(self.scores)} pairs"
        return SteeringVector({site: self.directions[number]}, name, model)  # type: ignore[dict-item]

    def to_frame(self) -> "DataFrame":
        """A row for each component."""
        from pandas import DataFrame

        columns = {
            "share": self.shares, "low": self.intervals[:, 0], "high": self.intervals[:, 1], "null": self.null_shares,
            "p": self.p, "stability": self.stability, "null stability": self.null_stability,
        }  # fmt: skip
        return DataFrame(columns, index=range(1, len(self.shares) + 1))

    def _repr_html_(self) -> str:
        frame = self.to_frame()
        about = "their mean" if self.centred else "0"
        caption = f"{len(self.scores)} differences about {about}: {self.count} components stand out"
        return html_table(("component", *frame.columns), frame.reset_index().to_numpy().tolist(), caption)


@checked
def components(
    differences: ArrayLike,
    *,
    centred: bool = False,
    most: int = 6,
    n_random: int = 99,
    level: float = 0.05,
    seed: int = 0,
) -> Components:
    """Principal directions of differences within pairs, such as of activations with and without a trait.

    Example::

        differences = geo.anatomy.pair_differences(model, tokenizer, pairs, "output.15")
        found = geo.anatomy.components(differences)
        found.count, found.mean_share
        found.to_frame()

    Not centred, it is asked what the differences are made of, their mean included (SVD); centred, how they differ from
    their mean (PCA). A component stands out if its share of what the stronger ones leave exceeds the share that the
    same numbers reach with a random sign each (parallel analysis; p ≤ level): if coordinates had nothing to do with
    each other. Exchanging the sides of a pair changes no singular value, and so says nothing of their number; it is
    the null of the mean's share. That coordinates hang together may come of the texts as well as of the trait:
    differences between texts of one side show how much does.

    Parameters:
        differences: shape (n, d), a row a pair, of 4 pairs at least.
        most: components at most.
        n_random: draws of either null.

    Raises EstimationError: fewer than 4 rows, numbers that are not finite, rows that are all zero, or all alike and to
        be centred.
    Source: Horn, Psychometrika 30 (1965), for parallel analysis; Hong, Sheng and Dobriban, arXiv 2012.02985, for signs;
        Dobriban and Owen, arXiv 1711.04155, for taking one component after the other. That the null loses the same
        dimensions is ours.
    """
    d = np.asarray(differences, dtype=np.float64)
    _check(d, most, n_random, level)
    rng = np.random.default_rng(seed)
    mean = d.mean(axis=0)
    rows = d - mean if centred else d
    if float(np.abs(rows).max()) <= 1e-9 * float(np.abs(d).max()):
        raise EstimationError(f"all {len(d)} differences are alike, so that they have no components about their mean")
    u, s, directions = svd(rows, most)
    way = directions @ mean if not centred else u[np.abs(u).argmax(axis=0), np.arange(len(s))]
    sign = np.where(way < 0, -1.0, 1.0)
    directions, u = directions * sign[:, None], u * sign
    whole = float((rows * rows).sum())
    shares = s**2 / whole
    p, null = parallel_analysis(d, centred=centred, most=most, n_random=n_random, level=level, rng=rng)
    tested = np.full((2, len(s)), np.nan)
    tested[0, : len(p)], tested[1, : len(p)] = p, [each.mean() for each in null]
    stability = split_half_cosines(d, directions, centred=centred, n_splits=_SPLITS, rng=rng)
    mixed = [_stability_by_chance(rows, len(s), centred, rng) for _ in range(_NULL_DRAWS)]
    without, mean_without = _without_groups(d, len(s), centred)
    of_mean = _mean_share(d)
    turned = np.array([_mean_share(d * rng.choice([-1.0, 1.0], size=(len(d), 1))) for _ in range(n_random)])
    reach = float(student.ppf(0.975, len(without) - 1))
    spread = reach * jackknife(without)
    around = reach * float(jackknife(mean_without[:, None])[0])
    return Components(
        centred=centred,
        directions=directions,
        scores=u * s,
        shares=shares,
        intervals=np.clip(np.column_stack([shares - spread, shares + spread]), 0, 1),
        null_shares=tested[1],
        p=tested[0],
        count=int((p <= level).sum()),
        stability=stability,
        null_stability=np.quantile(mixed, 0.95, axis=0),
        mean_share=of_mean,
        mean_interval=(max(of_mean - around, 0.0), min(of_mean + around, 1.0)),
        null_mean_share=float(turned.mean()),
        mean_p=permutation_p(of_mean, turned, "greater"),
    )


def _mean_share(d: Array) -> float:
    """The share of the squared norm of rows that their projections on their mean's direction would have, if alike."""
    mean = d.mean(axis=0)
    return float(len(d) * (mean @ mean) / (d * d).sum())


def _stability_by_chance(rows: Array, most: int, centred: bool, rng: np.random.Generator) -> Array:
    other = flipped(rows, rng)
    directions = svd(other - (other.mean(axis=0) if centred else 0.0), most)[2]
    found = np.zeros(most)
    found[: len(directions)] = split_half_cosines(other, directions, centred=centred, n_splits=_NULL_SPLITS, rng=rng)
    return found


def _without_groups(d: Array, most: int, centred: bool) -> tuple[Array, Array]:
    """Shares (m, k), and the mean's share (m,), without each of m groups of rows."""
    gram = d @ d.T
    groups = np.arange(len(d)) % min(len(d), _GROUPS)
    shares, means = [], []
    for group in range(int(groups.max()) + 1):
        kept = groups != group
        g = gram[np.ix_(kept, kept)]
        means.append(float(g.sum() / len(g) / np.trace(g)) if np.trace(g) else 0.0)
        if centred:
            g = g - g.mean(axis=0) - g.mean(axis=1)[:, None] + g.mean()
        found = squares(g)[:most]
        total = float(np.trace(g))
        shares.append(np.pad(found, (0, most - len(found))) / total if total > 0 else np.zeros(most))
    return np.array(shares), np.array(means)


def _check(d: Array, most: int, n_random: int, level: float) -> None:
    if d.ndim != 2 or len(d) < FEWEST or d.shape[1] < 2:
        raise EstimationError(
            f"differences of shape (n, d) are needed, of {FEWEST} pairs at least, not {d.shape}; give more pairs"
        )
    if not np.isfinite(d).all():
        raise EstimationError("the differences hold NaN or infinity")
    if not d.any():
        raise EstimationError(f"all {len(d)} differences are zero: the two sides of every pair are alike there")
    if most < 1 or not 0 < level < 1 or n_random < 1 / level - 1:
        raise EstimationError(
            f"most is at least 1, a level between 0 and 1, and n_random enough to reach it, not {most}, {level} and"
            f" {n_random}"
        )
