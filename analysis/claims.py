"""Which claims of the theory hold in a model, and which does a null model satisfy as well?

    python -m analysis.claims [MODEL] [--hierarchies H ...] [--n-permutations N --n-twins N | --full] [--out DIR]

1. The words of each concept are the single tokens below it in WordNet, in both cases and in singular and plural.
   Unembedding rows are centred and whitened (the unified space); a concept vector is the LDA direction of its words,
   at most 128 of them, with Ledoit-Wolf shrinkage.
2. Every claim is one statistic on held-out lemmas (existence, separation, membership), on halves of the words that
   share none (simplices of siblings), or on all words (trees). p-values come from 199 permutations of the lemmas, all
   forms together, within bands of frequency; they are adjusted over the claims (Benjamini-Hochberg).
3. Orthogonality is a cosine freed of noise by folds of the words that share none, with an interval over families.
4. The positive control is the theory twin: the model's own words, sizes and noise, with orthogonal contrasts planted
   at the model's own strength, or contrasts tilted by a cosine of 0.3. A verdict needs the power to tell them apart.
5. Beside it stand other nulls (shuffled and Gaussian rows, random subsets of the parent, random parents), other inner
   products, and word vectors that no language model made.
6. Series of values (a line, a circle, a tree?), their composition of category and position, and pairs of words are
   tested against permuted orders, shuffled positions and sign flips.

Writes an overview, a figure for each claim, results.json and results.npz to figures/<model>/claims/.
"""

import geometry as geo


def main(study: geo.experiments.ClaimsStudy) -> geo.experiments.StudyResult:
    result = study.run()
    # Are the contrasts of siblings orthogonal to their parent? The published cosine cannot say: noise makes it small.
    for name in result.hierarchies:
        claim = result.claims.about(name)["orthogonality-b"]
        print(claim, claim.related["published"].absolute(), sep="\n")
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.ClaimsStudy, main, __doc__))
