"""An unembedding made in memory."""

from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo

VOCABULARY = geo.Vocabulary(["<s>", "Ġa", "Ġb", None], special=[0])


@pytest.mark.parametrize("matrix", [None, "x", object(), [["x"]], [[1.0], [1.0, 2.0]]])
def test_what_is_no_matrix_is_named(matrix: Any) -> None:
    with pytest.raises(geo.errors.ArgumentError, match=r"^Unembedding: matrix must be a V x d tensor"):
        geo.Unembedding(matrix, VOCABULARY)


@pytest.mark.parametrize("vocabulary", [None, ["Ġa"], {"Ġa": 0}])
def test_what_is_no_vocabulary_is_named(vocabulary: Any) -> None:
    with pytest.raises(geo.errors.ArgumentError, match=r"^Unembedding: vocabulary must be .*tokenizer\.get_vocab"):
        geo.Unembedding(torch.eye(4), vocabulary)


@pytest.mark.parametrize("shape", [(4,), (4, 2, 2), ()])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(geo.errors.ModelError, match="must be a V x d matrix"):
        geo.Unembedding(torch.ones(shape), VOCABULARY)


@pytest.mark.parametrize("row", [0, 3, 4, 5])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_a_row_that_no_text_reaches_may_hold_anything(row: int, value: float) -> None:
    matrix = torch.randn(6, 2)
    matrix[row] = value
    assert geo.Unembedding(matrix, VOCABULARY).rows.tolist() == [1, 2]


@pytest.mark.parametrize("row", [1, 2])
@pytest.mark.parametrize("value", [float("nan"), -float("inf")])
def test_a_row_that_text_reaches_is_finite(row: int, value: float) -> None:
    matrix = np.ones((6, 2), np.float32)
    matrix[row, 1] = value
    with pytest.raises(geo.errors.ModelError, match="1 unembedding rows hold NaN or infinite values"):
        geo.Unembedding(torch.from_numpy(matrix), VOCABULARY)


def test_nothing_but_zeros_where_text_reaches_is_refused() -> None:
    matrix = torch.ones(6, 2)
    matrix[1:3] = 0
    for zeros in (matrix, torch.zeros(6, 2), torch.zeros(6, 0)):
        with pytest.raises(geo.errors.ModelError, match="anything but zeros"):
            geo.Unembedding(zeros, VOCABULARY)
    matrix[2, 1] = 1e-30
    assert geo.Unembedding(matrix, VOCABULARY).rows.tolist() == [2]
