"""Does erasing a concept remove it, does the model rebuild it, and what else goes with it?

    python -m analysis.erasure [MODEL] [--site S] [--n-erased N] [--n-subtrees N] [--quick] [--out DIR]

1. Words and phrases of WordNet's largest concepts are read in two neutral contexts after the middle block. Half of them
   fit erasers, a quarter fits probes and a quarter judges these, both ways round; phrases with one last word stay
   together.
2. LEACE erases each of twelve concepts, spread over the depths of the tree, and three subtrees at once: the affine map
   that leaves no covariance with the labels and moves the states least. Beside it, at equal rank: the mean difference
   and the LDA direction projected out, random directions, LEACE of permuted labels.
3. Is it gone? A linear probe and nearest neighbours, fitted anew after erasing; by how many words the eraser was
   fitted to; and, with the concept erased at every token, 4 and 8 blocks later and after the last.
4. What else goes? Probes of all other concepts, by their place in the tree.
5. What does the model say? Log-odds of held-out words where the concept is talked of and in neutral prompts,
   KL, perplexity, and "A robin is a kind of" with that kind erased and with others.

Writes figures, results.json and results.npz to figures/<model>/erasure/.
"""

import geometry as geo


def main(study: geo.experiments.ErasureStudy) -> geo.experiments.StudyResult:
    result = study.run()
    # CPU seconds of every part.
    for name, seconds in result.taken.items():
        print(f"{name}: {seconds:.0f} s")
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.ErasureStudy, main, __doc__))
