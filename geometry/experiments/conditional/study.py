"""The study of conditional steering: its question and its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.experiments.study import ModelStudy, Step, option

if TYPE_CHECKING:
    from geometry.experiments.conditional.result import ConditionalResult


@dataclass(frozen=True, kw_only=True)
class ConditionalStudy(ModelStudy["ConditionalResult"]):
    """Refuse questions on one topic and leave all others: conditions beside their nulls, and what a vector then does.

    >>> result = ConditionalStudy(model="smollm2-135m").run()  # doctest: +SKIP
    >>> result.topics[0].auc.value  # of held-out prompts, at the block chosen on training prompts  # doctest: +SKIP
    0.96

    Prompts go through the model's chat template, if it has one. A vector towards refusal, from pairs of answers, acts
    at the middle block, at the largest strength within twice the perplexity of neutral text; the condition is fitted to
    half of the prompts, at a block no later than the vector's. A second condition, on mentions of geese, is fitted to
    sentences.
    """

    name: ClassVar[str] = "conditional"
    whole_model: ClassVar[bool] = True
    question: ClassVar[str] = "Can a vector act on one topic alone and leave every other prompt as it is?"
    quick: ClassVar[Mapping[str, Any]] = {"n_prompts": 24, "n_random": 19, "n_generated": 2, "every": 5}
    full: ClassVar[Mapping[str, Any]] = {"n_random": 499, "n_generated": 32}

    topic: str = option("chemistry", "prompts that it is to act on: a packaged set, or a YAML or JSON file")
    others: str = option("questions", "prompts that it is to leave alone")
    concept: str = option("substance.n.01", "synset whose projection after the final norm stands beside the topic's")
    n_prompts: int = option(0, "of either kind, the first of them; 0: all", least=0)
    n_random: int = option(99, "random directions and shuffles of the labels, at every block", least=2)
    n_generated: int = option(8, "held-out prompts of either kind whose texts are judged", least=2)
    every: int = option(1, "read every so many blocks, from the vector's", least=1)

    def measure(self, step: Step) -> "ConditionalResult":
        """See `measure_conditional`."""
        from geometry.experiments.conditional.measure import measure_conditional

        return measure_conditional(self, step)
