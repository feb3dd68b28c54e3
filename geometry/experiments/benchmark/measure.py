"""The benchmark's method: every part in its turn."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.experiments.benchmark.common import Comparison, one_thread, without_cache
from geometry.experiments.benchmark.head import compare_analysis, compare_head, compare_reading
from geometry.experiments.benchmark.permutations import compare_permutations
from geometry.experiments.benchmark.result import Benchmark
from geometry.experiments.benchmark.startup import compare_start
from geometry.experiments.benchmark.steering import compare_batches, compare_steering
from geometry.experiments.benchmark.synthetic import Head
from geometry.experiments.benchmark.training import compare_training
from geometry.experiments.benchmark.vectors import compare_vectors
from geometry.experiments.session import Session
from geometry.experiments.study import Step
from geometry.models import locate

if TYPE_CHECKING:
    from geometry.experiments.benchmark.study import BenchmarkStudy

_PROMISED_OF = "smollm2-135m"
_FEW_ROUNDS, _FEWEST_ROUNDS = 3, 1  # where a round takes many seconds, or a minute
# The widest rows of which something is promised, and ratios of a permutation at least: at the own width, at the widest,
# and of the two.
_WIDE, _OWN, _WIDEST, _GROWTH = 4_096, 3.5, 6.0, 1 / 4
_TRAINED = 2.0  # a training step of an autoencoder, at least


def measure_benchmark(study: "BenchmarkStudy", step: Step) -> Benchmark:
    """Run the parts that were asked for, each side with one thread."""
    comparisons, before = list[Comparison](), _load()
    with without_cache(), one_thread():
        for part in study.parts:
            step(part)
            comparisons += _MEASURED[part](study, step.session)
    machine = {"processors": os.cpu_count(), "threads": torch.get_num_threads(), "load": [before, _load()]}
    return Benchmark(study=study, comparisons=comparisons, machine=machine)


def _reading(study: "BenchmarkStudy", _: Session) -> list[Comparison]:
    return compare_reading(study.model) if locate(study.model).suffix == ".gguf" else []


def _vectors(study: "BenchmarkStudy", session: Session) -> list[Comparison]:
    space, nouns = _nouns(study, session)
    widths = [width for width in (study.widest // 2, study.widest) if width > space.width]
    return compare_vectors(space, nouns, study.every, widths)


def _analysis(study: "BenchmarkStudy", session: Session) -> list[Comparison]:
    space, nouns = _nouns(study, session)
    return [compare_analysis(space.unembedding, nouns, study.rounds)]


def _permutations(study: "BenchmarkStudy", session: Session) -> list[Comparison]:
    space, nouns = _nouns(study, session)
    own, wide = study.model == _PROMISED_OF, study.model == _PROMISED_OF and study.widest == _WIDE
    promised = (_OWN if own else None, _WIDEST if wide else None, _GROWTH if wide else None)
    return compare_permutations(space, nouns, study.widest, min(_FEW_ROUNDS, study.rounds), promised)


def _head(study: "BenchmarkStudy", _: Session) -> list[Comparison]:
    return compare_head(Head(study.head_rows, study.head_width), min(_FEWEST_ROUNDS, study.rounds))


def _training(study: "BenchmarkStudy", session: Session) -> list[Comparison]:
    width = session.unembedding(study.model, study.placement).matrix.shape[1]
    return compare_training(width, 4 * width, study.rounds, promised=_TRAINED if study.model == _PROMISED_OF else None)


def _steering(study: "BenchmarkStudy", session: Session) -> list[Comparison]:
    model, tokenizer = session.language_model(study.model, study.placement)
    comparisons = compare_steering(model, tokenizer, study.rounds, promised=study.model == _PROMISED_OF)
    return [*comparisons, compare_batches(model, tokenizer)]


def _nouns(study: "BenchmarkStudy", session: Session) -> tuple[CausalSpace, ConceptHierarchy]:
    space = session.space(study.model, study.placement)
    return space, session.hierarchy("wordnet-noun", space.unembedding.vocabulary)


def _load() -> float:
    """How many processes wanted a processor in the last minute; nan where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


_MEASURED: dict[str, Callable[["BenchmarkStudy", Session], list[Comparison]]] = {
    "start": lambda study, _: compare_start(study.rounds),
    "reading": _reading,
    "vectors": _vectors,
    "analysis": _analysis,
    "permutations": _permutations,
    "head": _head,
    "training": _training,
    "steering": _steering,
}
