"""LabelledPoints: what is mapped, be it the tokens of a concept or the activations of prompts by class."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from geometry.arguments import checked
from geometry.concepts.hierarchy import incidence
from geometry.directions import TokenCloud
from geometry.display import short_repr
from geometry.errors import EstimationError

Points = torch.Tensor | ArrayLike


def checked_points(points: Points, what: str = "points") -> NDArray[np.float32]:
    """The points as a float32 matrix.

    EstimationError: not a matrix, fewer than two points, NaN or infinite values, or all points equal.
    """
    array = np.asarray(points.detach().cpu() if isinstance(points, torch.Tensor) else points)
    if array.ndim != 2 or array.shape[1] == 0 or array.dtype.kind not in "fiu":
        raise EstimationError(f"{what} must be a matrix of numbers, a row a point, not {array.dtype} {array.shape}")
    if len(array) < 2:
        raise EstimationError(f"{what}: {len(array)} of them are too few; give at least 2")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype=np.float32)
    if broken := int((~np.isfinite(array)).any(axis=1).sum()):
        raise EstimationError(f"{what}: {broken} of {len(array)} rows hold NaN or infinite values; leave them out")
    if not (array != array[0]).any():
        raise EstimationError(f"{what}: all {len(array)} rows are equal, so there is nothing to map")
    return array


def group_exchange(
    groups: NDArray[np.int64], strata: NDArray[np.int64] | None = None
) -> Callable[[np.random.Generator], NDArray[np.int64]]:
    """Draws for every point the one whose concepts it gets: whole groups go to groups of the same size and stratum.

    EstimationError for strata of another number of points; a group's first point decides its stratum.
    """
    if strata is not None and np.shape(strata) != groups.shape:
        raise EstimationError(f"strata must hold one number per point, shape {groups.shape}, not {np.shape(strata)}")
    groups = np.unique(groups, return_inverse=True)[1]
    points = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups)
    starts = np.cumsum(sizes) - sizes
    stratum = np.zeros(len(sizes), int) if strata is None else np.asarray(strata)[points[starts]]
    _, kinds = np.unique(np.stack([sizes, stratum]), axis=1, return_inverse=True)

    def draw(rng: np.random.Generator) -> NDArray[np.int64]:
        order = np.empty(len(points), dtype=np.int64)
        for kind in range(kinds.max() + 1):
            alike = np.flatnonzero(kinds == kind)
            inside = np.arange(sizes[alike[0]])
            order[points[starts[alike][:, None] + inside]] = points[starts[rng.permutation(alike)][:, None] + inside]
        return order

    return draw


@checked(points=Points, members=Mapping[str, Any], names=Sequence[Any], groups=ArrayLike)
@dataclass(frozen=True, eq=False)
class LabelledPoints:
    """Points, and the concepts or classes they belong to.

    Attributes:
        points: shape (n, d); kept as float32.
        members: concept → ascending positions of its points. Concepts may overlap and leave points out.
        names: one per point, its word for example; default its number.
        groups: shape (n,), equal for points that are variants of one thing (" bird", " Birds"); default all different.

    EstimationError: points that cannot be mapped, no concept, an empty one, positions out of range or repeated, or
    names or groups of another number.
    """

    points: NDArray[np.float32]
    members: Mapping[str, NDArray[np.int64]]
    names: tuple[str, ...] = ()
    groups: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    __repr__ = short_repr

    def __post_init__(self) -> None:
        points = checked_points(self.points)
        n = len(points)
        names = tuple(self.names) or tuple(map(str, range(n)))
        groups = np.asarray(self.groups) if np.size(self.groups) else np.arange(n)
        if len(names) != n or groups.shape != (n,):
            raise EstimationError(f"{n} points need as many names and groups, not {len(names)}, {groups.shape}")
        if not self.members:
            raise EstimationError("points need at least one concept or class to belong to")
        members = {name: np.unique(np.asarray(positions)) for name, positions in self.members.items()}
        for name, positions in members.items():
            if not len(positions):
                raise EstimationError(f"concept {name!r} has no points; leave it out or give their positions")
            if positions.dtype.kind not in "iu":
                what = f"concept {name!r}: members are positions of points, whole numbers, not {positions.dtype}"
                raise EstimationError(f"{what}; of a label for each point LabelledPoints.of_classes makes them")
            if positions[0] < 0 or positions[-1] >= n or len(positions) < len(self.members[name]):
                problem = f"positions must lie in 0 … {n - 1} and not repeat (found {positions[0]} … {positions[-1]})"
                raise EstimationError(f"concept {name!r}: {problem}")
        for key, value in (("points", points), ("names", names), ("groups", groups), ("members", members)):
            object.__setattr__(self, key, value)

    def __len__(self) -> int:
        return len(self.points)

    @classmethod
    @checked
    def of_concept(cls, cloud: TokenCloud, concept: str, within: Sequence[str] | None = None) -> "LabelledPoints":
        """The tokens of one concept, labelled by concepts inside it.

        The labels are those named `within`, by default the concept's children; tokens of none of them stay unlabelled.

        HierarchyError: an unknown concept.
        EstimationError: no children and nothing named, or a label without a token in the concept.
        """
        hierarchy = cloud.hierarchy
        own = hierarchy.members[hierarchy.index(concept)]
        labels = hierarchy.children[concept] if within is None else tuple(within)
        if not labels:
            raise EstimationError(f"concept {concept!r} has no children; name other concepts to label its tokens by")
        inside = {name: np.flatnonzero(np.isin(own, hierarchy.members[hierarchy.index(name)])) for name in labels}
        names = tuple(hierarchy.words[index] for index in own)
        return cls(cloud.points[torch.from_numpy(own)].cpu().numpy(), inside, names, hierarchy.lemmas[own])

    @classmethod
    @checked(labels=Iterable[Any], names=Sequence[Any])
    def of_classes(cls, points: Points, labels: Sequence[str], names: Sequence[str] = ()) -> "LabelledPoints":
        """Points each in one class, as the activations of prompts are; an empty label leaves a point without one."""
        array = checked_points(points)
        labels = list(labels)
        if len(labels) != len(array):
            raise EstimationError(f"{len(array)} points need as many labels, not {len(labels)}")
        values = np.array([str(label) for label in labels])
        members = {str(label): np.flatnonzero(values == label) for label in dict.fromkeys(values.tolist()) if label}
        return cls(array, members, tuple(names))

    @checked
    def moved(self, points: Points) -> "LabelledPoints":
        """The same names and concepts at other points, of any dimension."""
        array = checked_points(points)
        if len(array) != len(self):
            raise EstimationError(f"{len(self)} labelled points cannot be moved to {len(array)}")
        return replace(self, points=array)

    @checked(rows=ArrayLike)
    def select(self, rows: NDArray[np.int64]) -> "LabelledPoints":
        """The points at some ascending positions; concepts without a point among them are left out.

        EstimationError if the positions are out of range, repeat or descend, or too few are left.
        """
        rows = np.asarray(rows)
        ascending = rows.ndim == 1 and rows.dtype.kind in "iu" and bool((np.diff(rows) > 0).all())
        if not ascending or not len(rows) or rows[0] < 0 or rows[-1] >= len(self):
            raise EstimationError(f"points are selected by ascending positions in 0 … {len(self) - 1}")
        inside = {name: np.flatnonzero(np.isin(rows, positions)) for name, positions in self.members.items()}
        members = {name: positions for name, positions in inside.items() if len(positions)}
        return LabelledPoints(self.points[rows], members, tuple(self.names[row] for row in rows), self.groups[rows])

    def one_per_group(self) -> "LabelledPoints":
        """The first point of each group: of a word's spellings the one of the lowest token id, the most frequent.

        Spellings lie close together, and a graph of all of them finds little else.
        """
        return self.select(np.sort(np.unique(self.groups, return_index=True)[1]))

    @cached_property
    def incidence(self) -> csr_array:
        """Which point (row) belongs to which concept (column), as 0 and 1."""
        return incidence(list(self.members.values()), len(self)).T.astype(np.float64).tocsr()
