"""The packaged WordNet 3.0 table: noun and verb synsets, their hypernyms and lemmas."""

import lzma
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files


@dataclass(frozen=True)
class Synset:
    """One line of the packaged table. Names follow NLTK: `bird.n.01`."""

    name: str
    hypernyms: tuple[str, ...]
    instance_hypernyms: tuple[str, ...]
    lemmas: tuple[str, ...]


@lru_cache(maxsize=1)
def wordnet_table() -> dict[str, Synset]:
    """Every noun and verb synset of WordNet 3.0 by name, nouns first, in database order."""
    packed = (files("geometry.data") / "wordnet" / "wordnet-3.0.tsv.xz").read_bytes()
    table = {}
    for line in lzma.decompress(packed).decode().splitlines():
        name, *columns = line.split("\t")
        table[name] = Synset(name, *(tuple(column.split()) for column in columns))
    return table
