"""What a model writes under searched vectors, beside random ones and unsteered: a page to read, no measurement."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from geometry.display import short_repr
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.search.concepts import ConceptsPart
from geometry.experiments.search.kinds import RANDOM, SEARCHED, Kinds, random_vectors
from geometry.experiments.search.laws import NATS
from geometry.experiments.search.setup import Bench
from geometry.steering import SteeringVector, generate, steer_each

UNSTEERED = "unsteered"
TOKENS, TEMPERATURE, TOP_P, PENALTY = 24, 0.8, 0.95, 1.0
_PROMPTS, _RANDOM = 2, 3


@dataclass(frozen=True, eq=False, kw_only=True)
class TextsPart(Part):
    """One generation of each vector after each prompt.

    Attributes:
        prompts: that are gone on from.
        texts: condition → a text a prompt.
    """

    prompts: tuple[str, ...]
    texts: Mapping[str, tuple[str, ...]]
    seed: int

    __repr__ = short_repr

    @property
    def note(self) -> str:
        """How they were sampled."""
        return (
            f"One generation of {TOKENS} tokens each (n = 1, seed {self.seed}, temperature {TEMPERATURE:g}, top-p"
            f" {TOP_P:g}, frequency penalty {PENALTY:g}), steered at every generated token, at the coefficient of"
            f" {NATS:g} nats of KL on held-out prompts."
        )

    def summary(self) -> list[str]:
        """What there is to read."""
        return [f"generations.html shows {len(self.texts)} conditions after {len(self.prompts)} prompts, to be read."]

    def to_dict(self) -> dict[str, Any]:
        """The texts."""
        return {"prompts": list(self.prompts), "texts": {name: list(own) for name, own in self.texts.items()}}

    def figures(self) -> list[FigureSpec]:
        """None."""
        return []

    def tables(self) -> list[TableSpec]:
        """Condition × prompt."""
        rows = [[name, *own] for name, own in self.texts.items()]
        return [TableSpec("What is written", ["vector", *self.prompts], rows, self.note)]

    def page(self) -> str:
        """The same as one page, every text escaped."""
        from geometry.plots.pages import TextTable, texts_page

        # A row a condition: there are more of these than prompts.
        columns = [(prompt, "", False) for prompt in self.prompts]
        rows = [(name, list(own)) for name, own in self.texts.items()]
        return texts_page("Generations under searched vectors", self.note, [TextTable("", columns, rows)])


def write_texts(bench: Bench, kinds: Kinds, concepts: ConceptsPart) -> TextsPart:
    """Unsteered, under every searched vector, and under a few random ones, at equal KL."""
    prompts = bench.held_out[:_PROMPTS]
    random = random_vectors(kinds.searches[0], bench.study.n_random)[:_RANDOM]
    conditions: dict[str, SteeringVector | None] = {UNSTEERED: None}
    for kind, vectors in ((SEARCHED, kinds.searches[0].vectors), (RANDOM, random)):
        for order, vector in enumerate(vectors):
            coefficient = concepts.read[kind].coefficients[order]
            if np.isfinite(coefficient):
                conditions[f"{kind} {order + 1}"] = float(coefficient) * vector
    each = [vector for vector in conditions.values() for _ in prompts]
    with steer_each(bench.model, each, positions="generated"):
        every = generate(
            bench.model, bench.tokenizer, prompts * len(conditions), max_new_tokens=TOKENS, temperature=TEMPERATURE,
            top_p=TOP_P, frequency_penalty=PENALTY, seed=bench.study.seed,
        )  # fmt: skip
    written = [one.text for (one,) in every]
    texts = {
        name: tuple(written[order * len(prompts) : (order + 1) * len(prompts)]) for order, name in enumerate(conditions)
    }
    return TextsPart(prompts=prompts, texts=texts, seed=bench.study.seed)
