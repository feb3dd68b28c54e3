"""Fixtures of steering: tiny models of every kind."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.steering import tiny


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    # Models and prompts are small: where cores are shared, threads that wait for each other cost far more than they do.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(params=tiny.ALL)
def model(request: pytest.FixtureRequest) -> Any:
    """A tiny model of each architecture, new for every test."""
    return tiny.build(request.param)


@pytest.fixture
def llama() -> Any:
    return tiny.build("llama")
