"""Graphs of any shape: orders, words handed up and merges by hand, and large ones within bounds."""

import networkx as nx
import numpy as np
import pytest

import geometry as geo
from geometry.concepts.ancestry import handed_up, merged_into, parents_first
from geometry.errors import HierarchyError

DEEPEST, LARGEST = 1000, 100_000


def chain(n: int) -> dict[str, list[str]]:
    return {str(i): [str(i - 1)] if i else [] for i in range(n)}


def test_parents_come_first_and_otherwise_the_order_is_kept() -> None:
    assert parents_first("x", {"c": ["a", "b"], "b": ["a", "a"], "z": [], "a": ["unknown"]}) == ["z", "a", "b", "c"]
    assert parents_first("x", {}) == []


@pytest.mark.parametrize("seed", range(5))
def test_orders_are_those_of_networkx(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = [str(number) for number in rng.permutation(60)]
    parents = {name: [names[i] for i in rng.integers(0, at, 2)] if at else [] for at, name in enumerate(names)}
    shuffled = {name: parents[name] for name in rng.permutation(names).tolist()}
    graph = nx.DiGraph([(parent, child) for child, above in shuffled.items() for parent in above])
    graph.add_nodes_from(names)
    expected = nx.lexicographical_topological_sort(graph, key=list(shuffled).index)
    assert parents_first("x", shuffled) == list(expected)
    own = {name: np.array([index]) for index, name in enumerate(shuffled)}
    held = handed_up("x", own, shuffled)
    for name in names:
        below = nx.descendants(graph, name) | {name}
        assert held[name].tolist() == sorted(int(own[other][0]) for other in below)


@pytest.mark.parametrize(
    ("parents", "complaint"),
    [
        ({"a": ["a"]}, "x has a cycle: a → a"),
        ({"r": [], "a": ["r", "c"], "b": ["a"], "c": ["b"], "d": ["c"]}, "x has a cycle: b → c → a → b"),
        (chain(DEEPEST + 2), "x is too deep: '1001' is 1,001 steps below a root; 1,000 at most"),
        ({str(i): [] for i in range(LARGEST + 1)}, "x has 100,001 concepts; 100,000 at most"),
    ],
)
def test_what_is_no_hierarchy_or_too_large_is_refused(parents: dict, complaint: str) -> None:
    with pytest.raises(HierarchyError, match=complaint):
        parents_first("x", parents)


def test_more_words_than_fit_are_refused_before_they_are_handed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geometry.concepts.ancestry._MOST_HANDED_UP", 44)
    own = {str(i): np.array([i]) for i in range(10)}
    assert len(handed_up("x", {name: own[name] for name in list(own)[:9]}, chain(9))["0"]) == 9
    with pytest.raises(HierarchyError, match="x is too large: its concepts hand more than 44 words up"):
        handed_up("x", own, chain(10))


def test_equals_are_merged_into_the_first_parent_that_is_as_large() -> None:
    sizes = {"a": 3, "b": 3, "c": 3, "d": 1, "e": 0, "f": 0}
    parents = {"a": (), "b": ("a",), "c": ("b", "a"), "d": ("c", "b"), "e": ("a",), "f": ("e",)}
    into, above = merged_into(sizes, parents)
    assert into == {"b": "a", "c": "a"}
    assert above == {"a": (), "d": ("a",), "e": ("a",), "f": ("e",)}


N = 50_000
SHAPES = {
    "star": lambda _: [0],
    "binary tree": lambda i: [(i - 1) // 2],
    "two parents": lambda i: [(i - 1) // 2, (i - 1) // 3],
}


@pytest.mark.parametrize("n", [N // 10, pytest.param(N, marks=pytest.mark.long)])
@pytest.mark.parametrize("shape", SHAPES)
def test_large_graphs_are_built_whole(shape: str, n: int) -> None:
    vocabulary = geo.Vocabulary([f"Ġw{number}" for number in range(n)])
    words = {str(i): [f"w{i}"] for i in range(n)}
    parents = {str(i): [str(parent) for parent in SHAPES[shape](i)] if i else [] for i in range(n)}
    hierarchy = geo.concepts.hierarchy_from_words("large", words, parents, vocabulary, forms="none")
    assert len(hierarchy) == n
    assert len(hierarchy["0"]) == n
    assert len(hierarchy.descendants("0")) == n - 1
    assert sorted(hierarchy.depth_first) == list(range(n))
    assert sum(stop - start for _, start, stop in hierarchy.blocks()) <= n


@pytest.mark.parametrize("n", [1000, DEEPEST + 1])
def test_deep_graphs_are_built_and_deeper_ones_refused(n: int) -> None:
    vocabulary = geo.Vocabulary([f"Ġw{number}" for number in range(n + 1)])
    words = {str(i): [f"w{i}"] for i in range(n + 1)}
    hierarchy = geo.concepts.hierarchy_from_words(
        "deep", dict(list(words.items())[:n]), chain(n), vocabulary, forms="none"
    )
    assert hierarchy.depths.max() == n - 1
    assert [len(concept) for concept in hierarchy] == list(range(n, 0, -1))
    if n > DEEPEST:
        with pytest.raises(HierarchyError, match="hierarchy 'deep' is too deep: '1001' is 1,001 steps below"):
            geo.concepts.hierarchy_from_words("deep", words, chain(n + 1), vocabulary, forms="none")
        concepts = tuple(geo.concepts.Concept(str(i), ("w",), (i,)) for i in range(n + 1))
        with pytest.raises(HierarchyError, match="too deep"):
            geo.ConceptHierarchy("deep", concepts, {name: tuple(above) for name, above in chain(n + 1).items()})


@pytest.mark.long
def test_fifty_chains_of_a_thousand_concepts() -> None:
    vocabulary = geo.Vocabulary([f"Ġw{number}" for number in range(N)])
    words = {str(i): [f"w{i}"] for i in range(N)}
    parents = {str(i): [str(i - 1)] if i % DEEPEST else [] for i in range(N)}
    hierarchy = geo.concepts.hierarchy_from_words("comb", words, parents, vocabulary, forms="none")
    assert (len(hierarchy), sum(map(len, hierarchy))) == (N, N * (DEEPEST + 1) // 2)
