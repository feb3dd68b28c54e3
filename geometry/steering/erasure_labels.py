"""What is to be erased of each activation, as a matrix: a column for each class or concept."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.errors import SteeringError, shown


def label_matrix(labels: Any, count: int, name: str, names: Sequence[str] | None = None) -> NDArray[np.float64]:
    """Centred and of unit variance, shape (count, k): a column for each class of (count,), or each of (count, k).

    Raises SteeringError: another number of labels, one class alone, a column that does not vary, real numbers where
        classes are meant, or numbers that are not finite.
    """
    try:
        given = np.asarray(labels if hasattr(labels, "__len__") else list(labels))
    except ValueError:
        raise SteeringError(f"{name}: labels are a class for each activation, or a row of as many concepts") from None
    if given.ndim not in (1, 2) or len(given) != count:
        raise SteeringError(f"{name}: {count} activations need as many labels, not labels of shape {given.shape}")
    if given.dtype.kind == "f" and not np.isfinite(given).all():
        raise SteeringError(f"{name}: labels hold NaN or infinite values")
    if given.ndim == 1:
        columns, called = _classes(given, name)
    else:
        if given.dtype.kind not in "biuf" or not given.shape[1]:
            raise SteeringError(f"{name}: a matrix of labels holds bools or numbers, not {given.dtype} {given.shape}")
        columns, called = given.astype(np.float64), list(map(str, range(given.shape[1])))
    if names is not None and given.ndim == 2:
        if len(names) != columns.shape[1]:
            raise SteeringError(f"{name}: {len(names)} names for {columns.shape[1]} columns of labels")
        called = list(names)
    centred = columns - columns.mean(axis=0)
    spread = np.sqrt(np.square(centred).mean(axis=0))
    still = np.flatnonzero(~(spread > 1e-9 * np.abs(columns).max(axis=0)))
    if len(still):
        raise SteeringError(
            f"{name}: the label {shown(called[still[0]])} is the same for all {count} activations; give activations"
            " with it and without"
        )
    return np.asarray(centred / spread)


def _classes(given: NDArray[Any], name: str) -> tuple[NDArray[np.float64], list[str]]:
    """A column for each class but the first, which the others imply, and what they are called."""
    if given.dtype.kind == "f" and not np.isin(given, (0.0, 1.0)).all():
        raise SteeringError(
            f"{name}: real numbers for labels: classes are whole numbers, texts or bools; a quantity to be erased is a"
            " matrix of one column, shape (n, 1)"
        )
    if given.dtype.kind not in "biufUS":
        raise SteeringError(f"{name}: labels are whole numbers, texts or bools, not {given.dtype}")
    classes, which = np.unique(given, return_inverse=True)
    if len(classes) < 2:
        raise SteeringError(f"{name}: one class alone, {shown(classes[0].item())}; give activations of another as well")
    return (which[:, None] == np.arange(1, len(classes))).astype(np.float64), list(map(str, classes[1:]))
