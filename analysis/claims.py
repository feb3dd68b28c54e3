"""Which claims of the theory hold in a model, and which does a null model satisfy as well?

    python -m analysis.claims [MODEL] [--hierarchies H ...] [--recipe R] [--n-permutations N | --quick] [--out DIR]

1. The words of each concept are the single tokens below it in WordNet, in both cases and in singular and plural.
   Unembedding rows are centred and whitened (the unified space); a concept vector is the LDA direction of its words,
   at most 256 of them, with Ledoit-Wolf shrinkage.
2. The lemmas are split, not the tokens: 70% to fit on, the others held out; or in two halves that share no word.
3. Every claim is one statistic: existence is the projection of held-out words, separation the AUC of a child's
   contrast, orthogonality the cosine between vectors of different halves; then interventions on log-odds, simplices of
   siblings, and trees.
4. The same fits and statistics run on null models: shuffled rows, which give the p-value; Gaussian and
   frequency-matched rows; random subsets of the parent and random parents; other metrics and estimators.
5. Series of values (a line, a circle, a tree?), their composition of category and position, and pairs of words are
   tested against permuted orders, shuffled positions and sign flips.
6. p-values are adjusted over all tests of the run together (Benjamini-Hochberg), then each claim's rule gives the
   verdict.

Writes an overview, a figure for each claim, results.json and results.npz to figures/<model>/claims/.
"""

import geometry as geo


def main(study: geo.experiments.ClaimsStudy) -> geo.experiments.StudyResult:
    result = study.run()
    # The orthogonality of a child's contrast, in all words, is that of a random subset of its parent's words.
    for name in result.hierarchies:
        claim = result.claims.about(name)["orthogonality-a"]
        print(claim.related["published"].absolute())
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.ClaimsStudy, main, __doc__))
