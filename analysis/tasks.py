"""Can a vector stand for the demonstrations of a task?

    python -m analysis.tasks [MODEL] [--tasks TASK ...] [--n-demonstrations N] [--quick] [--out DIR]

1. Of every task 25 pairs make prompts of ten demonstrations and a question. The mean activation at their last token,
   less that of the bare questions, is the residual vector; ten attention heads, screened by how much demonstrations
   change their mean output beside shuffled answers, make another. Site, strength and heads are chosen on these pairs.
2. The other pairs judge: accuracy with demonstrations, without, under each vector; beside demonstrations whose answers
   are shuffled, random vectors of the same norm, as many random heads. A task that the model cannot do is said so.
3. The same in sentences of another format, those that tell the task and those that do not.
4. Accuracy block by block; the questions of each task under the vectors of the others, and cosines of these vectors.
5. What each head does alone, and which heads several tasks share, beside random heads of the same blocks.
6. A concept's vector added to a task's: is the task still done, and do held-out words of the concept rise?

Writes five figures, results.json and results.npz to figures/<model>/tasks/.
"""

import geometry as geo


def main(study: geo.experiments.TasksStudy) -> geo.experiments.StudyResult:
    result = study.run()
    for name, seconds in result.taken.items():
        print(f"{name}: {seconds:.0f} CPU s")
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.TasksStudy, main, __doc__))
