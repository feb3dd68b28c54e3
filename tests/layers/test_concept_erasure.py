"""Erasers of concepts: fitted to their words as they are read at the site, and the words of what lies below."""

from typing import Any

import numpy as np
import pytest

import geometry as geo
from geometry.errors import GeometryError
from geometry.layers import concept_eraser
from tests.steering import tiny

CONTEXTS = ["w50 {}", "w51 w52 {}"]


def word(*numbers: int) -> list[str]:
    return [f"w{number}" for number in numbers]


TREE: dict[str, Any] = {
    "thing": {
        "beast": {"bird": word(*range(2, 10)), "fish": word(*range(10, 17)), "worm": word(17, 18)},
        "rock": word(*range(19, 31)),
        "few": word(31, 32),
    }
}


@pytest.fixture(scope="module")
def world() -> Any:
    return tiny.build("llama"), tiny.tokenizer(), geo.load_hierarchy(TREE, geo.concepts.AnyPhrase())


def left(world: Any, eraser: geo.steering.Eraser, names: list[str]) -> float:
    """The largest covariance of the erased states with any of the concepts."""
    model, tokenizer, hierarchy = world
    read = geo.read_phrases(model, tokenizer, hierarchy.words, contexts=CONTEXTS, sites=["output.1"])["output.1"]
    rows = eraser.erase(read.double().numpy()).reshape(-1, tiny.WIDTH)
    labels = np.array([[word in hierarchy[name].words for name in names] for word in hierarchy.words] * 2, dtype=float)
    return float(np.abs((rows - rows.mean(0)).T @ (labels - labels.mean(0))).max() / len(rows))


def test_a_subtree_is_erased_whole_and_a_concept_alone(world: Any) -> None:
    whole = concept_eraser(*world, "beast", site="output.1", contexts=CONTEXTS)
    assert (whole.name, whole.rank, str(whole.site), whole.model) == (
        "beast and 2 concepts below it",
        3,
        "output.1",
        "llama",
    )
    assert left(world, whole, ["beast", "bird", "fish"]) < 1e-6
    assert "1 concepts below with fewer than 5 words" in " ".join(whole.notes)
    assert "moves the states of its words by 0." in " ".join(whole.notes)
    alone = concept_eraser(*world, ["beast"], site="output.1", contexts=CONTEXTS, subtree=False)
    assert (alone.name, alone.rank) == ("beast", 1)
    assert left(world, alone, ["beast"]) < 1e-6 < 1e-3 < left(world, alone, ["bird"])
    both = concept_eraser(*world, ["bird", "rock"], site="output.1", contexts=CONTEXTS)
    assert (both.name, both.rank) == ("bird, rock", 2)
    assert left(world, both, ["bird", "rock"]) < 1e-6


def test_it_acts_on_the_model_that_it_was_read_from(world: Any) -> None:
    model, tokenizer, hierarchy = world
    eraser = concept_eraser(*world, "beast", site="output.1", contexts=CONTEXTS, subtree=False)
    with geo.steer(model, eraser):
        read = geo.read_phrases(model, tokenizer, hierarchy.words, contexts=CONTEXTS, sites=["output.1"])
    inside = np.isin(hierarchy.words, hierarchy["beast"].words)
    means = [read["output.1"][:, rows].mean(dim=(0, 1)).numpy() for rows in (inside, ~inside)]
    np.testing.assert_allclose(*means, atol=1e-4)


def test_of_more_words_some_are_drawn_by_the_seed(world: Any) -> None:
    found = [
        concept_eraser(*world, "beast", site="output.1", contexts=CONTEXTS, most_words=8, subtree=False, seed=seed)
        for seed in (0, 0, 1)
    ]
    assert all("fitted to 32 activations" in eraser.notes[0] for eraser in found)
    assert found[0].left.equal(found[1].left)
    assert not found[0].left.equal(found[2].left)


@pytest.mark.parametrize(
    ("concepts", "options", "message"),
    [
        ("brd", {}, "did you mean bird"),
        ("thing", {}, "0 words of .* lie outside"),
        ("few", {}, "2 words are too few"),
        ([], {}, "name a concept"),
        ("bird", {"site": "mlp.1"}, "steer at output.1"),
        ("bird", {"site": "output.9"}, "no block 9"),
        ("bird", {"most_words": 2}, "at least 5 words"),
        ("bird", {"shrinkage": 2.0}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_erased_is_refused(world: Any, concepts: Any, options: Any, message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        concept_eraser(*world, concepts, **{"site": "output.1", "contexts": CONTEXTS, **options})
