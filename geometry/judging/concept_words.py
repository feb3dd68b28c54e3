"""A judge that counts a concept's words, whatever they mean where they stand."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.concepts import ConceptHierarchy, short_name
from geometry.concepts.words import noun_forms
from geometry.errors import EstimationError
from geometry.judging.judge import Judge

# With an apostrophe or a hyphen inside.
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")


@checked
def word_judge(words: Sequence[str] | ConceptHierarchy, concept: str = "", *, inflected: bool = True) -> Judge:
    """Words of a concept per 100 words of a text; 0 of a text without words.

    >>> word_judge(["goose", "egg"])(["Two geese sat on one egg.", "Nothing here."])
    array([33.33333333,  0.        ])

    Parameters:
        words: single words, or a hierarchy, of which those of `concept` and of all below it are taken.
        concept: its name in the hierarchy, or what to call the words.
        inflected: count the singular and the plural of each word, as of nouns; case never counts.

    Raises HierarchyError: a concept that the hierarchy lacks.
    Raises EstimationError: no words, or one that is none.
    """
    name = concept
    if isinstance(words, ConceptHierarchy):
        hierarchy = words
        names = [hierarchy[concept].name, *sorted(hierarchy.descendants(concept))]
        own = [short_name(hierarchy[concept].name)]
        listed = [
            *(word for each in names for word in hierarchy[each].words),
            *(word for word in own if " " not in word),
        ]
        name = short_name(concept)
    else:
        listed = list(words)
    name = name or "counted"
    if isinstance(words, str) or not listed:
        raise EstimationError(f"{name} words: a list of words is needed, and not empty")
    if wrong := [word for word in listed if not _WORD.fullmatch(word.strip())]:
        raise EstimationError(f"{name} words: {wrong[0]!r} is no single word")
    lower = {word.strip().lower() for word in listed}
    counted = frozenset(form.lower() for word in lower for form in (noun_forms(word) if inflected else (word,))) | lower

    def share(text: str) -> float:
        found = _WORD.findall(text.lower().replace("’", "'"))
        hits = sum(word in counted or word.removesuffix("'s") in counted for word in found)
        return 100 * hits / len(found) if found else 0.0

    def score(texts: Sequence[str]) -> NDArray[np.float64]:
        return np.array([share(text) for text in texts])

    note = f"{len(counted)} spellings, whatever they mean where they stand"
    return Judge(f"{name} words", "per 100 words", score, (note,))
