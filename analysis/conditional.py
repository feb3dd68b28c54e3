"""Can a vector act on one topic alone and leave every other prompt as it is?

    python -m analysis.conditional [MODEL] [--topic PROMPTS] [--others PROMPTS] [--quick] [--out DIR]

1. Half of the prompts on chemistry and of those on anything else are for fitting: at every block up to the middle one
   the difference of their mean activations at the last token, and the threshold midway between both. The block is
   chosen by cross-validation among them.
2. The other half says how well prompts are discriminated: ROC with intervals, beside shuffled labels, random
   directions, the words of the prompts alone, and the projection of the final hidden state on a WordNet concept.
3. A vector towards refusal, the mean difference of pairs of answers, acts at the middle block, at the largest strength
   within twice the perplexity of neutral text: on no condition, on prompts, on tokens, on a condition of shuffled
   labels; and a random vector on the condition. Logits are compared bit for bit with those of the unsteered model.
4. What is written is judged by words of refusal, by a probe at another block, and by the model itself, asked.
5. A second condition, fitted to sentences: mentions of geese.

Writes five figures, generations.html, results.json and results.npz to figures/<model>/conditional/.
"""

import geometry as geo


def main(study: geo.experiments.ConditionalStudy) -> geo.experiments.StudyResult:
    result = study.run()
    for topic in result.topics:
        held, left = topic.holds
        print(f"{topic.condition}: AUC {topic.auc.value:.2f}, holds for {held.mean():.0%} and {left.mean():.0%}")
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.ConditionalStudy, main, __doc__))
