"""Build the packaged glosses from Princeton's database files, through NLTK.

    python data/wordnet/build_glosses.py FOLDER [--out data/wordnet/wordnet-3.0-glosses.txt.xz]

FOLDER holds the WordNet 3.0 files (data.noun, index.noun, lexnames, ...), as for build_table.py.
One line a synset, of nouns, verbs, adjectives and adverbs in the order of the database: the gloss and its examples,
separated by tabs.
"""

import argparse
import lzma
from pathlib import Path

from geometry.concepts.wordnet_table import opened_wordnet

PARTS_OF_SPEECH = ("n", "v", "a", "r")  # satellite adjectives are among the "a"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("wordnet-3.0-glosses.txt.xz"))
    arguments = parser.parse_args()
    lines, examples, words = [], 0, 0
    with opened_wordnet(arguments.folder) as wordnet:
        for part_of_speech in PARTS_OF_SPEECH:
            for synset in sorted(wordnet.all_synsets(part_of_speech), key=lambda synset: synset.offset()):
                texts = [" ".join(text.split()) for text in (synset.definition(), *synset.examples())]
                lines.append("\t".join(texts))
                examples += len(texts) - 1
                words += sum(len(text.split()) for text in texts)
    arguments.out.write_bytes(lzma.compress(("\n".join(lines) + "\n").encode(), preset=9 | lzma.PRESET_EXTREME))
    size = arguments.out.stat().st_size / 1e6
    print(f"{arguments.out}: {len(lines)} glosses, {examples} examples, {words} words, {size:.2f} MB")


if __name__ == "__main__":
    main()
