"""Texts under several conditions by several judges: means, differences from unsteered, and how judges agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.display import html_table, short_repr
from geometry.errors import EstimationError
from geometry.intervals import cluster_weights, interval_of, summarise
from geometry.judging.judge import Judge

_HEAD = ("judge", "condition", "mean", "low", "high", "difference", "low", "high")


@dataclass(frozen=True, eq=False)
class Judgement:
    """Scores of texts.

    Attributes:
        units: judge → unit of its scores.
        scores: judge → condition → score of the text of each prompt, shape (n,).
        baseline: the condition that the others are compared with.
        notes: of the judges.
    """

    units: Mapping[str, str]
    scores: Mapping[str, Mapping[str, NDArray[np.float64]]]
    baseline: str
    notes: tuple[str, ...] = ()

    __repr__ = short_repr

    @property
    def conditions(self) -> tuple[str, ...]:
        """In the order in which they were given."""
        return tuple(next(iter(self.scores.values())))

    def mean(self, judge: str, condition: str) -> dict[str, Any]:
        """Mean score over prompts with its interval, as `geometry.intervals.summarise` has it."""
        return summarise(self._of(judge, condition))

    def difference(self, judge: str, condition: str) -> dict[str, Any]:
        """Mean of the paired difference from the baseline, prompt by prompt, with its interval."""
        return summarise(self._of(judge, condition) - self.scores[judge][self.baseline])

    def agreement(self, first: str, second: str) -> dict[str, Any]:
        """Spearman's ρ of two judges over all texts of all conditions; prompts are drawn again for its interval.

        None where a judge gives all texts one score.
        """
        rows = [np.stack([self._of(name, each) for each in self.conditions]) for name in (first, second)]
        value = _spearman(rows[0], rows[1], np.ones(rows[0].shape[1]))
        if not np.isfinite(value):
            return {"spearman": None, "n": int(rows[0].size), "interval": None}
        drawn = [_spearman(rows[0], rows[1], times) for times in cluster_weights(rows[0].shape[1])[:_RESAMPLES]]
        finite = np.array([each for each in drawn if np.isfinite(each)])
        interval = np.quantile(finite, [0.025, 0.975]).tolist() if rows[0].shape[1] >= _FEWEST else None
        return {"spearman": value, "n": int(rows[0].size), "interval": interval}

    def _of(self, judge: str, condition: str) -> NDArray[np.float64]:
        for name, known in ((judge, tuple(self.scores)), (condition, self.conditions)):
            if name not in known:
                raise EstimationError(f"nothing was judged as {name!r}; there are {', '.join(known)}")
        return self.scores[judge][condition]

    def to_dict(self) -> dict[str, Any]:
        """Means, differences and agreement, for results.json."""
        judges = {
            judge: {
                "unit": self.units[judge],
                "conditions": {
                    name: {"score": self.mean(judge, name), "difference": self.difference(judge, name)}
                    for name in self.conditions
                },
            }
            for judge in self.scores
        }
        pairs = [{"judges": [*pair], **self.agreement(*pair)} for pair in combinations(self.scores, 2)]
        return {"baseline": self.baseline, "judges": judges, "agreement": pairs, "notes": list(self.notes)}

    def rows(self) -> list[tuple[Any, ...]]:
        """Judge, condition, mean and interval, paired difference and interval; nan where there is none."""
        made = []
        for judge in self.scores:
            for name in self.conditions:
                scores, base = self.scores[judge][name], self.scores[judge][self.baseline]
                paired = scores - base
                made.append((judge, name, scores.mean(), *interval_of(scores), paired.mean(), *interval_of(paired)))
        return made

    def _repr_html_(self) -> str:
        return html_table(_HEAD, self.rows(), f"{len(self.scores)} judges; differences from {self.baseline}")


_RESAMPLES = 500
_FEWEST = 5


@checked(texts=Mapping[str, Any])
def judge_texts(
    judges: Sequence[Judge], texts: Mapping[str, Sequence[str]], *, baseline: str = "unsteered"
) -> Judgement:
    """Score the texts of every condition by every judge.

    >>> words = Judge("length", "words", lambda texts: [len(text.split()) for text in texts])
    >>> judged = judge_texts([words], {"unsteered": ["a b", "a", "a"], "steered": ["a b c", "a b", "a b"]})
    >>> judged.difference("length", "steered")["mean"]
    1.0

    Parameters:
        judges: of different names.
        texts: condition → a text for each prompt, of all conditions the same prompts in the same order. Random vectors
            of the same norm belong among the conditions.
        baseline: the condition to compare with.

    Raises EstimationError: no judges or texts, two judges of one name, conditions of other lengths, or without the
        baseline; what a judge refuses.
    """
    names = [judge.name for judge in judges]
    if not names or len(set(names)) < len(names):
        raise EstimationError(f"judges of different names are needed, at least one, not {names}")
    if baseline not in texts:
        raise EstimationError(f"there is no condition {baseline!r} to compare with among {', '.join(texts) or 'none'}")
    counts = {name: len(each) for name, each in texts.items()}
    if any(isinstance(each, str) for each in texts.values()) or len(set(counts.values())) > 1 or not counts[baseline]:
        raise EstimationError(f"each condition needs a list with the text of every prompt; there are {counts}")
    size = counts[baseline]
    scores = {}
    for judge in judges:
        # In one call, so that a judge's own batches are full.
        every = judge([text for each in texts.values() for text in each])
        scores[judge.name] = {name: every[at * size : (at + 1) * size] for at, name in enumerate(texts)}
    units = {judge.name: judge.unit for judge in judges}
    return Judgement(units, scores, baseline, tuple(f"{j.name}: {note}" for j in judges for note in j.notes))


def _spearman(first: NDArray[np.float64], second: NDArray[np.float64], times: NDArray[np.float64]) -> float:
    """Of (conditions, prompts) scores, each prompt so many times; nan where one does not vary."""
    from scipy.stats import spearmanr

    again = np.repeat(np.arange(len(times)), times.astype(np.int64))
    pair = first[:, again].ravel(), second[:, again].ravel()
    if any(np.ptp(each) == 0 for each in pair):
        return float("nan")
    return float(spearmanr(*pair).statistic)
