"""Series: values of one kind in their order, by the words that name them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.concepts.data_file import DataFile
from geometry.concepts.hierarchy import ConceptHierarchy
from geometry.concepts.words import Forms, spelled
from geometry.display import short_repr
from geometry.models import Vocabulary

_FEWEST_VALUES = 3
_SHAPES = ("", "simplex", "line", "circle", "tree")


@dataclass(frozen=True, eq=False)
class Series:
    """Values of one kind in their order, each with its tokens.

    Attributes:
        values, positions: names of the k values that have a token, and their places, from 0; others leave a gap.
        period: length of the series, with its gaps.
        tokens, owners: shape (n,), token ids of all values, and the position of the value each belongs to.
        groups: shape (k,), the branch of each value in the tree hypothesis.
        expected: the shape that common sense predicts, or "".
        skipped: value → why it is left out.
        lost: words of all values of which no form is a single token.
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
    lost: tuple[str, ...] = ()

    __repr__ = short_repr

    @classmethod
    def from_hierarchy(
        cls, name: str, hierarchy: ConceptHierarchy, branches: Sequence[Sequence[str]], expected: str = "simplex"
    ) -> "Series":
        """Concepts of a hierarchy as values, in the order of `branches`, the groups of the tree hypothesis."""
        tokens = {value: hierarchy[value].tokens for branch in branches for value in branch}
        group = {value: number for number, branch in enumerate(branches) for value in branch}
        lost = dict.fromkeys(word for value in tokens for word in hierarchy[value].lost)
        series = cls._of(name, tokens, group, expected, "all its words belong to an earlier value")
        return replace(series, lost=tuple(lost))

    @classmethod
    def _of(
        cls, name: str, tokens: Mapping[str, Sequence[int]], group: Mapping[str, int], expected: str, lacking: str
    ) -> "Series":
        """The values that have tokens; a token of several values counts for the first."""
        taken: set[int] = set()
        own: dict[str, list[int]] = {}
        for value, listed in tokens.items():
            own[value] = [token for token in listed if token not in taken]
            taken.update(listed)
        values = tuple(value for value in own if own[value])
        positions = np.array([list(own).index(value) for value in values], dtype=np.int64)
        ids = np.array([token for value in values for token in own[value]], dtype=np.int64)
        owners = np.repeat(positions, [len(own[value]) for value in values])
        groups = np.array([group[value] for value in values], dtype=np.int64)
        skipped = {value: lacking for value in own if not own[value]}
        return cls(name, values, positions, len(own), ids, owners, groups, expected, skipped)


@checked
def load_series(
    vocabulary: Vocabulary, source: str | Path = "series", *, skipped: dict[str, str] | None = None
) -> dict[str, Series]:
    """Read sets of ordered values and keep what `vocabulary` has as single tokens.

    The source is a packaged name ("series") or a YAML or JSON file like data/values/series.yaml. `skipped` is given the
    sets with too few values in this vocabulary, and why, instead of an error.

    HierarchyError: malformed, a value in no group or in two, or fewer than 3 values with a token.
    """
    file = DataFile(source, "values", "sets")
    sets = {name: _series(file, name, vocabulary) for name in file.mapping("sets")}
    for name, series in list(sets.items()):
        if len(series.values) < _FEWEST_VALUES:
            lacking = f"{len(series.values)} of its values have a token in this vocabulary; {_FEWEST_VALUES} are needed"
            if skipped is None:
                raise file.refuse(("sets", name), lacking)
            skipped[name] = lacking
            del sets[name]
    return sets


def _series(file: DataFile, name: str, vocabulary: Vocabulary) -> Series:
    keys = "sets", name
    has_groups = "groups" in file.mapping(*keys, known=("expected", "values", "groups", "forms"))
    forms = file.choice(*keys, "forms", options=get_args(Forms), default="noun")
    expected = file.choice(*keys, "expected", options=_SHAPES, default="")
    if expected == "tree" and not has_groups:
        raise file.refuse((*keys, "expected"), "a tree needs 'groups', its branches")
    words = {value: file.words(*keys, "values", value) for value in file.mapping(*keys, "values")}
    groups = file.partition(*keys, "groups", names=words) if has_groups else {value: (value,) for value in words}
    tokens, lost = {}, []
    for value, own in words.items():
        # A capital is meant where it is written: "May" the month, not "may"; "A" the letter, not "a".
        as_written = any(word != word.lower() for word in own)
        spellings = spelled(own, "none" if as_written else forms)  # type: ignore[arg-type]
        ids = {vocabulary.word_id(form) for variants in spellings.values() for form in variants}
        tokens[value] = sorted(token for token in ids if token is not None)
        lost += [word for word, variants in spellings.items() if vocabulary.words.keys().isdisjoint(variants)]
    group = {value: number for number, members in enumerate(groups.values()) for value in members}
    series = Series._of(name, tokens, group, expected, "none of its words is a single token of this vocabulary")
    return replace(series, lost=tuple(lost))
