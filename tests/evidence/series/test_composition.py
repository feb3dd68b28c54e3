"""Composed vectors against refitting without each cell, and contrasts of pairs against a plain loop."""

import numpy as np
import pytest

import geometry as geo
from geometry.evidence.series.composition import _normalised

SeriesOfVectors = dict[str, tuple[tuple[str, ...], np.ndarray, np.ndarray]]
PLACES = {"days": np.arange(7), "numbers": np.array([0, 1, 2, 4, 5, 6, 8]), "ordinals": np.array([1, 2, 3, 4, 7])}


def series(vectors: dict[str, np.ndarray]) -> SeriesOfVectors:
    return {name: (tuple(f"{name[0]}{p}" for p in PLACES[name]), PLACES[name], vectors[name]) for name in PLACES}


def noise(seed: int, width: int = 12) -> SeriesOfVectors:
    rng = np.random.default_rng(seed)
    return series({name: rng.standard_normal((len(places), width)) for name, places in PLACES.items()})


def additive(seed: int, width: int = 12) -> SeriesOfVectors:
    rng = np.random.default_rng(seed)
    category = {name: rng.standard_normal(width) for name in PLACES}
    position = rng.standard_normal((9, width))
    return series({name: category[name] + position[places] for name, places in PLACES.items()})


def without(data: SeriesOfVectors, left_out: tuple[str, str]) -> np.ndarray:
    """Category + position of a cell, from a fit to all others."""
    rows, targets, wanted = [], [], None
    for number, (name, (values, positions, vectors)) in enumerate(data.items()):
        for value, position, vector in zip(values, positions, vectors, strict=True):
            row = np.concatenate([np.eye(3)[number], np.eye(9)[position]])
            if (name, value) == left_out:
                wanted = row
            else:
                rows.append(row)
                targets.append(vector)
    return wanted @ np.linalg.lstsq(np.array(rows), np.array(targets))[0]


@pytest.mark.parametrize("data", [noise(0), additive(0)], ids=["noise", "additive"])
def test_every_cell_is_predicted_from_a_fit_without_it(data: SeriesOfVectors) -> None:
    found = geo.evidence.additive_composition(data, n_permutations=1)
    alone = {("numbers", "n8"), ("ordinals", "o7")}
    assert set(found.cells) == {(name, value) for name, (values, _, _) in data.items() for value in values} - alone
    for cell, predicted, rank, size in zip(found.cells, found.composed, found.ranks, found.sizes, strict=True):
        by_hand = without(data, cell)
        np.testing.assert_allclose(predicted, by_hand, atol=1e-9)
        values, _, vectors = data[cell[0]]
        cosines = vectors @ by_hand / np.linalg.norm(vectors, axis=1)
        assert rank == 1 + sum(cosine > cosines[values.index(cell[1])] + 1e-12 for cosine in cosines)
        assert size == len(values)


def test_exactly_additive_series_are_retrieved() -> None:
    found = geo.evidence.additive_composition(additive(1))
    assert found.ranks.tolist() == [1] * len(found.cells)
    assert found.value == 1
    assert found.p_value == 1 / 100
    assert found.nulls["shuffled_positions"].mean < 0.8
    assert found.to_dict()["ranks"]["days: d3"] == 1


def test_noise_is_not_retrieved() -> None:
    found = [geo.evidence.additive_composition(noise(seed), n_permutations=39) for seed in range(20)]
    assert np.mean([some.p_value for some in found]) == pytest.approx(0.5, abs=0.2)
    assert np.mean([some.value - some.nulls["shuffled_positions"].mean for some in found]) == pytest.approx(0, abs=0.06)


def test_scores_by_hand() -> None:
    cells = (("a", "x"), ("a", "y"), ("b", "z"))
    ranks, sizes = np.array([1, 3, 4]), np.array([5, 5, 4])
    values = _normalised(ranks, sizes)
    assert values.tolist() == [1, 0.5, 0]
    found = geo.evidence.Composition(
        name="composition",
        labels=("a: x", "a: y", "b: z"),
        values=values,
        nulls={"shuffled_positions": np.array([0.2, 0.5, 0.9])},
        cells=cells,
        ranks=ranks,
        sizes=sizes,
        composed=np.zeros((3, 2)),
    )
    assert found.value == 0.5
    assert found.p_value == 3 / 4
    assert found.to_dict()["by_series"] == {"a": 0.75, "b": 0.0}


def test_cells_that_no_fit_can_predict_are_left_out() -> None:
    # Only place 0 ties the two series together: without one of its cells nothing does.
    rng = np.random.default_rng(0)
    data = {
        "a": (("x", "y", "z"), np.array([0, 1, 2]), rng.standard_normal((3, 8))),
        "b": (("u", "v", "w"), np.array([0, 3, 4]), rng.standard_normal((3, 8))),
    }
    with pytest.raises(geo.errors.EstimationError, match="in common"):
        geo.evidence.additive_composition(data)


def test_series_that_cannot_be_composed_are_refused() -> None:
    data = noise(0)
    with pytest.raises(geo.errors.EstimationError, match="at least two series"):
        geo.evidence.additive_composition({"days": data["days"]})
    values, places, vectors = data["days"]
    with pytest.raises(geo.errors.EstimationError, match="finite vectors"):
        geo.evidence.additive_composition({**data, "days": (values, places, vectors * np.nan)})
    with pytest.raises(geo.errors.EstimationError, match="in common"):
        geo.evidence.additive_composition({"days": data["days"], "later": (values, places + 7, vectors)})


def test_contrasts_against_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 9, 20))
    second += 0.7
    found = geo.evidence.pair_contrast(first, second, n_permutations=5)
    for pair, cosine in enumerate(found.values):
        mean = np.mean([second[other] - first[other] for other in range(9) if other != pair], axis=0)
        own = second[pair] - first[pair]
        assert cosine == pytest.approx(own @ mean / np.linalg.norm(own) / np.linalg.norm(mean))
    np.testing.assert_allclose(found.direction, np.mean(second - first, axis=0))
    assert found.value == pytest.approx(np.mean(found.values))
    assert [null.values.shape for null in found.nulls.values()] == [(5, 1), (5, 1)]


def test_a_common_direction_is_discriminated_from_sign_flips_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    first, step = rng.standard_normal((12, 30)), 2 * rng.standard_normal(30)
    same = geo.evidence.pair_contrast(first, first + step)
    np.testing.assert_allclose(same.values, 1)
    assert same.p_value == 1 / 100
    assert same.nulls["sign_flip"].mean < 0.5
    assert same.nulls["shuffled_partners"].mean < same.value
    found = [
        geo.evidence.pair_contrast(*rng.standard_normal((2, 12, 30)), n_permutations=39).p_value for _ in range(40)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=0.15)


def test_two_classes_with_arbitrary_partners_are_seen_as_such() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 12, 30)) + np.array([0.0, 1.0])[:, None, None]
    found = geo.evidence.pair_contrast(first, second)
    assert found.p_value == 1 / 100
    assert found.nulls["shuffled_partners"].mean == pytest.approx(found.value, abs=0.03)


def test_a_pair_that_does_not_differ_has_no_direction() -> None:
    first = np.eye(4)
    assert geo.evidence.pair_contrast(first, first + np.array([[0.0], [1], [1], [1]])).values.tolist()[0] == 0


@pytest.mark.parametrize("shapes", [((2, 5), (2, 5)), ((4, 5), (3, 5)), ((9,), (9,))])
def test_too_few_pairs_are_refused(shapes: tuple) -> None:
    with pytest.raises(geo.errors.EstimationError, match="a contrast needs at least 3 pairs, not rows"):
        geo.evidence.pair_contrast(np.ones(shapes[0]), np.ones(shapes[1]))


def test_pairs_of_nan_are_no_evidence() -> None:
    first, second = np.random.default_rng(0).standard_normal((2, 6, 5))
    second[0, 0] = np.nan
    with pytest.raises(geo.errors.EstimationError, match="finite"):
        geo.evidence.pair_contrast(first, second)
