"""Whether an unembedding is a model's own: its rows must move the logits of their tokens. Measured, once a pair."""

import hashlib
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn

from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.models import Unembedding
from geometry.steering.architecture import Architecture
from geometry.steering.readout import logits_at
from geometry.steering.vector import SteeringVector

_ROWS, _PROBES, _LEAST = 64, 8, 0.9
_PASSED: WeakKeyDictionary[nn.Module, set[str]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class RowSample:
    """Some rows of an unembedding, by which to know the model that they are of.

    Attributes:
        name: of the unembedding.
        ids: token ids, shape (n,), and `rows` γ of these, float32, shape (n, d).
    """

    name: str
    ids: torch.Tensor
    rows: torch.Tensor

    __repr__ = short_repr

    @classmethod
    def of(cls, unembedding: Unembedding) -> "RowSample":
        """64 rows that some text can produce, spread over the vocabulary."""
        places = np.unique(np.linspace(0, len(unembedding.rows) - 1, _ROWS).astype(np.int64))
        ids = torch.from_numpy(unembedding.rows[places])
        return cls(unembedding.name, ids, unembedding.matrix[ids.to(unembedding.matrix.device)].float().cpu())

    @property
    def key(self) -> str:
        """Stands for the rows."""
        return hashlib.sha256(repr(self.ids.tolist()).encode() + self.rows.numpy().tobytes()).hexdigest()


def check_belongs(model: nn.Module, unembedding: Unembedding | RowSample) -> None:
    """Refuse vectors of an unembedding that is not this model's: another model's, or its input embedding.

    Example::

        unembedding = geo.Unembedding.load("smollm2-135m")
        model, tokenizer = geo.load_model("smollm2-135m")
        geo.steering.check_belongs(model, unembedding)

    Moving the final hidden state by random shifts must move the logits of 64 tokens as their rows say, up to a scale
    and to what all tokens share: with a correlation of at least 0.9, which quantised copies of a model have.

    Raises SteeringError: they do not, the model is of another width or vocabulary, or has no logits.
    """
    sample = unembedding if isinstance(unembedding, RowSample) else RowSample.of(unembedding)
    architecture = Architecture.of(model)
    passed = _PASSED.setdefault(architecture.model, set())
    key = sample.key + _state_of(architecture)
    if key in passed:
        return
    kind = type(architecture.model).__name__
    if sample.rows.shape[1] != architecture.width:
        raise SteeringError(f"{sample.name} is {sample.rows.shape[1]} wide, {kind} {architecture.width}")
    correlation = _correlation(architecture, sample)
    # NaN is no agreement either.
    if not correlation >= _LEAST:
        raise SteeringError(
            f"{sample.name} is not the unembedding of this {kind}: its rows and the logits correlate by"
            f" {correlation:.2f} on {len(sample.ids)} tokens; take the vectors from this model's own"
            " (geo.Unembedding.load of the same weights)"
        )
    passed.add(key)


def check_source(model: nn.Module, vector: SteeringVector) -> None:
    """`check_belongs` for a vector that remembers which unembedding it came from; any other passes."""
    if vector.sample is not None:
        check_belongs(model, vector.sample)


def _state_of(architecture: Architecture) -> str:
    """Another one where the model's head has been replaced, trained or loaded anew."""
    head = architecture.head
    weights = () if head is None else head.parameters()
    return str([id(head), *(0 if weight.is_inference() else weight._version for weight in weights)])


def _correlation(architecture: Architecture, sample: RowSample) -> float:
    """Pearson correlation, over tokens and shifts, of what the rows say with what the logits do."""
    generator = torch.Generator().manual_seed(0)
    shifts = torch.randn((_PROBES, architecture.width), generator=generator)
    said = sample.rows.double() @ shifts.double().T
    # So small that soft caps do not bend.
    size = float(said.abs().max())
    shifts = shifts / size if size > 0 else shifts
    logits = logits_at(architecture, torch.cat([shifts, -shifts]))
    if int(sample.ids.max()) >= logits.shape[1]:
        raise SteeringError(
            f"{sample.name} has a token {int(sample.ids.max())}, {type(architecture.model).__name__} gives"
            f" {logits.shape[1]} logits; they do not belong together"
        )
    done = (logits[:_PROBES] - logits[_PROBES:])[:, sample.ids].T
    said, done = (values - values.mean(dim=0) for values in (said, done))
    return float((said * done).sum() / (torch.linalg.vector_norm(said) * torch.linalg.vector_norm(done)))
