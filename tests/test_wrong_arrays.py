"""Functions of arrays that are given other things: refused in the package's own error, not in another library's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import geometry as geo
from geometry.arguments import checked
from tests.maps.clouds import two_blobs
from tests.planted import planted_classes

HIERARCHY = planted_classes().hierarchy
K = len(HIERARCHY)
RANDOM = np.random.default_rng(0)
COSINES = np.corrcoef(RANDOM.standard_normal((K, 9)))
PAIRS = ~np.eye(K, dtype=bool)
POINTS, LABELS, GROUPS = RANDOM.standard_normal((12, 4)), ["a", "b"] * 6, ["x"] * 6 + ["y"] * 6
PROBE = geo.probing.Probe.fit(POINTS, LABELS)
BLOBS = two_blobs(10)
LENS = geo.maps.pca_lens(1)
FOLDS = [(np.arange(K - 1), np.array([K - 1]))]
WRONG: tuple[Any, ...] = (
    None, "x", b"x", object(), len, {}, [], [[]], [[1, 2], [3]], [object()], ["a", 1], np.array(["a", "b"]),
    np.array([object()]), np.zeros((0, 3)), np.zeros((3, 0)), np.zeros((2, 3, 4)), np.ones((K, K)) * 1j, np.array(3),
)  # fmt: skip

TREE = {"cosines": COSINES, "permuted": [COSINES], "hierarchy": HIERARCHY, "n_permutations": 1}
HELD_OUT = {"points": POINTS, "labels": LABELS, "groups": GROUPS, "n_permutations": 1}
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any], tuple[str, ...]]] = {
    "cka": (geo.compare.cka, {"first": COSINES, "second": COSINES, "counted": PAIRS}, ()),
    "rsa": (geo.compare.representational_similarity, {"first": COSINES, "second": COSINES, "counted": PAIRS}, ()),
    "dendrogram": (geo.compare.dendrogram, {"cosines": COSINES}, ()),
    "cophenetic": (geo.compare.cophenetic, {"cosines": COSINES}, ()),
    "consensus": (geo.compare.consensus, {"cosines": [COSINES]}, ()),
    "tree_agreement": (geo.compare.tree_agreement, {"heights": COSINES, "distance": COSINES, "counted": PAIRS}, ()),
    "alignment_error": (geo.compare.alignment_error, {"first": COSINES, "second": COSINES, "folds": FOLDS}, ("folds",)),
    "recovered_tree": (geo.compare.recovered_tree, TREE, ("permuted",)),
    "classify_held_out": (geo.probing.classify_held_out, HELD_OUT, ()),
    "matched_cosines": (geo.probing.matched_cosines, {"one": POINTS, "other": POINTS}, ()),
    "Probe.fit": (geo.probing.Probe.fit, {"points": POINTS, "labels": LABELS}, ()),
    "Probe.scores": (PROBE.scores, {"points": POINTS}, ()),
    "Probe.predict": (PROBE.predict, {"points": POINTS}, ()),
    "LabelledPoints": (geo.maps.LabelledPoints, {"points": BLOBS.points, "members": BLOBS.members}, ()),
    "nearest_neighbours": (geo.maps.nearest_neighbours, {"points": BLOBS.points, "k": 3}, ()),
    "trustworthiness": (geo.maps.trustworthiness, {"points": BLOBS.points, "coordinates": BLOBS.points, "k": 3}, ()),
    "mapper": (geo.mapper, {"labelled": BLOBS, "lens": LENS, "clusterer": geo.maps.MutualNeighbours()}, ("clusterer",)),
    "compare_mapper": (geo.maps.compare_mapper, {"labelled": BLOBS, "lens": LENS, "n_permutations": 1}, ()),
    "stability_sweep": (geo.maps.stability_sweep, {"labelled": BLOBS, "lens": LENS}, ()),
    "HeldOutSweep": (
        geo.probing.HeldOutSweep,
        {"results": [geo.probing.classify_held_out(POINTS, LABELS, GROUPS, n_permutations=1)]},
        (),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_what_is_no_array_of_that_kind_is_refused(name: str) -> None:
    function, arguments, left = CALLS[name]
    function(**arguments)
    for key in arguments:
        for value in () if key in left or key == "lens" else WRONG:
            with pytest.raises(geo.GeometryError) as refusal:
                function(**{**arguments, key: value})
            assert len(str(refusal.value)) < 400


@pytest.mark.parametrize(
    ("function", "arguments"),
    [(geo.compare.recovered_tree, TREE), (geo.probing.classify_held_out, HELD_OUT),
     (geo.probing.matched_cosines, {"one": POINTS, "other": POINTS}),
     (geo.maps.compare_mapper, {"labelled": BLOBS, "lens": LENS}),
     (geo.maps.trustworthiness, {"points": BLOBS.points, "coordinates": BLOBS.points, "k": 3})],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_counts_and_seeds_are_bounded(function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    for key, value in (("n_permutations", 10**30), ("n_permutations", -1), ("seed", -1), ("seed", 10**30)):
        with pytest.raises(geo.errors.EstimationError, match=f"{key} must be 0 or more and below 2"):
            function(**{**arguments, key: value})


def test_maps_have_bounded_epochs_and_seeds() -> None:
    for option in ({"epochs": 2**31}, {"epochs": 10**30}, {"seed": 2**32}, {"seed": -1}):
        with pytest.raises(geo.errors.EstimationError, match=next(iter(option))):
            geo.umap_embedding(BLOBS.points, **option)


def test_lists_do_for_matrices() -> None:
    rows = COSINES.tolist()
    assert geo.compare.cka(rows, rows, PAIRS.tolist()) == pytest.approx(geo.compare.cka(COSINES, COSINES, PAIRS))
    assert geo.compare.representational_similarity(rows, rows, PAIRS.astype(int)) == pytest.approx(1)


def test_matrices_of_two_sizes_are_not_compared() -> None:
    with pytest.raises(geo.errors.EstimationError, match="second must have the shape of first"):
        geo.compare.cka(COSINES, COSINES[1:, 1:], PAIRS)
    with pytest.raises(geo.errors.EstimationError, match="finite"):
        geo.compare.dendrogram(np.full((4, 4), np.nan))
    with pytest.raises(geo.errors.EstimationError, match="fitted to width 4, not 3"):
        PROBE.scores(POINTS[:, 1:])


def test_arrays_hold_nothing_of_ours() -> None:
    @checked
    def draw(covers: list[geo.maps.Cover]) -> int:
        return len(covers)

    assert draw([geo.maps.Cover()]) == 1
    for wrong in (np.zeros(3), np.array(3)):
        with pytest.raises(geo.errors.ArgumentError, match="covers must be several of Cover"):
            draw(wrong)
