"""Shapes against explicit kriging and mixed-model equations, and on points whose shape is known."""

from typing import Any

import numpy as np
import pytest
from scipy.linalg import null_space
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.neighbors import NearestCentroid
from sklearn.utils.estimator_checks import parametrize_with_checks

import geometry as geo
from geometry.evidence.series.shapes import SHAPES, shape_kernel

RATIOS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
GROUPS = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2])


def expected_failures(estimator: geo.evidence.ShapeClassifier) -> dict[str, str]:
    if estimator.shape != "line":
        return {}
    return {
        "check_classifiers_train": "three blobs whose labels are in no order along a line: the most likely line"
        " explains nothing, so that all centres fall on one point, and no accuracy of 83% can be had"
    }


@parametrize_with_checks(
    [geo.evidence.ShapeClassifier(shape) for shape in SHAPES],
    expected_failed_checks=expected_failures,
    xfail_strict=True,
)
def test_scikit_learns_conventions(estimator: geo.evidence.ShapeClassifier, check: Any) -> None:
    check(estimator)


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((12, 8))


def distances(shape: str, k: int) -> np.ndarray:
    table = np.zeros((k, k))
    for i in range(k):
        for j in range(k):
            steps = abs(i - j)
            table[i, j] = {
                "line": steps,
                "circle": min(steps, k - steps),
                "tree": float(GROUPS[i] != GROUPS[j]),
                "simplex": float(i != j),
            }[shape]
    return table


@pytest.mark.parametrize("shape", SHAPES)
def test_kernels_have_the_distances_of_their_shape(shape: str) -> None:
    kernel = shape_kernel(shape, np.arange(12.0), groups=GROUPS)
    apart = np.add.outer(kernel.diagonal(), kernel.diagonal()) - 2 * kernel
    expected = distances(shape, 12)
    np.testing.assert_allclose(apart * expected[0, 11], expected * apart[0, 11], atol=1e-12)
    assert np.linalg.eigvalsh(kernel).min() > -1e-9
    assert np.trace(kernel) == pytest.approx(12)


def test_kernels_of_values_with_gaps_and_a_longer_period() -> None:
    kernel = shape_kernel("circle", np.array([0.0, 1, 5, 6]), period=7)
    apart = np.add.outer(kernel.diagonal(), kernel.diagonal()) - 2 * kernel
    steps = np.array([[0, 1, 2, 1], [1, 0, 3, 2], [2, 3, 0, 1], [1, 2, 1, 0]])
    np.testing.assert_allclose(apart / apart[0, 1], steps, atol=1e-12)


def test_a_tree_that_tells_nothing_apart_is_a_simplex() -> None:
    for groups in (np.zeros(5), np.arange(5)):
        kernel = shape_kernel("tree", np.arange(5.0), groups=groups)
        assert abs(geo.evidence.left_out_score(kernel, np.random.default_rng(0).standard_normal((5, 5)), 3)) < 1e-9


def restricted_likelihood(covariance: np.ndarray, rows: np.ndarray) -> float:
    """Likelihood of all contrasts among the rows, at the scale that makes it greatest."""
    contrasts = null_space(np.ones((1, len(rows)))).T
    among, seen = contrasts @ covariance @ contrasts.T, contrasts @ rows
    scale = np.mean([column @ np.linalg.solve(among, column) for column in seen.T]) / len(among)
    return sum(multivariate_normal.logpdf(column, cov=scale * among) for column in seen.T)


def most_likely_ratio(kernel: np.ndarray, rows: np.ndarray) -> float:
    return max(RATIOS, key=lambda ratio: restricted_likelihood(ratio * kernel + np.eye(len(rows)), rows))


def score_by_kriging(kernel: np.ndarray, rows: np.ndarray) -> float:
    error = baseline = 0.0
    for i in range(len(rows)):
        rest = [j for j in range(len(rows)) if j != i]
        ratio = most_likely_ratio(kernel[np.ix_(rest, rest)], rows[rest])
        covariance = ratio * kernel + np.eye(len(rows))
        system = np.block([[covariance[np.ix_(rest, rest)], np.ones((len(rest), 1))], [np.ones(len(rest)), 0]])
        weights = np.linalg.solve(system, [*covariance[rest, i], 1])[:-1]
        error += ((rows[i] - weights @ rows[rest]) ** 2).sum()
        baseline += ((rows[i] - rows[rest].mean(axis=0)) ** 2).sum()
    return 1 - error / baseline


@pytest.mark.parametrize("shape", SHAPES)
def test_left_out_scores_are_those_of_kriging(shape: str, noise: np.ndarray) -> None:
    kernel = shape_kernel(shape, np.arange(12.0), groups=GROUPS)
    steps = noise.cumsum(axis=0)
    for rows in (noise, steps, steps + noise):
        expected = score_by_kriging(kernel, rows)
        assert geo.evidence.left_out_score(kernel, rows @ rows.T, rows.shape[1]) == pytest.approx(expected, abs=1e-9)
    if shape == "simplex":
        assert expected == pytest.approx(0)


@pytest.mark.parametrize("shape", ["line", "circle", "tree"])
def test_centres_are_the_best_linear_prediction(shape: str, noise: np.ndarray) -> None:
    rows = np.repeat(noise.cumsum(axis=0), 2, axis=0) + np.random.default_rng(1).standard_normal((24, 8))
    labels = np.repeat(np.arange(12), 2)
    fitted = geo.evidence.ShapeClassifier(shape, groups=dict(enumerate(GROUPS.tolist()))).fit(rows, labels)
    means = rows.reshape(12, 2, 8).mean(axis=1)
    kernel = shape_kernel(shape, np.arange(12.0), groups=GROUPS)
    assert fitted.ratio_ == most_likely_ratio(kernel, means) > 0
    values, vectors = np.linalg.eigh(fitted.ratio_ * kernel)
    factor = vectors * np.sqrt(np.maximum(values, 0))
    penalised = np.block([[np.ones((12, 1)), factor], [np.zeros((12, 1)), np.eye(12)]])
    solution = np.linalg.lstsq(penalised, np.concatenate([means, np.zeros((12, 8))]))[0]
    np.testing.assert_allclose(fitted.centres_, solution[0] + factor @ solution[1:], atol=1e-8)
    assert fitted.left_out_score_ == pytest.approx(score_by_kriging(kernel, means))
    nearest = [min(range(12), key=lambda i: np.linalg.norm(row - fitted.centres_[i])) for row in rows]
    assert fitted.predict(rows).tolist() == nearest


def test_a_simplex_classifier_is_the_nearest_centroid(noise: np.ndarray) -> None:
    labels = np.array(list("abc") * 4)
    fitted = geo.evidence.ShapeClassifier().fit(noise, labels)
    centroid = NearestCentroid().fit(noise, labels)
    np.testing.assert_allclose(fitted.centres_, centroid.centroids_)
    assert fitted.predict(noise).tolist() == centroid.predict(noise).tolist()


def test_numeric_labels_are_positions_and_others_are_numbered(noise: np.ndarray) -> None:
    rows = noise.cumsum(axis=0)
    gaps = np.array([0, 1, 2, 3, 8, 9, 10, 11, 30, 31, 32, 33])
    apart = geo.evidence.ShapeClassifier("line").fit(rows, gaps)
    assert apart.left_out_score_ == pytest.approx(score_by_kriging(shape_kernel("line", gaps.astype(float)), rows))
    even = geo.evidence.ShapeClassifier("line").fit(rows, np.arange(12))
    named = geo.evidence.ShapeClassifier("line").fit(rows, list("abcdefghijkl"))
    assert named.left_out_score_ == even.left_out_score_ != apart.left_out_score_
    assert np.isnan(geo.evidence.ShapeClassifier("line").fit(rows, [0, 1] * 6).left_out_score_)


def test_classifiers_are_cloned_with_their_settings() -> None:
    settings = clone(geo.evidence.ShapeClassifier("circle", period=7, groups={0: 1})).get_params()
    assert settings == {"shape": "circle", "period": 7, "groups": {0: 1}}


def test_fits_that_cannot_be_are_refused(noise: np.ndarray) -> None:
    with pytest.raises(ValueError, match="unknown shape 'torus'; choose from simplex, line, circle, tree"):
        geo.evidence.ShapeClassifier("torus").fit(noise, np.arange(12))
    with pytest.raises(ValueError, match="at least two classes"):
        geo.evidence.ShapeClassifier("line").fit(noise, np.ones(12))


def planted(shape: str, seed: int = 0) -> np.ndarray:
    """Twelve means in 40 dimensions, on the shape up to a little noise."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((40, 40)))[0]
    angle = 2 * np.pi * np.arange(12) / 12
    on_shape = {
        "line": np.outer(np.arange(12), axes[0]),
        "circle": 3 * np.outer(np.cos(angle), axes[0]) + 3 * np.outer(np.sin(angle), axes[1]),
        "tree": 3 * axes[GROUPS],
        "simplex": 3 * axes[:12],
    }[shape]
    return on_shape + 0.2 * rng.standard_normal((12, 40)) + rng.standard_normal(40)


NAMES = tuple("abcdefghijkl")


@pytest.mark.parametrize("shape", SHAPES)
def test_planted_shapes_win(shape: str) -> None:
    found = geo.evidence.compare_shapes(planted(shape), NAMES, groups=GROUPS)
    assert found.preferred == shape
    assert "simplex" not in found.tests
    if shape == "simplex":
        assert all(test.p_value > 0.05 or test.value <= 0 for test in found.tests.values())
        assert found.verdict == "no shape preferred"
    else:
        assert found.tests[shape].p_value == 1 / 100
        assert found.tests[shape].value > 0.5
        assert found.tests[shape].value == max(test.value for test in found.tests.values())
        assert found.verdict == ("no shape preferred" if found.rivals else f"preferred shape: {shape}")


def test_a_scrambled_order_has_no_shape() -> None:
    order = np.random.default_rng(3).permutation(12)
    found = geo.evidence.compare_shapes(planted("line")[order], NAMES)
    assert found.preferred == "simplex"
    assert set(found.tests) == {"line", "circle"}


def test_p_values_of_random_orders_are_uniform() -> None:
    rng = np.random.default_rng(0)
    found = [
        geo.evidence.compare_shapes(rng.standard_normal((6, 20)), NAMES[:6], n_permutations=19, seed=i)
        for i in range(60)
    ]
    for shape in ("line", "circle"):
        assert np.mean([some.tests[shape].p_value for some in found]) == pytest.approx(0.5, abs=0.12)


def test_orders_that_are_symmetries_count_as_ties() -> None:
    # Of the 720 orders of two groups of three, 72 only exchange values within groups, or the groups.
    rng = np.random.default_rng(0)
    groups = np.array([0, 0, 0, 1, 1, 1])
    means = 3 * np.eye(20)[groups] + 0.3 * rng.standard_normal((6, 20))
    found = geo.evidence.compare_shapes(means, NAMES[:6], groups=groups, n_permutations=999)
    assert found.tests["tree"].p_value == pytest.approx(0.1, abs=0.03)


def test_scores_of_random_rows_and_what_is_recorded() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((5, 12, 40))
    found = geo.evidence.compare_shapes(planted("line"), NAMES, noise=noise, n_permutations=19)
    kernel = shape_kernel("line", np.arange(12.0))
    line = found.tests["line"]
    by_hand = [geo.evidence.left_out_score(kernel, some @ some.T, 40) for some in noise]
    np.testing.assert_allclose(line.nulls["random_rows"].values.ravel(), by_hand)
    again = geo.evidence.compare_shapes(planted("line"), NAMES, n_permutations=19)
    permuted = again.tests["line"].nulls["permuted_order"]
    assert np.array_equal(line.nulls["permuted_order"].values, permuted.values)
    assert list(again.tests["line"].nulls) == ["permuted_order"]
    entry = found.to_dict()
    assert entry["preferred"] == "line"
    assert entry["shapes"]["line"]["p_value"] == 1 / 20
    assert entry["shapes"]["line"]["nulls"]["permuted_order"] == pytest.approx(permuted.mean)


def test_standard_errors_are_the_jackknifes() -> None:
    means = planted("line") + np.random.default_rng(1).standard_normal((12, 40))
    found = geo.evidence.compare_shapes(means, NAMES, n_permutations=1)
    without = []
    for i in range(12):
        rest = [j for j in range(12) if j != i]
        without.append(score_by_kriging(shape_kernel("line", np.arange(12.0))[np.ix_(rest, rest)], means[rest]))
    expected = np.sqrt(11 / 12 * sum((value - np.mean(without)) ** 2 for value in without))
    assert found.errors["line"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("means", "options", "complaint"),
    [
        (np.eye(3), {}, "at least 4 values, one mean each, not 3 means of 3 values"),
        (np.eye(5), {"values": NAMES[:4]}, "not 5 means of 4 values"),
        (np.full((5, 2), np.nan), {}, "finite means"),
        (np.full((5, 2), np.inf), {}, "finite means"),
        (np.ones((5, 2)), {}, "not all equal"),
        (np.eye(5), {"n_permutations": 0}, "at least one random order, not 0"),
    ],
)
def test_means_that_have_no_shape_are_refused(means: np.ndarray, options: dict, complaint: str) -> None:
    with pytest.raises(geo.errors.EstimationError, match=complaint):
        geo.evidence.compare_shapes(means, **{"values": NAMES[: len(means)], **options})


def test_rivals_are_the_shapes_that_the_preferred_one_is_not_clearly_ahead_of() -> None:
    rng = np.random.default_rng(0)
    names = tuple(f"v{number}" for number in range(12))
    angles = 2 * np.pi * np.arange(12) / 12
    ring = np.zeros((12, 40))
    ring[:, 0], ring[:, 1] = 5 * np.cos(angles), 5 * np.sin(angles)
    found = geo.evidence.compare_shapes(ring + 0.05 * rng.standard_normal(ring.shape), names)
    # A path is a cycle but for the step from its end to its start, and one step is no evidence.
    assert (found.preferred, found.rivals) == ("circle", ("line",))
    groups = np.arange(12) % 3
    branches = 5 * np.eye(40)[groups] + 0.5 * rng.standard_normal((12, 40))
    found = geo.evidence.compare_shapes(branches, names, groups=groups)
    assert (found.preferred, found.rivals) == ("tree", ())


def test_too_few_orders_do_not_hide_the_best_shape() -> None:
    means = np.arange(6.0)[:, None] * np.eye(20)[:1] + 0.01 * np.eye(20)[:6]
    found = geo.evidence.compare_shapes(means, tuple("abcdef"), n_permutations=5)
    assert found.preferred == "line"


def test_the_best_possible_score_is_that_of_an_exact_shape() -> None:
    # Six values in a row, each step in a new direction: squared distances are |i − j|.
    steps = np.tril(np.ones((6, 6)))[:, 1:]
    found = geo.evidence.compare_shapes(steps, tuple("abcdef"), n_permutations=9)
    assert found.tests["line"].value == pytest.approx(found.tests["line"].predicted, abs=0.02)
    assert found.tests["line"].predicted < 0.6
