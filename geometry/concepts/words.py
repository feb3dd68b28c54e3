"""Word forms: which spellings a noun takes, and which spellings are one word (a lemma)."""

from functools import lru_cache
from typing import Any

import inflect

__all__ = ["lemma", "noun_forms"]


@lru_cache(maxsize=1)
def _engine() -> Any:
    return inflect.engine()


@lru_cache(maxsize=1 << 18)
def noun_forms(word: str) -> tuple[str, ...]:
    """{lower case, Capitalised} × {singular, plural} of a noun, without repeats.

    >>> noun_forms("Mouse")
    ('mouse', 'Mouse', 'mice', 'Mice')
    """
    singular = word.lower()
    plural = str(_engine().plural(singular))
    return tuple(
        dict.fromkeys([singular, singular.capitalize(), plural, plural.capitalize()])
    )


@lru_cache(maxsize=1 << 18)
def lemma(word: str) -> str:
    """The word that case and plural variants share: lower case, then inflect's singular.

    >>> lemma("Mice"), lemma("bus")
    ('mouse', 'bus')
    """
    lower = word.lower()
    singular = _engine().singular_noun(lower)
    return str(singular) if singular else lower
