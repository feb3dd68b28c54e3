"""Do parts add up inside the model: category + position, and one noun on another?

    python -m analysis.composition [MODEL] [--every N] [--n-permutations N] [--quick] [--out DIR]

1. Weekdays, months, number words, ordinals and letters are read at the embedding, the first MLP's output and outputs of
   blocks, in the covariance metric of each site. A two-way additive model predicts every value from all others: rank of
   the true value, squared error against its category's mean; beside permuted positions, random words, the unembedding
   and word vectors.
2. Linear maps: one from a value to the next, fitted to the other categories (Gould et al., arXiv 2312.09230, find such
   successor heads); one from category to category, fitted to the other positions; beside permuted orders.
3. Steering: in a prompt that repeats words, the step from one position to the next in the other categories is added to
   a value. Does the answer move towards the value's next, against its previous?
4. "an A on a B", read at the last noun and at the full stop after it: shares of variance of each noun and of both
   together, linear maps by role on pairs of held-out nouns beside one map of their sum, and who is on whom. Whether the
   model answers by order at all, and whether a composed step moves its answer.

Writes five figures, results.json and results.npz to figures/<model>/composition/.
"""

import geometry as geo


def main(study: geo.experiments.CompositionStudy) -> geo.experiments.StudyResult:
    result = study.run()
    for name, seconds in result.taken.items():
        print(f"{name}: {seconds:.0f} CPU s")
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.CompositionStudy, main, __doc__))
