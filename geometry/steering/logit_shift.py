"""What a vector after the final norm adds to every logit: a product with the unembedding, not a pass of the model."""

import torch

from geometry.steering.architecture import Architecture
from geometry.steering.eraser import Eraser
from geometry.steering.readout import Readout, products_of_head
from geometry.steering.vector import Site, SteeringVector

_EXACT = (torch.float32, torch.float64)  # in others a pass rounds more than the product does
_AFTER_NORM = Site("after_norm")


class LogitShifts:
    """Of one model, by vectors.

    Only where logits are the head's products: not behind a soft cap, a scale or a layer, nor in half precision.
    """

    def __init__(self, architecture: Architecture) -> None:
        self._architecture = architecture
        readout = Readout.of(architecture) if architecture.dtype in _EXACT else None
        self._plain = readout is not None and readout.follows and readout.cap is None and readout.scale == 1

    def of(self, vector: SteeringVector | Eraser) -> torch.Tensor | None:
        """The shift of every logit wherever the vector is added, float64, shape (V,); None where a pass is needed."""
        head = self._architecture.head
        # Of an eraser the shift depends on the state; under a vector with rows from a beginning, texts begin otherwise.
        if isinstance(vector, Eraser) or vector.bos is not None:
            return None
        if not self._plain or head is None or vector.sites != (_AFTER_NORM,) or vector[_AFTER_NORM].ndim != 1:
            return None
        states = torch.stack([torch.zeros_like(vector[_AFTER_NORM]), vector[_AFTER_NORM]])
        products = products_of_head(self._architecture, head, states)
        return products[1] - products[0]
