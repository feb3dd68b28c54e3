"""A hierarchy as others hold one: nested lists, a networkx graph, a pandas table; `load_hierarchy` reads each back."""

from typing import TYPE_CHECKING, Any

import networkx as nx

from geometry.concepts.relations import KIND

if TYPE_CHECKING:
    from pandas import DataFrame

    from geometry.concepts.hierarchy import ConceptHierarchy


def to_dict(self: "ConceptHierarchy") -> dict[str, Any]:
    """Concept → its words, a list, whose last item holds the concepts below it, if there are any.

    >>> import geometry as geo
    >>> vocabulary = geo.Vocabulary(["Ġcat", "Ġcrow", "Ġanimal"])
    >>> toy = geo.load_hierarchy({"animal": ["animal", {"mammal": ["cat"], "bird": ["crow"]}]}, vocabulary)
    >>> toy.to_dict()
    {'animal': ['animal', {'mammal': ['cat'], 'bird': ['crow']}]}

    Words stand with the lowest concepts that hold them. `geo.load_hierarchy(toy.to_dict(), vocabulary, forms="none")`
    has the same concepts, words and parents; a concept of several parents stands below each.
    """
    own = own_words(self)
    made: dict[str, list[Any]] = {}
    for name in reversed(self.names):
        below = {child: made[child] for child in self.children[name]}
        made[name] = [*own[name], *([below] if below else [])]
    return {name: made[name] for name in self.names if not self.parents[name]}


def to_networkx(self: "ConceptHierarchy") -> "nx.DiGraph[str]":
    """A graph of the concepts, edges from parent to child; the attribute `words` of a node lists its own words.

    Own are those of no concept below it. `geo.load_hierarchy(graph, vocabulary, forms="none")` reads it back.
    """
    graph: nx.DiGraph[str] = nx.DiGraph(name=self.name)
    for name, words in own_words(self).items():
        graph.add_node(name, words=words)
    graph.add_edges_from((parent, name) for name in self.names for parent in self.parents[name])
    return graph


def to_frame(self: "ConceptHierarchy") -> "DataFrame":
    """A table of the columns parent, child and kind, a row for every link: to a "concept", or to a "word" of its own.

    `geo.load_hierarchy(table, vocabulary, forms="none")` reads it back.
    """
    from pandas import DataFrame

    own = own_words(self)
    rows = [
        row
        for name in self.names
        for row in (
            *((name, child, "concept") for child in self.children[name]),
            *((name, word, "word") for word in own[name]),
        )
    ]
    return DataFrame(rows, columns=["parent", "child", KIND])


def own_words(hierarchy: "ConceptHierarchy") -> dict[str, list[str]]:
    """Concept → those of its words that none of its children has."""
    return {
        concept.name: [word for word in concept.words if word not in below]
        for concept in hierarchy
        for below in [{word for child in hierarchy.children[concept.name] for word in hierarchy[child].words}]
    }
