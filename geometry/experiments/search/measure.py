"""The search study, in the order of a method section."""

import time
from typing import TYPE_CHECKING

from geometry.experiments.parts import Measured
from geometry.experiments.search.concepts import ConceptsPart, name_concepts
from geometry.experiments.search.held_out import measure_held_out
from geometry.experiments.search.kinds import search_all
from geometry.experiments.search.laws import NATS, LawReader
from geometry.experiments.search.norms import sweep_norms
from geometry.experiments.search.result import SearchResult
from geometry.experiments.search.setup import Bench, prepare
from geometry.experiments.search.stability import compare_searches
from geometry.experiments.search.texts import write_texts
from geometry.experiments.study import Step

if TYPE_CHECKING:
    from geometry.experiments.search.study import SearchStudy


def measure_search(study: "SearchStudy", step: Step) -> SearchResult:
    """Search, then judge on held-out prompts: change and cost, norms, concepts, seeds, texts."""
    return measure_with(prepare(study, step), step)


def measure_with(bench: Bench, step: Step) -> SearchResult:
    """The same on what is loaded already."""
    study, done = bench.study, Measured()
    start = time.process_time()
    kinds = search_all(bench, step)
    done.taken["searches"] = time.process_time() - start
    held_out, neutral = (LawReader(bench, texts) for texts in (bench.held_out, bench.neutral))
    with done.timed("held out"):
        step(f"measuring changes and costs on {len(bench.held_out)} held-out prompts")
        done.parts["held out"] = measure_held_out(bench, kinds, held_out, neutral)
    with done.timed("norms"):
        step("sweeping norms")
        done.parts["norms"] = sweep_norms(bench, kinds, held_out)
    with done.timed("concepts"):
        step(f"reading concepts at {NATS:g} nats beside {study.n_random} random vectors")
        done.parts["concepts"] = name_concepts(bench, kinds, held_out)
    with done.timed("stability"):
        step("comparing searches")
        done.parts["stability"] = compare_searches(bench, kinds, held_out)
    if isinstance(concepts := done.parts.get("concepts"), ConceptsPart):
        with done.timed("texts"):
            step("generating under each vector")
            done.parts["texts"] = write_texts(bench, kinds, concepts)
    return SearchResult(
        study=study, model=bench.unembedding.summary(), parts=done.parts, taken=done.taken, left_out=done.left_out
    )
