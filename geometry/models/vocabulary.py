"""A model's vocabulary: what each row stands for, how a word start is marked, which rows are text.

The one place that knows tokenizer conventions. Imports only errors.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from tokenizers.decoders import ByteLevel as ByteLevelDecoder

from geometry.errors import ModelError

# Byte-level BPE writes a space as Ġ, SentencePiece as ▁; a few vocabularies keep the space itself.
_BYTE_LEVEL_SPACE = "Ġ"
_BYTE_LEVEL = ByteLevelDecoder()
_WORD_STARTS = (_BYTE_LEVEL_SPACE, "▁", " ")

# Real tokenizers mark 15-65% of their tokens; below this share the marker is an accident.
_LEAST_MARKED_SHARE = 0.01

# Tokens that tokenizers reserve by the dozen, whether or not they mark them as special.
_PLACEHOLDER = re.compile(
    r"[<\[>|]+(unused|pad|reserved|reserved_special_token|extra_id|extra|dummy|placeholder|special|control)"
    r"[_ -]?(token)?[_ -]?\d+[>\]<|]+",
    re.IGNORECASE,
)


class Vocabulary:
    """The token strings of a model, in row order.

    >>> import geometry as geo
    >>> vocabulary = geo.Vocabulary(["<s>", "Ġbird", "s", "Ġbirds"], special=[0])
    >>> vocabulary.word_id("birds"), vocabulary.text(3), vocabulary
    (3, ' birds', Vocabulary(4 tokens, 3 textual))

    Parameters:
        tokens: V strings, as the tokenizer stores them (" bird" is "Ġbird" or "▁bird"); None for a row without a token.
        special: ids of tokens that no text is ever tokenized into (control tokens, padding). They are False in
            `textual`, shape (V,), as are placeholders such as `<unused7>` and rows without a token.

    ModelError: no tokens; later, when words are asked for, no way to tell where a word starts (see `word_start`).
    """

    def __init__(self, tokens: Sequence[str | None], special: Iterable[int] = ()) -> None:
        if not tokens:
            raise ModelError("the vocabulary is empty")
        self.tokens = tuple(tokens)
        self.textual: NDArray[np.bool_] = np.array(
            [token is not None and not _PLACEHOLDER.fullmatch(token) for token in self.tokens]
        )
        self.textual[list(special)] = False

    def without(self, ids: Iterable[int]) -> "Vocabulary":
        """The same vocabulary with some more tokens marked as not textual."""
        return Vocabulary(self.tokens, [*np.flatnonzero(~self.textual).tolist(), *ids])

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} tokens, {int(self.textual.sum())} textual)"

    @cached_property
    def word_start(self) -> str:
        """The character that stands for the space before a word: "Ġ", "▁" or " "; ModelError if none is common."""
        firsts = Counter(token[0] for token in self.tokens if token and len(token) > 1)
        marker = max(_WORD_STARTS, key=lambda candidate: firsts[candidate])
        if firsts[marker] < _LEAST_MARKED_SHARE * len(self):
            raise ModelError(
                "cannot tell how this tokenizer marks the start of a word (no 'Ġ', '▁' or leading space);"
                " use a model with a byte-level BPE or SentencePiece vocabulary"
            )
        return marker

    def _word_tokens(self) -> Iterator[tuple[str, int]]:
        """Every textual token that is a word after a space, as the word and the token's id."""
        for index, token in enumerate(self.tokens):
            if token and self.textual[index] and token[0] == self.word_start and (word := self.text(index)[1:]):
                yield word, index

    @cached_property
    def words(self) -> dict[str, int]:
        """Every word that is a single token after a space, and that token's id; of equal texts the first."""
        words: dict[str, int] = {}
        for word, index in self._word_tokens():
            words.setdefault(word, index)
        return words

    def restricted(self, words: Collection[str]) -> "Vocabulary":
        """The same vocabulary with no other words than these, however many tokens spell one."""
        return self.without(index for word, index in self._word_tokens() if word not in words)

    def word_id(self, word: str) -> int | None:
        """The id of the single token that is `word` after a space, or None if there is none."""
        return self.words.get(word)

    def text(self, index: int) -> str:
        """The token as a reader sees it: bytes decoded, the word-start marker a plain space."""
        token = self.tokens[index]
        if token is None:
            return ""
        if self.word_start == _BYTE_LEVEL_SPACE:
            return str(_BYTE_LEVEL.decode([token]))
        return token.replace(self.word_start, " ")
