"""What pruned vectors are measured by, and what may be said of them."""

from collections.abc import Mapping
from math import isnan
from typing import Any, Literal

Measure = Literal["effect", "cost", "text"]
MEASURES: tuple[Measure, ...] = ("effect", "cost", "text")
OF_LAWS = MEASURES[:2]
WHOLE, RANDOM = "whole", "random"
BETTER, WORSE, TRADE, OPEN, SAME, UNKNOWN = (
    "better", "worse", "trade-off", "inconclusive", "no difference", "not measurable"
)  # fmt: skip
EVERY, OF_CONCEPTS, OF_PAIRS = GROUPS = ("all", "of concepts", "of pairs")
SAID = {
    BETTER: "a Pareto improvement",
    WORSE: "worse than the whole vector",
    TRADE: "a trade-off, no Pareto improvement",
    OPEN: "better in one, worse on average in another within its interval, so that it cannot be said",
    SAME: "no Pareto improvement",
    UNKNOWN: "not measurable",
}


def number(found: Mapping[str, Any], digits: int = 2) -> str:
    """A mean with its interval, where there are enough for one."""
    if found["mean"] is None:
        return "–"
    low, high = found["interval"]
    if isnan(low):
        return f"{found['mean']:+.{digits}f}"
    return f"{found['mean']:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"
