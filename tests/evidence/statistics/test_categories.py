"""Membership, span and angles of simplices against plain loops, and on simplices known by hand."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles

import geometry as geo
from tests.evidence.conftest import held_out

Halves = tuple[geo.ConceptDirections, geo.ConceptDirections]


def values(statistic: geo.Statistic, *fits: geo.ConceptDirections) -> dict[str, float]:
    return dict(zip(statistic.labels(fits[0]), statistic.evaluate(*fits).tolist(), strict=True))


def vertices(directions: geo.ConceptDirections, parent: str) -> list[np.ndarray]:
    return [directions[child].numpy() for child in directions.hierarchy.children[parent]]


def placed(directions: geo.ConceptDirections, vectors: np.ndarray) -> geo.ConceptDirections:
    """The same concepts with the first of `vectors` for their ℓ, one each."""
    return replace(directions, vectors=torch.from_numpy(vectors[: len(directions)]).double())


def corners(k: int) -> Iterator[tuple[int, int, int]]:
    for i in range(k):
        for j, m in combinations([other for other in range(k) if other != i], 2):
            yield i, j, m


@pytest.mark.parametrize("which", ["directions", "overlapping"])
def test_membership_counts_words_nearest_their_own(which: str, request: pytest.FixtureRequest) -> None:
    directions = request.getfixturevalue(which)
    hierarchy, points = directions.hierarchy, directions.cloud.points.numpy()
    expected = {}
    for parent, children in hierarchy.children.items():
        if len(children) < 2:
            continue
        centres = vertices(directions, parent)
        tokens = {child: set(hierarchy.members[hierarchy.index(child)].tolist()) for child in children}
        recalls = []
        for place, child in enumerate(children):
            others = set().union(*(tokens[other] for other in children if other != child))
            own = [token for token in held_out(directions, hierarchy.index(child)) if token not in others]
            nearest = [np.argmin([np.linalg.norm(points[token] - centre) for centre in centres]) for token in own]
            if len(own) >= 3:
                recalls.append(np.mean([vertex == place for vertex in nearest]))
        chance = 1 / len(children)
        accuracy = np.mean(recalls) if len(recalls) > 1 else np.nan
        expected[f"{parent} ({len(children)})"] = pytest.approx((accuracy - chance) / (1 - chance), nan_ok=True)
    found = values(geo.evidence.membership(), directions)
    assert found == expected
    assert len(found) == 3
    assert np.isfinite(list(found.values())).sum() >= 2


def test_membership_is_zero_by_chance_and_one_if_every_word_is_at_its_own(directions: geo.ConceptDirections) -> None:
    hierarchy, points = directions.hierarchy, directions.cloud.points.clone()
    for parent in ("animal", "plant"):
        for child in hierarchy.children[parent]:
            points[torch.from_numpy(hierarchy.members[hierarchy.index(child)])] = directions[child]
    at_their_own = values(geo.evidence.membership(), replace(directions, cloud=directions.cloud.moved(points)))
    assert at_their_own["animal (6)"] == at_their_own["plant (6)"] == 1
    at_one_point = values(
        geo.evidence.membership(), replace(directions, cloud=directions.cloud.moved(torch.zeros_like(points)))
    )
    assert at_one_point["organism (2)"] == pytest.approx(0)
    assert at_one_point["plant (6)"] == pytest.approx(0)


def test_children_without_unseen_words_stay_vertices(directions: geo.ConceptDirections) -> None:
    hierarchy = directions.hierarchy
    train = directions.train.copy()
    for child in ("mammal", "bird", "fish", "insect", "reptile"):
        train[hierarchy.members[hierarchy.index(child)]] = True
    assert np.isnan(values(geo.evidence.membership(), replace(directions, train=train))["animal (6)"])
    vectors = directions.vectors.clone()
    vectors[hierarchy.index("reptile")] = torch.nan
    without = values(geo.evidence.membership(), replace(directions, vectors=vectors))
    assert 0.5 < without["animal (6)"] < 1


def test_span_is_the_mean_squared_cosine_of_principal_angles(halves: Halves) -> None:
    found = values(geo.evidence.simplex_span(), *halves)
    assert set(found) == {"animal (6)", "plant (6)"}
    for parent in ("animal", "plant"):
        one, other = (np.stack([v - some[0] for v in some[1:]], axis=1)
                      for some in (vertices(half, parent) for half in halves))  # fmt: skip
        cosines = np.cos(subspace_angles(one, other))
        assert found[f"{parent} (6)"] == pytest.approx((cosines**2).mean())


def test_dimension_is_the_span_over_what_noise_allows_it(halves: Halves) -> None:
    found, spans = (
        values(statistic, *halves) for statistic in (geo.evidence.simplex_dimension(), geo.evidence.simplex_span())
    )
    assert set(found) == {"animal (6)", "plant (6)"}
    for parent in ("animal", "plant"):
        one, other = (vertices(half, parent) for half in halves)
        clear = [
            ((a := one[i] - one[j]) @ (b := other[i] - other[j])) ** 2 / (a @ a) / (b @ b)
            for i, j in combinations(range(6), 2)
        ]
        label = f"{parent} (6)"
        expected = spans[label] / np.mean(clear) if np.mean(clear) > 10 / 576 else np.nan
        assert found[label] == pytest.approx(expected, nan_ok=True)
    assert np.isfinite(list(found.values())).any()


def test_angles_are_those_of_products_between_halves(halves: Halves) -> None:
    found = values(geo.evidence.simplex_angles(), *halves)
    for parent in ("animal", "plant"):
        one, other = (vertices(half, parent) for half in halves)

        def inner(a: int, b: int, c: int, d: int, one: list = one, other: list = other) -> float:
            """⟨v_b − v_a, v_d − v_c⟩, a half on either side."""
            return ((one[b] - one[a]) @ (other[d] - other[c]) + (other[b] - other[a]) @ (one[d] - one[c])) / 2

        cosines = [inner(i, j, i, m) / np.sqrt(inner(i, j, i, j) * inner(i, m, i, m)) for i, j, m in corners(6)]
        angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
        assert found[f"{parent} (6)"] == pytest.approx(np.abs(angles - 60).mean(), rel=1e-6)


def test_a_regular_simplex(halves: Halves) -> None:
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.standard_normal((576, 576)))[0]
    regular = [placed(half, 3 * rotation + rng.standard_normal(576)) for half in halves]
    assert list(values(geo.evidence.simplex_angles(), *regular).values()) == pytest.approx([0, 0], abs=1e-6)
    assert list(values(geo.evidence.simplex_span(), *regular).values()) == pytest.approx([1, 1])
    assert list(values(geo.evidence.simplex_dimension(), *regular).values()) == pytest.approx([1, 1])


def test_spans_of_unrelated_halves(halves: Halves) -> None:
    axes = np.eye(576)
    apart = placed(halves[0], axes), placed(halves[1], axes[20:])
    assert list(values(geo.evidence.simplex_span(), *apart).values()) == pytest.approx([0, 0])
    rng = np.random.default_rng(0)
    spans = []
    for _ in range(20):
        noise = [placed(half, rng.standard_normal((15, 576))) for half in halves]
        spans += values(geo.evidence.simplex_span(), *noise).values()
    assert np.mean(spans) == pytest.approx(5 / 576, rel=0.15)


def test_values_on_a_line_are_no_regular_simplex(halves: Halves) -> None:
    # Of three points in a row the angles are 0°, 180° and 0°.
    row = placed(halves[0], np.arange(15)[:, None] * np.eye(576)[:1])
    assert list(values(geo.evidence.simplex_angles(), row, row).values()) == pytest.approx([80, 80], abs=1e-3)
    assert np.isnan(list(values(geo.evidence.simplex_angles(), row, placed(row, -row.vectors.numpy())).values())).all()


def test_siblings_on_a_line_in_noise_have_fewer_dimensions_than_contrasts(halves: Halves) -> None:
    rng = np.random.default_rng(0)
    axis = np.eye(576)[:1]
    noisy = [
        [placed(half, base + 0.1 * rng.standard_normal((15, 576))) for half in halves]
        for base in (8 * np.arange(15)[:, None] * axis, 8 * np.eye(576)[:15])
    ]
    line, simplex = (list(values(geo.evidence.simplex_dimension(), *some).values()) for some in noisy)
    # One of five dimensions is clear.
    assert max(line) < 0.4
    assert line == pytest.approx([1 / 5, 1 / 5], abs=0.1)
    assert simplex == pytest.approx([1, 1], abs=0.1)
    noise = [placed(half, rng.standard_normal((15, 576))) for half in halves]
    assert np.isnan(list(values(geo.evidence.simplex_dimension(), *noise).values())).all()


def test_values_without_a_vector_are_left_out(halves: Halves) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((15, 576))
    hierarchy = halves[0].hierarchy
    lost = vectors.copy()
    lost[[hierarchy.index(name) for name in ("fish", "tree", "fruit", "grain", "herb")]] = np.nan
    for statistic in (geo.evidence.simplex_span(), geo.evidence.simplex_angles()):
        fits = placed(halves[0], lost), placed(halves[1], vectors)
        found = values(statistic, *fits)
        assert np.isfinite(found["animal (6)"])
        assert np.isnan(found["plant (6)"])
