"""Build the packaged WordNet table from Princeton's database files, through NLTK.

    python data/wordnet/build_table.py FOLDER [--out data/wordnet/wordnet-3.0.tsv.xz]

FOLDER holds the WordNet 3.0 files (data.noun, index.noun, lexnames, ...), for example what
`nltk.download("wordnet")` leaves behind.
One line a synset: name, hypernyms, instance hypernyms, lemmas, the last three separated by spaces.
"""

import argparse
import lzma
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nltk
from nltk.corpus.reader.wordnet import WordNetCorpusReader


class PlainWordNet(WordNetCorpusReader):
    """WordNet 3.0 on its own: the cross-version map would ask for a second, downloaded corpus."""

    def map_wn(self, version: str = "wordnet") -> None:  # noqa: ARG002
        return None


def open_wordnet(folder: Path, clean: Path) -> PlainWordNet:
    """Open the database files of `folder` by way of a copy in `clean`, which must outlive the reader.

    Line ends may be CRLF and files that nouns and verbs do not need may be missing.
    """
    for name in PlainWordNet._FILES:
        source = folder / name
        text = source.read_bytes() if source.exists() else b""
        # Byte offsets are WordNet's keys, and they count LF line ends.
        (clean / name).write_bytes(text.replace(b"\r\n", b"\n"))
    # NLTK refuses to open files outside its data path.
    nltk.data.path.append(str(clean))
    return PlainWordNet(str(clean), None)


def table_lines(wordnet: WordNetCorpusReader) -> Iterator[str]:
    for part_of_speech in ("n", "v"):
        synsets = wordnet.all_synsets(part_of_speech)
        for synset in sorted(synsets, key=lambda synset: synset.offset()):
            columns = [
                [synset.name()],
                sorted(parent.name() for parent in synset.hypernyms()),
                sorted(parent.name() for parent in synset.instance_hypernyms()),
                synset.lemma_names(),
            ]
            yield "\t".join(" ".join(column) for column in columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("wordnet-3.0.tsv.xz"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as clean:
        lines = list(table_lines(open_wordnet(arguments.folder, Path(clean))))
    arguments.out.write_bytes(lzma.compress(("\n".join(lines) + "\n").encode(), preset=9))
    print(f"{arguments.out}: {len(lines)} synsets, {arguments.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
