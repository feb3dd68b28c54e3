"""A model's vocabulary: what each row stands for, how a word start is marked, which rows are text.

The one place that knows tokenizer conventions. Imports nothing of the models.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from tokenizers.decoders import ByteLevel as ByteLevelDecoder

from geometry.arguments import checked
from geometry.errors import ArgumentError, ModelError, shown

# Byte-level BPE writes a space as Ġ, SentencePiece as ▁; a few vocabularies keep the space itself.
_BYTE_LEVEL_SPACE = "Ġ"
_BYTE_LEVEL = ByteLevelDecoder()
_WORD_STARTS = (_BYTE_LEVEL_SPACE, "▁", " ")

# Real tokenizers mark 15-65% of their tokens; below this share the marker is an accident.
_LEAST_MARKED_SHARE = 0.01

# A mapping may name any number as an id, and each id up to it takes room.
_MOST_GAPS = 1_000_000

# Tokens that tokenizers reserve by the dozen, whether or not they mark them as special.
_PLACEHOLDER = re.compile(
    r"[<\[>|]+(unused|pad|reserved|reserved_special_token|extra_id|extra|dummy|placeholder|special|control)"
    r"[_ -]?(token)?[_ -]?\d+[>\]<|]+",
    re.IGNORECASE,
)


@checked
class Vocabulary:
    """The token strings of a model, in row order.

    >>> import geometry as geo
    >>> vocabulary = geo.Vocabulary(["<s>", "Ġbird", "s", "Ġbirds"], special=[0])
    >>> vocabulary.word_id("birds"), vocabulary.text(3), vocabulary
    (3, ' birds', Vocabulary(4 tokens, 3 textual))

    Of a tokenizer:

    >>> geo.Vocabulary({"Ġbird": 1, "<s>": 0, "Ġbirds": 3}, special=[0]).tokens
    ('<s>', 'Ġbird', None, 'Ġbirds')

    Parameters:
        tokens: V strings, as the tokenizer stores them (" bird" is "Ġbird" or "▁bird"); None for a row without a token.
            Or a mapping of tokens to ids, `tokenizer.get_vocab()`, whose gaps are rows without a token.
        special: ids of tokens that no text is ever tokenized into (control tokens, padding). They are False in
            `textual`, shape (V,), as are placeholders such as `<unused7>` and rows without a token.

    ModelError: no tokens, an id of two tokens, one that is no row; later, when words are asked for, no way to tell
    where a word starts (see `word_start`).
    """

    takes_phrases: ClassVar[bool] = False  # whether several words may be one entry

    @checked
    def __init__(self, tokens: Sequence[str | None] | Mapping[str, int], special: Iterable[int] = ()) -> None:
        if not isinstance(tokens, Sequence | Mapping):
            # A set has no order to be the rows'.
            raise ArgumentError(f"Vocabulary: tokens must be a sequence or a mapping to ids, not {shown(tokens)}")
        if not tokens:
            raise ModelError("the vocabulary is empty")
        self.tokens = _by_id(tokens) if isinstance(tokens, Mapping) else tuple(tokens)
        if wrong := [token for token in self.tokens if token is not None and not isinstance(token, str)]:
            raise ArgumentError(f"Vocabulary: tokens holds {shown(wrong[0])}, which is no text")
        special = list(special)
        if outside := [index for index in special if not 0 <= index < len(self.tokens)]:
            raise ModelError(f"special names the id {shown(outside[0])}, but there are {len(self.tokens)} tokens")
        self.textual: NDArray[np.bool_] = np.array(
            [token is not None and not _PLACEHOLDER.fullmatch(token) for token in self.tokens]
        )
        self.textual[special] = False

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


class AnyWord(Vocabulary):
    """A vocabulary in which every word is a single token: of what one has, the most that any model could have.

    >>> vocabulary = AnyWord()
    >>> vocabulary.word_id("bird"), vocabulary.word_id("gnu"), vocabulary.text(2), vocabulary.word_id("polar bear")
    (1, 2, ' gnu', None)
    """

    def __init__(self) -> None:
        super().__init__([" "])
        self._known: dict[str, int] = {}

    @property
    def words(self) -> dict[str, int]:
        """The words that were asked for."""
        return self._known

    def word_id(self, word: str) -> int | None:
        """A number of its own for each word; None for what is several words, or none."""
        return self._known.setdefault(word, 1 + len(self._known)) if len(word.split()) == 1 else None

    def __len__(self) -> int:
        return 1 + len(self._known)

    def text(self, index: int) -> str:
        """The word after a space."""
        return f" {list(self._known)[index - 1]}" if index else " "


def _by_id(ids: Mapping[str, int]) -> tuple[str | None, ...]:
    """The tokens in the order of their ids."""
    for token, index in ids.items():
        if isinstance(index, bool) or not isinstance(index, int | np.integer) or index < 0:
            raise ModelError(f"the token {shown(token)} has the id {shown(index)}, which is no row of a matrix")
    if (last := max(ids.values())) >= len(ids) + _MOST_GAPS:
        raise ModelError(
            f"of {len(ids)} tokens one has the id {shown(last)}; at most {_MOST_GAPS} ids may be without one"
        )
    tokens: list[str | None] = [None] * (last + 1)
    for token, index in ids.items():
        if (other := tokens[index]) is not None:
            raise ModelError(f"the tokens {shown(other)} and {shown(token)} have one id, {index}")
        tokens[index] = token
    return tuple(tokens)
