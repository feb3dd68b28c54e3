"""Does parent + child steer towards the child? Probabilities, what they cost, and where in the model it works.

    python -m analysis.steering [MODEL] [--parent SYNSET] [--child SYNSET] [--quick] [--out DIR]

1. Concept vectors are fitted to 70% of the lemmas of WordNet's nouns, so that the words that a vector was fitted to
   can be distinguished from held-out ones.
2. On a third of the prompts settings are chosen. A strength is the largest that keeps the perplexity of neutral text
   within twice the unsteered, without a look at effects; at every block so, and of the blocks the one with the most
   probable child.
3. On the other prompts: the probability of parent, child, a sibling and a concept outside, how often a word of the
   child comes first, excess KL and perplexity; beside the parts of the composed vector, the direct concept vector of
   the child, another parent, random vectors of the same norm, and vectors fitted to random tokens.

Writes four figures, generations.html, results.json and results.npz to figures/<model>/steering/.
"""

import geometry as geo


def main(study: geo.experiments.SteeringStudy) -> geo.experiments.StudyResult:
    result = study.run()
    for test in result.tests.values():
        print(test, end="\n\n")
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.SteeringStudy, main, __doc__))
