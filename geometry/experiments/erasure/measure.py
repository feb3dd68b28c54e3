"""The study of erasure, in the order of a method section."""

from typing import TYPE_CHECKING

from geometry.experiments.erasure.behaviour import behaved
from geometry.experiments.erasure.downstream import Downstream, followed
from geometry.experiments.erasure.kinds import asked_kinds
from geometry.experiments.erasure.removal import RemovalPart
from geometry.experiments.erasure.result import ErasureResult
from geometry.experiments.erasure.setup import prepare
from geometry.experiments.erasure.sweep import swept
from geometry.experiments.erasure.tree import TreePart
from geometry.experiments.parts import Measured
from geometry.experiments.study import Step

if TYPE_CHECKING:
    from geometry.experiments.erasure.study import ErasureStudy


def measure_erasure(study: "ErasureStudy", step: Step) -> ErasureResult:
    """Erase at the site, follow to later blocks, ask the model."""
    done = Measured()
    bench = prepare(study, step)
    sizes = (len(bench.fitted), len(bench.first), len(bench.second))
    with done.timed("erasing at the site"):
        sweep = swept(bench, step)
    downstream: Downstream | None = None
    if study.n_downstream:
        with done.timed("later blocks"):
            downstream = followed(bench, bench.spread(study.n_downstream), step)
    if "erasing at the site" not in done.left_out:
        done.parts["removal"] = RemovalPart(
            site=str(bench.site), targets=bench.targets, sweep=sweep, downstream=downstream, sizes=sizes,
            seed=study.seed,
        )  # fmt: skip
        done.parts["tree"] = TreePart(targets=bench.targets, relations=bench.relations, sweep=sweep)
    with done.timed("behaviour"):
        done.parts["behaviour"] = behaved(bench, step)
    if study.n_kinds:
        with done.timed("kinds"):
            done.parts["kinds"] = asked_kinds(bench, step)
    unembedding = step.session.unembedding(study.model, study.placement)
    return ErasureResult(
        study=study, model=unembedding.summary(), site=str(bench.site),
        erased=tuple(target.label for target in bench.targets), parts=done.parts, taken=done.taken,
        left_out=done.left_out,
    )  # fmt: skip
