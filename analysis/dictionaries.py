"""Do features of a sparse autoencoder, or codes of a codebook, stand for concepts and steer better than means?

    python -m analysis.dictionaries [MODEL] [--dictionary FOLDER_OR_ID] [--texts FILE] [--n-classes N] [--quick]

1. The residual stream after the middle block is read at 300,000 tokens of WordNet's glosses and examples (dictionary
   style), the first of each text left out, and a TopK autoencoder of 2,304 features trained there: three epochs, 32
   features a token. Both are kept, and gone on with after an interrupt. A published autoencoder takes its place.
2. Quality on texts that were not trained on: L0, explained variance, dead features, and the loss that is recovered when
   the residual stream is replaced by what the dictionary gives back; beside a codebook (post hoc), as many principal
   components as features are active, a random dictionary, and the mean in its place.
3. Concepts: for each of the hundred largest of WordNet's nouns the one feature that discriminates its words, chosen by
   one half of them and scored on the other; beside random dictionaries, permuted words and a dense direction.
   Splitting and absorption along the tree.
4. Steering to twelve sibling concepts and six emotions at 0.5 and 2 nats of KL: contrastive activation addition, class
   means, feature differences, codes, single features; beside a random dictionary's features, shuffled labels and
   random vectors. Words that made no vector judge.
5. What class means are made of: sparse non-negative sums of features, beside random directions.

Writes figures, results.json and results.npz to figures/<model>/dictionaries/.
"""

import geometry as geo


def main(study: geo.experiments.DictionariesStudy) -> geo.experiments.StudyResult:
    result = study.run()
    # CPU seconds of reading and training, where the cache did not have them, and of each part.
    for name, seconds in result.taken.items():
        print(f"{name}: {seconds:.0f} s")
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.DictionariesStudy, main, __doc__))
