"""Work on several clouds at a time, by threads: a concept is too little work to share, a cloud is enough."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from geometry.directions import TokenCloud
from geometry.memory import give_back

_WORTH_SHARING = 1 << 20
_TOO_MANY = 1 << 24


def numbers(cloud: TokenCloud, max_tokens: int | None) -> int:
    """About how many numbers a permutation holds: points and, of concepts fitted to all their words, d × d scatters."""
    width = cloud.points.shape[1]
    large = sum(len(members) >= width for members in cloud.hierarchy.members)
    return cloud.points.numel() + (large * width**2 if max_tokens is None or max_tokens >= width else 0)


@contextmanager
def side_by_side(numbers: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """A `map` with as many workers as torch has threads, for clouds of about so many numbers."""
    threads = torch.get_num_threads()
    # Libraries' own threads would wait for each other, and for the processors that other clouds are on.
    limits = threadpool_limits(1)
    # Small ones are all interpreter, of which there is one; the largest would fill the memory side by side.
    shared = threads > 1 and _WORTH_SHARING < numbers < _TOO_MANY
    torch.set_num_threads(threads if numbers >= _TOO_MANY else 1)
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool.map if shared else map
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
        limits.restore_original_limits()
        if shared:
            give_back()  # what the workers had
