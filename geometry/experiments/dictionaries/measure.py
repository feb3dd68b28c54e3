"""The study of dictionaries, in the order of a method section."""

import time
from typing import TYPE_CHECKING

from geometry.experiments.dictionaries.classes import steered_classes
from geometry.experiments.dictionaries.concepts import measure_concepts
from geometry.experiments.dictionaries.decomposition import measure_decomposition
from geometry.experiments.dictionaries.quality import measure_quality
from geometry.experiments.dictionaries.result import DictionariesResult
from geometry.experiments.dictionaries.setup import prepare
from geometry.experiments.dictionaries.steering import measure_steering
from geometry.experiments.dictionaries.vectors import ClassVectors, class_vectors
from geometry.experiments.parts import Measured
from geometry.experiments.study import Step

if TYPE_CHECKING:
    from geometry.experiments.dictionaries.study import DictionariesStudy


def measure_dictionaries(study: "DictionariesStudy", step: Step) -> DictionariesResult:
    """Train or read, then what is kept, what features stand for, how they steer and what vectors are made of."""
    start, done = time.process_time(), Measured()
    bench = prepare(study, step)
    done.taken["reading and training"] = time.process_time() - start
    with done.timed("quality"):
        step(f"fitting a codebook and components to {len(bench.rows):,} tokens, and replacing {bench.site} by each")
        done.parts["quality"] = measure_quality(bench)
    with done.timed("concepts"):
        step("looking for features of concepts")
        done.parts["concepts"] = measure_concepts(bench)
    made: list[ClassVectors] = []
    with done.timed("steering"):
        step("making vectors of classes")
        classes, left_out = steered_classes(bench)
        made = [class_vectors(bench, each) for each in classes]
        done.parts["steering"] = measure_steering(bench, classes, made, left_out, step)
    if made:
        with done.timed("decomposition"):
            done.parts["decomposition"] = measure_decomposition(bench, made, step)
    return DictionariesResult(
        study=study, model=bench.unembedding.summary(), dictionary=repr(bench.dictionary),
        notes=bench.dictionary.notes, parts=done.parts, taken=done.taken, left_out=done.left_out,
    )  # fmt: skip
