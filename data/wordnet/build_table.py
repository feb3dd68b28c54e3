"""Build the packaged WordNet table from Princeton's database files, through NLTK, and the order of GloVe's vocabulary.

    python data/wordnet/build_table.py FOLDER WORDS [--out data/wordnet/wordnet-3.0.tsv.xz]

FOLDER holds the WordNet 3.0 files (data.noun, index.noun, lexnames, ...), for example what
`nltk.download("wordnet")` leaves behind.
WORDS lists words in lower case from the most frequent on: GloVe as `concept-geometry fetch glove-6b-100d` gets it
(JSON, under "words"), or a text file of one word a line.
One line a synset: name, hypernyms, instance hypernyms, lemmas, frequency ranks, all but the first separated by spaces.
A lemma has its rank (1 the most frequent) where it first occurs, one of several words that of the rarest of them;
later, or where WORDS lacks it, a "-".
"""

import argparse
import json
import lzma
from pathlib import Path

from geometry.concepts.wordnet_table import opened_wordnet, synsets_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("words", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("wordnet-3.0.tsv.xz"))
    arguments = parser.parse_args()
    with opened_wordnet(arguments.folder) as wordnet:
        synsets = synsets_of(wordnet).values()
    text = arguments.words.read_text(encoding="utf-8")
    words = json.loads(text)["words"] if arguments.words.suffix == ".json" else text.splitlines()
    ranks = {word: rank for rank, word in enumerate(words, start=1)}
    lines, told = [], set[str]()
    for item in synsets:
        # Once each: repeated at every sense of a word they would take a third more space.
        own = [_rank(lemma.lower(), ranks, told) for lemma in item.lemmas]
        columns = ([item.name], item.hypernyms, item.instance_hypernyms, item.lemmas, own)
        lines.append("\t".join(" ".join(column) for column in columns))
    arguments.out.write_bytes(lzma.compress(("\n".join(lines) + "\n").encode(), preset=9))
    print(f"{arguments.out}: {len(lines)} synsets, {arguments.out.stat().st_size / 1e6:.2f} MB")


def _rank(lemma: str, ranks: dict[str, int], told: set[str]) -> str:
    known = [ranks.get(word) for word in lemma.split("_")]
    if lemma in told or None in known:
        return "-"
    told.add(lemma)
    return str(max(rank for rank in known if rank is not None))


if __name__ == "__main__":
    main()
