"""Measure the study of composition: four questions, on series of values and on pairs of nouns."""

from typing import TYPE_CHECKING

from geometry.experiments.composition.maps_part import mapped
from geometry.experiments.composition.relations_part import related
from geometry.experiments.composition.result import CompositionResult
from geometry.experiments.composition.series_part import by_place
from geometry.experiments.composition.setup import prepare
from geometry.experiments.composition.steps_part import stepped
from geometry.experiments.parts import Measured
from geometry.experiments.study import Step

if TYPE_CHECKING:
    from geometry.experiments.composition.study import CompositionStudy


def measure_composition(study: "CompositionStudy", step: Step) -> CompositionResult:
    """Read, fit, steer; series and models that do not fit are refused before the model is loaded."""
    bench = prepare(study, step)
    done = Measured()
    done.left_out.update(bench.left_out)
    questions = (
        ("series", "category + position at every site", by_place),
        ("maps", "linear maps at every site", mapped),
        ("steps", "steering by a step of position", stepped),
        ("relations", "one noun on another", related),
    )
    for name, says, measure in questions:
        step(says)
        with done.timed(name):
            done.parts[name] = measure(bench)
    return CompositionResult(
        study=study, model=bench.unembedding.summary(), parts=done.parts, taken=done.taken, left_out=done.left_out
    )
