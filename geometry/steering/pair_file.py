"""Pairs of opposite texts from the files in which steering's data sets are passed on: CSV and JSON lines."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from geometry.arguments import checked
from geometry.errors import SteeringError, shown

# What the two columns are called, the one with the trait first.
_NAMES = (("positive", "negative"), ("promoted", "suppressed"), ("with", "without"), ("chosen", "rejected"))
_ENDINGS = (".csv", ".jsonl")
_LARGEST = 8 << 20  # bytes, as of all data files


@checked
def load_text_pairs(path: str | Path) -> list[tuple[str, str]]:
    """The pairs of a `.csv` file with a header, or of a `.jsonl` file with an object a line; for contrastive vectors.

    Example::

        pairs = geo.steering.load_text_pairs("calm.csv")  # a header "positive,negative", then a pair a line
        vector = geo.contrastive_activation_addition(model, tokenizer, pairs, ["output.15"])

    Columns or keys are "positive" and "negative", "promoted" and "suppressed", "with" and "without", or "chosen" and
    "rejected"; others are left alone. The texts are kept as they stand.

    Raises SteeringError: another ending, no such file, malformed, without such columns or without pairs, a pair that is
        not two different texts; with the line.
    """
    path = Path(path)
    if path.suffix.lower() not in _ENDINGS:
        raise SteeringError(f"{path}: pairs are read from {' and '.join(_ENDINGS)} files")
    entries = (_csv if path.suffix.lower() == ".csv" else _json_lines)(path, _text(path))
    pairs = [_pair(path, number, entry) for number, entry in entries]
    if not pairs:
        raise SteeringError(f"{path}: holds no pairs")
    return pairs


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise OSError("a folder, a pipe or a device, not a file")
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ValueError(f"larger than {_LARGEST >> 20} MB")
        return content.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        said = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        raise SteeringError(f"{path}: {said}") from error


def _csv(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise SteeringError(f"{path}, after line {reader.line_num}: {error}") from error


def _json_lines(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise SteeringError(f"{path}, line {number}: not a JSON object: {error}") from error


def _pair(path: Path, number: int, entry: Any) -> tuple[str, str]:
    columns = set(entry) if isinstance(entry, Mapping) else set()
    named = [names for names in _NAMES if columns.issuperset(names)]
    if len(named) != 1:
        known = "; ".join(" and ".join(names) for names in _NAMES)
        raise SteeringError(f"{path}, line {number}: needs two columns or keys, called {known}, not {shown(entry)}")
    positive, negative = (entry[name] for name in named[0])
    texts = isinstance(positive, str) and isinstance(negative, str)
    if not texts or not positive.strip() or not negative.strip() or positive == negative:
        raise SteeringError(f"{path}, line {number}: not two different texts: {shown((positive, negative))}")
    return positive, negative
