from collections.abc import Callable

import numpy as np
from scipy.linalg import orthogonal_procrustes

from geometry.compare import ModelProfile, alignment_error, subtree_folds

Array = np.ndarray
K = 20
FOLDS = [(np.arange(5, K), np.arange(5)), (np.arange(15), np.arange(15, 18))]


def cloud(seed: int, width: int = 6) -> Array:
    return np.random.default_rng(seed).standard_normal((K, width))


def turn(seed: int, width: int = 6) -> Array:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))[0]


def errors(x: Array, y: Array) -> Array:
    return alignment_error(x @ x.T, y @ y.T, FOLDS)


def test_a_rotated_moved_and_stretched_model_fits_on_what_was_held_out() -> None:
    x = cloud(0)
    wider = np.hstack([x @ turn(1), np.zeros((K, 4))]) * 2.5 + np.linspace(-1, 1, 10)
    measured = errors(x, wider)
    assert np.flatnonzero(np.isnan(measured)).tolist() == [*range(5, 15), 18, 19]
    np.testing.assert_allclose(measured[[*range(5), 15, 16, 17]], 0, atol=1e-10)


def test_what_lies_outside_the_others_span_is_not_guessed() -> None:
    x = cloud(0)
    x[5:, 5] = 0
    measured = errors(x, x)
    # In the first fold no aligned concept has a sixth coordinate; in the second none of those left out has one.
    centred = x[:5] - x[5:].mean(axis=0)
    shares = np.linalg.norm(centred[:, :5], axis=1) / np.linalg.norm(centred, axis=1)
    np.testing.assert_allclose(measured[:5], 1 - shares)
    np.testing.assert_allclose(measured[15:18], 0, atol=1e-10)


def test_a_noisy_rotation_is_scipys_procrustes() -> None:
    x = cloud(0)
    y = x @ turn(1) + 0.3 * cloud(2)
    measured = errors(x, y)
    for kept, held_out in FOLDS:
        centres = x[kept].mean(axis=0), y[kept].mean(axis=0)
        rotation, _ = orthogonal_procrustes(x[kept] - centres[0], y[kept] - centres[1])
        moved, wanted = (x[held_out] - centres[0]) @ rotation, y[held_out] - centres[1]
        cosines = (moved * wanted).sum(axis=1) / np.linalg.norm(moved, axis=1) / np.linalg.norm(wanted, axis=1)
        np.testing.assert_allclose(measured[held_out], 1 - cosines)
    assert 0 < np.nanmean(measured) < 0.3


def test_only_the_leading_coordinates_are_aligned_and_the_whole_vector_is_wanted() -> None:
    x = np.random.default_rng(0).standard_normal((60, 40)) * np.linspace(3, 0.3, 40)
    measured = alignment_error(x @ x.T, 2 * x @ x.T, [(np.arange(10, 60), np.arange(10))])[:10]
    axes = np.linalg.svd(x)[2][:20]
    centred = x[:10] - x[10:].mean(axis=0)
    shares = np.linalg.norm(centred @ axes.T, axis=1) / np.linalg.norm(centred, axis=1)
    assert 0.02 < (1 - shares).mean() < 0.5
    np.testing.assert_allclose(measured, 1 - shares)


def test_noise_is_at_one() -> None:
    measured = np.array([np.nanmean(errors(cloud(2 * seed, 30), cloud(2 * seed + 1, 30))) for seed in range(100)])
    assert abs(measured.mean() - 1) < 3 * measured.std() / 10


def test_a_model_without_extent_says_nothing() -> None:
    assert np.isnan(errors(np.zeros((K, 3)), cloud(0))[:5]).all()


def test_training_shares_no_word_with_the_subtree_held_out(profile: Callable[..., ModelProfile]) -> None:
    hierarchy = profile(0, "a").hierarchy
    folds = subtree_folds(hierarchy)
    assert len(folds) == 9
    left = [hierarchy.names[index] for _, held_out in folds for index in held_out]
    assert len(left) == len(set(left)) == 27
    for kept, held_out in folds:
        top = min((hierarchy.names[index] for index in held_out), key=len)
        assert {hierarchy.names[index] for index in held_out} == {top, *hierarchy.descendants(top)}
        seen = {word for index in kept for word in hierarchy.concepts[index].words}
        assert not seen & {word for index in held_out for word in hierarchy.concepts[index].words}
        # Its ancestors alone share words with it.
        assert len(kept) == len(hierarchy) - len(held_out) - 2
