"""Vectors that steer where they were found, beside others at equal KL divergence: numbers, verdicts, sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.concepts import short_name
from geometry.display import short_repr
from geometry.experiments.layers.draw_intervals import interval_of_draws, mean_over, paired_interval
from geometry.intervals import FEWEST_CLUSTERS, mean_of

FOUND, PULLED_BACK, MEAN_DIFFERENCE, RANDOM = VECTORS = ("found", "pulled_back", "mean_difference", "random")
LABELS = {
    FOUND: "found at the block",
    PULLED_BACK: "pulled back",
    MEAN_DIFFERENCE: "mean difference",
    RANDOM: "random direction",
}
_AS_SAID = LABELS | {MEAN_DIFFERENCE: "of mean differences", RANDOM: "at random"}
NO_DIFFERENCE, NOT_MEASURABLE = "no difference", "not measurable"
MEASURES = ("child", "parent", "top1", "kl", "off_target_kl")
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """The vectors found at the block less others, at equal KL divergence, of P(child's words).

    Attributes:
        against: which others.
        site: where; "" for the mean over blocks.
        difference, low, high: the mean over concepts and prompts with its 95% bootstrap interval.
        resolution: what the tolerance of the KL divergence can make of it.
        verdict: which are better, "no difference" where the interval reaches the resolution, or "not measurable".
        in_favour: concepts in which the vectors found at the block are better, of `concepts`.
    """

    against: str
    site: str
    difference: float
    low: float
    high: float
    resolution: float
    verdict: str
    in_favour: int
    concepts: int

    __repr__ = short_repr


@dataclass(frozen=True, eq=False, kw_only=True)
class BlockSteeringResult:
    """What `measure_block_steering` measured; c concepts, b sites, the 4 `VECTORS`, n prompts.

    Attributes:
        model, metric: where, and the inner product of the blocks' spaces.
        sites, blocks: in the order of the model, and how many blocks are passed at each.
        concepts: (parent, child) by name; phrases, words: how many of the child were fitted, and measure it.
        nats, tolerance: the mean KL divergence that all coefficients were chosen for, and to which part of it.
        coefficients, perplexities: shape (c, b, 4); times the residual norm; perplexity of neutral texts over the
            unsteered. nan where the divergence is not reached.
        steered: measure → shape (c, b, 4, n): probability of the child's and the parent's words, whether the most
            probable token is the child's, KL divergence, and that of all other tokens.
            Of random directions: their mean.
        random: P(child's words) of each of `n_random` directions, shape (r, c, b, n).
        unsteered: "child", "parent" and "top1", shape (c, n).
        not_reached: "child site vector", of random directions "number site random" → what was reached instead.
        generations: "unsteered", or such a name → what was generated after `prompts[0]`.
        provenances: the same names → how the vector came about.
    """

    model: str
    metric: str
    sites: tuple[str, ...]
    blocks: tuple[int, ...]
    concepts: tuple[tuple[str, str], ...]
    phrases: tuple[int, ...]
    words: tuple[int, ...]
    prompts: tuple[str, ...]
    nats: float
    tolerance: float
    seed: int
    n_random: int
    coefficients: Numbers
    perplexities: Numbers
    steered: Mapping[str, Numbers]
    random: Numbers
    unsteered: Mapping[str, Numbers]
    not_reached: Mapping[str, str]
    generations: Mapping[str, str]
    provenances: Mapping[str, str]

    __repr__ = short_repr

    def values(self, vector: str, measure: str = "child") -> Numbers:
        """A measure of one kind of vector, shape (c, b, n); nan where the divergence is not reached."""
        return self.steered[measure][:, :, VECTORS.index(vector)]

    def curve(self, vector: str) -> tuple[Numbers, Numbers, Numbers]:
        """P(child's words) on average over concepts and prompts at every site, and an interval, each of shape (b,)."""
        values = self.values(vector)
        columns = range(len(self.sites))
        if vector == RANDOM:
            ends = [interval_of_draws(self.random[:, :, [column]]) for column in columns]
        else:
            ends = [paired_interval(values[:, column]) for column in columns]
        low, high = np.array(ends).reshape(-1, 2).T
        return np.array([mean_of(values[:, column]) for column in columns]), low, high

    def comparison(self, against: str, site: str = "") -> Comparison:
        """The vectors found at the block against others: at a site, or at all of them on average."""
        chosen = [self.sites.index(site)] if site else list(range(len(self.sites)))
        first, second = (self.values(name)[:, chosen] for name in (FOUND, against))
        differences = mean_over(np.moveaxis(first - second, 1, 0))
        rises = [mean_of(values - self.unsteered["child"][:, None]) for values in (first, second)]
        # To first order a probability rises as the root of the divergence, two of which may differ by twice the
        # tolerance; twice that, as it may rise faster.
        resolution = 2 * self.tolerance * max(map(abs, rises))
        if against == RANDOM:
            low, high = interval_of_draws(first - self.random[:, :, chosen])
        else:
            low, high = paired_interval(differences)
        in_favour = mean_over(differences.T) > resolution
        measured = np.isfinite(differences).any(axis=1)
        return Comparison(
            against,
            site,
            mean_of(differences),
            low,
            high,
            resolution,
            _verdict(low, high, resolution, LABELS[against]),
            int(in_favour.sum()),
            int(measured.sum()),
        )

    @cached_property
    def overall(self) -> Mapping[str, Comparison]:
        """Against each kind of vectors, over all blocks."""
        return {name: self.comparison(name) for name in VECTORS[1:]}

    @cached_property
    def by_block(self) -> Mapping[str, tuple[Comparison, ...]]:
        """Against each kind of vectors, block by block."""
        return {name: tuple(self.comparison(name, site) for site in self.sites) for name in VECTORS[1:]}

    def where_better(self, against: str) -> tuple[str, str]:
        """The blocks at which vectors found there are better, and those at which the others are; "" for none."""
        verdicts = [one.verdict for one in self.by_block[against]]
        first, second = (
            _runs(self.blocks, [verdict == better for verdict in verdicts])
            for better in (LABELS[FOUND], LABELS[against])
        )
        return first, second

    @property
    def sampled(self) -> str:
        """What was drawn again for the intervals."""
        few = len(self.concepts) < FEWEST_CLUSTERS
        return f"prompts, of these {len(self.concepts)} concepts alone" if few else "concepts with all of their prompts"

    def summary(self) -> list[str]:
        """What was found, the main finding first, a sentence each."""
        names = ", ".join(short_name(child) for _, child in self.concepts)
        beside = (
            f"at {self.nats:g} nats of KL divergence on {len(self.prompts)} neutral prompts ({names}; 95% intervals,"
            f" bootstrap over {self.sampled})"
        )
        found = [self._sentence(name) for name in VECTORS[1:]]
        found[0] = f"{found[0][:-1]}, {beside}."
        means = {(name, index): mean for name in VECTORS for index, mean in enumerate(self.curve(name)[0])}
        if reached := {key: mean for key, mean in means.items() if np.isfinite(mean)}:
            name, index = max(reached, key=lambda key: reached[key])
            found.append(
                f"The highest P(child) at that cost is {reached[name, index]:.3g}, of the vectors {_AS_SAID[name]}, at"
                f" {self.sites[index]}; unsteered it is {self.unsteered['child'].mean():.3g}."
            )
        if self.not_reached:
            found.append(
                f"{len(self.not_reached)} of {len(self.provenances)} vectors do not reach {self.nats:g} nats and are"
                " left out of the comparison."
            )
        return found

    def _sentence(self, against: str) -> str:
        other, overall = LABELS[against], self.overall[against]
        if overall.verdict == NOT_MEASURABLE:
            return f"Found at the block against {other}: not measurable, for want of pairs that reach the divergence."
        better, worse = self.where_better(against)
        interval = f"{overall.difference:+.3g} [{overall.low:.3g}, {overall.high:.3g}]"
        counts = f"of {len(self.blocks)} tried, better {better or 'nowhere'}, worse {worse or 'nowhere'}"
        said = {LABELS[FOUND]: "steer better than", other: "steer worse than", NO_DIFFERENCE: "steer no better than"}
        return (
            f"Over all blocks vectors found at the block {said[overall.verdict]} those of the kind “{other}”: P(child)"
            f" differs by {interval}; {counts}; in favour of {overall.in_favour} of {overall.concepts} concepts."
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers, in words and means; `arrays` holds all."""
        means = {
            site: {
                name: {measure: _number(mean_of(self.values(name, measure)[:, index])) for measure in MEASURES}
                | {
                    "coefficient": _number(mean_of(self.coefficients[:, index, order])),
                    "perplexity": _number(_geometric(self.perplexities[:, index, order])),
                }
                for order, name in enumerate(VECTORS)
            }
            for index, site in enumerate(self.sites)
        }
        return {
            "nats": self.nats,
            "tolerance": self.tolerance,
            "metric": self.metric,
            "concepts": [
                {"parent": parent, "child": child, "phrases": phrases, "words": words}
                for (parent, child), phrases, words in zip(self.concepts, self.phrases, self.words, strict=True)
            ],
            "n_random": self.n_random,
            "intervals": f"95%, bootstrap over {self.sampled}; of random directions also over which of them is taken",
            "unsteered": {name: _number(mean_of(values)) for name, values in self.unsteered.items()},
            "means": means,
            "overall": {name: _as_dict(one) for name, one in self.overall.items()},
            "by_block": {name: [_as_dict(one) for one in each] for name, each in self.by_block.items()},
            "not_reached": dict(self.not_reached),
            "generations": {"prompt": self.prompts[0], **self.generations},
            "provenances": dict(self.provenances),
        }

    def arrays(self) -> dict[str, ArrayLike]:
        """What figures are drawn from."""
        return {
            "blocks": np.array(self.blocks),
            "coefficients": self.coefficients,
            "perplexities": self.perplexities,
            "random_child": self.random,
            **{f"steered_{name}": values for name, values in self.steered.items()},
            **{f"unsteered_{name}": values for name, values in self.unsteered.items()},
        }


def _runs(blocks: Sequence[int], chosen: Sequence[bool]) -> str:
    """Where some of the sites are, those next to each other in one: "after 2–8, 20 blocks"."""
    runs: list[list[int]] = []
    for index, block in enumerate(blocks):
        if chosen[index] and index and chosen[index - 1]:
            runs[-1][1] = block
        elif chosen[index]:
            runs.append([block, block])
    said = ", ".join(f"{first}" if first == last else f"{first}–{last}" for first, last in runs)
    return f"after {said} block{'' if said == '1' else 's'}" if runs else ""


def _verdict(low: float, high: float, resolution: float, other: str) -> str:
    if not (np.isfinite(low) and np.isfinite(high)):
        return NOT_MEASURABLE
    if low > resolution:
        return LABELS[FOUND]
    return other if high < -resolution else NO_DIFFERENCE


def _geometric(ratios: Numbers) -> float:
    return float(np.exp(mean_of(np.log(ratios))))


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _as_dict(one: Comparison) -> dict[str, Any]:
    numbers = {name: _number(getattr(one, name)) for name in ("difference", "low", "high", "resolution")}
    counts = {"in_favour": one.in_favour, "concepts": one.concepts}
    return {**({"site": one.site} if one.site else {}), **numbers, "verdict": one.verdict, **counts}
