"""What does adding the activations of a prompt change, on its topic and off it?

    python -m analysis.actadd [MODEL] [--topic T] [--block B] [--coefficient C] [--quick] [--out DIR]

1. The activations of " weddings" less those of spaces, read before a block, are added there at the first tokens of
   other texts: nothing is trained. Beside the vector stand random ones of the same norm at every token, the vector of
   another topic at that norm, the word's embedding transplanted to the block, and the word itself in the prompt.
2. One prompt and 48 neutral ones: how far the next-token law moves, KL(steered ‖ unsteered), which tokens gain and
   which lose, and the probability of words of the topic.
3. 40 sentences on each of six subjects: perplexity under the vector over that without, by block and by coefficient;
   what is predicted from steered tokens does not count. Intervals are over texts.
4. Sampled generations: how many words of the topic each holds, by where and in how many dimensions the vector is added.
5. Token by token: the change of the log-probability of any text. Huge coefficients, two vectors at once, norms.

Writes nine figures, actadd.html, results.json and results.npz to figures/<model>/actadd/.
"""

import geometry as geo


def main(study: geo.experiments.ActAddStudy) -> geo.experiments.StudyResult:
    result = study.run()
    for table in result.tables():
        print(table, table.caption, sep="\n", end="\n\n")
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.ActAddStudy, main, __doc__))
