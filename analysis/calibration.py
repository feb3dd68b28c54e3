"""How often does each claim find what is there, and what is not? Planted models of known answer.

    python -m analysis.calibration [--n-models N] [--n-permutations N] [--n-verdicts N] [--quick | --full] [--out DIR]

1. Small models are planted: concepts as the theory says, Gaussian rows, rows and concepts that depend on frequency
   alone, forms of a lemma with similar rows, and a power-law spectrum with a heavy common component.
2. Every claim with a p-value is tested on each, against lemmas permuted in bands of frequency and, to show why, against
   tokens permuted freely. The share of p ≤ 0.05 is the power in the true ones, and a false-positive rate in the others.
3. Large models, true, tilted and of noise, are judged between their nulls and theory twins: which verdict does each
   claim get, and what is the true cosine of the claim that siblings' contrasts are orthogonal to their parent?

Writes two figures, results.json and results.npz to figures/calibration/.
"""

import geometry as geo


def main(study: geo.experiments.CalibrationStudy) -> geo.experiments.StudyResult:
    result = study.run()
    # Rates above the level by more than their error: claims not to be trusted in such a world.
    for world in result.unstructured:
        for claim in result.claims:
            if (rate := result.rate(world, claim)).interval[0] > geo.results.LEVEL:
                print(f"{world}: {claim} is found in {rate}")
    return result


if __name__ == "__main__":
    raise SystemExit(geo.cli.script(geo.experiments.CalibrationStudy, main, __doc__))
