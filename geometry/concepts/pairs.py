"""Pairs that differ in one thing: of words, and of opposite texts, to which steering (CAA, ActAdd) is fitted."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.concepts.data_file import DataFile
from geometry.display import short_repr
from geometry.models import Vocabulary


@dataclass(frozen=True)
class Opposites:
    """A contrast: a single word or short text and its opposite, and pairs of sentences alike but for the one thing."""

    name: str
    single: tuple[str, str]
    pairs: tuple[tuple[str, str], ...]

    __repr__ = short_repr


@checked
def load_opposites(source: str | Path = "contrasts") -> dict[str, Opposites]:
    """Read packaged contrasts or a YAML or JSON file like data/opposites/contrasts.yaml, by name.

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


@checked
def load_pairs(
    vocabulary: Vocabulary, source: str | Path = "contrasts", *, lost: dict[str, tuple[str, ...]] | None = None
) -> dict[str, tuple[tuple[tuple[str, str], ...], NDArray[np.int64]]]:
    """Families of word pairs: those of which both words are single tokens, and their token ids, shape (n, 2).

    `lost` is told of each family which words are not; their pairs are left out.

    HierarchyError: malformed, or an entry that is not a pair of different words.
    """
    file = DataFile(source, "pairs", "pairs")
    families = {}
    for name, listed in file.mapping("pairs").items():
        if not isinstance(listed, list):
            raise file.refuse(("pairs", name), "expected a list of pairs of words")
        ids: dict[tuple[str, str], list[int | None]] = {}
        missing: dict[str, None] = {}
        for index in range(len(listed)):
            first, second = file.pair("pairs", name, index)
            if (first, second) in ids or (second, first) in ids:
                raise file.refuse(("pairs", name, index), f"the pair {(first, second)} is there twice")
            tokens = [vocabulary.word_id(first), vocabulary.word_id(second)]
            missing |= {word: None for word, token in zip((first, second), tokens, strict=True) if token is None}
            if None not in tokens:
                ids[first, second] = tokens
        families[name] = tuple(ids), np.array(list(ids.values()), dtype=np.int64).reshape(-1, 2)
        if lost is not None and missing:
            lost[name] = tuple(missing)
    return families
