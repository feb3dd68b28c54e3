"""How every two concepts of a hierarchy are related: itself, child, parent, sibling, cousin, unrelated."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.concepts import ConceptHierarchy
from geometry.display import short_repr
from geometry.errors import HierarchyError

if TYPE_CHECKING:
    from pandas import DataFrame

Relation = Literal["self", "child", "parent", "sibling", "cousin", "unrelated"]
RELATIONS: tuple[Relation, ...] = ("self", "child", "parent", "sibling", "cousin", "unrelated")
# Those whose words are not all the target's own: where an effect is a side effect.
ASIDE: tuple[Relation, ...] = ("parent", "sibling", "cousin", "unrelated")
_CHILD, _PARENT, _SIBLING, _COUSIN, _UNRELATED = range(1, len(RELATIONS))


@dataclass(frozen=True, eq=False)
class TreeRelations:
    """What each concept is to each other one in a directed acyclic graph, all paths and all parents considered.

    Attributes:
        names: of the k concepts, in the hierarchy's order.
        codes: shape (k, k), position in `RELATIONS` of what the concept of the column is to that of the row: its
            "child" is anywhere below it, its "parent" anywhere above it, a "sibling" has a parent in common with it, a
            "cousin" an ancestor at most two steps above both (so uncles and nephews too), all else is "unrelated". The
            first that holds counts.
        distance: edges on the shortest path, direction ignored; inf where there is none, shape (k, k).
    """

    names: tuple[str, ...]
    codes: NDArray[np.int8]
    distance: NDArray[np.float64]

    __repr__ = short_repr

    @classmethod
    @checked
    def of(cls, hierarchy: ConceptHierarchy) -> "TreeRelations":
        """All pairs of a hierarchy's concepts.

        Example::

            relations = TreeRelations.of(geo.load_hierarchy("organisms", unembedding.vocabulary))
            relations.between("bird", "mammal")  # "sibling"

        Raises HierarchyError: more than 10,000 concepts.
        """
        distance = hierarchy.tree_distance()
        k = len(hierarchy)
        direct = np.zeros((k, k), dtype=np.float32)  # child, parent
        for parent, child in hierarchy.edges:
            direct[child, parent] = 1
        above = np.zeros((k, k), dtype=bool)
        for child in range(k):  # parents come first
            for parent in np.flatnonzero(direct[child]).tolist():
                above[child] |= above[parent]
                above[child, parent] = True
        near = np.minimum(direct + direct @ direct, 1)
        codes = np.full((k, k), _UNRELATED, dtype=np.int8)
        codes[near @ near.T > 0] = _COUSIN
        codes[direct @ direct.T > 0] = _SIBLING
        codes[above] = _PARENT
        codes[above.T] = _CHILD
        np.fill_diagonal(codes, 0)
        return cls(hierarchy.names, codes, distance)

    def between(self, concept: str, other: str) -> Relation:
        """What `other` is to `concept`.

        Raises HierarchyError: an unknown name.
        """
        places = []
        for name in (concept, other):
            if name not in self.names:
                raise HierarchyError(f"no concept is called {name!r}; there are {', '.join(self.names[:5])}, …")
            places.append(self.names.index(name))
        return RELATIONS[self.codes[places[0], places[1]]]

    def to_frame(self) -> "DataFrame":
        """A row for every ordered pair: concept, other, relation, distance."""
        from pandas import DataFrame

        rows, columns = (index.ravel() for index in np.indices(self.codes.shape))
        names = np.array(self.names)
        return DataFrame(
            {
                "concept": names[rows],
                "other": names[columns],
                "relation": np.array(RELATIONS)[self.codes.ravel()],
                "distance": self.distance.ravel(),
            }
        )


def spread_over_depths(hierarchy: ConceptHierarchy, count: int) -> tuple[str, ...]:
    """So many concepts, evenly spaced along all of them in order of depth and size; all where they are fewer.

    Raises HierarchyError: fewer than 1.
    """
    if count < 1:
        raise HierarchyError(f"hierarchy {hierarchy.name!r}: at least 1 concept must be steered to, not {count}")
    depths = hierarchy.depths
    order = sorted(range(len(hierarchy)), key=lambda i: (depths[i], -len(hierarchy.concepts[i]), i))
    if count >= len(order):
        return tuple(hierarchy.names[i] for i in order)
    chosen = (np.arange(count) + 0.5) * len(order) / count
    return tuple(hierarchy.names[order[i]] for i in chosen.astype(np.int64))
