"""Files as steering-lite 0.0.1 writes them, written here by hand from its source."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import geometry as geo
from tests.steering import tiny

CONFIGURATION = {
    "method": "mean_diff",
    "layers": [1, 3],
    "target": "residual",
    "target_submodule": None,
    "coeff": 2.5,
    "dtype": "bfloat16",
    "seed": 0,
    "normalize": True,
    "subtract_corpus_mean": False,
}
PCA = {"method": "pca", "layers": None, "coeff": -1.0, "dtype": "float32", "seed": 0, "n_components": 1}


def write(path: Path, configuration: Any, tensors: dict[str, torch.Tensor]) -> Path:
    text = configuration if isinstance(configuration, str) else json.dumps(configuration)
    save_file(tensors, path, metadata={"cfg": text})
    return path


def tensors(*blocks: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    return {
        f"layer{block}.v": torch.randn(tiny.WIDTH, generator=torch.Generator().manual_seed(block)).to(dtype)
        for block in blocks
    }


@pytest.mark.parametrize(("configuration", "coefficient"), [(CONFIGURATION, 2.5), (PCA, -1.0)], ids=["mean", "pca"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_coefficient_times_v_is_added_at_every_token(
    tmp_path: Path, configuration: Any, coefficient: float, dtype: torch.dtype
) -> None:
    stored = tensors(1, 3, dtype=dtype)
    vector = geo.load_vector(write(tmp_path / "kind.safetensors", configuration, stored))
    assert [str(site) for site in vector.sites] == ["output.1", "output.3"]
    for block in (1, 3):
        assert torch.equal(vector[block], coefficient * stored[f"layer{block}.v"].float())
    assert vector.provenance.endswith(f"× {configuration['method']} of kind")
    assert "positions='all'" in vector.notes[0]

    model, ids = tiny.build("llama"), tiny.tokens(2, 5)
    hooks = [
        tiny.blocks(model)[block].register_forward_hook(
            lambda _module, _inputs, output, v=stored[f"layer{block}.v"]: output + coefficient * v.float()
        )
        for block in (1, 3)
    ]
    expected = model(ids).logits
    for hook in hooks:
        hook.remove()
    with geo.steer(model, vector, positions="all"):
        torch.testing.assert_close(model(ids).logits, expected)


def test_it_is_kept_as_a_vector_of_this_package(tmp_path: Path) -> None:
    vector = geo.load_vector(write(tmp_path / "theirs.safetensors", CONFIGURATION, tensors(1, 3)))
    again = geo.load_vector(geo.save_vector(vector, tmp_path / "ours.safetensors"))
    assert (again.provenance, again.notes, again.sites) == (vector.provenance, vector.notes, vector.sites)
    assert all(torch.equal(again[site], vector[site]) for site in vector.sites)


ONE = {"layer1.v": torch.ones(3)}
HOSTILE: dict[str, tuple[Any, dict[str, torch.Tensor], str]] = {
    "gated": ({**CONFIGURATION, "method": "cosine_gated", "tau": 0.1}, ONE, "'cosine_gated', which adds no constant"),
    "ablation": ({"method": "directional_ablation", "coeff": 0.0}, ONE, "'directional_ablation', which adds no"),
    "another field": ({**CONFIGURATION, "positions": "last"}, ONE, "unknown field 'positions'"),
    "field of the other method": ({**CONFIGURATION, "n_components": 2}, ONE, "unknown field 'n_components'"),
    "target": ({**CONFIGURATION, "target": "mlp_out"}, ONE, "inside of blocks"),
    "submodule": ({**CONFIGURATION, "target_submodule": r"mlp\.down_proj"}, ONE, "inside of blocks"),
    "coefficient": ({**CONFIGURATION, "coeff": "2"}, ONE, "coeff must be a number"),
    "truth": ({**CONFIGURATION, "coeff": True}, ONE, "coeff must be a number"),
    "coefficient not finite": ({**CONFIGURATION, "coeff": float("nan")}, ONE, "NaN or infinite"),
    "huge coefficient": ({**CONFIGURATION, "coeff": 10**400}, ONE, "not a readable"),
    "no method": ({"coeff": 1.0}, ONE, "name no method"),
    "list": ("[]", ONE, "name no method"),
    "open": ("{", ONE, "not a readable"),
    "deep": ("[" * 100_000, ONE, "not a readable"),
    "twice": ('{"method": "mean_diff", "coeff": 1, "coeff": 2}', ONE, "'coeff' stands twice"),
    "axes": ({**PCA, "n_components": 2}, {"layer1.V": torch.ones(2, 3)}, "'layer1.V' is not the one tensor"),
    "linear": (CONFIGURATION, {"sub::layers.5.mlp::v": torch.ones(3)}, "is not the one tensor"),
    "zero before": (CONFIGURATION, {"layer01.v": torch.ones(3)}, "is not the one tensor"),
    "huge layer": (CONFIGURATION, {f"layer{'9' * 30}.v": torch.ones(3)}, "is not the one tensor"),
    "two axes": (CONFIGURATION, {"layer1.v": torch.ones(1, 3)}, r"shape \(1, 3\)"),
    "widths": (CONFIGURATION, {**ONE, "layer2.v": torch.ones(2)}, "different widths"),
    "integers": (CONFIGURATION, {"layer1.v": torch.ones(3, dtype=torch.int32)}, "floating-point"),
    "not finite": (CONFIGURATION, {"layer1.v": torch.tensor([1.0, torch.inf])}, "NaN or infinite"),
    "nothing": (CONFIGURATION, {}, "one site at least"),
}


@pytest.mark.parametrize(("configuration", "stored", "complaint"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_by_name(
    tmp_path: Path, configuration: Any, stored: dict[str, torch.Tensor], complaint: str
) -> None:
    path = write(tmp_path / "hostile.safetensors", configuration, stored)
    with pytest.raises(geo.errors.SteeringError, match=rf"^\S*hostile\.safetensors: .*{complaint}") as caught:
        geo.load_vector(path)
    assert "\n" not in str(caught.value)
