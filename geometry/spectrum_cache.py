"""Mean and eigensystem of Σ of large unembeddings, kept under the hash of the matrix and of how they are computed."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import scipy
import torch

from geometry.cache import Entry, Key, limit
from geometry.moments import moments
from geometry.symmetric import lower_scatter

Spectrum: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

# Numbers of multiplications, n d², from which a fit takes seconds, and hashing the matrix a tenth of it or less.
_LEAST = 10**11


def kept_spectrum(
    compute: Callable[[], Spectrum],
    matrix: torch.Tensor,
    rows: torch.Tensor,
    *,
    dtype: torch.dtype,
    device: torch.device,
    cache: Path,
) -> Spectrum:
    """What `compute` gives, or gave before of the same numbers: mean (d,), eigenvalues (d,) and eigenvectors (d, d).

    Bit for bit the same, whichever it is. Small matrices, and what lies or is computed on a GPU, where a fit takes no
    longer than hashing, are always computed.

    Parameters:
        matrix, rows: γ, shape (V, d), and the numbers of the rows of which the moments are taken.
        dtype, device: of the result and of the computation.
        cache: the package's cache folder.

    OutputError: its limit is no number; before anything is computed.
    """
    width = matrix.shape[1]
    pays = len(rows) * width**2 >= _LEAST and matrix.device.type == device.type == "cpu"
    if not pays or not limit():
        return compute()
    entry = Entry.within(cache, _key(compute, matrix, rows, dtype))
    number = np.float32 if dtype == torch.float32 else np.float64
    shapes = {"mean": (width,), "eigenvalues": (width,), "eigenvectors": (width, width)}
    kept = entry.read({name: (shape, number) for name, shape in shapes.items()})
    if kept is not None:
        # Memory of torch's own, aligned as what it computes: products of it are then the same to the last bit.
        mean, values, rows_of = (torch.from_numpy(array).clone() for array in kept.values())
        return mean, values, rows_of.mT
    mean, values, vectors = compute()
    # A row an eigenvector, as LAPACK leaves them, so that nothing is moved.
    rows_of = vectors.mT.contiguous()
    entry.write({name: tensor.numpy() for name, tensor in zip(shapes, (mean, values, rows_of), strict=True)})
    return mean, values, rows_of.mT


def _key(compute: Callable[[], Spectrum], matrix: torch.Tensor, rows: torch.Tensor, dtype: torch.dtype) -> Key:
    """Of the numbers as they are now, and of the code, the library and the processor that decide the last digits."""
    key = Key("spectra")
    key.add_code(compute.__module__, moments.__module__, lower_scatter.__module__)
    key.add(
        torch.__version__,
        scipy.__version__,
        torch.backends.cpu.get_cpu_capability(),
        torch.get_num_threads(),
        str(dtype),
    )
    key.add_tensor(matrix)
    key.add_tensor(rows)
    return key
