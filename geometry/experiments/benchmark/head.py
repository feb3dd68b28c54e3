"""The analysis of a hierarchy in a head on disk, by a process of its own, beside the bare Gram product of that head."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections
from geometry.errors import EstimationError
from geometry.evidence import MAX_TOKENS
from geometry.experiments.benchmark.common import ANALYSIS, MEMORY, Comparison, in_turn
from geometry.experiments.benchmark.synthetic import Head
from geometry.models import Unembedding

# What is promised of heads that models have: so many times the bare Gram product at most, and of memory so many times
# the float32 matrix, beside eight d × d matrices of doubles.
_PROMISED = {Head(256_000, 2_048): 2.0, Head(128_256, 4_096): 3.0}
_MEMORY = 0.6
_GRAM = "bare float32 Gram product"


def analysis(unembedding: Unembedding, hierarchy: ConceptHierarchy) -> ConceptDirections:
    """γ̄ and Σ, and all concept vectors."""
    return ConceptDirections.fit(CausalSpace.fit(unembedding), hierarchy, max_tokens=MAX_TOKENS)


def gram(single: torch.Tensor) -> torch.Tensor:
    """γᵀγ of a float32 matrix: the least that Σ takes."""
    return single.T @ single


def compare_analysis(unembedding: Unembedding, nouns: ConceptHierarchy, rounds: int) -> Comparison:
    """A model's own head and concepts, in this process."""
    single = unembedding.matrix.float()
    ours, other = in_turn([partial(analysis, unembedding, nouns), partial(gram, single)], rounds)
    rows, width = unembedding.matrix.shape
    return Comparison(ANALYSIS, f"Σ and {len(nouns)} concept vectors, {rows:,} × {width:,}", _GRAM, ours, other)


def compare_head(head: Head, rounds: int) -> list[Comparison]:
    """A head in bfloat16 on disk: its analysis, the eigendecomposition in it, and the memory that it takes."""
    with TemporaryDirectory() as folder:
        head.write(Path(folder))
        found = in_a_process(f"{__name__}:measured", folder, str(head.rows), str(head.width), str(rounds))
    (time, memory), concepts = promised(head), found["concepts"]
    said, of_gram = f"Σ and {concepts} concept vectors, {head.name}", found["gram"]
    return [
        Comparison(ANALYSIS, said, _GRAM, found["analysis"], of_gram, promised=time),
        Comparison(ANALYSIS, f"eigenvectors of Σ alone, {head.name}", _GRAM, found["eigenvectors"], of_gram),
        Comparison(
            MEMORY,
            f"peak memory of {said}",
            "the head in float32",
            [found["peak"]],
            [head_gigabytes(head)],
            "GB",
            memory,
        ),
    ]


def promised(head: Head) -> tuple[float | None, float | None]:
    """The least ratios, of time and of memory; None for a shape of no model that was promised anything."""
    if (times := _PROMISED.get(head)) is None:
        return None, None
    matrix = head_gigabytes(head)
    return 1 / times, matrix / (_MEMORY * matrix + 8 * 8 * head.width**2 / 1e9)


def head_gigabytes(head: Head) -> float:
    """Of the head in float32."""
    return 4 * head.rows * head.width / 1e9


def measured(folder: str, rows: str, width: str, rounds: str) -> dict[str, Any]:
    """In the process of its own; memory first, before there is a matrix in float32."""
    start = peak_memory()
    unembedding = Unembedding.load(folder)
    hierarchy = Head(int(rows), int(width)).hierarchy(unembedding.vocabulary)
    first = in_turn([partial(analysis, unembedding, hierarchy)], 1)[0]
    peak = peak_memory() - start
    single = unembedding.matrix.float()
    sides: list[Callable[[], object]] = [partial(analysis, unembedding, hierarchy), partial(gram, single)]
    times, of_gram = in_turn(sides, int(rounds)) if int(rounds) > 1 else (first, in_turn(sides[1:], 1)[0])
    covariance = gram(single[: 2 * int(width)]).double()
    (eigenvectors,) = in_turn([partial(torch.linalg.eigh, covariance)], 1)
    of = {"analysis": times, "gram": of_gram, "eigenvectors": eigenvectors}
    return {**of, "peak": peak, "concepts": len(hierarchy)}


def compare_reading(model: str) -> list[Comparison]:
    """Time and peak memory of reading the unembedding of a GGUF file and of reading every tensor, each in a process."""
    alone, every = (in_a_process(f"{__name__}:{name}", model) for name in ("read_alone", "read_every"))
    said, instead = "unembedding and vocabulary", "every tensor"
    return [
        Comparison(MEMORY, f"reading {said}", instead, [alone["seconds"]], [every["seconds"]]),
        Comparison(MEMORY, f"peak memory of reading {said}", instead, [alone["peak"]], [every["peak"]], "GB"),
    ]


def read_alone(model: str) -> dict[str, float]:
    """The unembedding and the vocabulary."""
    return _reading(lambda: Unembedding.load(model))


def read_every(model: str) -> dict[str, float]:
    """The same, and every tensor of the file beside it."""
    import gguf

    from geometry.models import locate

    def read() -> object:
        tensors = gguf.GGUFReader(locate(model)).tensors
        return Unembedding.load(model), [gguf.quants.dequantize(each.data, each.tensor_type) for each in tensors]

    return _reading(read)


def _reading(read: Callable[[], object]) -> dict[str, float]:
    start = peak_memory()
    (seconds,) = in_turn([read], 1)[0]
    return {"seconds": seconds, "peak": peak_memory() - start}


def peak_memory() -> float:
    """The most that this process has had in memory so far, in GB, mapped pages of files included."""
    try:  # of this program alone, where what `getrusage` says begins with what its parent had
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return float(status.split("VmHWM:")[1].split()[0]) / 1e6
    except (OSError, IndexError, ValueError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)


def in_a_process(function: str, *arguments: str) -> Mapping[str, Any]:
    """What a function, `module:name`, gives for texts in a process of its own with one thread, through JSON.

    EstimationError: it fails there, with its last line.
    """
    module, name = function.split(":")
    code = f"import sys, json; from {module} import {name}; print(json.dumps({name}(*sys.argv[1:])))"
    command: Sequence[str] = [sys.executable, "-c", code, *arguments]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=one_thread)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise EstimationError(f"{name} of {arguments[0]}: {last}")
    found: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
