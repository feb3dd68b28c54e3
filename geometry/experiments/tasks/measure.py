"""Measure the study of tasks: vectors of every task, and five questions on them."""

from typing import TYPE_CHECKING

from geometry.anatomy.function_vectors import TaskVectors, function_vectors
from geometry.concepts.tasks import check_task, load_task
from geometry.concepts.wordnet_table import wordnet_table
from geometry.errors import EstimationError
from geometry.experiments.parts import Measured
from geometry.experiments.study import Step
from geometry.experiments.tasks.accuracy import AccuracyPart, Sentences, asked_in_sentences
from geometry.experiments.tasks.concepts import with_concepts
from geometry.experiments.tasks.depth import by_block
from geometry.experiments.tasks.heads import by_head
from geometry.experiments.tasks.labels import TELLING
from geometry.experiments.tasks.result import TasksResult
from geometry.experiments.tasks.setup import Bench
from geometry.experiments.tasks.transfer import transferred
from geometry.models import require_language_model

if TYPE_CHECKING:
    from geometry.experiments.tasks.study import TasksStudy


def measure_tasks(study: "TasksStudy", step: Step) -> TasksResult:
    """Read tasks, make their vectors, ask; tasks and models that do not fit are refused before the model is loaded."""
    tasks = [load_task(source) for source in study.tasks]
    for task in tasks:
        check_task(task, study.n_demonstrations)
    if len({task.name for task in tasks}) < len(tasks):
        raise EstimationError(f"two tasks have one name: {', '.join(task.name for task in tasks)}; rename a file")
    if unknown := [name for name in study.concepts if name not in wordnet_table()]:
        raise EstimationError(f"concepts: {unknown[0]!r} is no synset of WordNet; write such as animal.n.01")
    require_language_model(study.model)
    session, place = step.session, study.placement
    # Read before the model is loaded, which makes room for itself.
    unembedding = session.unembedding(study.model, place)
    step(f"loading {study.model}")
    model, tokenizer = session.language_model(study.model, place)
    done = Measured()
    found: dict[str, TaskVectors] = {}
    for task in tasks:
        step(f"vectors of {task.name}")
        with done.timed(f"vectors of {task.name}"):
            found[task.name] = function_vectors(
                model, tokenizer, task, n_demonstrations=study.n_demonstrations, n_prompts=study.n_prompts,
                seed=study.seed,
            )  # fmt: skip
    if not found:
        raise EstimationError(next(iter(done.left_out.values())))
    bench = Bench(study, model, tokenizer, found)
    sentences: dict[str, dict[str, Sentences]] = {}
    if study.n_sentences:
        for name in bench.able:
            step(f"{name} in sentences of another format")
            with done.timed(f"sentences of {name}"):
                for kind in TELLING:
                    if told := asked_in_sentences(bench, name, kind):
                        sentences.setdefault(kind, {})[name] = told
    done.parts["accuracy"] = AccuracyPart(found, sentences)
    if bench.able:
        with done.timed("depth"):
            step("accuracy block by block")
            done.parts["depth"] = by_block(bench)
        with done.timed("transfer"):
            step("questions of each task under the vectors of the others")
            done.parts["transfer"] = transferred(bench)
        with done.timed("heads"):
            step("heads one by one")
            done.parts["heads"] = by_head(bench)
        if study.concepts:
            with done.timed("concepts"):
                step("vectors of tasks and concepts together")
                hierarchy = session.hierarchy("wordnet-noun", unembedding.vocabulary)
                for name in study.concepts:
                    if name not in hierarchy:
                        done.left_out[name] = "it has too few words that are single tokens, or is one with its parent"
                done.parts["concepts"] = with_concepts(bench, hierarchy)
    else:
        done.left_out["depth, transfer, heads and concepts"] = "the model does none of the tasks with demonstrations"
    return TasksResult(
        study=study, model=unembedding.summary(), parts=done.parts, taken=done.taken, left_out=done.left_out
    )
