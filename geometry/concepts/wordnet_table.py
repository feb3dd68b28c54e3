"""Synsets of WordNet: from the packaged table of WordNet 3.0, or through NLTK from files of the user's own."""

import lzma
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from geometry.display import short_repr
from geometry.errors import HierarchyError, shown

if TYPE_CHECKING:
    from nltk.corpus.reader.wordnet import WordNetCorpusReader


@dataclass(frozen=True)
class Synset:
    """One synset of the packaged table. Names follow NLTK: `bird.n.01`."""

    name: str
    hypernyms: tuple[str, ...]
    instance_hypernyms: tuple[str, ...]
    lemmas: tuple[str, ...]

    __repr__ = short_repr


def packaged_rows() -> Iterator[list[str]]:
    """Lines of the packaged table by columns: name, hypernyms, instance hypernyms, lemmas and their frequency ranks."""
    packed = (files("geometry.data") / "wordnet" / "wordnet-3.0.tsv.xz").read_bytes()
    for line in lzma.decompress(packed).decode().splitlines():
        yield line.split("\t")


@lru_cache(maxsize=1)
def wordnet_table() -> dict[str, Synset]:
    """Every noun and verb synset of WordNet 3.0 by name, nouns first, in database order."""
    table = {}
    for name, above, classes, lemmas, _ in packaged_rows():
        table[name] = Synset(name, tuple(above.split()), tuple(classes.split()), tuple(lemmas.split()))
    return table


def synsets_of(wordnet: "WordNetCorpusReader", language: str = "eng") -> dict[str, Synset]:
    """The same of a reader of NLTK's, with the lemmas of a language; HierarchyError where it has none."""
    from nltk.corpus.reader.wordnet import WordNetError

    try:
        return {
            synset.name(): Synset(
                synset.name(),
                tuple(sorted(parent.name() for parent in synset.hypernyms())),
                tuple(sorted(parent.name() for parent in synset.instance_hypernyms())),
                tuple(synset.lemma_names(language)),
            )
            for part_of_speech in ("n", "v")
            for synset in sorted(wordnet.all_synsets(part_of_speech), key=lambda synset: synset.offset())
        }
    # A damaged file fails wherever NLTK's reading of a line happens to stumble.
    except (LookupError, WordNetError, OSError, ValueError, AttributeError, TypeError, AssertionError) as error:
        hint = "" if language == "eng" else "; nltk.download('omw-1.4') fetches other languages than English"
        raise HierarchyError(f"NLTK cannot read this WordNet in language {shown(language)}: {error}{hint}") from error


@contextmanager
def opened_wordnet(folder: str | Path) -> "Iterator[WordNetCorpusReader]":
    """NLTK's reader of the database files of a folder (data.noun, index.noun, lexnames, …), for as long as the block.

    Line ends may be CRLF, and files may be missing; HierarchyError without the nouns or the verbs.
    """
    import nltk  # takes a second to import
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class PlainWordNet(WordNetCorpusReader):  # type: ignore[misc]  # NLTK has no types
        def map_wn(self, version: str = "wordnet") -> None:
            """Nothing: the map between versions would ask for a second, downloaded corpus."""

    needed = [f"{kind}.{part}" for kind in ("data", "index") for part in ("noun", "verb")]
    if missing := [name for name in needed if not (Path(folder) / name).is_file()]:
        raise HierarchyError(f"{folder}: no WordNet database, as {missing[0]} is missing")
    with tempfile.TemporaryDirectory() as clean:
        for name in PlainWordNet._FILES:
            source = Path(folder) / name
            # Byte offsets are WordNet's keys, and they count LF line ends.
            text = source.read_bytes().replace(b"\r\n", b"\n") if source.is_file() else b""
            (Path(clean) / name).write_bytes(text)
        nltk.data.path.append(clean)  # it refuses to open files outside its path
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="The multilingual functions")
                reader = _constructed(PlainWordNet, clean, folder)
            yield reader
        finally:
            nltk.data.path.remove(clean)


def _constructed(reader: "type[WordNetCorpusReader]", clean: str, folder: str | Path) -> "WordNetCorpusReader":
    from nltk.corpus.reader.wordnet import WordNetError

    try:
        return reader(clean, None)
    except (LookupError, WordNetError, OSError, ValueError, AttributeError, TypeError, StopIteration) as error:
        raise HierarchyError(f"{folder}: NLTK cannot read these files of WordNet: {error}") from error
