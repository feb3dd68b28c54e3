"""SmolLM2 in vLLM with saved vectors, held to the same vectors in the hooked model; `make test-vllm` runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import geometry as geo
from geometry.serving import FOLDER

PROMPTS = ["In the garden I saw a", "Yesterday I bought a", "She looked up and pointed at the"]
TOKENS = 12
SERVER = """
import json, sys
from vllm import LLM, SamplingParams

if __name__ == "__main__":
    folder, vectors, prompts, tokens = json.loads(sys.argv[1])
    worker = "steering_worker.SteeringWorker"
    llm = LLM(folder, dtype="float32", enforce_eager=True, worker_extension_cls=worker, max_model_len=256)
    sampling = SamplingParams(temperature=0, max_tokens=tokens)
    texts = {}
    for name, path in [("unsteered", None), *vectors.items(), ("removed", None)]:
        if path:
            llm.collective_rpc("add_steering_vector", args=(path, 1.0))
        texts[name] = [answer.outputs[0].text for answer in llm.generate(prompts, sampling, use_tqdm=False)]
        llm.collective_rpc("remove_steering_vectors")
    print("\\nTEXTS " + json.dumps(texts))
"""


@pytest.mark.vllm
def test_vllm_writes_what_the_hooked_model_writes(tmp_path: Path) -> None:
    model, tokenizer = geo.load_model("smollm2-135m")
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "model")
    unembedding = geo.Unembedding.from_model(model, tokenizer)
    space = geo.CausalSpace.fit(unembedding)
    organisms = geo.load_hierarchy("organisms", unembedding.vocabulary)
    concepts = geo.ConceptSteering(space, geo.ConceptDirections.fit(space, organisms))
    vector = concepts["animal"] + concepts.child("bird", of="animal")
    relative = geo.pull_back(vector, model, 27).relative(0.6)
    vectors = {
        "after the norm": 0.7 * vector,
        "relative": relative,
        "absolute": geo.steering.to_absolute(relative, model, tokenizer, PROMPTS),
    }
    files = {name: str(geo.save_vector(each, tmp_path / f"{name}.safetensors")) for name, each in vectors.items()}
    texts = served(str(tmp_path / "model"), files)

    def written() -> list[str]:
        return [text.text for (text,) in geo.generate(model, tokenizer, PROMPTS, max_new_tokens=TOKENS)]

    plain = written()
    assert texts["unsteered"] == texts["removed"] == plain
    for name, each in vectors.items():
        with geo.steer(model, each, positions="all"):
            wanted = written()
        assert wanted != plain, name
        assert texts[name] == wanted, name


def served(folder: str, vectors: dict[str, str]) -> dict[str, list[str]]:
    asked = json.dumps([folder, vectors, PROMPTS, TOKENS])
    environment = os.environ | {
        "PYTHONPATH": str(FOLDER),
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    }
    python = os.environ.get("VLLM_PYTHON", sys.executable)
    options: dict[str, Any] = {"env": environment, "capture_output": True, "text": True, "check": False}
    done = subprocess.run([python, "-c", SERVER, asked], **options)
    line = next((line for line in done.stdout.splitlines() if line.startswith("TEXTS ")), None)
    assert line is not None, done.stdout[-2000:] + done.stderr[-4000:]
    texts: dict[str, list[str]] = json.loads(line.removeprefix("TEXTS "))
    return texts
