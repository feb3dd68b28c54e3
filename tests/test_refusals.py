"""Refusals: bounded, visible, of one family."""

import os
import pickle
import re

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import geometry as geo
from geometry.arguments import checked
from geometry.errors import ArgumentError, shown, visible
from tests.planted import planted_classes


def nested(levels: int) -> list:
    value: list = ["x"] * 10
    for _ in range(levels):
        value = [value] * 10
    return value


@pytest.mark.parametrize(
    "value",
    [nested(9), {"a": nested(9)}, "x" * 10**7,
     b"x" * 10**7, 1 << 10**6, [10**5000], list(range(10**6)), np.zeros(10**6),
     {str(i): i for i in range(10**5)}, (nested(9),), {1: {2: {3: {4: {5: 6}}}}}],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_shown_of_refused_input_is_short(value: object) -> None:
    assert len(shown(value)) <= 201


@pytest.mark.parametrize(
    ("value", "text"),
    [("no", "'no'"), (None, "None"), (True, "True"), (-3, "-3"),
     (1.5, "1.5"), (["fast"], "['fast']"), ({"a": 1}, "{'a': 1}"),
     (object(), "object object"), (10**100, "333-bit integer"), (np.float32(2), "np.float32(2.0)")],
)  # fmt: skip
def test_what_is_short_is_shown_as_it_is(value: object, text: str) -> None:
    assert shown(value) == text


def test_messages_are_one_short_line_that_no_terminal_obeys() -> None:
    message = str(geo.GeometryError("a\n b\x1b[31m \ud800\u202e é × \x07\x9b" + "x" * 10**6 + " end"))
    assert message.startswith("a b\\x1b[31m \\ud800\\u202e é × \\x07\\x9bxxx")
    assert message.endswith("xxx end")
    assert len(message) < 2100
    message.encode("utf-8")
    assert visible("two\nlines\tof é") == "two\nlines\tof é"


def test_wrong_arguments_are_type_errors_of_the_family() -> None:
    @checked
    def draw(
        count: int, names: "list[str] | None" = None, *, share: float = 0.5, rows: NDArray[np.float64] | None = None
    ) -> int:
        return count

    assert draw(3, None, rows=None) == draw(3, rows=np.ones(3)) == draw(3, rows=[1.0]) == 3
    assert draw(3) == draw(np.int64(3), ["a"], share=1) == 3
    assert draw(3, share=np.float32(0.5)) == 3
    for arguments, named, complaint in (
        (("3",), {}, "draw: count must be a whole number, not '3'"),
        ((True,), {}, "draw: count must be a whole number, not True"),
        ((3, "ab"), {}, "draw: names must be several of a text or None, not 'ab'"),
        ((3, ["a", 1]), {}, r"draw: names must be several of a text or None, not \['a', 1\]"),
        ((3,), {"share": "x"}, "draw: share must be a number, not 'x'"),
        ((3,), {"rows": "x"}, "draw: rows must be an array or None, not 'x'"),
        ((), {}, "draw: missing a required argument: 'count'"),
        ((3,), {"shares": 1}, "draw: got an unexpected keyword argument 'shares'"),
    ):
        with pytest.raises(TypeError, match=complaint) as refusal:
            draw(*arguments, **named)
        assert isinstance(refusal.value, ArgumentError)
        assert isinstance(refusal.value, geo.GeometryError)


def test_errors_pickle() -> None:
    error = pickle.loads(pickle.dumps(ArgumentError("a: wrong")))  # noqa: S301 (our own bytes)
    assert (type(error), str(error)) == (ArgumentError, "a: wrong")


@pytest.fixture(scope="module")
def space() -> geo.CausalSpace:
    return geo.CausalSpace.fit(planted_classes().unembedding)


@pytest.mark.parametrize(
    ("tokens", "complaint"),
    [
        ([0, 10**6], "token id 1000000 has no row; the unembedding has 3090"),
        ([-1], "token id -1 has no row"),
        ([2**63], "token id 9223372036854775808 has no row"),
        ([0.5], "list of ids, whole numbers, not float64"),
        ([True, False], "whole numbers, not bool"),
        (["a"], "whole numbers"),
        (3, "a list of ids"),
        ([[1, 2]], "a list of ids"),
        ([None], "whole numbers"),
    ],
)
def test_tokens_that_have_no_row_are_refused(space: geo.CausalSpace, tokens: object, complaint: str) -> None:
    with pytest.raises(geo.errors.EstimationError, match=complaint):
        space.rows(tokens)


def test_no_tokens_are_no_rows(space: geo.CausalSpace) -> None:
    assert space.rows([]).shape == (0, space.width)


def test_vectors_of_another_width_are_refused_by_name(space: geo.CausalSpace) -> None:
    good, short = torch.ones(space.width), torch.ones(space.width - 1)
    for call in (lambda v: space.unify(gamma=v), lambda v: space.scores(directions=v), lambda v: space.inner(v, good)):
        for wrong in (short, torch.tensor(1.0), None, np.ones(space.width)):
            with pytest.raises(geo.errors.EstimationError, match=r"(gamma|directions|u) must be a tensor .* length 48"):
                call(wrong)
    with pytest.raises(geo.errors.EstimationError, match=r"v must be a tensor .* not \(47,\)"):
        space.inner(good, short)


def test_devices_and_precisions_that_there_are_not_are_refused() -> None:
    unembedding = planted_classes().unembedding
    for device in ("nonsense", "cuda:99", "mps:7"):
        with pytest.raises(geo.errors.EstimationError, match=re.escape(f"device '{device}' cannot be computed on")):
            geo.CausalSpace.fit(unembedding, device=device)
    with pytest.raises(geo.errors.EstimationError, match=r"float32 or float64, not 'torch\.int64'"):
        geo.CausalSpace.fit(unembedding).to(torch.int64)


def test_text_of_a_file_is_found_where_it_is_refused(tmp_path: os.PathLike) -> None:
    with pytest.raises(geo.GeometryError, match=r"cannot be read|no such file") as refusal:
        geo.load_hierarchy(str(tmp_path) + "/\0\x1b[31m", planted_classes().unembedding.vocabulary)
    assert str(refusal.value).isprintable()
