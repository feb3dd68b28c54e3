"""Small point clouds whose topology is known."""

import numpy as np
from numpy.typing import NDArray

import geometry as geo


def circle(n: int = 200) -> NDArray[np.float64]:
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def line(n: int = 200) -> NDArray[np.float64]:
    return np.stack([np.linspace(0, 1, n), np.linspace(0, 2, n)], axis=1)


def two_blobs(n: int = 60, width: int = 5, apart: float = 50.0) -> geo.maps.LabelledPoints:
    rng = np.random.default_rng(4)
    points = rng.standard_normal((2 * n, width))
    points[n:, -1] += apart
    return geo.maps.LabelledPoints.of_classes(points, ["one"] * n + ["two"] * n)


def unlabelled(points: NDArray[np.float64]) -> geo.maps.LabelledPoints:
    return geo.maps.LabelledPoints(points, {"all": np.arange(len(points))})
