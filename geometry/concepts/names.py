"""Names of concepts as people read them."""

import re

__all__ = ["short_name"]

_SYNSET = re.compile(r"(.+)\.[nvars]\.\d+")


def short_name(synset: str) -> str:
    """The words of a synset; any other name as it is.

    >>> [short_name(name) for name in ("living_thing.n.01", "bird.n.01", "my birds")]
    ['living thing', 'bird', 'my birds']
    """
    match = _SYNSET.fullmatch(synset)
    return match[1].replace("_", " ") if match else synset
