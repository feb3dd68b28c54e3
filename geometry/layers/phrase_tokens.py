"""Which tokens a model is given of a phrase in its context: up to the one that ends the phrase, found by characters."""

from collections.abc import Sequence
from itertools import takewhile

from geometry.errors import SteeringError, shown
from geometry.layers.contexts import Passage
from geometry.steering.prompts import Tokenizer, beginning

_BATCH = 4096


def phrase_tokens(tokenizer: Tokenizer, passages: Sequence[Passage], *, bos: bool | None = None) -> list[list[int]]:
    """Token ids of each passage from the beginning of its text to the last token of its phrase.

    Example::

        ids = phrase_tokens(tokenizer, [Passage.of("She told me about the {}", "polar bear")])

    Tokens are looked up by the characters that the tokenizer says they cover, so that no convention of spaces, pieces
    or bytes is guessed. `bos` as of `geo.steering.encode`.

    Raises SteeringError: a tokenizer that does not tell (a slow one), a phrase that shares a token with what stands
        beside it, or that no token covers.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise SteeringError(
            f"{type(tokenizer).__name__} does not tell which characters a token covers; load the fast tokenizer"
        )
    if not passages:
        raise SteeringError("there are no phrases to read")
    begun: dict[tuple[int, ...], list[int]] = {}
    special = set(tokenizer.all_special_ids)
    rows: list[list[int]] = []
    for start in range(0, len(passages), _BATCH):
        some = passages[start : start + _BATCH]
        encoded = tokenizer([one.text for one in some], add_special_tokens=False, return_offsets_mapping=True)
        for passage, ids, offsets in zip(some, encoded["input_ids"], encoded["offset_mapping"], strict=True):
            # A text may hold itself what the tokenizer would put before it.
            own = tuple(takewhile(special.__contains__, ids))
            if own not in begun:
                begun[own] = beginning(tokenizer, passage.text, bos)
            rows.append([*begun[own], *ids[: _last(passage, offsets) + 1]])
    return rows


def _last(passage: Passage, offsets: Sequence[tuple[int, int]]) -> int:
    """The index of the token that ends the phrase."""
    phrase = passage.text[passage.start : passage.end]
    # Of its last characters a tokenizer may drop some (accents, joiners), and write one as several tokens (bytes).
    covering = [place for place, (first, last) in enumerate(offsets) if first < passage.end and last > passage.start]
    if not covering:
        raise SteeringError(f"no token of {shown(passage.text)} covers {shown(phrase)}")
    for first, last in (offsets[place] for place in covering):
        if passage.text[first : passage.start].strip() or passage.text[passage.end : last].strip():
            token = passage.text[first:last]
            raise SteeringError(
                f"the phrase {shown(phrase)} shares the token {shown(token)} with what stands beside it in"
                f" {shown(passage.text)}; put a space between them"
            )
    return covering[-1]
