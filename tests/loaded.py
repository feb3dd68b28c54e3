"""Whole models, each loaded once a process, which takes seconds; whoever uses one leaves it as it was."""

import functools
from typing import Any

import torch

import geometry as geo

_load_model = geo.load_model  # tests put `loaded_once` in its place


@functools.cache
def _loaded(model: str, dtype: torch.dtype) -> Any:
    return _load_model(model, dtype=dtype)


def loaded_once(model: str, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Any:
    """As `geo.load_model`, on the CPU."""
    assert torch.device(device).type == "cpu"
    return _loaded(model, dtype)
