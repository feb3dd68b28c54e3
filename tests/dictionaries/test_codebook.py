"""The codebook finds planted places, gives rows back as the mean of their codes, and takes a dictionary's place."""

from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.dictionaries import Codebook, feature_vector, measure

RNG = np.random.default_rng(5)
PLACES = RNG.standard_normal((12, 20)) * 4 + 7
WHICH = RNG.integers(0, 12, 600)
ROWS = (PLACES[WHICH] + 0.1 * RNG.standard_normal((600, 20))).astype(np.float32)


def test_planted_places_are_found_and_give_rows_back() -> None:
    book = Codebook.fit(ROWS, 12, k=1, site="output.4", model="toy")
    codes = (book.decoder + book.decoder_bias).numpy()
    nearest = np.linalg.norm(codes[:, None] - PLACES[None], axis=2).min(axis=0)
    assert nearest.max() < 0.1
    quality = measure(book, ROWS)
    assert quality.explained_variance > 0.99
    assert quality.l0 == 1
    assert not len(quality.dead)
    assigned = book.encode(ROWS).argmax(dim=1).numpy()
    assert len({(a, b) for a, b in zip(assigned, WHICH, strict=True)}) == 12
    # Rows without places are not explained by as many codes.
    noise = np.random.default_rng(1).standard_normal(ROWS.shape).astype(np.float32)
    assert measure(Codebook.fit(noise, 12, k=1), noise).explained_variance < 0.3
    assert "trained with the model" in book.notes[0]


def test_the_nearest_in_cosine_by_hand() -> None:
    book = Codebook(torch.tensor([[1.0, 0.0], [0.0, 5.0], [-1.0, -1.0]]), torch.tensor([10.0, 10.0]), k=2)
    z = book.encode([[13.0, 11.0], [10.0, 9.0]])
    assert z.tolist() == [[0.5, 0.5, 0.0], [0.5, 0.0, 0.5]]
    assert book.reconstruct([[13.0, 11.0]]).tolist() == [[10.5, 12.5]]


def test_the_same_each_time_and_codes_are_vectors() -> None:
    books = [Codebook.fit(rows, 8, k=2, seed=3, site=4) for rows in (ROWS, torch.from_numpy(ROWS), ROWS.copy())]
    assert all(torch.equal(book.decoder, books[0].decoder) for book in books)
    torch.testing.assert_close(feature_vector(books[0], 6)["output.4"], books[0].decoder[6])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"rows": ROWS[:5]}, "at most as many codes"),
        ({"rows": np.full((30, 4), np.nan)}, "NaN"),
        ({"rows": np.ones((30, 4), dtype=np.float32)}, "places that differ"),
        ({"k": 13}, "give fewer codes"),
        ({"epochs": 0}, "1 at least, not 4096 and 0"),
        ({"batch": 0}, "1 at least, not 0 and 5"),
    ],
)
def test_refusals(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(geo.errors.EstimationError, match=says):
        Codebook.fit(**({"rows": ROWS, "n_codes": 12, "k": 1} | changed))
    with pytest.raises(geo.errors.EstimationError, match="has no direction"):
        Codebook(torch.zeros(3, 2), torch.zeros(2))
