"""How fast and how large, beside other ways to the same numbers?

    python -m analysis.benchmark [MODEL] [--parts PART ...] [--every N] [--rounds N] [--quick] [--out DIR]

Ratios are the result: both sides run in turn on the same machine and give the same numbers. Times are CPU time,
with one thread each, so that what else the machine does counts little: threads that wait for each other take some too.

1. start: importing the package, and the help of its command, against importing torch.
2. reading: of a GGUF file the unembedding and the vocabulary, against every tensor.
3. vectors: concept vectors against each concept's d x d Ledoit-Wolf covariance and its pseudo-inverse, as published, on
   every N-th noun concept; at larger widths, the model's rows with Gaussian coordinates beside them, on a single one,
   once: at d = 4,096 the textbook takes minutes.
4. analysis: the inner product and all concept vectors, against the bare Gram product of the same matrix.
5. permutations: all fits and claims of one permutation through indices, against each concept from its permuted rows;
   and what seven times the width costs.
6. head: analysis and peak memory of a synthetic head in bfloat16 on disk, in a process of its own.
7. steering: against unsteered generation and against a plain hook that adds a tensor, one prompt and eight.

Writes the ratios as a figure, results.json and the table, which it prints, to figures/benchmark/.
"""

import sys

import geometry as geo


def main(study: geo.experiments.BenchmarkStudy) -> geo.experiments.StudyResult:
    return study.run(lambda part: print(part, file=sys.stderr, flush=True))


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.BenchmarkStudy, main, __doc__))
