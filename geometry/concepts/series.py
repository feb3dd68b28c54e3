"""Small data sets of words besides hierarchies: series of values in an order, and pairs that differ in one thing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from geometry.concepts.data_file import read_mapping, refuse_unknown, strings
from geometry.concepts.hierarchy import ConceptHierarchy
from geometry.concepts.words import Forms, spelled
from geometry.errors import HierarchyError
from geometry.models import Vocabulary


_FEWEST_VALUES = 3
_SHAPES = ("simplex", "line", "circle", "tree")
_SET_KEYS = {"expected", "values", "groups", "forms"}


@dataclass(frozen=True, eq=False)
class Series:
    """Values of one kind in their order, each with its tokens.

    Attributes
    ----------
    values : names of those values that have a token.
    positions : shape (k,), their places in the series, from 0; a value without token leaves a gap.
    period : length of the series, with its gaps.
    tokens : shape (n,), token ids of all values.
    owners : shape (n,), the position of the value each token belongs to.
    groups : shape (k,), the branch of each value in the tree hypothesis.
    expected : the shape that common sense predicts, or "".
    skipped : value → why it is left out.
    """

    name: str
    values: tuple[str, ...]
    positions: NDArray[np.int64]
    period: int
    tokens: NDArray[np.int64]
    owners: NDArray[np.int64]
    groups: NDArray[np.int64]
    expected: str = ""
    skipped: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_hierarchy(
        cls, name: str, hierarchy: ConceptHierarchy, branches: Sequence[Sequence[str]], expected: str = "simplex"
    ) -> "Series":
        """Concepts of a hierarchy as values, in the order of `branches`, the groups of the tree hypothesis.

        A word of several of the concepts counts for the first.
        """
        taken: set[int] = set()
        tokens: dict[str, list[int]] = {}
        for value in (value for branch in branches for value in branch):
            tokens[value] = [token for token in hierarchy[value].tokens if token not in taken]
            taken.update(tokens[value])
        group = {value: number for number, branch in enumerate(branches) for value in branch}
        found = [value for value in tokens if tokens[value]]
        positions = np.array([list(tokens).index(value) for value in found], dtype=np.int64)
        return cls(
            name,
            tuple(found),
            positions,
            len(tokens),
            np.array([token for value in found for token in tokens[value]], dtype=np.int64),
            np.repeat(positions, [len(tokens[value]) for value in found]),
            np.array([group[value] for value in found], dtype=np.int64),
            expected,
            {value: "all its words belong to an earlier value" for value in tokens if not tokens[value]},
        )


def load_series(
    vocabulary: Vocabulary, source: str | Path = "series", *, skipped: dict[str, str] | None = None
) -> dict[str, Series]:
    """Read sets of ordered values and keep what `vocabulary` has as single tokens.

    Parameters
    ----------
    source : the name of a packaged file ("series") or a YAML or JSON file like data/values/series.yaml.
    skipped : is given the sets with too few values in this vocabulary, and why, instead of an error.

    Raises
    ------
    HierarchyError
        Malformed, an unknown or missing entry, a value in no group or in two, or fewer than 3 values with
        a token.
    """
    label, document = read_mapping(source, "values", "sets")
    refuse_unknown(label, document, {"source", "licence", "sets"})
    found = {}
    for name, entry in document["sets"].items():
        series = _series(label, _named(label, name), entry, vocabulary)
        if len(series.values) >= _FEWEST_VALUES:
            found[str(name)] = series
            continue
        lacking = f"{len(series.values)} of its values have a token in this vocabulary; {_FEWEST_VALUES} are needed"
        if skipped is None:
            raise HierarchyError(f"{label}: {name}: {lacking}")
        skipped[str(name)] = lacking
    return found


def _series(label: str, name: str, entry: Any, vocabulary: Vocabulary) -> Series:
    place = f"{label}: {name}"
    if not isinstance(entry, dict) or not isinstance(entry.get("values"), dict):
        raise HierarchyError(f"{place}: expected a mapping with an entry 'values'")
    refuse_unknown(place, entry, _SET_KEYS)
    forms = entry.get("forms", "noun")
    if forms not in get_args(Forms):
        raise HierarchyError(f"{place}: forms must be one of {', '.join(get_args(Forms))}, not {forms!r}")
    expected = entry.get("expected", "")
    if expected not in ("", *_SHAPES) or (expected == "tree" and "groups" not in entry):
        shapes = "simplex, line, circle or tree (with groups)"
        raise HierarchyError(f"{place}: expected must be {shapes}, not {expected!r}")
    words = {_named(place, value): strings(place, str(value), some) for value, some in entry["values"].items()}
    group = _groups(place, entry.get("groups", [[value] for value in words]), words)
    found: dict[str, list[int]] = {}
    skipped = {}
    taken: set[int] = set()
    for value, own in words.items():
        # A capital is meant where it is written: "May" the month, not "may"; "A" the letter, not "a".
        spellings = {word: (word,) for word in own} if any(word[0].isupper() for word in own) else spelled(own, forms)
        ids = {vocabulary.word_id(form) for some in spellings.values() for form in some} - {None} - taken
        if ids:
            found[value] = sorted(token for token in ids if token is not None)
            taken.update(found[value])
        else:
            skipped[value] = "none of its words is a single token of this vocabulary"
    order = list(words)
    positions = np.array([order.index(value) for value in found])
    return Series(
        name,
        tuple(found),
        positions,
        len(words),
        np.array([token for ids in found.values() for token in ids], dtype=np.int64),
        np.repeat(positions, [len(ids) for ids in found.values()]),
        np.array([group[value] for value in found]),
        expected,
        skipped,
    )


def _named(place: str, name: Any) -> str:
    if not isinstance(name, str) or not name.strip():
        raise HierarchyError(f"{place}: {name!r} must be a name (quote it if YAML reads it otherwise)")
    return name


def _groups(place: str, groups: Any, words: dict[str, list[str]]) -> dict[str, int]:
    if not isinstance(groups, list):
        raise HierarchyError(f"{place}: groups must be a list of lists of values")
    found: dict[str, int] = {}
    for number, group in enumerate(groups):
        for value in strings(place, "groups", group):
            if value not in words or value in found:
                raise HierarchyError(f"{place}: groups name {value!r}, which is no value or in two groups")
            found[value] = number
    if missing := [value for value in words if value not in found]:
        raise HierarchyError(f"{place}: {missing[0]!r} is in no group")
    return found


def load_pairs(
    vocabulary: Vocabulary, source: str | Path = "contrasts"
) -> dict[str, tuple[tuple[tuple[str, str], ...], NDArray[np.int64]]]:
    """Read families of word pairs and keep those of which both words are single tokens.

    Returns
    -------
    family → (the pairs of words, their token ids of shape (n, 2)); a family may be empty.

    Raises
    ------
    HierarchyError
        Malformed, or an entry that is not a pair of different words.
    """
    label, document = read_mapping(source, "pairs", "pairs")
    refuse_unknown(label, document, {"source", "licence", "pairs"})
    families = {}
    for name, entries in document["pairs"].items():
        place = f"{label}: {_named(label, name)}"
        if not isinstance(entries, list):
            raise HierarchyError(f"{place}: expected a list of pairs of words")
        pairs: list[tuple[str, str]] = []
        ids = []
        for entry in entries:
            words = strings(place, "every pair", entry)
            if len(words) != 2 or words[0] == words[1]:
                raise HierarchyError(f"{place}: expected two different words, not {words}")
            if {tuple(words), (words[1], words[0])} & set(pairs):
                raise HierarchyError(f"{place}: the pair {words} is there twice")
            tokens = [vocabulary.word_id(word) for word in words]
            if None not in tokens:
                pairs.append((words[0], words[1]))
                ids.append(tokens)
        families[str(name)] = tuple(pairs), np.array(ids, dtype=np.int64).reshape(-1, 2)
    return families
