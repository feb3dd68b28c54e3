"""Read what steering-lite keeps: safetensors `layer{l}.v`, and in the metadata its configuration as JSON, `cfg`.

Its methods differ in what they do with their tensors. Two add a constant vector to the output of the 0-based block l,
`coeff` times v: `mean_diff`, and `pca` with one component. Those are read.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch

from geometry.errors import SteeringError, shown
from geometry.steering.strict_json import is_number, strict_json
from geometry.steering.vector import Site, SteeringVector

CONFIGURATION = "cfg"
_FIELDS = {"method", "layers", "target", "target_submodule", "coeff", "dtype", "seed"}
_METHODS = {"mean_diff": {"normalize", "subtract_corpus_mean"}, "pca": {"n_components", "normalize"}}
_TENSOR = re.compile(r"layer(0|[1-9]\d{0,8})\.v", re.ASCII)
_EVERYWHERE = "steering-lite adds it at every token: positions='all' does so"


def steering_lite_vector(name: str, configuration: str, tensors: Mapping[str, torch.Tensor]) -> SteeringVector:
    """The vector of a file called `name`, with its coefficient in it: parts at the outputs of blocks.

    steering-lite itself rounds v to the `dtype` of the configuration when it steers; here it stays as it is stored.

    Raises SteeringError: another method, target or field, or tensors that are not of one of these methods.
    Source: steering-lite 0.0.1 (github.com/wassname/steering-lite, commit 75d0cff), `Vector.save`, `MeanDiff.apply`,
        `PCA.apply`.
    """
    method, coefficient = _checked(strict_json(configuration))
    parts: dict[Site, torch.Tensor] = {}
    for key, tensor in tensors.items():
        named = _TENSOR.fullmatch(key)
        if not named:
            raise SteeringError(
                f"{shown(key)} is not the one tensor of a block that steering-lite's {method} has (layer0.v)"
            )
        if tensor.ndim != 1:
            raise SteeringError(f"{key} has the shape {tuple(tensor.shape)}, not (d,)")
        parts[Site("output", int(named[1]))] = tensor
    return coefficient * SteeringVector(parts, f"{method} of {name}", notes=(_EVERYWHERE,))


def _checked(configuration: Any) -> tuple[str, float]:
    if not isinstance(configuration, dict) or not isinstance(configuration.get("method"), str):
        raise SteeringError("its metadata name no method of steering-lite")
    method = configuration["method"]
    if method not in _METHODS:
        raise SteeringError(
            f"is of steering-lite's method {shown(method)}, which adds no constant vector; {' and '.join(_METHODS)} do"
        )
    if unknown := sorted(configuration.keys() - _FIELDS - _METHODS[method]):
        raise SteeringError(f"has an unknown field {shown(unknown[0])}, which might change what the vector is")
    if configuration.get("target", "residual") != "residual" or configuration.get("target_submodule") is not None:
        raise SteeringError("is for the inside of blocks, not for the residual stream after them")
    coefficient = configuration.get("coeff", 1.0)
    if not is_number(coefficient):
        raise SteeringError(f"coeff must be a number, not {shown(coefficient)}")
    return method, float(coefficient)
