"""The next token under vectors: KL divergence, its contributions by token, and the probability of a topic's words."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.experiments.actadd.setup import Bench, Condition
from geometry.experiments.actadd.texts import turns
from geometry.steering import kl_divergence, probability
from geometry.steering.next_token_kl import kl_contributions, next_token_laws

ENDS = 10  # tokens shown at either end
Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NextTokens:
    """Under one condition.

    Attributes:
        kl: KL(steered ‖ unsteered) after each neutral prompt, shape (n,); of the study's own prompt, `kl_here`.
        probability: topic → of its words after each neutral prompt, shape (n,); after the own prompt, `here`. Of
            random vectors the mean there, of all.
    """

    kl: Numbers
    kl_here: float
    probability: Mapping[str, Numbers]
    here: Mapping[str, float]

    __repr__ = short_repr


@dataclass(frozen=True)
class TokenShift:
    """One token after the study's own prompt.

    Attributes:
        text: of the token.
        contribution, random: to KL(steered ‖ unsteered), in nats; the mean of the same under random vectors.
        before, after: its probability; `after_random`: the mean under random vectors.
        neutral: contributions after each neutral prompt, shape (n,).
    """

    text: str
    contribution: float
    random: float
    before: float
    after: float
    after_random: float
    neutral: Numbers

    __repr__ = short_repr


def measure_next_token(
    bench: Bench, conditions: Mapping[str, Condition]
) -> tuple[dict[str, NextTokens], list[TokenShift], list[TokenShift]]:
    """Every condition; then the tokens that add most to the divergence after the own prompt, and after neutral ones.

    In both lists tokens that gain stand first, those that lose last.
    """
    prompts, own = list(bench.prompts), bench.study.prompt
    unsteered = _laws(bench, [own, *prompts], None)
    found, steered = {}, unsteered
    for name, condition in conditions.items():
        laws = unsteered if condition is None else _laws(bench, [own, *prompts], condition)
        found[name] = _numbers(bench, laws, unsteered)
        steered = laws if name == "vector" else steered
    written = f"{bench.topic.promoted.strip()} "
    found["prompting"] = _numbers(bench, _laws(bench, [written + text for text in (own, *prompts)], None), unsteered)

    random = conditions["random"]
    count = 1 if random is None or not isinstance(random, list) else len(random)
    of_random = _laws(bench, [own] * count, random)
    contributions = kl_contributions(steered, unsteered)
    beside = kl_contributions(of_random, unsteered[:1].expand_as(of_random)).mean(axis=0)
    found["random"] = replace(  # after the own prompt the mean over all of them
        found["random"],
        kl_here=float(beside.sum()),
        here={name: float(probability(of_random, tokens).mean()) for name, tokens in bench.tokens.items()},
    )
    probabilities = [law.double().exp().numpy() for law in (unsteered[0], steered[0])]
    random_probability = of_random.double().exp().mean(dim=0).numpy()

    def shifts(values: Numbers) -> list[TokenShift]:
        order = values.argsort(kind="stable")
        ends = [*order[::-1][:ENDS], *order[: min(ENDS, len(order) - ENDS)][::-1]]
        kept = [token for token in ends if values[token]]
        return [
            TokenShift(
                text=str(bench.tokenizer.decode([int(token)])),
                contribution=float(contributions[0, token]),
                random=float(beside[token]),
                before=float(probabilities[0][token]),
                after=float(probabilities[1][token]),
                after_random=float(random_probability[token]),
                neutral=contributions[1:, token],
            )
            for token in kept
        ]

    return found, shifts(contributions[0]), shifts(contributions[1:].mean(axis=0))


def _laws(bench: Bench, prompts: list[str], condition: Condition) -> torch.Tensor:
    vectors = turns(condition, len(prompts))
    return next_token_laws(bench.model, bench.tokenizer, prompts, vectors, positions="first", bos=bench.bos)


def _numbers(bench: Bench, laws: torch.Tensor, unsteered: torch.Tensor) -> NextTokens:
    kl = kl_divergence(laws, unsteered)
    by_topic = {name: probability(laws, tokens) for name, tokens in bench.tokens.items()}
    return NextTokens(
        kl=kl[1:],
        kl_here=float(kl[0]),
        probability={name: values[1:] for name, values in by_topic.items()},
        here={name: float(values[0]) for name, values in by_topic.items()},
    )
