"""Build the packaged WordNet table from Princeton's database files, through NLTK.

    python data/wordnet/build_table.py FOLDER [--out data/wordnet/wordnet-3.0.tsv.xz]

FOLDER holds the WordNet 3.0 files (data.noun, index.noun, lexnames, ...), for example what
`nltk.download("wordnet")` leaves behind.
One line a synset: name, hypernyms, instance hypernyms, lemmas, the last three separated by spaces.
"""

import argparse
import lzma
from pathlib import Path

from geometry.concepts.wordnet_table import opened_wordnet, synsets_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("wordnet-3.0.tsv.xz"))
    arguments = parser.parse_args()
    with opened_wordnet(arguments.folder) as wordnet:
        synsets = synsets_of(wordnet).values()
    columns = ([[item.name], item.hypernyms, item.instance_hypernyms, item.lemmas] for item in synsets)
    lines = ["\t".join(" ".join(column) for column in row) for row in columns]
    arguments.out.write_bytes(lzma.compress(("\n".join(lines) + "\n").encode(), preset=9))
    print(f"{arguments.out}: {len(lines)} synsets, {arguments.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
