"""Principal components as a dictionary: the best that as many directions, the same for all rows, give back."""

import numpy as np
import torch
from numpy.typing import ArrayLike

from geometry.arguments import checked
from geometry.dictionaries.feature_dictionary import FeatureDictionary
from geometry.errors import EstimationError
from geometry.steering.vector import Site, SiteLike

_AT_ONCE = 8192


@checked
def principal_components(
    rows: ArrayLike, k: int, *, site: SiteLike | None = None, model: str = ""
) -> FeatureDictionary:
    """The k directions along which rows vary most, each with both signs: what a sparse dictionary stands beside.

    >>> rows = np.diag([3.0, 2.0, 0.1]).repeat(20, axis=0) * np.tile([1.0, -1.0], 30)[:, None]
    >>> plane = principal_components(rows, 2)
    >>> plane.n_features, float(plane.reconstruct([[6.0, 4.0, 5.0]])[0].abs().max().round())
    (4, 6.0)

    Of the 2k features, a direction and its opposite, k are active in a row, so that its L0 is that of TopK with the
    same k; which directions they are is the same for all rows.

    Parameters:
        rows: shape (n, d), to which the components are fitted.
        k: at most d.

    Raises EstimationError: fewer than 2 rows, NaN or infinity, k out of range.
    """
    given = rows if isinstance(rows, torch.Tensor | np.ndarray) else np.asarray(rows)
    if given.ndim != 2 or len(given) < 2 or not 0 < k <= given.shape[1]:
        raise EstimationError(f"rows (n, d), at least 2, and k of 1 to d are needed, not {tuple(given.shape)} and {k}")
    parts = [torch.as_tensor(given[start : start + _AT_ONCE]).double() for start in range(0, len(given), _AT_ONCE)]
    mean = torch.stack([part.sum(dim=0) for part in parts]).sum(dim=0) / len(given)
    if not bool(mean.isfinite().all()):
        raise EstimationError("the rows hold NaN or infinity")
    scatter = torch.stack([(part - mean).T @ (part - mean) for part in parts]).sum(dim=0)
    leading = torch.linalg.eigh(scatter).eigenvectors[:, -k:].flip(1).T.float()
    decoder = torch.cat([leading, -leading])
    place = None if site is None else Site.parse(site)
    return FeatureDictionary(
        decoder.T, decoder, torch.zeros(2 * k), mean.float(), subtract_decoder_bias=True, site=place, model=model,
        source=f"{k} principal components",
    )  # fmt: skip
