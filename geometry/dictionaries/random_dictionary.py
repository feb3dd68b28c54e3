"""Random dictionaries, the control of whatever is said of features: as many, as long, as often active, no training."""

from dataclasses import replace

import torch
from numpy.typing import ArrayLike

from geometry.arguments import checked
from geometry.dictionaries.feature_dictionary import FeatureDictionary
from geometry.errors import EstimationError
from geometry.randomness import generator

_FEATURES = 512  # at a time


@checked
def random_dictionary(dictionary: FeatureDictionary, rows: ArrayLike, *, seed: int = 0) -> FeatureDictionary:
    """A dictionary like another but for its directions, which are random: what nobody has learned.

    Example::

        control = random_dictionary(dictionary, activations["output.12"], seed=1)
        concept_features(control, activations["output.12"], hierarchy)

    Encoder columns and decoder rows have the norms of the dictionary's own and are tied to each other as closely (by
    the same cosine). Of TopK the same k are active; of ReLU and JumpReLU each feature gets the threshold that makes it
    active in as many of the rows as the one it stands for.

    Parameters:
        rows: shape (n, d), of its site: where activity is matched.

    Raises EstimationError: rows of another width, fewer than 2, with NaN or infinity.
    """
    if len(rows) < 2:  # type: ignore[arg-type]
        raise EstimationError("at least 2 rows are needed to match how often features are active")
    rng = torch.Generator().manual_seed(int(generator(seed, "random dictionary").integers(2**62)))
    encoder, decoder = dictionary.encoder.T, dictionary.decoder
    lengths = [torch.linalg.vector_norm(side, dim=1, keepdim=True).clamp(min=1e-12) for side in (encoder, decoder)]
    cosine = ((encoder / lengths[0]) * (decoder / lengths[1])).sum(dim=1, keepdim=True)
    first = _unit(torch.randn(decoder.shape, generator=rng))
    second = torch.randn(decoder.shape, generator=rng)
    second = _unit(second - (second * first).sum(dim=1, keepdim=True) * first)
    tied = cosine * first + (1 - cosine**2).clamp(min=0).sqrt() * second
    drawn = replace(
        dictionary,
        encoder=(tied * lengths[0]).T,
        decoder=first * lengths[1],
        source=f"random {seed} of {dictionary.source}",
    )
    return drawn if dictionary.k is not None else _as_active(drawn, dictionary, rows)


def _as_active(drawn: FeatureDictionary, dictionary: FeatureDictionary, rows: ArrayLike) -> FeatureDictionary:
    """With biases that make each feature of `drawn` active as often as the other's, beyond the same thresholds."""
    active = torch.zeros(dictionary.n_features, dtype=torch.int64)
    inputs = []
    for part in dictionary.batches(rows):
        active += (dictionary.encode(part) > 0).sum(dim=0)
        normalised = drawn.normalised(part)
        inputs.append(normalised - drawn.decoder_bias if drawn.subtract_decoder_bias else normalised)
    x = torch.cat(inputs)
    bias = torch.empty(dictionary.n_features)
    threshold = torch.zeros(dictionary.n_features) if drawn.threshold is None else drawn.threshold.clamp(min=0)
    for start in range(0, dictionary.n_features, _FEATURES):
        span = slice(start, start + _FEATURES)
        ordered = (x @ drawn.encoder[:, span]).sort(dim=0, descending=True).values
        # Between the last row that is to be active and the first that is not.
        count = active[span]
        columns = torch.arange(ordered.shape[1])
        inside = ordered[(count - 1).clamp(min=0), columns]
        outside = ordered[count.clamp(max=len(x) - 1), columns]
        border = torch.where(
            count == 0, ordered[0] + 1, torch.where(count == len(x), ordered[-1] - 1, (inside + outside) / 2)
        )
        bias[span] = threshold[span] - border
    return replace(drawn, encoder_bias=bias)


def _unit(rows: torch.Tensor) -> torch.Tensor:
    return rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)
