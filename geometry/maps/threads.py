"""As many threads for torch as it was given: compiled loops that run in parallel give it all processors."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_threads(count: int | None = None) -> Iterator[None]:
    """So many threads within the block, by default as many as before it, and as many as before it afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(count or threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
