"""Dictionaries of a hub, of which one runs here: the files of that one alone, found again without it."""

from collections.abc import Callable

import pytest
import torch

import geometry as geo
from geometry.dictionaries import load_dictionary
from tests.dictionaries.folders import ROWS, saelens, weights, write
from tests.models.conftest import hub, no_hub  # noqa: F401 (fixtures)
from tests.models.fake_hub import NEW, FakeHub

FOLDER = "blocks.8.hook_resid_pre"


def test_one_folder_is_fetched_and_found_offline(hub: FakeHub, no_hub: Callable[[], None]) -> None:  # noqa: F811
    tensors = {name: array for name, array in weights().items() if name != "threshold"}
    for name in (FOLDER, "blocks.9.hook_resid_pre"):
        config = saelens(hook=name)
        write(hub.commit() / name, {"cfg.json": config, "sae_weights.safetensors": tensors, "sparsity.safetensors": {}})
    first = load_dictionary("lab/tiny", FOLDER)
    assert set(hub.requested) == {f"{FOLDER}/cfg.json", f"{FOLDER}/sae_weights.safetensors"}
    assert first.notes == (f"commit {NEW}",)
    assert (first.source, first.site) == (f"lab/tiny/{FOLDER}", geo.Site("input", 8))
    with pytest.raises(geo.errors.ModelError, match=r"2 in folders of its own; name one: blocks.8.hook_resid_pre"):
        load_dictionary("lab/tiny")
    no_hub()
    assert torch.equal(load_dictionary("lab/tiny", FOLDER).encode(ROWS), first.encode(ROWS))
    with pytest.raises(
        geo.errors.ModelError, match="there are no files, as far as it is here; the hub cannot be reached"
    ):
        load_dictionary("lab/tiny", "blocks.9.hook_resid_pre")


def test_what_a_hub_has_not(hub: FakeHub) -> None:  # noqa: F811
    (hub.commit() / "ae.pt").write_bytes(b"x")
    for source, folder, says in [
        ("lab/tiny", "", r"pickled weights \(ae.pt\)"),
        ("lab/tiny", "layers.1", "folder 'layers.1': no sparse autoencoder"),
        ("lab/tiny", "../x", "no folder within a repository"),
        ("lab/other", "", "the hub does not know it"),
        ("lab/tiny@v7", "", "no branch, tag or commit 'v7'"),
    ]:
        with pytest.raises(geo.errors.ModelError, match=says):
            load_dictionary(source, folder)


def test_a_run_s_settings_lie_above_the_folder(hub: FakeHub) -> None:  # noqa: F811
    w = weights()
    tensors = {"encoder.weight": w["W_enc"].T, "encoder.bias": w["b_enc"], "W_dec": w["W_dec"], "b_dec": w["b_dec"]}
    write(hub.commit(), {"config.json": {"model": "lab/big"}})
    write(hub.commit() / "layers.3", {"cfg.json": {"k": 2, "d_in": 6}, "sae.safetensors": tensors})
    found = load_dictionary("lab/tiny", "layers.3")
    assert (found.model, found.site) == ("lab/big", geo.Site("output", 3))
