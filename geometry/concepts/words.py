"""Word forms: which spellings a noun takes, and which spellings are one word (a lemma)."""

from functools import lru_cache
from typing import Any

__all__ = ["lemma", "noun_forms"]


@lru_cache(maxsize=1)
def _engine() -> Any:
    import inflect  # takes longer to import than everything else of ours together

    return inflect.engine()


@lru_cache(maxsize=1 << 18)
def noun_forms(word: str) -> tuple[str, ...]:
    """{lower case, Capitalised} × {singular, plural} of a noun, without repeats.

    >>> noun_forms("Mouse")
    ('mouse', 'Mouse', 'mice', 'Mice')
    """
    singular = word.lower()
    plural = str(_engine().plural(singular))
    return tuple(dict.fromkeys([singular, singular.capitalize(), plural, plural.capitalize()]))


@lru_cache(maxsize=1 << 18)
def lemma(word: str) -> str:
    """A key that case and plural variants of a word share: lower case, then inflect's singular.

    The key need not be a word. inflect takes "bus" for the plural of "bu", so the singular is taken
    until nothing changes; otherwise "bus" and "buses" would count as different lemmas.

    >>> lemma("Mice"), lemma("bus") == lemma("Buses")
    ('mouse', True)
    """
    key, singular = "", word.lower()
    while singular and singular != key:
        key, singular = singular, str(_engine().singular_noun(singular) or "")
    return key
