"""Word forms: which spellings a noun or a verb takes, which are one word (a lemma), and names as people read them."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from geometry.errors import HierarchyError, shown

Forms = Literal["noun", "verb", "case", "none"]
_NAMED = 10  # of lost words, in a sentence
_SYNSET = re.compile(r"(.+)\.[nvars]\.\d+")


def short_name(synset: str) -> str:
    """The words of a synset; any other name as it is.

    >>> [short_name(name) for name in ("living_thing.n.01", "bird.n.01", "my birds")]
    ['living thing', 'bird', 'my birds']
    """
    match = _SYNSET.fullmatch(synset)
    return match[1].replace("_", " ") if match else synset


@lru_cache(maxsize=1)
def _engine() -> Any:
    import typeguard

    library: Any = typeguard
    given = library.typechecked
    # Checks of types at run time, which take most of inflect's time, and of its import's.
    library.typechecked = lambda function: function
    try:
        import inflect
    finally:
        library.typechecked = given
    return inflect.engine()


@lru_cache(maxsize=1 << 18)
def noun_forms(word: str) -> tuple[str, ...]:
    """{lower case, Capitalised} × {singular, plural} of an English noun, without repeats: mouse, Mouse, mice, Mice."""
    singular = word.lower()
    # inflect stumbles over what is no word at all.
    plural = str(_engine().plural(singular)) if singular[:1].isalpha() else singular
    return tuple(dict.fromkeys([singular, singular.capitalize(), plural, plural.capitalize()]))


def verb_forms(word: str) -> tuple[str, ...]:
    """{lower case, Capitalised} × {base, -s, -ed, -ing} of an English verb, conjugated regularly.

    Words of one or two letters are taken for abbreviations, except be, do and go.
    """
    base = word.lower()
    if len(base) < 3 and base not in {"be", "do", "go"}:
        return ()
    stem = base.removesuffix("e")
    if base.endswith(("o", "ch", "s", "sh", "x", "z")):
        third = base + "es"
    elif base.endswith("y") and base[-2] not in "aeiou":
        third = base[:-1] + "ies"
    else:
        third = base + "s"
    lower = (base, third, (base if base.endswith("e") else base + "e") + "d", stem + "ing")
    return tuple(dict.fromkeys([*lower, *(form.capitalize() for form in lower)]))


def spelled(words: Iterable[str], forms: Forms, *, as_written: bool = False) -> dict[str, tuple[str, ...]]:
    """Each word with the forms it is looked up in; with "none" as it is written, with "case" in both cases.

    >>> spelled(["iPhone", "dog"], "noun", as_written=True)
    {'iPhone': ('iphone', 'Iphone', 'iphones', 'Iphones', 'iPhone'), 'dog': ('dog', 'Dog', 'dogs', 'Dogs')}

    `as_written` keeps the word's own spelling among its forms, as somebody chose it: "US" is not "us". The published
    recipe of WordNet does without it.

    HierarchyError: unknown forms.
    """
    if forms not in _SPELL:
        raise HierarchyError(f"unknown forms {shown(forms)}; choose from {', '.join(_SPELL)}")
    spell = _SPELL[forms]
    return {word: tuple(dict.fromkeys([*spell(word), *([word] if as_written else [])])) for word in words}


def lost_in_words(words: Sequence[str], owner: str) -> tuple[str, ...]:
    """A sentence that counts and names lost words; none where there are none.

    >>> lost_in_words(["gnu", "okapi"], "animal")
    ('2 words of animal are no single token of this vocabulary: gnu, okapi',)
    """
    if not words:
        return ()
    count = "1 word" if len(words) == 1 else f"{len(words)} words"
    named = ", ".join(words[:_NAMED]) + (", …" if len(words) > _NAMED else "")
    return (f"{count} of {owner} {'is' if len(words) == 1 else 'are'} no single token of this vocabulary: {named}",)


def capitalised(word: str) -> str:
    """The word with a capital at its beginning and the rest as written: "iPhone" becomes "IPhone", "US" stays."""
    return word[:1].upper() + word[1:]


def _cases(word: str) -> tuple[str, ...]:
    return word.lower(), word.lower().capitalize()


def _as_written(word: str) -> tuple[str, ...]:
    return (word,)


_SPELL: dict[Forms, Callable[[str], tuple[str, ...]]] = {
    "noun": noun_forms,
    "verb": verb_forms,
    "case": _cases,
    "none": _as_written,
}


@lru_cache(maxsize=1 << 18)
def lemma(word: str) -> str:
    """A key that case and plural variants of a word share: lower case, then inflect's singular.

    The key need not be a word. inflect takes "bus" for the plural of "bu", so the singular is taken
    until nothing changes; otherwise "bus" and "buses" would count as different lemmas.
    """
    key, singular = "", word.lower()
    while singular and singular != key:
        key, singular = singular, str(_engine().singular_noun(singular) or "")
    return key


def lemma_groups(words: Sequence[str], variants: Mapping[str, Iterable[str]]) -> NDArray[np.int64]:
    """Number the lemmas of `words`, shape (len(words),): variants of one word get one number.

    Words are joined that share a `lemma`, or of which one is among the other's `variants`; the second
    catches what inflect cannot undo (leaf and leave share "leaves", run and running are one verb).
    """
    graph: nx.Graph[str] = nx.Graph()
    for word in words:
        graph.add_edge(word.lower(), lemma(word))
    for base, forms in variants.items():
        graph.add_edges_from((base.lower(), form.lower()) for form in forms)
    group = {word: number for number, family in enumerate(nx.connected_components(graph)) for word in family}
    numbers = [group[word.lower()] for word in words]
    return np.unique(numbers, return_inverse=True)[1].astype(np.int64)
