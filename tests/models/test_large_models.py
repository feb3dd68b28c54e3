"""Options by which transformers spreads a large model: given on, and steered as in one piece."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import geometry as geo
from tests.steering import tiny

# What every rank of two does, which prints the largest difference from the model in one piece.
RANK = """
import sys, warnings
warnings.filterwarnings("ignore")
import torch
import geometry as geo
from tests.steering import tiny
from transformers.distributed import DistributedConfig

torch.distributed.init_process_group("gloo")
folder = sys.argv[1]
vectors = [tiny.vector(site) for site in ("output.1", "before_norm", "after_norm")]
vectors += [tiny.vector("output.2").relative(0.5)]
worst = 0.0
models = [geo.load_model(folder)[0], geo.load_model(folder, distributed_config=DistributedConfig(tp_size=2))[0]]
ids = tiny.tokens(2, 6)
for vector in vectors:
    whole, spread = [], []
    for model, found in zip(models, (whole, spread)):
        with torch.no_grad(), geo.steer(model, vector, positions="all"):
            found.append(model(ids).logits)
    worst = max(worst, float((whole[0] - spread[0]).abs().max()))
    assert not torch.equal(whole[0], models[0](ids).logits)
shard = next(p for n, p in models[1].named_parameters() if "q_proj.weight" in n)
local = shard.to_local() if hasattr(shard, "to_local") else shard
print(f"RANK {torch.distributed.get_rank()} {worst:.2e} {local.shape[0]}", flush=True)
torch.distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    tiny.build("llama").save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


def test_a_model_placed_by_a_device_map_is_steered_as_in_one_piece(folder: Path) -> None:
    model, _ = geo.load_model(folder)
    blocks = {f"model.layers.{block}": "disk" if block == 2 else "cpu" for block in range(tiny.DEPTH)}
    places = {"model.embed_tokens": "cpu", "model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu", **blocks}
    placed, _ = geo.load_model(folder, device_map=places, offload_folder=str(folder / "offloaded"))
    assert any(p.device.type == "meta" for p in placed.parameters())
    for vector in (tiny.vector("output.1"), tiny.vector("output.2").relative(0.5), tiny.vector("after_norm")):
        logits = []
        for each in (model, placed):
            with torch.no_grad(), geo.steer(each, vector, positions="all"):
                logits.append(each(tiny.tokens(2, 6)).logits)
        torch.testing.assert_close(*logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["trust_remote_code", "use_safetensors", "gguf_file", "state_dict", "nonsense"])
def test_options_that_would_change_what_is_read_are_refused_first(name: str) -> None:
    option: dict[str, Any] = {name: True}
    with pytest.raises(geo.errors.ArgumentError, match=f"no option '{name}'"):
        geo.load_model("no/such-model", **option)


@pytest.mark.long
def test_two_processes_steer_as_one(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "rank.py"
    script.write_text(RANK)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", script, folder]
    options: dict[str, Any] = {"env": os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}, "text": True}
    done = subprocess.run(command, capture_output=True, check=False, **options)
    said = [line.split() for line in done.stdout.splitlines() if line.startswith("RANK")]
    assert sorted(rank for _, rank, _, _ in said) == ["0", "1"], done.stdout + done.stderr
    for _, _, difference, rows in said:
        assert float(difference) < 1e-4
        assert int(rows) == tiny.WIDTH // 2  # each has a half of the weights
