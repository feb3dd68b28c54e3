"""Dictionary: what sparse autoencoders and codebooks have in common, rows encoded as few active features."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, vstack

from geometry.errors import EstimationError, SteeringError, shown
from geometry.steering.architecture import Architecture
from geometry.steering.vector import Site

BATCH = 1024
# One model under the names that libraries give it.
_SYNONYMS = {"gpt2-small": "gpt2", "gpt-2-small": "gpt2"}


class Dictionary(ABC):
    """Rows of activations as sparse non-negative features, each with a direction, and back again.

    Attributes:
        decoder: the direction of each feature, shape (f, d), float32.
        decoder_bias: what is added whatever is active, shape (d,).
        site: where the rows are read; None for a place that is no `Site`.
        model: the model's name as its makers write it; "" where nothing says.
        source: where the dictionary came from.
        notes: what a user of it should know, such as what was folded into the weights.
    """

    decoder: torch.Tensor
    decoder_bias: torch.Tensor
    site: Site | None
    model: str
    source: str
    notes: tuple[str, ...]

    @abstractmethod
    def encode(self, rows: ArrayLike | torch.Tensor) -> torch.Tensor:
        """The features of rows (n, d), shape (n, f), none below 0; EstimationError for other rows."""

    @abstractmethod
    def reconstruct(self, rows: ArrayLike | torch.Tensor) -> torch.Tensor:
        """The rows (n, d) as the dictionary gives them back, shape (n, d)."""

    @property
    def width(self) -> int:
        """d, the number of coordinates of a row."""
        return int(self.decoder.shape[1])

    @property
    def n_features(self) -> int:
        """f, the number of features."""
        return int(self.decoder.shape[0])

    def decode(self, features: ArrayLike | torch.Tensor) -> torch.Tensor:
        """The rows that features (n, f) stand for, shape (n, d); where rows are normalised, in normalised units."""
        given = torch.as_tensor(features, dtype=torch.float32)
        if given.ndim != 2 or given.shape[1] != self.n_features:
            raise EstimationError(f"features of shape (n, {self.n_features}) are needed, not {tuple(given.shape)}")
        return given @ self.decoder + self.decoder_bias

    def encode_sparse(self, rows: ArrayLike | torch.Tensor) -> csr_array:
        """The same as `encode`, as a SciPy matrix that holds what is active alone, for many rows and features."""
        parts: list[Any] = [csr_array(self.encode(part).numpy()) for part in self.batches(rows)]
        empty: Any = csr_array((0, self.n_features), dtype=np.float32)
        stacked: Any = vstack([empty, *parts], format="csr")
        return stacked

    def rows_of(self, rows: ArrayLike | torch.Tensor) -> torch.Tensor:
        """The rows as float32; EstimationError unless they are finite and of the dictionary's width."""
        given = torch.as_tensor(np.asarray(rows) if not isinstance(rows, torch.Tensor) else rows)
        given = given.detach().to("cpu", torch.float32)
        if given.ndim != 2 or given.shape[1] != self.width:
            raise EstimationError(
                f"{self.source}: is for rows of width {self.width}{self._where()}, and these have shape"
                f" {tuple(given.shape)}; read the activations of its own model and site, shape (n, {self.width})"
            )
        if not bool(given.isfinite().all()):
            raise EstimationError("the rows hold NaN or infinity")
        return given

    def batches(self, rows: ArrayLike | torch.Tensor) -> Iterator[torch.Tensor]:
        """The rows in parts of 1,024, since a row has as many features as fill memory soon."""
        given = rows if isinstance(rows, torch.Tensor) else np.asarray(rows)
        for start in range(0, len(given), BATCH):
            yield self.rows_of(given[start : start + BATCH])

    def feature(self, number: int) -> int:
        """The number, if there is such a feature; EstimationError if there is not."""
        if not 0 <= number < self.n_features:
            raise EstimationError(f"{self.source}: features are numbered 0 to {self.n_features - 1}, not {number}")
        return number

    def check(self, model: Any, *, same_name: bool = True) -> None:
        """SteeringError unless its width, its blocks and, where both say, its name are those of the dictionary's model.

        Parameters:
            model: a Hugging Face model.
            same_name: False takes a model of another name, such as one trained further.
        """
        architecture = Architecture.of(model)
        if architecture.width != self.width:
            raise SteeringError(
                f"{self.source}: is for width {self.width}{self._where()}, and this model has {architecture.width}"
            )
        if self.site is not None:
            architecture.check(self.site)
        name = str(getattr(architecture.model.config, "name_or_path", "") or "")
        # Of a folder on this machine the name may be anything.
        comparable = same_name and self.model and name and not Path(name).is_absolute()
        if comparable and known_as(name) != known_as(self.model):
            raise SteeringError(
                f"{self.source}: is for {self.model}, and this model is called {shown(name)}; if it is the same, or is"
                " meant to be another, use check(model, same_name=False)"
            )

    def _where(self) -> str:
        where = [str(self.site)] if self.site is not None else []
        return f" ({', '.join([*where, self.model] if self.model else where)})" if where or self.model else ""


def known_as(name: str) -> str:
    """A model's name without whose it is and without capitals, the one of several that are in use."""
    tail = name.rstrip("/").rsplit("/", 1)[-1].partition("@")[0].lower()
    return _SYNONYMS.get(tail, tail)
