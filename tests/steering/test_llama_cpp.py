"""Control vectors in the client that they are written for: llama.cpp itself, on the model's own GGUF file."""

import ctypes
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import geometry as geo
from geometry.models import locate
from tests.steering.test_control_vector import read_by_hand

pytestmark = [
    pytest.mark.llama,
    pytest.mark.skipif(
        find_spec("llama_cpp") is None, reason="llama-cpp-python is missing; make test-long installs it"
    ),
]
PROMPT = "The old sailor looked at the sea and"
WIDTH, BLOCKS = 576, 30
Parts = Mapping[int, NDArray[np.float32]]


@pytest.fixture(scope="module")
def client() -> Any:
    import llama_cpp

    path = str(locate("smollm2-135m"))
    return llama_cpp.Llama(path, n_ctx=64, n_batch=64, n_threads=1, n_threads_batch=1, logits_all=True, verbose=False)


def in_llama_cpp(client: Any, ids: list[int], parts: Parts) -> NDArray[np.float64]:
    """Logits after every token, with the parts given to llama.cpp by block."""
    import llama_cpp

    # Its buffer has a row for each block from 1 on.
    rows = np.zeros((BLOCKS - 1, WIDTH), dtype=np.float32)
    for block, part in parts.items():
        rows[block - 1] = part
    pointer = rows.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    assert llama_cpp.llama_set_adapter_cvec(client.ctx, pointer, rows.size, WIDTH, 1, BLOCKS - 1) == 0
    client.reset()
    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(client.ctx), True)
    client.eval(ids)
    return client.scores[: len(ids)].astype(np.float64)


def correlations(one: NDArray[np.float64], other: NDArray[np.float64]) -> list[float]:
    return [float(np.corrcoef(*rows)[0, 1]) for rows in zip(one, other, strict=True)]


def logits(model: Any, ids: list[int]) -> NDArray[np.float64]:
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].double().numpy()


def vector_for(model: Any, tokenizer: Any, blocks: tuple[int, ...]) -> geo.SteeringVector:
    """Random directions that together have the residual norm at the prompt's last token."""
    sites = [geo.Site("output", block) for block in blocks]
    found = geo.read_activations(model, tokenizer, [PROMPT], sites)
    sized = geo.SteeringVector({site: found[site][0] / len(blocks) ** 0.5 for site in sites}, model="llama")
    return sized.random(0)


# llama.cpp multiplies with activations in 8 bits: unsteered, too, the logits agree to 0.9995 and no closer, and
# what is rounded in the first blocks goes through all others.
CASES = {"middle": ((15,), 0.999), "several": ((10, 15, 20), 0.999), "first": ((1,), 0.995), "last": ((29,), 0.999)}


@pytest.mark.parametrize(("blocks", "least"), CASES.values(), ids=CASES)
def test_llama_cpp_steers_as_the_hooks_do(
    tmp_path: Path,
    client: Any,
    smollm2_model: tuple[Any, Any],
    blocks: tuple[int, ...],
    least: float,
    record_property: Any,
) -> None:
    model, tokenizer = smollm2_model
    ids = tokenizer.encode(PROMPT)
    assert ids == client.tokenize(PROMPT.encode(), add_bos=False)
    vector = vector_for(model, tokenizer, blocks)
    _, tensors = read_by_hand(geo.save_vector(vector, tmp_path / "v.gguf"))
    parts = {int(name.removeprefix("direction.")): tensor for name, tensor in tensors.items()}
    assert set(parts) == set(blocks)

    plain = logits(model, ids)
    with geo.steer(model, vector, positions="all"):
        hooked = logits(model, ids)
    steered = correlations(hooked, in_llama_cpp(client, ids, parts))[-1]
    record_property("correlation", steered)
    assert steered >= least
    assert correlations(plain, in_llama_cpp(client, ids, {}))[-1] >= 0.999
    # What it would be with the vector lost, or a block off.
    assert correlations(hooked, plain)[-1] < 0.85
    for shift in (-1, 1):
        moved = {block + shift: part for block, part in parts.items() if 0 < block + shift < BLOCKS}
        if len(moved) == len(parts):
            assert correlations(hooked, in_llama_cpp(client, ids, moved))[-1] < 0.97
