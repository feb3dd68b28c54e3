"""How often words of a topic are written in sampled generations, by where and how much of the vector is added."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.experiments.actadd.setup import Bench, Condition
from geometry.experiments.actadd.texts import turns
from geometry.steering import SteeringVector, generate, steer_each

# As the post samples.
TEMPERATURE, TOP_P, FREQUENCY_PENALTY = 1.0, 0.3, 1.0
FRACTIONS = (0.25, 0.5, 0.75)
STRONGER = 4.0  # times the study's coefficient
_ROWS = 160  # generated at a time


@dataclass(frozen=True, eq=False)
class Written:
    """The generations under one condition.

    Attributes:
        counts: topic → how often its words stand in each generation, shape (n,).
    """

    texts: tuple[str, ...]
    counts: Mapping[str, NDArray[np.float64]]

    __repr__ = short_repr


def sampling_note(n: int, new_tokens: int, seed: int) -> str:
    """How generations are sampled, in a sentence."""
    return (
        f"{n} generations of {new_tokens} tokens under each condition, temperature {TEMPERATURE:g}, top-p {TOP_P:g},"
        f" frequency penalty {FREQUENCY_PENALTY:g}, seed {seed}, unpicked."
    )


def measure_generations(bench: Bench, conditions: Mapping[str, Condition]) -> dict[str, Written]:
    """Every condition at the first tokens, more and parts of the vector, elsewhere in the prompt, and prompting."""
    study, steered = bench.study, conditions["vector"]
    if not isinstance(steered, SteeringVector):
        raise TypeError("the condition 'vector' is one vector")
    parts = {f"first {fraction:.0%}": steered.first_dimensions(fraction) for fraction in FRACTIONS}
    rows: list[tuple[str, str, SteeringVector | None]] = []
    for name, condition in {**conditions, "stronger": STRONGER * steered, **parts}.items():
        rows += [(name, study.beginning, vector) for vector in turns(condition, study.n_generations)]
    prompted = f"{bench.topic.promoted.strip()} {study.beginning}"
    rows += [("prompting", prompted, None)] * study.n_generations
    texts: dict[str, list[str]] = {}
    for start in range(0, len(rows), _ROWS):
        _generate(bench, rows[start : start + _ROWS], "first", texts)
    for place in ("middle", "last"):
        _generate(bench, [(place, study.beginning, steered)] * study.n_generations, place, texts)
    topics = (bench.topic, bench.other_topic)
    return {
        name: Written(tuple(some), {topic.name: word_counts(some, topic.words) for topic in topics})
        for name, some in texts.items()
    }


def word_counts(texts: list[str], words: tuple[str, ...]) -> NDArray[np.float64]:
    """How many words of each text are among these, in whatever case, shape (n,)."""
    wanted = {word.lower() for word in words}
    counts = [sum(word in wanted for word in re.findall(r"[^\W_]+", text.lower())) for text in texts]
    return np.array(counts, dtype=np.float64)


def _generate(
    bench: Bench, rows: list[tuple[str, str, SteeringVector | None]], place: Any, texts: dict[str, list[str]]
) -> None:
    sampling: dict[str, Any] = {"temperature": TEMPERATURE, "top_p": TOP_P, "frequency_penalty": FREQUENCY_PENALTY}
    with steer_each(bench.model, [vector for _, _, vector in rows], positions=place):
        generations = generate(
            bench.model,
            bench.tokenizer,
            [prompt for _, prompt, _ in rows],
            max_new_tokens=bench.study.n_new_tokens,
            seed=bench.study.seed,
            bos=bench.bos,
            **sampling,
        )
    for (name, _, _), (generation,) in zip(rows, generations, strict=True):
        texts.setdefault(name, []).append(generation.text)
