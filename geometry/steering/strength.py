"""From strengths relative to the residual norm to absolute ones, for programs that know no other."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from geometry.errors import SteeringError
from geometry.steering.activations import read_activations
from geometry.steering.architecture import Architecture
from geometry.steering.final_norm import removes_mean
from geometry.steering.prompts import Tokenizer
from geometry.steering.vector import Site, SteeringVector


def to_absolute(
    vector: SteeringVector, model: nn.Module, tokenizer: Tokenizer, prompts: Sequence[str]
) -> SteeringVector:
    """The vector with every relative part multiplied by the mean residual norm at the last token of some prompts.

    What was a fraction of the norm at each position becomes one norm for all: what a control vector of llama.cpp needs.

    Example::

        vector = geo.pull_back(concepts["bird"], model, "output.20").relative(0.5)
        geo.save_vector(geo.steering.to_absolute(vector, model, tokenizer, ["I saw a"]), "bird.gguf")

    Raises SteeringError: nothing relative in the vector, absolute and relative parts at one site, or what
        `read_activations` refuses.
    """
    relative = {site: replace(site, relative=False) for site in vector.sites if site.relative}
    if not relative:
        raise SteeringError(f"{vector.provenance} has no relative part; its strength is absolute already")
    if both := [str(site) for site in relative.values() if site in vector.parts]:
        raise SteeringError(f"{vector.provenance} has an absolute and a relative part at {both[0]}")
    centred = removes_mean(Architecture.of(model))
    parts: dict[Site, torch.Tensor] = {site: part for site, part in vector.parts.items() if not site.relative}
    for site, rows in read_activations(model, tokenizer, prompts, list(relative.values())).items():
        rows = rows - rows.mean(dim=1, keepdim=True) if centred else rows
        norm = float(torch.linalg.vector_norm(rows, dim=1).mean())
        parts[site] = norm * vector[replace(site, relative=True)]
    return replace(vector, parts=parts, provenance=f"({vector.provenance}) × mean residual norm")
