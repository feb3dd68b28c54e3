"""When in training does the concept hierarchy appear, in which order, and does the coarse come first?

    python -m analysis.training CHECKPOINT CHECKPOINT ... [--steps N N ...] [--blocks B] [--quick] [--out DIR]

1. Checkpoints are revisions of a hub id (`org/model@step1000`) or folders (`runs/checkpoint-1000`), sorted by the step
   that their names say; `org/model --steps 0 1 2 4 1000:143000:1000` names many revisions at once.
2. One after the other is read. At the unembedding the claims are tested on concepts of single tokens, beside permuted
   lemmas; after a few blocks on words and phrases in contexts, beside permuted phrases. The first and the last that can
   be read have theory twins. What is measured is kept in the cache, so that an interrupted run goes on where it was.
3. A claim is there at the first step with 90% of the way from its null to its best; families are drawn again for an
   interval of that step. Does existence come before separation, before the tree, before orthogonality?
4. For every level of the tree, the checkpoint at which its concepts appear: does the coarse come first? And do
   early blocks come before late ones?

Writes figures, results.json and results.npz to figures/training/.
"""

import geometry as geo


def main(study: geo.experiments.TrainingStudy) -> geo.experiments.StudyResult:
    result = study.run()
    # The checkpoint, counted from 0, at which the concepts of each level of the tree appear.
    for site, depths in result.depths.items():
        for depth in depths:
            levels = ", ".join(f"level {level} at checkpoint {place:.1f}" for level, place in depth.appears.items())
            print(f"{depth.name} at {site}: {levels}")
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.TrainingStudy, main, __doc__))
