"""Pairs of opposite texts: what steering by two poles (CAA) and by a single pair (ActAdd) is fitted to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geometry.concepts.data_file import line_of, read_mapping, refuse_unknown
from geometry.errors import HierarchyError


_FOLDER = "opposites"
_KEYS = {"name", "content", "source", "licence", "contrasts"}


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

    Raises
    ------
    HierarchyError
        No such file, malformed, no pairs, a pair that is not two different texts; with line and field.

    Examples
    --------
    >>> load_opposites()["love-hate"].single
    ('Love', 'Hate')
    """
    label, document = read_mapping(source, _FOLDER, "contrasts")
    refuse_unknown(label, document, _KEYS)

    def pair(entry: Any, *place: str | int) -> tuple[str, str]:
        texts = [" ".join(text.split()) for text in entry if isinstance(text, str)] if isinstance(entry, list) else []
        if len(texts) != 2 or len(entry) != 2 or not all(texts) or texts[0] == texts[1]:
            line = line_of(source, _FOLDER, ("contrasts", *place))
            where = "" if line is None else f", line {line}"
            raise HierarchyError(
                f"{label}{where}: {'.'.join(map(str, place))} must be two different texts, not {entry!r}"
            )
        return texts[0], texts[1]

    found = {}
    for name, entry in document["contrasts"].items():
        if not isinstance(entry, dict) or not isinstance(entry.get("pairs"), list) or not entry["pairs"]:
            raise HierarchyError(f"{label}: {name}: expected a mapping with 'single' and a list of 'pairs'")
        refuse_unknown(f"{label}: {name}", entry, {"single", "pairs"})
        pairs = [pair(some, name, "pairs", number) for number, some in enumerate(entry["pairs"])]
        found[str(name)] = Opposites(str(name), pair(entry.get("single"), name, "single"), tuple(pairs))
    return found
