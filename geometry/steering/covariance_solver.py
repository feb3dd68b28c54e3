"""Solves Cov_p(γ) x = b of many laws at once by conjugate gradients; no d × d matrix but one a state, made once.

At d = 576 and 5,000 tokens a product with Cov_p(γ) of every state costs a fortieth of forming the matrix, and some 100
of them take a state from λ0 to its goal; forming and solving it at every step took about twice the time.
"""

import numpy as np
from numpy.typing import NDArray

from geometry.steering.output_law import OutputLaws

Array = NDArray[np.float64]
Single = NDArray[np.float32]
_TOKENS = 3000  # the likeliest, of which the preconditioner is made
_RIDGE = 1e-3  # of its mean eigenvalue
_TOLERANCE = 0.1  # steps are Newton's but for this part; what they lead to is judged in float64
_MOST = 80
_TINY = np.float32(1e-30)
_FLAT = np.float32(1e-12)


class CovarianceSolver:
    """Preconditioned by the inverse of Cov at λ0 of the likeliest tokens, in float32 throughout."""

    def __init__(self, laws: OutputLaws) -> None:
        self._gamma = laws.gamma.astype(np.float32)
        count = min(_TOKENS, laws.law.shape[1])
        inverses = []
        for law in laws.law:
            likeliest = np.argpartition(-law, count - 1)[:count]
            weights, rows = law[likeliest].astype(np.float32), self._gamma[likeliest]
            mean = weights @ rows / weights.sum()
            rows = rows - mean
            covariance = (rows * weights[:, None]).T @ rows
            scale = float(np.trace(covariance)) / len(covariance) or 1.0
            covariance.flat[:: len(covariance) + 1] += np.float32(_RIDGE * scale)
            inverses.append(np.linalg.inv(covariance))
        self._inverses = np.stack(inverses)

    def solve(self, law: Array, right: Array, subset: NDArray[np.int64]) -> Array:
        """x of Cov x = b, shape (k, d), for laws (k, m) of a subset of the states."""
        size = np.linalg.norm(right, axis=1, keepdims=True)
        size = np.where(size > 0, size, 1.0)
        residual = (right / size).astype(np.float32)
        solution = np.zeros_like(residual)
        law32, inverses = law.astype(np.float32), self._inverses[subset]
        left, whole = np.arange(len(residual)), solution
        part, direction = np.zeros_like(residual), _times(inverses, residual)
        dot = (residual * direction).sum(axis=1)
        for _ in range(_MOST):
            product = self._product(law32, direction)
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

    def _product(self, law: Single, vectors: Single) -> Single:
        logits = vectors @ self._gamma.T
        logits -= (law * logits).sum(axis=1, keepdims=True)
        logits *= law
        return np.asarray(logits @ self._gamma, dtype=np.float32)


def _times(matrices: Single, vectors: Single) -> Single:
    return np.asarray((matrices @ vectors[:, :, None])[:, :, 0])
