"""A small random GPT-2 with the real GPT-2 tokenizer, as a folder that studies read."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from geometry.models.catalogue import CATALOGUE
from geometry.models.fetching import cached_path

WIDTH, DEPTH = 16, 4
GPT2_TOKENIZER = cached_path(CATALOGUE["gpt2-tokenizer"])

needs_gpt2 = pytest.mark.skipif(not GPT2_TOKENIZER.exists(), reason="run: concept-geometry fetch gpt2-tokenizer")
# The fewest that a run takes.
BLOCK, COEFFICIENT = 2, 3.0
SMALL: dict[str, Any] = {
    "block": BLOCK, "coefficient": COEFFICIENT, "beside": ("encyclopedia",), "n_texts": 5, "n_blocks": 1,
    "coefficients": ("1",), "n_prompts": 5, "n_generations": 5, "n_new_tokens": 2, "n_random": 2, "most_tokens": 8,
}  # fmt: skip


def random_gpt2(folder: Path) -> Path:
    """Its weights are large, so that what is added before a block is seen after the last."""
    torch.manual_seed(0)
    config = GPT2Config(n_embd=WIDTH, n_layer=DEPTH, n_head=4, n_positions=64, initializer_range=0.4)
    model: Any = GPT2LMHeadModel(config)
    model.eval().save_pretrained(folder)
    make: Any = PreTrainedTokenizerFast
    end = "<|endoftext|>"
    inner = Tokenizer.from_file(str(GPT2_TOKENIZER))
    make(tokenizer_object=inner, bos_token=end, eos_token=end).save_pretrained(folder)
    return folder
