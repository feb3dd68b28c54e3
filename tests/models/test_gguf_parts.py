"""A model in several GGUF files, as llama.cpp splits it."""

import re
from pathlib import Path

import numpy as np
import pytest

import geometry as geo
from tests.models.checkpoints import TOKENS, write_gguf

EMBEDDING, HEAD = np.random.default_rng(0).standard_normal((2, len(TOKENS), 64)).astype(np.float32)
CONTENTS = [{"token_embd.weight": EMBEDDING}, {"blk.0.ffn_up.weight": HEAD[:4]}, {"output.weight": HEAD}]


def part(folder: Path, number: int, count: int = 3) -> Path:
    return folder / f"m-{number:05}-of-{count:05}.gguf"


def split(folder: Path, *contents: dict[str, np.ndarray], total: int | None = None) -> None:
    """Only the first file has a vocabulary."""
    for index, tensors in enumerate(contents):
        fields = {"split__no": index, "split__count": len(contents)}
        fields["split__tensors__count"] = sum(map(len, contents)) if total is None else total
        path = part(folder, index + 1, len(contents))
        write_gguf(path, tensors, tokens=None if index else TOKENS, **fields)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_head_is_found_in_whichever_file_whichever_is_named(tmp_path: Path, number: int) -> None:
    split(tmp_path, *CONTENTS)
    for side, expected in (("output", HEAD), ("input", EMBEDDING)):
        model = geo.Unembedding.load(part(tmp_path, number), side=side)
        assert np.array_equal(model.matrix.numpy(), expected)
        assert not model.tied
        assert model.vocabulary.word_id("cat") == 3


def test_all_files_together_say_that_there_is_no_head(tmp_path: Path) -> None:
    split(tmp_path, *CONTENTS[:2])
    model = geo.Unembedding.load(part(tmp_path, 1, 2))
    assert model.tied
    assert np.array_equal(model.matrix.numpy(), EMBEDDING)


@pytest.mark.parametrize("absent", [1, 3])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, absent: int) -> None:
    split(tmp_path, *CONTENTS)
    part(tmp_path, absent).unlink()
    with pytest.raises(
        geo.errors.ModelError, match=rf"one of 3 files, of which {part(tmp_path, absent).name} is missing"
    ):
        geo.Unembedding.load(part(tmp_path, 2))


def test_a_renamed_part_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    split(tmp_path, *CONTENTS)
    part(tmp_path, 1).rename(tmp_path / "model.gguf")
    with pytest.raises(geo.errors.ModelError, match="one of 3 files, and its name does not say where the others are"):
        geo.Unembedding.load(tmp_path / "model.gguf")


def test_a_name_alone_makes_a_part_too(tmp_path: Path) -> None:
    write_gguf(part(tmp_path, 1), {"token_embd.weight": EMBEDDING})
    with pytest.raises(
        geo.errors.ModelError, match=r"of which m-00002-of-00003\.gguf, m-00003-of-00003\.gguf is missing"
    ):
        geo.Unembedding.load(part(tmp_path, 1))


@pytest.mark.parametrize("name", ["m-00004-of-00003.gguf", "m-00000-of-00003.gguf", "m-00001-of-00000.gguf"])
def test_a_part_of_no_number_is_refused(tmp_path: Path, name: str) -> None:
    write_gguf(tmp_path / name, {"token_embd.weight": EMBEDDING})
    with pytest.raises(geo.errors.ModelError, match="no part is called"):
        geo.Unembedding.load(tmp_path / name)


@pytest.mark.parametrize("total", [2, 4])
def test_files_that_do_not_make_up_what_was_announced_are_refused(tmp_path: Path, total: int) -> None:
    split(tmp_path, *CONTENTS, total=total)
    with pytest.raises(geo.errors.ModelError, match=f"hold 3 tensors.* where {total} were announced"):
        geo.Unembedding.load(part(tmp_path, 1))


def test_two_files_with_one_tensor_do_not_belong_together(tmp_path: Path) -> None:
    split(tmp_path, CONTENTS[0], CONTENTS[0])
    with pytest.raises(geo.errors.ModelError, match="do not belong together"):
        geo.Unembedding.load(part(tmp_path, 1, 2))


def test_files_in_another_order_are_refused(tmp_path: Path) -> None:
    split(tmp_path, *CONTENTS)
    part(tmp_path, 2).rename(tmp_path / "kept")
    part(tmp_path, 3).rename(part(tmp_path, 2))
    (tmp_path / "kept").rename(part(tmp_path, 3))
    with pytest.raises(geo.errors.ModelError, match="not numbered as their names say"):
        geo.Unembedding.load(part(tmp_path, 1))


@pytest.mark.parametrize("count", [10**6, 2**31])
def test_a_count_that_no_model_has_is_refused(tmp_path: Path, count: int) -> None:
    write_gguf(tmp_path / "m.gguf", {"token_embd.weight": EMBEDDING}, split__count=count)
    with pytest.raises(geo.errors.ModelError, match=re.escape(f"one of {count} files")):
        geo.Unembedding.load(tmp_path / "m.gguf")


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        ("general.architecture", {"architecture": "qwen2"}),
        ("general.name", {"general__name": "another"}),
        ("tokenizer.ggml.tokens", {"tokens": TOKENS[::-1]}),
        ("split.count", {"split__count": 5}),
    ],
)
def test_files_of_two_models_do_not_belong_together(tmp_path: Path, key: str, fields: dict) -> None:
    for index, tensors in enumerate(CONTENTS):
        own = {"split__no": index, "split__count": 3, "split__tensors__count": 3, "general__name": "one"}
        other = fields if index == 2 else {}
        write_gguf(part(tmp_path, index + 1), tensors, **{"tokens": None if index else TOKENS, **own, **other})
    with pytest.raises(geo.errors.ModelError, match=f"its 3 files disagree on '{key}'; they do not belong together"):
        geo.Unembedding.load(part(tmp_path, 1))


@pytest.mark.parametrize("width", [None, 64])
def test_a_head_of_another_width_is_another_models(tmp_path: Path, width: int | None) -> None:
    declared = {} if width is None else {"llama__embedding_length": width}
    write_gguf(tmp_path / "m.gguf", {"token_embd.weight": EMBEDDING, "output.weight": HEAD[:, :32]}, **declared)
    with pytest.raises(geo.errors.ModelError, match=r"output\.weight is 32 wide, its model 64"):
        geo.Unembedding.load(tmp_path / "m.gguf")


def test_a_matrix_of_another_width_than_was_declared_is_refused(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", {"token_embd.weight": EMBEDDING}, llama__embedding_length=128)
    with pytest.raises(geo.errors.ModelError, match=r"token_embd\.weight is 64 wide, its model 128"):
        geo.Unembedding.load(tmp_path / "m.gguf")
