"""What adding the activations of a prompt does: the question and its options."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from geometry.errors import EstimationError, shown
from geometry.experiments.study import ModelStudy, Step, option

if TYPE_CHECKING:
    from geometry.experiments.actadd.result import ActAddResult


@dataclass(frozen=True, kw_only=True)
class ActAddStudy(ModelStudy["ActAddResult"]):
    """Activation addition, measured: next token, perplexity on and off topic, generations, token by token.

    >>> import geometry as geo
    >>> study = geo.experiments.ActAddStudy(model="openai-community/gpt2-xl", block=16, most_tokens=0)
    >>> study.command
    'concept-geometry run actadd openai-community/gpt2-xl --block 16 --most-tokens 0'
    >>> result = study.run()  # doctest: +SKIP
    >>> result.write("figures/weddings")  # doctest: +SKIP

    The activations of `promoted` less those of `suppressed`, at the input of a block, are added at the first tokens of
    every text. Beside the vector stand random ones of its norm, another topic's, the word's embedding, and prompting.
    """

    name: ClassVar[str] = "actadd"
    whole_model: ClassVar[bool] = True
    question: ClassVar[str] = "What does adding the activations of a prompt change, on its topic and off it?"
    quick: ClassVar[Mapping[str, Any]] = {
        "beside": ("encyclopedia",),
        "n_texts": 10,
        "n_blocks": 1,
        "coefficients": ("4",),
        "n_prompts": 12,
        "n_generations": 5,
        "n_new_tokens": 15,
    }
    full: ClassVar[Mapping[str, Any]] = {
        "n_blocks": 12,
        "coefficients": ("0.25", "0.5", "2", "4", "8", "16", "64"),
        "n_generations": 100,
        "n_new_tokens": 40,
    }

    topic: str = option(
        "weddings", "packaged topic, a set of prompts (YAML, JSON), or a file of one text a line (.txt)"
    )
    promoted: str = option("", "text whose activations are added; of a packaged topic its own", metavar="TEXT")
    suppressed: str = option("", "text whose activations are subtracted; nothing: spaces", metavar="TEXT")
    other: str = option("shipping", "another packaged topic, whose texts and vector are controls", metavar="TOPIC")
    beside: tuple[str, ...] = option(
        ("birds", "aggression", "calm", "encyclopedia"), "further texts off topic, as --topic takes them", metavar="T"
    )
    words: tuple[str, ...] = option((), "words counted as on topic; of a packaged topic its own", metavar="WORD")
    prompt: str = option("I'm excited because I'm going to a", "whose next token is looked at", metavar="TEXT")
    beginning: str = option("I went up to my friend and said", "what generations go on from", metavar="TEXT")
    text: str = option("", "text or file, shown token by token besides the first on and off topic", metavar="TEXT")
    block: int = option(-1, "add before this block, from 0; -1: half way up", least=-1)
    coefficient: float = option(1.0, "how often the vector is added")
    n_blocks: int = option(5, "blocks to sweep, evenly spaced, besides the chosen one", least=0)
    coefficients: tuple[str, ...] = option(("0.5", "2", "8"), "to sweep, besides the chosen one", metavar="C")
    huge: float = option(1000.0, "a huge coefficient, to see what it breaks")
    n_texts: int = option(40, "texts of each set, the first", least=5)
    most_tokens: int = option(20, "tokens of a text, the first; 0: all", least=0)
    spaced: bool = option(False, "before every text put spaces to steer, as the post does beside prompting")
    prompts: str = option("neutral", "packaged set, whose beginnings are neutral prompts for the next token")
    n_prompts: int = option(48, "neutral prompts, the first", least=5)
    n_generations: int = option(20, "generations under each condition", least=5)
    n_new_tokens: int = option(20, "tokens of a generation", least=1)
    n_random: int = option(8, "random vectors, of which texts take turns", least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("coefficient", "huge"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not value:
                raise EstimationError(f"{name} must be a number other than 0, not {shown(value)}")
        if not self.topic.strip():
            raise EstimationError("topic must name a set of texts, such as weddings, not an empty text")
        if self.promoted and self.promoted == self.suppressed:
            raise EstimationError(
                f"promoted and suppressed are both {shown(self.promoted)}; their difference is nothing"
            )
        if self.topic == self.other or self.topic in self.beside or self.other in self.beside:
            raise EstimationError(f"topic {shown(self.topic)}, other and beside must be different sets of texts")
        for word in self.words:
            if not word.strip() or not all(part.isalpha() for part in word.replace("-", "'").split("'")):
                raise EstimationError(
                    f"words must be single words, not {shown(word)}; leave --words out for the topic's"
                )
        for name in ("prompt", "beginning"):
            if not getattr(self, name).strip():
                raise EstimationError(f"{name} must be the beginning of a text, not empty")
        _ = self.factors

    @property
    def factors(self) -> tuple[float, ...]:
        """The coefficients to sweep, the chosen one among them, ascending. EstimationError: one is not above 0."""
        try:
            factors = [float(text) for text in self.coefficients]
        except ValueError:
            factors = [math.nan]
        if not all(math.isfinite(factor) and factor > 0 for factor in factors):
            raise EstimationError(f"coefficients must be numbers above 0, not {shown(' '.join(self.coefficients))}")
        return tuple(sorted({*factors, self.coefficient}))

    def chosen_block(self, depth: int) -> int:
        """The block before which vectors are added, of a model of so many. EstimationError: it lacks that block."""
        if self.block >= depth:
            raise EstimationError(
                f"block {self.block}: the model has {depth} blocks, 0 to {depth - 1}; choose of those"
            )
        return depth // 2 if self.block < 0 else self.block

    def swept(self, depth: int) -> list[int]:
        """The blocks to sweep of a model of so many, the chosen one among them."""
        spaced = {depth * (2 * part + 1) // (2 * self.n_blocks) for part in range(self.n_blocks)}
        return sorted({*spaced, self.chosen_block(depth)})

    def measure(self, step: Step) -> "ActAddResult":
        """See `measure_actadd`."""
        from geometry.experiments.actadd.measure import measure_actadd

        return measure_actadd(self, step)
