"""Random generators: one for every purpose of a run, all from its one seed. Imports nothing of ours."""

import zlib

import numpy as np


def generator(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """The random generator of one purpose: a null's permutation number `index`, or a split.

    Purposes do not share numbers, so that one more permutation, null or split leaves all others as they were.
    """
    # crc32, not hash(): the latter changes with PYTHONHASHSEED.
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), index])
