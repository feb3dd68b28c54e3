"""Small checkpoints on disk, in the layouts that users have."""

import json
from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

TOKENS = ["<unk>", "</s>", "Ġbird", "Ġcat", "Ġdog", *(f"Ġw{i}" for i in range(91))]


def write_tokenizer(folder: Path, tokens: Sequence[str] = TOKENS, special: Sequence[str] = ()) -> None:
    tokenizer = Tokenizer(WordLevel({token: i for i, token in enumerate(tokens)}, unk_token="<unk>"))
    tokenizer.add_special_tokens(["</s>", *special])
    tokenizer.save(str(folder / "tokenizer.json"))


def write_config(folder: Path, **config: object) -> None:
    (folder / "config.json").write_text(json.dumps(config))


def write_gguf(
    path: Path,
    tensors: dict[str, np.ndarray],
    *,
    architecture: str = "llama",
    kind: gguf.GGMLQuantizationType | None = None,
    tokens: list[str] | None = TOKENS,
) -> None:
    writer = gguf.GGUFWriter(path, architecture)
    if tokens is not None:
        writer.add_token_list(tokens)
        special = {0: gguf.TokenType.UNKNOWN, 1: gguf.TokenType.CONTROL}
        writer.add_token_types([special.get(i, gguf.TokenType.NORMAL) for i in range(len(tokens))])
    for name, array in tensors.items():
        data = array if kind is None else gguf.quants.quantize(array, kind)
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
