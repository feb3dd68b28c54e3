"""Small checkpoints on disk, in the layouts that users have."""

import json
from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

TOKENS = ["<unk>", "</s>", "Ġbird", "Ġcat", "Ġdog", *(f"Ġw{i}" for i in range(91))]


def write_tokenizer(
    folder: Path, tokens: Sequence[str] = TOKENS, special: Sequence[str] = (), added: Sequence[str] = ()
) -> None:
    tokenizer = Tokenizer(WordLevel({token: i for i, token in enumerate(tokens)}, unk_token="<unk>"))
    tokenizer.add_special_tokens(["</s>", *special])
    tokenizer.add_tokens(list(added))
    tokenizer.save(str(folder / "tokenizer.json"))


def write_config(folder: Path, **config: object) -> None:
    (folder / "config.json").write_text(json.dumps(config))


def write_gguf(
    path: Path,
    tensors: dict[str, np.ndarray],
    *,
    architecture: str = "llama",
    kind: gguf.GGMLQuantizationType | None = None,
    tokens: Sequence[str | bytes] | None = TOKENS,
    types: Sequence[int] | None = (),
    **fields: int | str | bool,
) -> None:
    """Empty types are those of TOKENS, None writes none; of a field's name the dots are double underscores."""
    writer = gguf.GGUFWriter(path, architecture)
    if tokens is not None:
        writer.add_token_list(list(tokens))
        special = {0: gguf.TokenType.UNKNOWN, 1: gguf.TokenType.CONTROL}
        if types is not None:
            usual = [special.get(i, gguf.TokenType.NORMAL) for i in range(len(tokens))]
            writer.add_token_types(list(types) or usual)
    for field, value in fields.items():
        add = {bool: writer.add_bool, int: writer.add_uint32, str: writer.add_string}[type(value)]
        add(field.replace("__", "."), value)
    for name, array in tensors.items():
        data = array if kind is None else gguf.quants.quantize(array, kind)
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
