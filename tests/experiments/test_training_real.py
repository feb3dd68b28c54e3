"""The study of training on a real model that is trained further, and on revisions of a hub on this machine."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import geometry as geo
from geometry.experiments import TrainingStudy
from tests.experiments import trained
from tests.models.fake_hub import NEW, OLD, FakeHub, serving


@pytest.mark.long
def test_a_real_model_that_is_trained_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = geo.load_model("stories15m")
    texts = [text for text in geo.steering.load_prompts("encyclopedia").texts if text.strip()]
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-4)
    folders = []
    for step in range(21):
        if step in (0, 5, 20):
            folders.append(tmp_path / f"checkpoint-{step}")
            model.save_pretrained(folders[-1])
            tokenizer.save_pretrained(folders[-1])
        ids = tokenizer(texts[step % len(texts)], return_tensors="pt").input_ids[:, :96]
        loss = model(ids, labels=ids).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    monkeypatch.setenv("CONCEPT_GEOMETRY_CACHE", str(tmp_path / "kept"))
    options: dict[str, Any] = {"n_concepts": 60, "words_per_concept": 6, "n_contexts": 1, "blocks": 2, "n_twins": 2}
    study = TrainingStudy(
        models=tuple(map(str, folders)), claims=("existence", "separation"), control="none", **options
    )
    found = study.run()
    assert found.steps.tolist() == [0, 5, 20]
    assert found.blocks == ["output.2", "output.5"]
    assert not found.left_out
    for own in found.claims.values():
        # What it had learnt before is there at once, and a few steps on other text do not take it away.
        assert own["existence"].significant.all()
        assert (own["existence"].values > own["existence"].nulls + 0.1).all()
    assert len({each["sha256"] for each in found.checkpoints}) == 3
    found.write(tmp_path / "out")


@pytest.mark.long
def test_revisions_of_a_hub_by_their_steps(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    trained.train(runs, (0, 200))
    trained.write_hierarchy(runs / "planted.yaml")
    hub = FakeHub(tmp_path / "hub", {"main": NEW, "step0": OLD, "step200": NEW})
    out = tmp_path / "out"
    options = ["--hierarchy", str(runs / "planted.yaml"), "--blocks", "0", "--claims", "existence"]
    options += ["--n-permutations", "9", "--n-twins", "2", "--control", "none", "--out", str(out)]
    command = [sys.executable, "-m", "geometry.cli", "run", "training", "lab/tiny", "--steps", "0", "100:200:100"]
    with serving(hub):
        for revision in ("step0", "step200"):
            shutil.copytree(runs / revision, hub.commit(revision), dirs_exist_ok=True)
        environment = {**os.environ, **hub.environment}
        done = [subprocess.run([*command, *options], env=environment, capture_output=True, text=True) for _ in range(2)]
    assert [each.returncode for each in done] == [0, 0], done[0].stderr
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))["results"]
    assert [each["commit"] for each in found["checkpoints"]] == [OLD, NEW]
    assert list(found["left_out"]) == ["lab/tiny@step100"]
    assert "no branch, tag or commit 'step100'" in found["left_out"]["lab/tiny@step100"]
    assert "taken from the cache" not in done[0].stderr
    assert done[1].stderr.count("taken from the cache") == 2
