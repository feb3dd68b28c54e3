"""Flat hierarchies: what a tree without branches cannot show is not measurable, and says so."""

import networkx as nx
import numpy as np
import pytest

import geometry as geo
from geometry.evidence import verdict_word
from tests.planted import planted_tree

TREE = ("tree-correlation", "tree-correlation-disjoint", "quartets", "four-points")


def flat(children: int, *, root: bool) -> tuple[geo.CausalSpace, geo.ConceptHierarchy]:
    unembedding, hierarchy = planted_tree((children,), per_leaf=12, width=32, rows=300, scattered=True)
    if not root:
        hierarchy = hierarchy.only([name for name in hierarchy.names if name != "r"])
    return geo.CausalSpace.fit(unembedding), hierarchy


@pytest.mark.parametrize(("children", "root"), [(3, True), (4, False), (4, True), (5, False)])
def test_claims_about_a_tree_are_not_measurable_on_a_flat_one(children: int, root: bool) -> None:
    space, hierarchy = flat(children, root=root)
    claims = [claim for claim in geo.CLAIMS if claim.name in TREE]
    results = geo.evaluate_claims(space, hierarchy, claims=claims, n_permutations=9, n_twins=2, progress=False)
    assert {test.name: verdict_word(test.verdict) for test in results} == dict.fromkeys(TREE, "not measurable")
    for test in results:
        assert np.isnan([test.value, test.p_value, *test.interval, *test.ends]).all(), test.name
        assert np.isnan(test.nulls["permuted"].means).all()
        assert test.to_dict()["interval"] is None


def test_a_chain_has_nothing_but_nesting() -> None:
    unembedding, hierarchy = planted_tree((2, 2, 2), per_leaf=6, width=32, rows=300)
    chain = hierarchy.only(["r", "ra", "raa", "raaa"])
    directions = geo.ConceptDirections.fit(geo.CausalSpace.fit(unembedding), chain)
    for pairs in ("all", "word-disjoint"):
        assert np.isnan(geo.evidence.tree_correlation(pairs).evaluate(directions)).all()


@pytest.mark.parametrize("edges", [1, 2])
def test_one_level_more_is_measured(edges: int) -> None:
    # Two kinds of three and two things, each in its own branch: cousins are farther than siblings.
    unembedding, hierarchy = planted_tree((2, 3), per_leaf=8, width=32, rows=300)
    kept = ["r", "ra", "rb", "raa", "rab", "rba", *(["rbb"] if edges == 2 else [])]
    small = hierarchy.only(kept)
    directions = geo.ConceptDirections.fit(geo.CausalSpace.fit(unembedding), small)
    graph = nx.Graph([(small.names[parent], small.names[child]) for parent, child in small.edges])
    assert len(set(dict(nx.shortest_path_length(graph))["raa"].values())) > 2
    for pairs in ("all", "word-disjoint"):
        assert np.isfinite(geo.evidence.tree_correlation(pairs).evaluate(directions)).all()


def test_a_flat_tree_is_refused_where_nothing_may_be_missing() -> None:
    space, hierarchy = flat(4, root=True)
    statistics = [geo.evidence.tree_correlation("all")]
    with pytest.raises(geo.errors.EstimationError, match="tree_correlation_all: nothing to measure it on"):
        geo.test_against_nulls(space, hierarchy, statistics, nulls=["permuted"], progress=False)
