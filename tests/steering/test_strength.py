from typing import Any

import pytest
import torch

import geometry as geo
from tests.steering import tiny


@pytest.mark.parametrize("centred", [True, False])
def test_an_absolute_vector_adds_the_mean_of_what_the_relative_one_adds(centred: bool) -> None:
    model, prompts = tiny.build("gpt2" if centred else "llama"), ["w3 w4 w5", "w6 w7", "w8"]
    vector = tiny.vector("output.1.relative")
    found = geo.steering.to_absolute(vector, model, tiny.tokenizer(), prompts)
    norms = []
    for prompt in prompts:
        ids = geo.steering.encode(tiny.tokenizer(), [prompt]).input_ids
        residual = tiny.run(model, ids)["output.1"][0, -1].double()
        norms.append(float((residual - residual.mean() * centred).norm()))
    expected = vector["output.1.relative"] * (sum(norms) / 3)
    torch.testing.assert_close(found["output.1"], expected, rtol=1e-5, atol=1e-6)
    assert found.sites == (geo.Site("output", 1),)


def test_absolute_parts_stay_as_they_are(llama: Any) -> None:
    both = tiny.vector("output.0") + tiny.vector("output.1.relative")
    found = geo.steering.to_absolute(both, llama, tiny.tokenizer(), ["w3 w4"])
    assert torch.equal(found["output.0"], both["output.0"])


def test_what_has_no_other_unit_is_refused(llama: Any) -> None:
    absolute, relative = tiny.vector("output.1"), tiny.vector("output.1.relative")
    for vector, prompts in ((absolute, ["w3"]), (absolute + relative, ["w3"]), (relative, []), (relative, [""])):
        with pytest.raises(geo.errors.SteeringError):
            geo.steering.to_absolute(vector, llama, tiny.tokenizer(), prompts)
