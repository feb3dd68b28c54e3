"""What is a steering vector made of, and does it steer better without its weak parts?

    python -m analysis.anatomy [MODEL] [--n-concepts N] [--dictionary FOLDER] [--quick] [--out DIR]

1. Vectors after the middle block are read through the unembedding: tokens that they raise and lower, nearest concepts,
   a sparse sum of concepts; beside random vectors, and mean differences of pairs whose sides were exchanged.
2. Of nine sets of pairs, sentences and words, the differences of activations are taken apart: how much is their mean
   direction, how many components stand out about 0 and about the mean, how well halves of the pairs agree; beside
   exchanged sides, random signs, and differences between texts of one side.
3. Vectors of WordNet's concepts and of pairs of words are rebuilt from 1 to 16 of their singular directions, of other
   concepts' vectors, of features of a sparse autoencoder, and without what the concepts share. Words are divided by
   lemma: those that made a vector, those that made what it is rebuilt from, those by which k is chosen on one half of
   the prompts, and those that judge it on the other half.
4. Whole and pruned vectors are compared at 0.5 and 2 nats of KL divergence: log-odds of the words, KL divergence of all
   other tokens, loss of neutral text; beside as many random parts and random vectors.

Writes figures, results.json and results.npz to figures/<model>/anatomy/.
"""

import geometry as geo


def main(study: geo.experiments.AnatomyStudy) -> geo.experiments.StudyResult:
    result = study.run()
    print(*result.tables(), sep="\n\n")
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.AnatomyStudy, main, __doc__))
