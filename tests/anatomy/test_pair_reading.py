"""Pairs read at a vector's site: differences by hand, a planted trait found, exchanged sides as control, refusals."""

from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.anatomy import explain, pair_differences
from geometry.anatomy.pair_reading import exchanged
from geometry.errors import SteeringError
from tests.anatomy.test_reading import WIDTH, directions, llama, space
from tests.steering import tiny

__all__ = ["directions", "llama", "space"]  # fixtures
PAIRS = [
    (f"w{first} w{second} w9", f"w{first} w{second} w30")
    for first, second in zip(range(2, 12), range(40, 50), strict=True)
]


@pytest.fixture(scope="module")
def words() -> Any:
    return tiny.tokenizer()


def test_differences_are_those_of_the_residual_stream_at_the_last_token(llama: Any, words: Any) -> None:
    found = pair_differences(llama, words, PAIRS, "output.2.relative")
    texts = [text for pair in PAIRS for text in pair]
    rows = geo.read_activations(llama, words, texts, ["output.2"])["output.2"].double().numpy()
    np.testing.assert_allclose(found, rows[0::2] - rows[1::2], atol=1e-6)


def test_pairs_are_read_beside_exchanged_sides(llama: Any, words: Any, space: Any, directions: Any) -> None:
    vector = geo.contrastive_activation_addition(llama, words, PAIRS, ["output.2"])
    reading = explain(vector, space, directions, llama, pairs=PAIRS, tokenizer=words, n_random=19)
    pairs = reading.pairs
    assert pairs is not None
    assert pairs.cosine == pytest.approx(1.0, abs=1e-5)
    assert pairs.singular.mean_p == pytest.approx(1 / 20)
    first = pairs.readings[0]
    assert first.name == "singular direction 1"
    assert first.cosine == pytest.approx(
        float(vector["output.2"].double().numpy() @ pairs.singular.directions[0] / vector.norm())
    )
    # Read as a vector is, of either sign.
    again = explain(pairs.singular.vector(0, "output.2"), space, directions, llama, n_random=19)
    for one, other in (
        (again.promoted, first.promoted), (again.suppressed, first.suppressed), (again.nearest, first.nearest)
    ):  # fmt: skip
        assert [name for name, _ in one] == [name for name, _ in other]
        np.testing.assert_allclose([value for _, value in one], [value for _, value in other], rtol=1e-5)
    assert len(pairs.exchanged_z) == 19
    # The same exchanged sides are what the vector stands beside.
    assert reading.null == "vectors of exchanged sides"
    np.testing.assert_allclose(reading.largest_at_random, pairs.exchanged_z)
    np.testing.assert_allclose(reading.nearest_at_random, pairs.exchanged_cosines)
    said = str(reading)
    assert "10 pairs: their mean difference holds" in said
    assert "sides of half of the pairs exchanged" in said
    assert reading.to_dict()["pairs"]["singular"]["stand_out"] == pairs.singular.count
    figure = reading.plot()
    assert len(figure.axes) == 6


def test_sides_are_exchanged_of_every_half_once(llama: Any, words: Any, space: Any) -> None:
    differences = np.eye(6)
    found = exchanged(differences, 99, seed=0)
    assert found.shape == (20, 6)
    assert len(np.unique(found, axis=0)) == 20
    np.testing.assert_array_equal(np.abs(found), 1 / 6)
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-15)
    assert len(exchanged(np.eye(9), 30, seed=0)) == 30
    # Of four pairs there are six such halves, which can be no null.
    vector = geo.SteeringVector({geo.Site("output", 2): torch.ones(WIDTH)})
    reading = explain(vector, space, None, llama, pairs=PAIRS[:4], tokenizer=words)
    assert reading.null == "random vectors"
    assert "4 pairs are too few for a null of exchanged sides" in reading.notes[-1]
    assert reading.pairs is not None
    assert len(reading.pairs.exchanged_z) == 6


def test_vectors_of_exchanged_sides_say_nothing_beside_others_of_the_same_pairs(
    llama: Any, words: Any, space: Any, directions: Any
) -> None:
    differences = geo.anatomy.pair_differences(llama, words, PAIRS, "output.2")
    means = exchanged(differences, 139, seed=0)
    said = []
    for mean in means[:40]:
        vector = geo.SteeringVector({geo.Site("output", 2): torch.from_numpy(mean)})
        reading = explain(vector, space, directions, llama, null=means[40:])
        said.append(
            [bool(reading.decomposition and reading.decomposition.names), reading.promoted[0][1] > reading.chance_z]
        )
    assert (np.mean(said, axis=0) <= 0.15).all()  # 5% is the aim


def test_the_nearest_concept_is_shown_in_the_tree(space: Any, directions: Any) -> None:
    reading = explain(geo.ConceptSteering(space, directions)["bird"], space, directions, n_random=19)
    assert reading.path == ("thing", "animal", "bird")
    assert "the nearest in the tree: thing › animal › bird" in str(reading)


def test_refusals(llama: Any, words: Any, space: Any) -> None:
    for pairs, says in [
        (PAIRS[:1], "1 pairs have no components"),
        ([], "0 pairs have no components"),
        ([*PAIRS, ("w3 w4", "w3 w4")], "pair 11 .* does not differ at output.2"),
    ]:
        with pytest.raises(SteeringError, match=says):
            pair_differences(llama, words, pairs, "output.2")
    vector = geo.SteeringVector({geo.Site("output", 2): torch.ones(WIDTH)})
    with pytest.raises(SteeringError, match="give explain the model and its tokenizer"):
        explain(vector, space, None, llama, pairs=PAIRS)
