"""Write vectors for hotwire, a plugin of vLLM that keeps CUDA graphs: a tensor of shape (layers, d) in a `.pt` file.

Row l is added to the output of the 0-based block l, times the scale of the request, at all of the request's tokens.
"""

from io import BytesIO
from pathlib import Path

import torch

from geometry.errors import SteeringError
from geometry.output import replacing
from geometry.steering.block_outputs import HOTWIRE
from geometry.steering.vector import SteeringVector

_MOST = 1000  # blocks of a model; the tensor has a row for each


def save_hotwire(vector: SteeringVector, path: str | Path) -> Path:
    """Write a `.pt` file: one float32 tensor with a row for each block up to the last that has a part, others zero.

    hotwire reads nothing else. The file is a pickle that holds a tensor alone, which `torch.load(weights_only=True)`
    takes; this package never reads one.

    Raises SteeringError: rows for positions, relative parts, places at the final norm, the embedding.
    Raises OutputError: the file cannot be written.
    Source: hotwire-vllm 0.1.2 (pypi.org/project/hotwire-vllm), `SteerState.load_store` and `slot_for`.
    """
    outputs = HOTWIRE.summed(vector)
    if max(outputs) >= _MOST:
        raise SteeringError(
            f"{vector.provenance}: {HOTWIRE.name} has a row for each block, and {max(outputs)} are many"
        )
    layers = torch.zeros(max(outputs) + 1, vector.width)
    for block, part in outputs.items():
        layers[block] = part
    # Not to the path itself, whose name torch would write into the file, and whose errors would be torch's.
    content = BytesIO()
    torch.save(layers, content)
    with replacing(path) as unfinished:
        unfinished.write_bytes(content.getvalue())
    return Path(path)
