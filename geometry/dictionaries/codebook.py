"""Codebook: a row as the few of many centroids that are nearest to it, fitted afterwards to a model as it is."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from geometry.arguments import checked
from geometry.dictionaries.dictionary import Dictionary
from geometry.errors import EstimationError
from geometry.steering.vector import Site, SiteLike

_SAMPLE = 100_000  # rows that the mean is taken of, at a time
_POST_HOC = (
    "fitted to the activations of a model that was trained without it; codebook features proper are trained with the"
    " model"
)


@checked(decoder=object, decoder_bias=object)
@dataclass(frozen=True, eq=False, repr=False)
class Codebook(Dictionary):
    """The k codes of a row are those nearest in cosine; each is active by 1/k: a row is given back as their mean.

    >>> rows = np.repeat([[4.0, 0.0], [0.0, 4.0], [-4.0, -4.0]], 5, axis=0)
    >>> book = Codebook.fit(rows, 3, k=1)
    >>> bool((book.reconstruct(rows) - torch.tensor(rows)).abs().max() < 1e-5)
    True

    Parameters:
        decoder: centroids less the mean of all rows, shape (f, d).
        decoder_bias: that mean, shape (d,), from which cosines are measured: residual streams lie to one side of 0.
        k: codes of a row.
        site, model, source, notes: as of `Dictionary`.

    It takes the place of a sparse autoencoder in `measure`, `feature_vector`, `feature_difference` (steering by
    activating the codes of one class), `concept_features` and `tree_features`.

    Raises EstimationError: shapes that do not belong together, NaN or infinity, a code at the mean, k out of range.
    Source: Tamkin, Taufeeque and Goodman, arXiv 2310.17230, who train the model with its codebooks; here they are
        k-means centroids of cached activations, added afterwards.
    """

    decoder: torch.Tensor
    decoder_bias: torch.Tensor
    k: int = 1
    site: Site | None = None
    model: str = ""
    source: str = "codebook"
    notes: tuple[str, ...] = (_POST_HOC,)

    def __post_init__(self) -> None:
        for name in ("decoder", "decoder_bias"):
            kept = torch.as_tensor(getattr(self, name)).detach().to("cpu", torch.float32).contiguous()
            object.__setattr__(self, name, kept)
            if not bool(kept.isfinite().all()):
                raise EstimationError(f"{self.source}: the {name.replace('_', ' ')} holds NaN or infinity")
        if self.decoder.ndim != 2 or self.decoder_bias.shape != self.decoder.shape[1:] or not self.decoder.numel():
            shapes = f"{tuple(self.decoder.shape)} and {tuple(self.decoder_bias.shape)}"
            raise EstimationError(f"{self.source}: codes (f, d) and their mean (d,) are needed, not {shapes}")
        if not 0 < self.k <= len(self.decoder):
            raise EstimationError(f"{self.source}: k is 1 to {len(self.decoder)}, the number of codes, not {self.k}")
        if not bool(self.decoder.any(dim=1).all()):
            raise EstimationError(f"{self.source}: a code at the mean of all rows has no direction; take fewer codes")

    @classmethod
    @checked
    def fit(
        cls,
        rows: ArrayLike,
        n_codes: int,
        *,
        k: int = 8,
        batch: int = 4096,
        epochs: int = 5,
        seed: int = 0,
        site: SiteLike | None = None,
        model: str = "",
    ) -> "Codebook":
        """The centroids of mini-batch k-means over cached activations.

        Example::

            rows = geo.read_activations(model, tokenizer, texts, sites=["output.15"])["output.15"]
            book = Codebook.fit(rows, 1024, k=8, site="output.15")
            book.encode(rows).nonzero()

        Parameters:
            rows: shape (n, d), also mapped into memory.
            n_codes, k: centroids, and how many a row has.
            batch, epochs: rows a step, and times that as many rows as there are are drawn.
            site, model: where the rows were read.

        Raises EstimationError: fewer rows than codes, other points than codes, NaN or infinity, or a batch
            or epochs below 1.
        """
        from sklearn.cluster import MiniBatchKMeans

        given = rows if isinstance(rows, torch.Tensor | np.ndarray) else np.asarray(rows)
        if given.ndim != 2 or not 0 < n_codes <= len(given):
            raise EstimationError(
                f"rows (n, d) and at most as many codes are needed, not {tuple(given.shape)} and {n_codes}"
            )
        points = np.empty(tuple(given.shape), dtype=np.float32)
        for start in range(0, len(given), _SAMPLE):
            part = given[start : start + _SAMPLE]
            points[start : start + _SAMPLE] = (
                part.detach().float().cpu().numpy() if isinstance(part, torch.Tensor) else part
            )
        if not np.isfinite(points).all():
            raise EstimationError("the rows hold NaN or infinity")
        if min(batch, epochs) < 1:
            raise EstimationError(f"batch and epochs are 1 at least, not {batch} and {epochs}")
        mean = points.mean(axis=0, dtype=np.float64).astype(np.float32)
        points -= mean
        means = MiniBatchKMeans(n_codes, batch_size=batch, max_iter=epochs, n_init=1, random_state=seed % 2**32)
        centres = np.unique(means.fit(points).cluster_centers_.astype(np.float32), axis=0)
        centres = centres[np.linalg.norm(centres, axis=1) > 1e-6 * np.abs(points).max()]
        if len(centres) < max(2, k):
            raise EstimationError(f"the rows have {len(centres)} places that differ; k is {k}: give fewer codes")
        place = None if site is None else Site.parse(site)
        name = f"codebook of {len(centres)}"
        return cls(torch.from_numpy(centres), torch.from_numpy(mean), k, place, model, name)

    def __repr__(self) -> str:
        where = " at ".join(filter(None, [self.model, str(self.site) if self.site is not None else ""]))
        return f"Codebook({self.n_features:,} codes of width {self.width}, {self.k} a row; {where})"

    @checked
    def encode(self, rows: ArrayLike | torch.Tensor) -> torch.Tensor:
        """1/k for the k nearest codes of each row (n, d), 0 for others, shape (n, f).

        Raises EstimationError: rows of another width, NaN or infinity.
        """
        cosines = (self.rows_of(rows) - self.decoder_bias) @ torch.nn.functional.normalize(self.decoder, dim=1).T
        nearest = cosines.topk(self.k, dim=1).indices
        return torch.zeros_like(cosines).scatter_(1, nearest, 1 / self.k)

    @checked
    def reconstruct(self, rows: ArrayLike | torch.Tensor) -> torch.Tensor:
        """The rows (n, d) as the mean of their codes, shape (n, d)."""
        parts = [self.decode(self.encode(part)) for part in self.batches(rows)]
        return torch.cat(parts) if parts else torch.zeros(0, self.width)
