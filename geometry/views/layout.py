"""Places of points on a map: UMAP where there are enough, principal axes where there are few."""

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.errors import EstimationError
from geometry.maps import umap_embedding


def layout(
    view: str, points: torch.Tensor, neighbours: int, seed: int, progress: bool | None
) -> tuple[NDArray[np.float32], str]:
    """Coordinates, shape (n, 2), and how they were made, in words."""
    if len(points) < 2:
        raise EstimationError(f"{view}: one point makes no map; give at least 2")
    if neighbours < 2:
        raise EstimationError(f"{view}: UMAP needs at least 2 neighbours of each point, not {neighbours}")
    if len(points) > neighbours:
        coordinates = umap_embedding(points, neighbours=neighbours, seed=seed, progress=progress)
        return coordinates, f"UMAP with {neighbours} neighbours"
    coordinates, share = _principal_axes(points)
    return coordinates, f"two principal axes, with {share:.0%} of the variance"


def _principal_axes(points: torch.Tensor) -> tuple[NDArray[np.float32], float]:
    """Coordinates on the first two principal axes, shape (n, 2), and their share of the variance."""
    centred = (points - points.mean(dim=0)).double().cpu().numpy()
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    coordinates = np.zeros((len(points), 2))
    coordinates[:, : len(sizes)] = (left * sizes)[:, :2]
    # Singular vectors have no sign of their own.
    coordinates *= np.sign(coordinates[np.abs(coordinates).argmax(axis=0), [0, 1]])
    return coordinates.astype(np.float32), float((sizes[:2] ** 2).sum() / max((sizes**2).sum(), 1e-300))
