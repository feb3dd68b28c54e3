"""Which site and strength steer best for a given cost, and does geometry forecast whether they will?

    python -m analysis.tuning [MODEL] [--bound NATS] [--n-tuned N] [--quick] [--out DIR]

1. Concepts are the lowest of WordNet's nouns, each with the words whose lemma no other of them has, so that what a
   forecast is calibrated on shares no word with what it is tested on.
2. Ten of them are tuned: `geo.tune` looks for the site and the strength with the most probable words of the concept,
   with KL(steered ‖ unsteered) within the bound on a quarter of the prompts. Beside it every block is tried at eight
   strengths, and the best of those brought to the bound.
3. On the other prompts: P(concept's words) by each way, unsteered, and under a random direction at the same site and
   bound; with the forward passes that each way took.
4. Of all concepts, after the final norm and at a block two thirds of the way, and of classes of behaviour at the middle
   block, a ridge regression forecasts what steering brings at the bound from what geometry says of the unsteered
   model. Half of the families calibrate it, the other half test it; effects are permuted as a null.

Writes four figures, results.json and results.npz to figures/<model>/tuning/.
"""

import geometry as geo


def main(study: geo.experiments.TuningStudy) -> geo.experiments.StudyResult:
    result = study.run()
    print(*result.tables(), sep="\n\n")
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.TuningStudy, main, __doc__))
