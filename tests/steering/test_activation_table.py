from typing import Any

import pytest
import torch

import geometry as geo
from tests.steering import tiny


def test_a_site_is_found_however_it_is_written(llama: Any) -> None:
    read = geo.read_activations(llama, tiny.tokenizer(), ["w3 w4", "w5"], ["output.1", "after_norm"])
    (block, last) = read.values()
    for written in ("output.1", "1", 1, geo.Site("output", 1)):
        assert written in read
        assert torch.equal(read[written], block)
        assert read.get(written) is block
    assert torch.equal(read["after_norm"], last)


@pytest.mark.parametrize("wrong", ["output.2", 2, "nowhere", True, None, 1.0, geo.Site("output", 2)])
def test_a_site_that_was_not_read_is_refused_with_those_that_were(llama: Any, wrong: Any) -> None:
    read = geo.read_activations(llama, tiny.tokenizer(), ["w3 w4"], [1])
    assert wrong not in read
    assert read.get(wrong, "default") == "default"
    with pytest.raises(geo.errors.SteeringError, match=r"nothing was read at .*; there is output\.1"):
        read[wrong]


def test_recorded_and_kept_activations_are_found_alike(llama: Any, tmp_path: Any) -> None:
    with geo.record_activations(llama, [1]) as recorded:
        llama(tiny.tokens(1, 3))
    assert recorded["output.1"].shape == (1, 3, tiny.WIDTH)
    for _ in range(2):
        assert geo.read_activations(llama, tiny.tokenizer(), ["w3"], [1], cache=tmp_path)[1].shape == (1, tiny.WIDTH)


def test_it_shows_sites_and_shapes_not_numbers(llama: Any) -> None:
    read = geo.read_activations(llama, tiny.tokenizer(), ["w3 w4", "w5"], [0, 1])
    assert repr(read) == f"Activations(output.0, output.1: 2×{tiny.WIDTH} float32)"
    assert read._repr_html_().count("<tr>") == 3
