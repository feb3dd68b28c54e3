"""A few entries of known numbers, by number. Imports little, as processes that are ended do it over and over."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geometry.cache import Entry, Key, Layout

LAYOUT: Layout = {"x": ((1000,), np.float64)}


def entry(cache: Path, number: int = 0, kind: str = "spectra") -> Entry:
    key = Key(kind)
    key.add(number)
    return Entry.within(cache, key)


def numbers(number: int = 0) -> dict[str, NDArray[Any]]:
    return {"x": np.random.default_rng(number).normal(size=1000)}


def is_kept(cache: Path, number: int = 0, kind: str = "spectra") -> bool:
    """Whether it is there; what is there must be right."""
    found = entry(cache, number, kind).read(LAYOUT)
    assert found is None or np.array_equal(found["x"], numbers(number)["x"])
    return found is not None


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
