"""Where in a model does the concept hierarchy appear, where is it sharpest, and does the coarse come first?

    python -m analysis.layers [MODEL] [--hierarchy H] [--contexts C] [--metric M] [--quick] [--out DIR]

1. Words and phrases of any number of tokens, a sample of those of WordNet's largest concepts, are read at their last
   token in four neutral contexts, at the input of the first block and after every block, and averaged over contexts.
2. Distances are measured by the layer's own covariance on neutral text, shrunk; beside it stand the Euclidean product
   and two metrics pulled back through the rest of the model, causal and Fisher.
3. At every site the claims are tested as on the unembedding: permuted phrases give the p-values, theory twins at five
   blocks say what the numbers would be if the theory were true, GloVe's vectors of the same phrases what words alone
   give without a language model.
4. For every level of the tree, the block at which its concepts are there: does the coarse come first?
5. Contexts are left out one by one, and so are lemmas.
6. Concept vectors found at a block steer from there, beside those pulled back from the output, at one KL divergence.

Writes figures, a page that moves through the layers, results.json and results.npz to figures/<model>/layers/.
"""

import geometry as geo


def main(study: geo.experiments.LayersStudy) -> geo.experiments.StudyResult:
    result = study.run()
    # After how many blocks the concepts of each level of the tree are there.
    for depth in result.depths:
        levels = ", ".join(f"level {level} after {blocks:.1f} blocks" for level, blocks in depth.appears.items())
        print(f"{depth.name}: {levels}")
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.LayersStudy, main, __doc__))
