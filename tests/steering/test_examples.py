"""The examples in docstrings that need a real model and its tokenizer, which doctest would load for each anew."""

import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

import geometry as geo

DOCUMENTED = {
    name: re.findall(r"Example::\n\n((?: {4}.*\n|\n)+)", inspect.getdoc(getattr(geo.steering, name)) or "")
    for name in geo.steering.__all__
}
EXAMPLES = {name: examples for name, examples in DOCUMENTED.items() if examples}


def test_the_public_face_shows_how_it_is_called() -> None:
    ours = {name for name in dir(geo) if name in geo.steering.__all__}
    assert not [name for name in ours if name not in EXAMPLES and ">>> " not in (getattr(geo, name).__doc__ or "")]


def final_states(model: Any, tokenizer: Any) -> dict[str, Any]:
    """What examples of steps at the output layer start from."""
    unembedding = geo.Unembedding.from_model(model, tokenizer)
    hierarchy = geo.load_hierarchy("organisms", unembedding.vocabulary)
    prompts = ["Yesterday I bought a", "Behind the house stood a"]
    states = geo.read_activations(model, tokenizer, prompts, ["after_norm"])["after_norm"]
    tokens = {"birds": sorted(hierarchy["bird"].tokens), "animals": sorted(hierarchy["animal"].tokens)}
    return {"unembedding": unembedding, "hierarchy": hierarchy, "prompts": prompts, "states": states, **tokens}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(
    name: str, smollm2_model: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(geo.generate.__wrapped__.__kwdefaults__, "max_new_tokens", 3)
    model, tokenizer = smollm2_model
    vector = geo.SteeringVector({"after_norm": torch.ones(576)}, "bird")
    concepts = {"bird": vector, "mammal": geo.SteeringVector({"after_norm": torch.linspace(-1, 1, 576)}, "mammal")}
    geo.save_vector(vector, "bird.safetensors")
    Path("calm.csv").write_text("positive,negative\nAll is well.,Get out!\nHow kind of you.,How dare you!\n")
    for example in EXAMPLES[name]:
        used = {"geo": geo, "model": model, "tokenizer": tokenizer, "vector": vector, "concepts": concepts}
        used |= final_states(model, tokenizer) if "unembedding, states" in example else {}
        exec(textwrap.dedent(example), used)  # noqa: S102
        if "generations" in used:
            assert used["generations"][0][0].text
