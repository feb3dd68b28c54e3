"""Glosses of WordNet 3.0 with their examples: short texts in the style of a dictionary, packaged for training."""

import lzma
from importlib.resources import files

from geometry.arguments import checked
from geometry.randomness import generator


@checked
def load_glosses(*, examples: bool = True, seed: int | None = None) -> list[str]:
    """All glosses of nouns, verbs, adjectives and adverbs as texts, each with its examples as further sentences.

    >>> texts = load_glosses()
    >>> len(texts), texts[0]
    (117659, 'That which is perceived or known or inferred to have its own distinct existence (living or nonliving).')

    Parameters:
        examples: False leaves the 48,339 examples out.
        seed: of a random order, so that the first texts are of all kinds; default, the database's order.

    What is found from them is found in dictionary style: clauses without a subject, hardly any dialogue.

    Source: WordNet 3.0 (Princeton University 2006), under its own licence, which stands beside the file.
    """
    packed = (files("geometry.data") / "wordnet" / "wordnet-3.0-glosses.txt.xz").read_bytes()
    lines = lzma.decompress(packed).decode().splitlines()
    texts = [" ".join(map(_sentence, line.split("\t")[: None if examples else 1])) for line in lines]
    if seed is None:
        return texts
    return [texts[index] for index in generator(seed, "order of glosses").permutation(len(texts))]


def _sentence(text: str) -> str:
    """With a capital and an end, as prose has them."""
    begun = text[:1].upper() + text[1:]
    return begun if begun.endswith((".", "!", "?")) else f"{begun}."
