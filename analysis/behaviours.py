"""Have classes of behaviour a place in the model, how do they relate, and can one steer between any two of them?

    python -m analysis.behaviours [MODEL] [--families F F ...] [--n-permutations N] [--quick] [--out DIR]

1. Every prompt of every class is run once; the residual stream at its last token is read after each block. Prompts
   stand under several templates and domains, and none holds a word that names its class.
2. Ridge probes are fitted without one template or one domain and evaluated on it, beside labels shuffled within
   template and domain. Of the first two thirds of the blocks, the one at which they are most accurate is where classes
   are compared and steered.
3. Two routes to a class are matched in the unified space: the concept vector of the words that name it, and Σ^(1/2)
   times the mean hidden state of its prompts; beside permuted classes, shuffled rows and neutral prompts.
4. Classes are compared: whether the difference of two is consistent over contexts, beside sign flips; whether a line,
   a circle or a tree predicts a left-out class, beside permuted orders; where the directions of contrast pairs
   (love – hate) point; whether the levels behaviour → kind → family → class are orthogonal.
5. Vectors from half of the templates, all of one norm and as strong as the perplexity of neutral text allows, steer
   sentences of the other half: the difference of two classes beside a contrast pair, a single sentence pair,
   prompting, and controls. A probe after the final norm classifies them; texts generated under the vectors are probed
   in the model without them. Family mean + class offset steers neutral prompts, and vectors of one domain another one.

A family of one's own is a YAML file like data/behaviours/aggression.yaml: `--families mine.yaml`.
Writes ten figures, generations.html, results.json and results.npz to figures/<model>/behaviours/.
"""

import geometry as geo


def main(study: geo.experiments.BehavioursStudy) -> geo.experiments.StudyResult:
    result = study.run()
    for family in result.families.values():
        print(family.probes["template"].results[family.block])
        print(*family.contrasts.values(), sep="\n", end="\n\n")
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.BehavioursStudy, main, __doc__))
