"""Formats of other programs, which know the outputs of blocks alone: what each can express of a steering vector."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from geometry.errors import SteeringError
from geometry.steering.vector import Site, SteeringVector


@dataclass(frozen=True)
class BlockOutputs:
    """A format that adds to the outputs of blocks.

    Parameters:
        name, program: what is written, and what reads it, in a sentence.
        first: the first block that it can express.
        rows: whether it can hold a row for each of several positions.
        relative: whether it can hold a part in units of the residual norm.
    """

    name: str
    program: str
    first: int = 0
    rows: bool = False
    relative: bool = False

    def parts(self, vector: SteeringVector) -> Iterator[tuple[int, bool, torch.Tensor]]:
        """For each part: the 0-based block whose output it is added to, whether it is relative, and its numbers.

        The input of block l is the output of block l − 1.

        Raises SteeringError: what the format cannot express.
        """
        for site, part in vector.parts.items():
            reason = ""
            block = -1 if site.block is None else site.block - (site.place == "input")
            if part.ndim == 2 and not self.rows:
                reason = f"rows for positions; {self.program} adds to every position alike"
            elif site.relative and not self.relative:
                reason = "a part relative to the residual norm; use `to_absolute`"
            elif site.block is None:
                reason = f"a part at the final norm; {self.program} adds to the outputs of blocks"
            elif block < self.first:
                at = "embedding" if block < 0 else f"output of block {block}"
                reason = f"a part at the {at}; {self.program} begins with block {self.first}"
            if reason:
                raise SteeringError(f"{vector.provenance} cannot be written as {self.name}: {site} is {reason}")
            yield block, site.relative, part

    def summed(self, vector: SteeringVector) -> dict[int, torch.Tensor]:
        """Block → what is added to its output, float32, on the CPU: of two parts that meet there, the sum.

        Raises SteeringError: what the format cannot express, or a sum that is not finite.
        """
        outputs: dict[int, torch.Tensor] = {}
        for block, _, part in self.parts(vector):
            outputs[block] = outputs[block] + part.cpu() if block in outputs else part.cpu()
        # Finite together, not only each.
        SteeringVector({Site("output", block): part for block, part in outputs.items()}, vector.provenance)
        return dict(sorted(outputs.items()))


CONTROL_VECTOR = BlockOutputs("a control vector", "llama.cpp", first=1)
HOTWIRE = BlockOutputs("a tensor for hotwire", "hotwire")
VLLM_LENS = BlockOutputs("vectors for vllm-lens", "vllm-lens", rows=True, relative=True)
_OF_ENDING = {".gguf": CONTROL_VECTOR, ".json": VLLM_LENS, ".pt": HOTWIRE}


def of_ending(path: str | Path) -> BlockOutputs | None:
    """What the format of a file of that name can express; None for `.safetensors`, which expresses all."""
    return _OF_ENDING.get(Path(path).suffix.lower())
