"""The next token under vectors added anywhere in a prompt, and KL divergence by token: who gains, who loses."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.errors import SteeringError
from geometry.steering.positions import Positions
from geometry.steering.prompts import LanguageModel, Tokenizer
from geometry.steering.steered_logits import Vectors, begins, each_of, steered_logits, token_rows

_ROUNDING = 1e-4  # of a logarithm


@checked
def next_token_laws(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    vectors: Vectors = None,
    *,
    positions: Positions | None = None,
    bos: bool | None = None,
) -> torch.Tensor:
    """log P(y | prompt) after each prompt, each steered by a vector of its own wherever in it.

    Example::

        vector = geo.activation_addition(model, tokenizer, " weddings", " ", block=10)
        prompts = ["I'm excited because I'm going to a"]
        unsteered, steered = geo.steering.next_token_laws(model, tokenizer, prompts * 2, [None, vector])

    `NextToken` asks the same of vectors at the last token, and is quicker there.

    Parameters:
        prompts: n texts.
        vectors: one for all, or one (or None) for each; default: unsteered.
        positions: of the vectors; see `steer`.
        bos: see `encode`; default, what the vectors need, or else as the tokenizer does.

    Returns a float32 tensor on the CPU, shape (n, V), in nats.
    Raises SteeringError: no prompts, another number of vectors, a vector at work in the model, or what `steer` refuses,
        such as a prompt with fewer tokens than a vector has rows.
    """
    chosen = each_of(vectors, len(prompts))
    rows = token_rows(tokenizer, prompts, begins(chosen, bos))
    laws: list[torch.Tensor] = [torch.empty(0)] * len(rows)
    for indices, _, logits in steered_logits(model, rows, chosen, positions=positions, last=True):
        for index, law in zip(indices, logits[:, -1].float().cpu().log_softmax(dim=-1), strict=True):
            laws[index] = law
    return torch.stack(laws)


@checked
def kl_contributions(steered: torch.Tensor, unsteered: torch.Tensor) -> NDArray[np.float64]:
    """What every token adds to KL(steered ‖ unsteered): p_s · (log p_s − log p_u), in nats, shape (..., V).

    Example::

        vector = geo.activation_addition(model, tokenizer, " weddings", " ", block=10)
        laws = geo.steering.next_token_laws(model, tokenizer, ["I'm going to a"] * 2, [None, vector])
        contributions = geo.steering.kl_contributions(laws[1], laws[0])
        gained = tokenizer.decode([contributions.argmax()])

    Tokens that gain probability add to the divergence, those that lose take from it; the sum over the vocabulary is
    the divergence, never below 0. A token that the steered law excludes adds 0.

    Parameters:
        steered, unsteered: log-probabilities in nats, shape (..., V).

    Raises SteeringError: laws of different shapes, numbers that are no log-probabilities, or a token that only the
        unsteered law excludes.
    Source: the decomposition is that of Turner et al., "Steering GPT-2-XL by adding an activation vector", 2023.
    """
    if steered.shape != unsteered.shape:
        raise SteeringError(f"laws of one shape are compared, not {tuple(steered.shape)} and {tuple(unsteered.shape)}")
    first, second = steered.double(), unsteered.double()
    for name, law in (("steered", first), ("unsteered", second)):
        if not bool((law <= _ROUNDING).all()):  # nan is not either
            raise SteeringError(f"{name}: laws are log-probabilities, at most 0 and not nan; log_softmax gives them")
    possible = first > -torch.inf
    if bool((possible & (second == -torch.inf)).any()):
        raise SteeringError("unsteered: gives probability 0 to a token that the steered law allows; KL is infinite")
    ratio = torch.where(possible, first, 0.0) - torch.where(possible, second, 0.0)
    return torch.where(possible, first.exp() * ratio, 0.0).numpy()
