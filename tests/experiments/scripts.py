"""What tests of several analyses share: running one, and a model of nonsense words."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.models.checkpoints import write_tokenizer

ROOT = Path(__file__).parents[2]


def run_analysis(name: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"analysis.{name}", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True)


def nonsense(folder: Path, *, words: int, beside: tuple[str, ...] = ()) -> tuple[Path, Path]:
    """A random model of `words` nonsense words and those `beside` them, and a hierarchy of four kinds of nonsense."""
    named = [f"w{number}" for number in range(words)]
    tokens = ["<unk>", "</s>", *(f"Ġ{word}" for word in (*named, *beside))]
    model, hierarchy = folder / "model", folder / "own.yaml"
    model.mkdir()
    save_file({"lm_head.weight": torch.randn(len(tokens), 16)}, model / "model.safetensors")
    write_tokenizer(model, tokens)
    kinds = "".join(f"  k{n}: {{parents: [all], words: [{', '.join(named[n::4])}]}}\n" for n in range(4))
    hierarchy.write_text(f"forms: none\nconcepts:\n  all: {{words: [{', '.join(named)}]}}\n{kinds}")
    return model, hierarchy
