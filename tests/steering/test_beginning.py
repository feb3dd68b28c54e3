"""Where the rows of a vector count from: with the beginning-of-text token or without it."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import geometry as geo
from geometry.steering.belonging import RowSample
from tests.steering import tiny
from tests.steering.test_prompts import with_bos

FORMAT = "concept-geometry steering vector 1"
ROWS = torch.tensor([[0.0] * tiny.WIDTH, [1.0] * tiny.WIDTH])


def written(path: Path, rows: torch.Tensor, **record: str) -> geo.SteeringVector:
    """What is read of a file with such metadata."""
    save_file({"input.1": rows}, path, metadata={"format": FORMAT, "provenance": "v", "notes": "[]", **record})
    return geo.load_vector(path)


@pytest.mark.parametrize("texts", [("w2 w3", "w4 w5"), ("<s> w2 w3", "<s> w4 w5")])
@pytest.mark.parametrize("template", ["$A", "<s> $A", "<s> $A </s>", "$A </s>"])
def test_a_vector_of_two_prompts_begins_once_and_ends_with_their_words(
    llama: Any, template: str, texts: tuple[str, str]
) -> None:
    wanted = geo.activation_addition(llama, with_bos(), "w2 w3", "w4 w5", 1)
    found = geo.activation_addition(llama, with_bos(template=template), *texts, 1)
    assert found["input.1"].shape == (3, tiny.WIDTH)
    assert torch.equal(found["input.1"], wanted["input.1"])
    assert found.bos is wanted.bos is True


def test_it_remembers_how_its_prompts_began(llama: Any) -> None:
    tokenizer = with_bos()
    assert geo.activation_addition(llama, tokenizer, "w2 w3", "w4 w5", 1, bos=False).bos is False
    # The text itself begins so.
    brought = geo.activation_addition(llama, tokenizer, "<s> w2", "<s> w4", 1, bos=False)
    assert brought.bos is True
    assert not brought["input.1"][0].any()
    assert geo.class_means(llama, tokenizer, {"a": ["w2"]}, ["input.1"])["a"].bos is None


@pytest.mark.parametrize("bos", [None, True, False])
def test_the_algebra_keeps_it(bos: bool | None) -> None:
    vector, plain = geo.SteeringVector({"input.1": ROWS}, bos=bos), geo.SteeringVector({"output.2": ROWS[1]})
    kept = (
        2 * vector, -vector, vector / 3, vector + vector, vector - vector, vector + plain, plain - vector,
        vector.with_norm(2), vector.relative(2), vector.at("output.3"), vector.random(0), vector.first_dimensions(0.5),
        vector.projection(vector), copy.deepcopy(vector),
    )  # fmt: skip
    assert [each.bos for each in kept] == [bos] * len(kept)


def test_rows_that_count_from_different_places_are_not_added() -> None:
    begun = geo.SteeringVector({"input.1": ROWS}, "begun", bos=True)
    bare = geo.SteeringVector({"input.1": ROWS}, "bare", bos=False)
    for add in (lambda: begun + bare, lambda: bare + begun, lambda: begun - bare, lambda: bare - begun):
        with pytest.raises(geo.errors.SteeringError, match=r"rows of begun count from a beginning.* bare do not"):
            add()
    assert begun.cosine(bare) == pytest.approx(1)
    with pytest.raises(geo.GeometryError, match="bos must be True or False or None, not 'yes'"):
        geo.SteeringVector({"input.1": ROWS}, bos="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize("bos", [None, True, False])
@pytest.mark.parametrize("first", [0.0, 1.0])
def test_a_file_remembers_it(tmp_path: Path, bos: bool | None, first: float) -> None:
    vector = geo.SteeringVector({"input.1": ROWS + first}, "v", bos=bos)
    again = geo.load_vector(geo.save_vector(vector, tmp_path / "v.safetensors"))
    assert again.bos is bos
    assert again.notes == ()


def test_files_without_it_are_read_as_they_were_meant(tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    begun = written(path, ROWS)
    assert begun.bos is True
    assert "as the first is zero" in begun.notes[0]
    assert replace(begun, bos=False).bos is False
    for rows in (ROWS + 1, ROWS[1], ROWS[0]):
        assert written(path, rows).bos is None
        assert written(path, rows).notes == ()


@pytest.mark.parametrize("bos", ["3", '"true"', "yes", "[" * 10_000, "1"])
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, bos: str) -> None:
    with pytest.raises(geo.errors.SteeringError, match=r"v\.safetensors"):
        written(tmp_path / "v.safetensors", ROWS, bos=bos)
    assert written(tmp_path / "v.safetensors", ROWS, bos=json.dumps(False)).bos is False


@pytest.mark.parametrize("template", ["$A", "<s> $A", "<s> $A </s>"])
@pytest.mark.parametrize("made", [True, False])
def test_what_tokenises_under_such_a_vector_begins_as_it_did(llama: Any, template: str, made: bool) -> None:
    tokenizer, texts = with_bos(template=template), ["w7 w8 w9", "w11 w12 w13"]
    vector = 4 * geo.activation_addition(llama, tokenizer, "w2 w3", "w4 w5", 1, bos=made)
    seen: list[list[int]] = []
    hook = llama.model.register_forward_pre_hook(
        lambda _, __, call: seen.append(call["input_ids"][:, 0].tolist()), with_kwargs=True
    )
    with geo.steer(llama, vector):
        geo.generate(llama, tokenizer, texts, max_new_tokens=1)
        geo.steering.perplexity(llama, tokenizer, texts)
        with pytest.raises(geo.errors.SteeringError, match="leave bos out"):
            geo.generate(llama, tokenizer, texts, bos=not made)
    hook.remove()
    assert seen == [[0, 0] if made else [7, 11]] * 2


@pytest.mark.parametrize("made", [True, False])
def test_reading_under_such_a_vector_begins_as_it_did(llama: Any, made: bool) -> None:
    tokenizer, texts = with_bos(), ["w7 w8 w9 w10", "w11 w12 w13"]
    vector = 4 * geo.activation_addition(llama, tokenizer, "w2 w3", "w4 w5", 1, bos=made)
    other = geo.activation_addition(llama, tokenizer, "w2 w3", "w4 w5", 1, bos=not made)
    wanted = []
    for text in texts:
        with geo.steer(llama, replace(vector, bos=None)):
            (rows,) = geo.read_activations(llama, tokenizer, [text], ["output.3"], bos=made).values()
        wanted.append(rows[0])
    with geo.steer(llama, vector):
        (at_work,) = geo.read_activations(llama, tokenizer, texts, ["output.3"]).values()
    (given,) = geo.read_activations(llama, tokenizer, texts, ["output.3"], vectors=[vector, vector]).values()
    for rows in (at_work, given):
        torch.testing.assert_close(rows, torch.stack(wanted), atol=1e-4, rtol=1e-4)
    with pytest.raises(geo.errors.SteeringError, match="cannot be mixed"):
        geo.read_activations(llama, tokenizer, texts, ["output.3"], vectors=[vector, other])


def test_a_vector_that_was_pulled_back_knows_its_unembedding_and_its_beginning(llama: Any) -> None:
    ids = torch.arange(2, 40)
    sample = RowSample("mine", ids, llama.lm_head.weight.detach()[ids])
    vector = geo.SteeringVector({"after_norm": ROWS}, bos=True, sample=sample)
    pulled = geo.pull_back(vector, llama, "output.2")
    assert pulled.sample is sample
    assert pulled.bos is True
