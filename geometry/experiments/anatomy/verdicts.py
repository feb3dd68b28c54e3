"""What pruned vectors are measured by, and what may be said of them."""

from typing import Literal

Measure = Literal["effect", "cost", "text"]
MEASURES: tuple[Measure, ...] = ("effect", "cost", "text")
OF_LAWS = MEASURES[:2]
WHOLE, RANDOM = "whole", "random"
BETTER, WORSE, TRADE, OPEN, SAME, UNKNOWN = (
    "better", "worse", "trade-off", "inconclusive", "no difference", "not measurable"
)  # fmt: skip
EVERY, OF_CONCEPTS, OF_PAIRS = GROUPS = ("all", "of concepts", "of pairs")
