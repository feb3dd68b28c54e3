"""What does steering to a concept do to its parents, siblings and cousins, and at what cost?

    python -m analysis.selectivity [MODEL] [--n-concepts N] [--n-dual N] [--n-forward N] [--quick] [--out DIR]

1. A hundred concepts, spread over the depths of WordNet's nouns, are steered to by vectors after the final norm, each
   at the coefficient at which the next-token law after neutral prompts changes by 0.5 and by 2 nats of KL
   divergence. There all is algebra, p_t ∝ p_0 exp(t δᵀγ), and takes no pass of the model.
2. For every concept, the change of its log-odds: raw, and among the words outside the target, so that mass that the
   target takes from all alike is no side effect. Concepts are target, below it, above it, siblings, cousins or
   unrelated.
3. Nulls: lemmas change places among concepts, and all is fitted and measured anew; random directions.
4. Beside addition: class means, ablation; for fewer concepts the dual step, mean differences of activations at a block,
   and prompting with the concept's words.
5. The dual step beside addition along the same β at equal P(target): paired differences, reachability, and on every
   prompt what the theory says.
6. In generation, for four concepts, how many tokens are words of the target and of its kin.
7. Pairs of siblings mixed to chosen shares, on prompts that the vectors were not found on; and what becomes of every
   concept's projection at the blocks after one where a vector is added.

Writes figures, results.json and results.npz to figures/<model>/selectivity/.
"""

import geometry as geo


def main(study: geo.experiments.SelectivityStudy) -> geo.experiments.StudyResult:
    result = study.run()
    # CPU seconds of the algebra, of the dual steps, and of what runs the model.
    for name, seconds in result.taken.items():
        print(f"{name}: {seconds:.0f} s")
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.SelectivityStudy, main, __doc__))
