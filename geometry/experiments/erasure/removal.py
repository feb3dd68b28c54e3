"""Is it gone? The erased concepts at the site on other words, by how many words were fitted, and after later blocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.display import short_repr
from geometry.experiments.erasure.downstream import CONDITIONS, UNSTEERED, Downstream
from geometry.experiments.erasure.methods import ERASURE, LDA, MEAN, METHODS, PERMUTED, RANDOM
from geometry.experiments.erasure.setup import Target
from geometry.experiments.erasure.sweep import NEAREST, Sweep, own
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.intervals import summarise

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class RemovalPart(Part):
    """What probes find of t targets after they were erased.

    Attributes:
        site: where they were erased. targets: what.
        sweep: all concepts after each. downstream: later blocks; None where they were not asked.
        sizes: words in each of the three parts.
    """

    site: str
    targets: Sequence[Target]
    sweep: Sweep
    downstream: Downstream | None
    sizes: tuple[int, int, int]
    seed: int

    __repr__ = short_repr

    @property
    def columns(self) -> "list[NDArray[np.int64]]":
        """What is erased in each."""
        return [target.columns for target in self.targets]

    def before(self, nearest: bool = False) -> Array:
        """AUC of each target (of a subtree the mean of its concepts) without erasing, shape (t,)."""
        found = self.sweep.before_nearest if nearest else self.sweep.before
        return own(np.tile(found, (len(self.targets), 1)), self.columns)

    def after(self, method: str, nearest: bool = False) -> Array:
        """The same after a method, shape (t,)."""
        return own((self.sweep.nearest if nearest else self.sweep.linear)[method], self.columns)

    def removed(self, method: str) -> Array:
        """The share of what the linear probe had above chance that is gone, shape (t,)."""
        return np.asarray((self.before() - self.after(method)) / (self.before() - 0.5))

    def rebuilt(self) -> Array | None:
        """AUC after the last block less that at the site, with the concept erased, shape (targets,)."""
        if self.downstream is None:
            return None
        values = self.downstream.auc[ERASURE]
        return np.asarray(values[:, -1] - values[:, 0])

    def summary(self) -> list[str]:
        """At the site, by words, after later blocks."""
        after, before = summarise(self.after(ERASURE)), self.before().mean()
        controls = ", ".join(f"{method} {self.after(method).mean():.2f}" for method in (RANDOM, PERMUTED))
        others = ", ".join(f"{method} {self.after(method).mean():.2f}" for method in (MEAN, LDA))
        counts, curve = self.sweep.counts, self.sweep.by_count
        gone = summarise(self.removed(ERASURE))
        said = [
            f"On the words that LEACE is fitted to, at most {self.sweep.covariance.max():.0e} of the covariance with"
            f" the labels of {len(self.targets)} concepts and subtrees is left at {self.site}; on other words a linear"
            f" probe fitted anew still discriminates them by AUC {after['mean']:.2f} {_ends(after)}, before"
            f" {before:.2f} ({controls}): {gone['mean']:.0%} {_ends(gone, '.0%')} of what was above chance is gone.",
            f"At the same rank: {others}. By nearest neighbours {self.after(ERASURE, True).mean():.2f} after LEACE,"
            f" {self.before(True).mean():.2f} before ({RANDOM} {self.after(RANDOM, True).mean():.2f}).",
            f"Fitted to {counts[0]:,} words LEACE leaves an AUC of {np.nanmean(curve[0]):.2f} on other words, to"
            f" {counts[-1]:,} words {np.nanmean(curve[-1]):.2f}.",
        ]
        if self.downstream is not None:
            means = {name: self.downstream.auc[name].mean(axis=0) for name in CONDITIONS}
            more = summarise(self.rebuilt())  # type: ignore[arg-type]
            said.append(
                f"Of {len(self.downstream.targets)} concepts erased at {self.site}, the AUC of a probe fitted anew is"
                f" {means[ERASURE][0]:.2f} there and {means[ERASURE][-1]:.2f} after {self.downstream.sites[-1]}"
                f" ({more['mean']:+.2f} {_ends(more, '+.2f')}); with nothing erased {means[UNSTEERED][0]:.2f} and"
                f" {means[UNSTEERED][-1]:.2f}, with {RANDOM} {means[RANDOM][0]:.2f} and {means[RANDOM][-1]:.2f}."
            )
        return said

    def to_dict(self) -> dict[str, Any]:
        """Every probe and method, with intervals over targets."""
        found: dict[str, Any] = {
            "site": self.site,
            "seed": self.seed,
            "words": dict(zip(("fitted", "first", "second"), self.sizes, strict=True)),
            "targets": {target.label: len(target.columns) for target in self.targets},
            "covariance_left": float(self.sweep.covariance.max()),
            "linear": {"before": summarise(self.before()), **{m: summarise(self.after(m)) for m in METHODS}},
            "nearest": {
                "before": summarise(self.before(True)),
                **{method: summarise(self.after(method, True)) for method in NEAREST},
            },
            "removed": {method: summarise(self.removed(method)) for method in METHODS},
            "by_words": {
                str(count): summarise(row) for count, row in zip(self.sweep.counts, self.sweep.by_count, strict=True)
            },
        }
        if self.downstream is not None:
            found["downstream"] = {
                condition: {
                    str(site): summarise(column)
                    for site, column in zip(self.downstream.sites, self.downstream.auc[condition].T, strict=True)
                }
                for condition in CONDITIONS
            }
        return found

    def figures(self) -> list[FigureSpec]:
        """By concept; by words and by blocks."""
        from geometry.experiments.erasure import figures

        return [figures.removal(self), figures.held_out(self)]

    def tables(self) -> list[TableSpec]:
        """Method × probe."""
        rows = [["nothing erased", cell(summarise(self.before())), cell(summarise(self.before(True))), "–"]]
        for method in METHODS:
            near = cell(summarise(self.after(method, True))) if method in NEAREST else "–"
            gone = summarise(self.removed(method))
            rows.append([method, cell(summarise(self.after(method))), near, cell(gone, ".0%")])
        return [
            TableSpec(
                "AUC of erased concepts on words that were not fitted, mean [95%]",
                ["erased by", "linear probe", "nearest neighbours", "removed"],
                rows,
                f"{len(self.targets)} concepts and subtrees at {self.site}, probes fitted anew after erasing; intervals"
                " over these. Removed: of what the linear probe had above 0.5.",
            )
        ]

    def arrays(self) -> dict[str, ArrayLike]:
        """By target."""
        sweep = self.sweep
        arrays: dict[str, ArrayLike] = {"before": sweep.before, "before_nearest": sweep.before_nearest}
        arrays |= {f"linear/{method}": values for method, values in sweep.linear.items()}
        arrays |= {f"nearest/{method}": values for method, values in sweep.nearest.items()}
        arrays |= {"by_words": sweep.by_count, "words": sweep.counts}
        if self.downstream is not None:
            arrays |= {f"downstream/{name}": values for name, values in self.downstream.auc.items()}
        return arrays


def cell(summary: dict[str, Any], form: str = ".2f") -> str:
    """A mean and its interval in a table."""
    return "–" if summary["mean"] is None else f"{summary['mean']:{form}} {_ends(summary, form)}"


def _ends(summary: dict[str, Any], form: str = ".2f") -> str:
    low, high = summary["interval"]
    if not np.isfinite(low):  # of fewer than three there is none
        return "[–]"
    return f"[{low:{form}}, {high:{form}}]"
