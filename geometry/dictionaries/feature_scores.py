"""How well single features discriminate sets of rows: AUC of all features at once, and what firing alone tells."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def auc(z: csr_array, members: Mask) -> Array:
    """AUC of every feature for members against the other rows, shape (c, f); ties, silent rows above all, count half.

    Parameters:
        z: activations (n, f), none below 0.
        members: shape (c, n); a set that is empty or holds all rows has nan.
    """
    above, silent = _ranks(z)
    size = members.sum(axis=1).astype(np.float64)[:, None]
    rest = z.shape[0] - size
    total = np.asarray(members.astype(np.float64) @ above) + size * silent
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((total - size * (size + 1) / 2) / (size * rest))


def _ranks(z: csr_array) -> tuple[csr_array, Array]:
    """Ranks within every feature from 1, less that of its silent rows, which are nearly all; and that, shape (f,)."""
    columns = csc_array(z)
    columns.eliminate_zeros()
    count = np.diff(columns.indptr)
    n, f = columns.shape
    feature = np.repeat(np.arange(f), count)
    order = np.lexsort((columns.data, feature))
    value, of = columns.data[order], feature[order]
    # Equal activations of one feature share the mean of their ranks.
    begins = np.flatnonzero(np.concatenate([[True], (np.diff(value) != 0) | (np.diff(of) != 0)]))[: len(value) or None]
    length = np.diff(np.concatenate([begins, [len(value)]])) if len(value) else np.zeros(0, dtype=np.int64)
    position = np.arange(len(value)) - np.repeat(columns.indptr[:-1], count)
    mean = (position[begins] + (length - 1) / 2) if len(value) else np.zeros(0)
    silent = (n - count + 1) / 2
    rank = np.empty(len(value))
    rank[order] = np.repeat(mean, length) + 1 + (n - count)[of] - silent[of]
    return csr_array(csc_array((rank, columns.indices, columns.indptr), shape=(n, f))), silent


def best(scores: Array) -> NDArray[np.int64]:
    """The feature with the highest AUC in each row, shape (c,); −1 where there is none."""
    known = np.isfinite(scores).any(axis=1)
    return np.where(known, np.nan_to_num(scores, nan=-1.0).argmax(axis=1), -1)


def precision_recall(fires: Mask, members: Mask) -> tuple[float, float]:
    """Of the rows where something fires the share of members, and of members the share where it does; nan for none."""
    both = float((fires & members).sum())
    return (both / fires.sum() if fires.any() else np.nan), (both / members.sum() if members.any() else np.nan)


def f1(fires: Mask, members: Mask) -> float:
    """Harmonic mean of precision and recall, 0 where nothing fires; nan without members."""
    total = fires.sum() + members.sum()
    return float(2 * (fires & members).sum() / total) if members.any() else np.nan
