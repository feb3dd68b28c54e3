"""Pairs of opposite texts: what steering by two poles (CAA) and by a single pair (ActAdd) is fitted to."""

from dataclasses import dataclass
from pathlib import Path

from geometry.concepts.data_file import DataFile


@dataclass(frozen=True)
class Opposites:
    """One contrast.

    Attributes
    ----------
    single : a word or short text and its opposite.
    pairs : sentences and their counterparts, alike but for the one thing.
    """

    name: str
    single: tuple[str, str]
    pairs: tuple[tuple[str, str], ...]


def load_opposites(source: str | Path = "contrasts") -> dict[str, Opposites]:
    """Read packaged contrasts or a YAML or JSON file like data/opposites/contrasts.yaml, by name.

    >>> load_opposites()["love-hate"].single
    ('Love', 'Hate')

    HierarchyError: no such file, malformed, no pairs, a pair that is not two different texts; with line and field.
    """
    file = DataFile(source, "opposites", "contrasts")
    opposites = {}
    for name in file.mapping("contrasts"):
        keys = "contrasts", name
        listed = file.mapping(*keys, known=("single", "pairs")).get("pairs")
        if not isinstance(listed, list) or not listed:
            raise file.refuse((*keys, "pairs"), "must be a list of pairs, and not empty")
        pairs = tuple(file.pair(*keys, "pairs", index) for index in range(len(listed)))
        opposites[name] = Opposites(name, file.pair(*keys, "single"), pairs)
    return opposites
