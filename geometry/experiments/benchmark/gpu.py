"""What one GPU makes of it, within minutes: synthetic heads, steering overhead, and the studies of a model.

Every part is written as soon as it is done, and one that fails stops no other: minutes on a card are few.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.directions import ConceptDirections, TokenCloud
from geometry.display import in_short, short_repr
from geometry.errors import EstimationError, GeometryError, shown
from geometry.evidence import MAX_TOKENS
from geometry.experiments.benchmark.common import device_seconds, in_turn, without_cache
from geometry.experiments.benchmark.head import gram
from geometry.experiments.benchmark.permutations import one_permutation
from geometry.experiments.benchmark.steering import UNSTEERED, compare_steering
from geometry.experiments.benchmark.synthetic import Head
from geometry.experiments.catalogue import STUDIES
from geometry.experiments.result import SCHEMA
from geometry.experiments.session import Session
from geometry.experiments.study import Step, silent
from geometry.models.placement import Placement
from geometry.output import OutputFolder
from geometry.version import __version__

HEADS = {"head-2048": Head(256_000, 2_048), "head-8192": Head(128_256, 8_192)}
_TINY = {"head-2048": Head(600, 16), "head-8192": Head(600, 32)}
_BATCHES, _ROUNDS = (1, 8, 64), 3
# Seconds that each part is taken to need. A part is not begun where less is left.
_NEEDED = {"overhead": 90, "head-2048": 90, "head-8192": 150, "claims": 150, "steering": 150, "maps": 200}
GPU_PARTS = tuple(_NEEDED)


@dataclass(frozen=True)
class Measurement:
    """A number that was measured, in its unit."""

    measured: str
    value: float
    unit: str

    def __str__(self) -> str:
        return f"{self.measured}: {self.value:.4g} {self.unit}"


@dataclass(frozen=True)
class GpuPart:
    """A part: its numbers and seconds, or why there are none."""

    name: str
    seconds: float = 0.0
    measurements: Sequence[Measurement] = ()
    failed: str = ""

    __repr__ = short_repr


@checked
def run_gpu_benchmark(
    folder: str | Path,
    model: str = "smollm2-135m",
    *,
    parts: Sequence[str] = GPU_PARTS,
    device: str = "cuda",
    quick: bool = False,
    minutes: float = 15.0,
    say: Callable[[str], None] = silent,
) -> list[GpuPart]:
    """Measure some parts on a device, and write results.json into a folder after each of them.

    Parameters:
        model: of the overhead of steering and of the studies.
        parts: of `GPU_PARTS`, in the order in which they are run.
        quick: tiny heads, few tokens and a first look at the studies: whether the code runs, on a CPU too.
        minutes: a part for which too few are left is not begun, and recorded as such.
        say: is told every number.

    GeometryError: no such device or part; after all others are done, parts that failed.
    """
    place = Placement(device)
    if unknown := [part for part in parts if part not in GPU_PARTS]:
        raise EstimationError(f"parts must be among {', '.join(GPU_PARTS)}, not {shown(unknown[0])}")
    session = Session()
    measure: dict[str, Callable[[], Iterator[Measurement]]] = {
        "overhead": partial(_overhead, model, place, quick, session),
        **{name: partial(_head, head, place.device) for name, head in (_TINY if quick else HEADS).items()},
        **{name: partial(_study, name, model, place.device, quick, session) for name in ("claims", "steering", "maps")},
    }
    settings = {"model": model, "parts": list(parts), "quick": quick, "minutes": minutes, "device": place.device}
    start, done = time.perf_counter(), list[GpuPart]()
    _write(folder, settings, done)  # a folder that cannot be written is refused now
    for name in parts:
        left = 60 * minutes - (time.perf_counter() - start)
        if left < (1 if quick else _NEEDED[name]):
            done.append(GpuPart(name, failed=f"not begun: {max(left, 0):.0f} s were left"))
            say(f"{name}: {done[-1].failed}")
        else:
            with without_cache():
                done.append(_measured(name, measure[name], say))
        _write(folder, settings, done)
    if failed := [f"{part.name}: {part.failed}" for part in done if part.failed]:
        raise GeometryError("; ".join(failed))
    return done


def _measured(name: str, measure: Callable[[], Iterator[Measurement]], say: Callable[[str], None]) -> GpuPart:
    start, found, failed = time.perf_counter(), list[Measurement](), ""
    try:
        for measurement in measure():
            found.append(measurement)
            say(f"{name}: {measurement}")
    except Exception as error:  # of any library, on a device that it was not tried on
        failed = in_short(f"{type(error).__name__}: {error}")
        say(f"{name}: {failed}")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return GpuPart(name, time.perf_counter() - start, found, failed)


def _write(folder: str | Path, settings: Mapping[str, object], parts: Sequence[GpuPart]) -> None:
    device = str(settings["device"])
    cuda = torch.cuda.is_available() and device.startswith("cuda")
    document = {
        "schema": SCHEMA,
        "version": __version__,
        "analysis": "gpu",
        "settings": dict(settings),
        "device": torch.cuda.get_device_name(device) if cuda else device,
        "torch": torch.__version__,
        "float32 products": torch.get_float32_matmul_precision(),
        "results": {part.name: asdict(part) for part in parts},
    }
    with OutputFolder(folder) as output:
        output.json("results", document)


def _head(head: Head, device: str) -> Iterator[Measurement]:
    """Fit, all concept vectors and a permutation of a head that is made on the device."""
    unembedding = head.unembedding(device)
    hierarchy = head.hierarchy(unembedding.vocabulary)
    operations = 2 * head.rows * head.width**2 / 1e12
    single = unembedding.matrix.float()
    yield from _best("bare float32 product", partial(gram, single), operations)
    del single
    fitted: list[CausalSpace] = []
    yield from _best("fit of Σ", lambda: fitted.append(CausalSpace.fit(unembedding)), operations)
    space = fitted[-1]
    symmetric = space.colourer.double()
    yield from _best("eigenvectors of Σ alone", partial(torch.linalg.eigh, symmetric))
    vectors = partial(ConceptDirections.fit, space, hierarchy, max_tokens=MAX_TOKENS)
    yield from _best(f"all {len(hierarchy)} concept vectors", vectors)
    cloud = TokenCloud.of(space, hierarchy)
    seconds = min(one_permutation(space, cloud, device_seconds) for _ in range(2))
    yield Measurement("one permutation of all claims", seconds, "s")
    if torch.cuda.is_available() and device.startswith("cuda"):
        yield Measurement("most memory allocated", torch.cuda.max_memory_allocated(device) / 1e9, "GB")


def _best(measured: str, work: Callable[[], object], operations: float = 0.0) -> Iterator[Measurement]:
    """The first time, which includes what libraries do but once, and the best of two more."""
    ((first, *others),) = in_turn([work], 3, device_seconds)
    yield Measurement(f"{measured}, first time", first, "s")
    yield Measurement(measured, min(others), "s")
    if operations:
        yield Measurement(measured, operations / min(others), "TFLOP/s")


def _overhead(model: str, place: Placement, quick: bool, session: Session) -> Iterator[Measurement]:
    loaded, tokenizer = session.language_model(model, place)
    for batch in _BATCHES:
        how: dict[str, Any] = {"tokens": 3} if quick else {}
        for comparison in compare_steering(
            loaded, tokenizer, 1 if quick else _ROUNDS, batches=[batch], promised=False, clock=device_seconds,
            unit="ms a token", **how,
        ):  # fmt: skip
            if comparison.instead == UNSTEERED:
                yield Measurement(comparison.measured, min(comparison.ours), comparison.unit)
            yield Measurement(comparison.measured, 1 / comparison.ratio, f"times {comparison.instead}")


def _study(name: str, model: str, device: str, quick: bool, session: Session) -> Iterator[Measurement]:
    preset: Mapping[str, Any] = STUDIES[name].quick if quick else {}
    study: Any = STUDIES[name]
    yield Measurement("the study", study(model=model, device=device, **preset).run(Step(session=session)).seconds, "s")
