"""Solves Cov_p(γ) x = b of many laws at once by conjugate gradients; no d × d matrix but one a state, made once for all
targets.

At d = 576 and 5,000 tokens a product with Cov_p(γ) of every state costs a fortieth of forming the matrix, and some 100
of them take a state from λ0 to its goal; forming and solving it at every step took about twice the time.
"""

import numpy as np
from numpy.typing import NDArray

from geometry.steering.output_law import OutputLaws

Array = NDArray[np.float64]
Single = NDArray[np.float32]
_TOLERANCE = 0.1  # steps are Newton's but for this part; what they lead to is judged in float64
_MOST = 40
_SEEN = 1e-9
_MOSTLY = 0.8
_TINY = np.float32(1e-30)
_FLAT = np.float32(1e-12)


class CovarianceSolver:
    """Preconditioned by the inverse of Cov at λ0 of the likeliest tokens, in float32 throughout."""

    def __init__(self, laws: OutputLaws) -> None:
        self._gamma = laws.gamma.astype(np.float32)
        self._inverses = laws.batch.inverses

    def solve(self, law: Array, right: Array, subset: NDArray[np.int64]) -> Array:
        """x of Cov x = b, shape (k, d), for laws (k, m) of a subset of the states."""
        size = np.linalg.norm(right, axis=1, keepdims=True)
        size = np.where(size > 0, size, 1.0)
        residual = (right / size).astype(np.float32)
        solution = np.zeros_like(residual)
        # Tokens that no law heeds any more, of which there are the more, the further the step, are left out.
        seen = law.max(axis=0) > _SEEN
        gamma = self._gamma if seen.mean() > _MOSTLY else self._gamma[seen]
        law32 = (law if gamma is self._gamma else law[:, seen]).astype(np.float32)
        inverses = self._inverses[subset]
        left, whole = np.arange(len(residual)), solution
        part, direction = np.zeros_like(residual), _times(inverses, residual)
        dot = (residual * direction).sum(axis=1)
        for _ in range(_MOST):
            product = _product(gamma, law32, direction)
            curvature = (direction * product).sum(axis=1)
            # A law on the rim of the hull is flat in some directions: no step along them.
            flat = curvature <= _FLAT * (direction * direction).sum(axis=1)
            length = np.where(flat, 0, dot / np.where(flat, 1, curvature)).astype(np.float32)
            part += length[:, None] * direction
            residual -= length[:, None] * product
            going = (np.linalg.norm(residual, axis=1) > _TOLERANCE) & ~flat
            # Copying the laws costs about a product, so it waits until a third is done.
            if not going.any() or going.mean() < 2 / 3:
                whole[left] = part
                if not going.any():
                    break
                left, part, residual, direction, dot = (each[going] for each in (left, part, residual, direction, dot))
                law32, inverses = law32[going], inverses[going]
            conditioned = _times(inverses, residual)
            following = (residual * conditioned).sum(axis=1)
            direction = conditioned + (following / np.maximum(dot, _TINY))[:, None] * direction
            dot = following
        whole[left] = part
        return whole.astype(np.float64) * size


def _product(gamma: Single, law: Single, vectors: Single) -> Single:
    logits = vectors @ gamma.T
    logits -= (law * logits).sum(axis=1, keepdims=True)
    logits *= law
    return np.asarray(logits @ gamma, dtype=np.float32)


def _times(matrices: Single, vectors: Single) -> Single:
    return np.asarray((matrices @ vectors[:, :, None])[:, :, 0])
