"""What both steering studies measure with: the cost of a vector, one rule for its strength, texts side by side."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geometry.display import short_repr
from geometry.steering import Positions, SteeringVector, TextCost, generate, steer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Times that the perplexity of neutral text may rise under a vector whose strength is chosen.
BOUND = 2.0
TEMPERATURE, TOP_P, FREQUENCY_PENALTY = 0.7, 0.9, 1.0


def sampling_note(seed: int) -> str:
    """How `Evaluator.generations` samples, in a sentence for a page."""
    sampled = f"temperature {TEMPERATURE:g}, top-p {TOP_P:g}, frequency penalty {FREQUENCY_PENALTY:g}, seed {seed}"
    return f"Sampled with {sampled}, unpicked."


def times(ratio: float) -> str:
    """How many times something is as large, as one says it."""
    if ratio >= 1e6:
        return "more than a million times"
    return f"{ratio:.1f} times" if ratio < 10 else f"{float(f'{ratio:.2g}'):,.0f} times"


def cell(ratio: float) -> str:
    """The same in a table."""
    return "≥ 10⁶" if ratio >= 1e6 else f"{ratio:.2f}" if ratio < 10 else f"{float(f'{ratio:.3g}'):,.0f}"


@dataclass(frozen=True)
class Strength:
    """A strength chosen by its cost.

    Attributes:
        value: the largest strength whose perplexity ratio stays within the bound, or the smallest where none does.
        ratios: every strength that was tried → its perplexity ratio.
        within: whether the bound is kept.
    """

    value: float
    ratios: Mapping[float, float]
    within: bool

    __repr__ = short_repr

    @property
    def ratio(self) -> float:
        """The perplexity ratio at the chosen strength."""
        return self.ratios[self.value]


class Evaluator:
    """A model with neutral texts, by whose perplexity one sees what a vector costs.

    Example::

        evaluator = Evaluator(model, tokenizer, load_prompts("neutral").texts)
        strength = evaluator.strongest_within((0.25, 0.5, 1.0, 2.0), vector.relative)
        evaluator.generations(["I saw a"], {"unsteered": None, "steered": vector.relative(strength.value)})

    Attributes:
        unsteered_perplexity: of the neutral texts.
    """

    def __init__(
        self, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", neutral_texts: Sequence[str]
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.neutral_texts = tuple(neutral_texts)
        self._cost = TextCost(model, tokenizer, self.neutral_texts)
        self.unsteered_perplexity = self._cost.unsteered

    def perplexity_ratio(self, *vectors: SteeringVector | None) -> float:
        """Perplexity of the neutral texts under a vector over that without; of several, their geometric mean."""
        return self._cost.ratio(*vectors)

    def strongest_within(
        self,
        strengths: Sequence[float],
        vectors_at: Callable[[float], SteeringVector | Sequence[SteeringVector]],
        bound: float = BOUND,
    ) -> Strength:
        """The largest strength whose perplexity ratio stays within a bound; the smallest where none does.

        Chosen by cost alone, without a look at effects. Strengths are raised until the first that breaks the bound,
        so that nothing far beyond it is computed and every smaller one is known to keep it.

        Parameters:
            strengths: any order.
            vectors_at: from a strength to its vector, or to several whose geometric mean counts.
        """
        ascending = sorted(strengths)
        value, ratios = ascending[0], {}
        for strength in ascending:
            vectors = vectors_at(strength)
            several = [vectors] if isinstance(vectors, SteeringVector) else vectors
            ratios[strength] = self.perplexity_ratio(*several)
            if not ratios[strength] <= bound:  # nan breaks it too
                break
            value = strength
        return Strength(value, ratios, ratios[value] <= bound)

    def generations(
        self,
        prompts: Sequence[str],
        vectors: Mapping[str, SteeringVector | None],
        *,
        positions: Positions = "all",
        max_new_tokens: int = 24,
        seed: int = 0,
    ) -> dict[str, dict[str, str]]:
        """Prompt → name of a vector → the text sampled after it; one seed for all, so that the vectors alone differ."""
        sampling: Any = {"temperature": TEMPERATURE, "top_p": TOP_P, "frequency_penalty": FREQUENCY_PENALTY}
        sampling["max_new_tokens"] = max_new_tokens
        texts: dict[str, dict[str, str]] = {prompt: {} for prompt in prompts}
        for name, vector in vectors.items():
            with steer(self.model, vector, positions=positions) if vector is not None else nullcontext():
                generations = generate(self.model, self.tokenizer, prompts, seed=seed, **sampling)
            for prompt, (generation,) in zip(prompts, generations, strict=True):
                texts[prompt][name] = generation.text
        return texts
