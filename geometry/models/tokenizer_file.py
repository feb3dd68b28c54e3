"""Read the vocabulary of a `tokenizer.json`."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer

from geometry.errors import ModelError
from geometry.models.checkpoint import TOKENIZER
from geometry.models.vocabulary import Vocabulary

# Tokens of a multimodal sibling, or added ones, may lie beyond the matrix, a few at most.
_MOST_TOKENS_BEYOND = 10_000
_LARGEST = 48 << 20


def read_tokenizer(folder: Path, rows: int) -> Vocabulary:
    """The vocabulary beside a matrix of so many rows; tokens that were added beyond it are tokens without a row.

    ModelError: no tokenizer, a damaged one, or one that does not belong to a matrix of so many rows.
    """
    path = folder / TOKENIZER
    if not path.is_file():
        raise ModelError(
            f"{folder}: {TOKENIZER} is missing; put the model's there"
            " (AutoTokenizer.from_pretrained(...).save_pretrained(folder) writes it)"
        )
    if (size := path.stat().st_size) > _LARGEST:
        raise ModelError(f"{path}: {size} bytes, where at most {_LARGEST} are read")
    tokenizer = _loaded(path)
    ids = tokenizer.get_vocab(with_added_tokens=True)
    last = max(ids.values(), default=-1)
    # Looked at before room is made: an id can be any number.
    if last >= rows + _MOST_TOKENS_BEYOND or len(set(ids.values())) < len(ids):
        raise ModelError(
            f"{path}: token ids repeat or run far beyond the {rows} unembedding rows;"
            " the tokenizer does not belong to these weights"
        )
    added = tokenizer.get_added_tokens_decoder()
    unreachable = [index for index, token in added.items() if token.special or index >= rows]
    return Vocabulary(ids, unreachable)


def _loaded(path: Path) -> Tokenizer:
    try:
        with _silent_panics():
            return Tokenizer.from_file(str(path))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # tokenizers raises bare Exception, and panics with what is none
        raise ModelError(f"{path}: not a readable tokenizer: {error}") from error


@contextlib.contextmanager
def _silent_panics() -> Iterator[None]:
    """A panic of the tokenizer library writes a page to the standard error before it is raised."""
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path of ours
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
