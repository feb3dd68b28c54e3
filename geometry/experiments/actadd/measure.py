"""The measurements of the study of activation addition, in the order of a method section."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from geometry.experiments.actadd.generations import measure_generations
from geometry.experiments.actadd.next_token import measure_next_token
from geometry.experiments.actadd.norms import measure_norms
from geometry.experiments.actadd.result import ActAddResult
from geometry.experiments.actadd.setup import Bench, Condition, prepare
from geometry.experiments.actadd.texts import SWEPT, BySet, Texts
from geometry.experiments.study import Step

if TYPE_CHECKING:
    from geometry.experiments.actadd.study import ActAddStudy


def measure_actadd(study: "ActAddStudy", step: Step) -> ActAddResult:
    """One prompt and neutral ones, texts on and off topic, sweeps, generations, tokens, norms."""
    bench = prepare(study, step)
    conditions = bench.conditions()

    step("the next token")
    next_tokens, shifts, neutral_shifts = measure_next_token(bench, conditions)
    step("the perplexity of texts")
    texts = Texts(bench)
    ratios = of_conditions(bench, texts, conditions)
    step("sweeping blocks and coefficients")
    on_and_off = [bench.topic.name, bench.other_topic.name]
    swept = [block for block in study.swept(bench.depth) if block != bench.block]
    factors = [factor for factor in study.factors if factor != study.coefficient]
    chosen = {name: {each: ratios[name][each] for each in on_and_off} for name in SWEPT}
    by_block = {**texts.by_block(on_and_off, swept), bench.block: chosen}
    by_coefficient = {**texts.by_coefficient(on_and_off, factors), study.coefficient: chosen}
    step("generating")
    written = measure_generations(bench, conditions)
    step("token by token, and norms")

    return ActAddResult(
        study=study,
        model=bench.unembedding.summary(),
        topic=bench.topic,
        other=bench.other_topic,
        block=bench.block,
        depth=bench.depth,
        rows=bench.rows,
        bos=bench.bos,
        n_texts={name: len(some) for name, some in bench.sets.items()},
        provenances={"vector": bench.vector.provenance, "other": bench.other.provenance},
        next_tokens=next_tokens,
        shifts=shifts,
        neutral_shifts=neutral_shifts,
        ratios=ratios,
        by_block=dict(sorted(by_block.items())),
        by_coefficient=dict(sorted(by_coefficient.items())),
        written=written,
        shown=texts.shown(conditions["vector"], conditions["random"]),
        norms=measure_norms(bench),
    )


def of_conditions(bench: Bench, texts: Texts, conditions: Mapping[str, Condition]) -> dict[str, BySet]:
    """Perplexity ratios of every set for the vector and its two controls, of two sets on and off topic for the rest."""
    every, two = list(bench.sets), [bench.topic.name, bench.other_topic.name]
    found = {}
    for name, condition in conditions.items():
        sets: Sequence[str] = every if name in SWEPT else two
        if condition is not None:
            found[name] = texts.ratios(condition, sets)
    found["prompting"] = texts.prompted(bench.topic.promoted, two)
    return found
