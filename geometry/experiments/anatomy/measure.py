"""The study of what is inside vectors, in the order of a method section."""

from typing import TYPE_CHECKING

from geometry.experiments.anatomy.candidates import COUNTS, FEATURES, candidates
from geometry.experiments.anatomy.neutral_texts import NeutralTexts
from geometry.experiments.anatomy.pair_components import measure_components
from geometry.experiments.anatomy.pruning import NATS, measure_pruning
from geometry.experiments.anatomy.readings import measure_readings
from geometry.experiments.anatomy.setup import prepare
from geometry.experiments.parts import Measured, PartsResult
from geometry.experiments.study import Step
from geometry.layers import EqualKL

if TYPE_CHECKING:
    from geometry.experiments.anatomy.study import AnatomyStudy

_TOLERANCE = 0.02  # of the KL divergence


def measure_anatomy(study: "AnatomyStudy", step: Step) -> PartsResult:
    """Vectors read, pairs taken apart, pruned vectors steered with."""
    bench = prepare(study, step)
    done = Measured()
    with done.timed("reading"):
        done.parts["reading"] = measure_readings(bench, step)
    with done.timed("components"):
        done.parts["components"] = measure_components(bench, step)
    with done.timed("pruning"):
        step("rebuilding vectors from their strongest parts")
        made = candidates(bench, bench.dictionary)
        finders = {
            (half, nats): EqualKL(bench.model, bench.tokenizer, prompts, nats, tolerance=_TOLERANCE)
            for half, prompts, values in (
                ("choosing", bench.choosing, NATS[:1]),
                ("reporting", bench.reporting, NATS),
            )
            for nats in values
        }
        done.parts["pruning"] = measure_pruning(
            bench.subjects, made, finders, counts=COUNTS, n_prompts=(len(bench.choosing), len(bench.reporting)),
            left_out={FEATURES: bench.without_dictionary} if bench.dictionary is None else {}, seed=study.seed,
            tolerance=_TOLERANCE, step=step,
            texts=NeutralTexts(bench.model, bench.tokenizer, study.n_texts),
        )  # fmt: skip
    return PartsResult(
        study=study, model=bench.unembedding.summary(), parts=done.parts, taken=done.taken, left_out=done.left_out
    )
