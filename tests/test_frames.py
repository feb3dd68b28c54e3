import numpy as np
import pytest
import torch

import geometry as geo
from tests.planted import Planted


def test_coordinates_by_hand() -> None:
    frame = geo.frames.Frame.spanned_by(torch.tensor([2.0, 0, 0]), torch.tensor([1.0, 3, 0]))
    np.testing.assert_allclose(frame.basis.numpy(), [[1, 0, 0], [0, 1, 0]], atol=1e-7)
    np.testing.assert_allclose(frame.coordinates(torch.tensor([[4.0, 5, 6]])), [[4, 5]], atol=1e-6)


def test_the_origin_is_subtracted_from_points_and_vocabulary(planted: Planted) -> None:
    space = geo.CausalSpace.fit(planted.unembedding)
    u, v, origin = torch.randn(3, space.width, dtype=torch.float64)
    frame = geo.frames.Frame.spanned_by(u, v, origin=origin)
    everything = space.rows(planted.unembedding.rows)
    np.testing.assert_allclose(frame.of_vocabulary(space), frame.coordinates(everything), atol=1e-10)
    np.testing.assert_allclose(frame.coordinates(origin), 0, atol=1e-12)


def test_dependent_vectors_are_refused() -> None:
    with pytest.raises(geo.errors.EstimationError, match="dependent"):
        geo.frames.Frame.spanned_by(torch.ones(3), -2 * torch.ones(3))
    with pytest.raises(geo.errors.EstimationError, match="dependent"):
        geo.frames.Frame.spanned_by(torch.ones(3), torch.zeros(3))
