"""Are hierarchies laid out alike in different models? Claims, similarity, alignment and trees, beside their nulls.

    python -m analysis.comparison [MODEL MODEL ...] [--hierarchy H] [--n-permutations N] [--quick] [--out DIR]

1. Common concepts are made of the words that are single tokens in all models; own concepts of all words of a model. Of
   an untied model the input embedding stands beside the unembedding. Only these matrices are read, one after the other.
2. Each model's claims are evaluated on both, concept vectors being fitted to at most 128 words in all models alike,
   beside permuted lemmas, random subsets of the parent and theory twins; p-values are adjusted over a model's claims.
3. Of every two models the cosines of the common concepts are compared: rank correlation (RSA), debiased CKA, the error
   of an orthogonal alignment on a held-out subtree, and the trees that average linkage recovers. Permuted lemmas of
   both models give the p-value; permuted concepts show where no pairing leads.
4. Each recovered tree, and that of all models together, is correlated with the hierarchy.
5. The control: word vectors, which no language model made, are compared with every model on the words in lower case
   that they share with all of them. `--control none` leaves them out.

Writes six figures, index.html, results.json and results.npz to figures/comparison/.
"""

import geometry as geo


def main(study: geo.experiments.ComparisonStudy) -> geo.experiments.StudyResult:
    result = study.run()
    # Does a claim hold of the same concepts in both models?
    for agreement in result.agreement:
        if agreement.name == "existence":
            print(agreement)
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.ComparisonStudy, main, __doc__))
