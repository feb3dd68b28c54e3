"""Features of parents and children: whether a parent is split into its children's, or absorbed by them.

Absorption is that of Chanin et al. (arXiv 2409.14507), with the tree in the place of their letters: words of a child
on which the parent's feature is silent while the child's carries the parent's direction.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from geometry.arguments import checked
from geometry.concepts import ConceptHierarchy
from geometry.dictionaries.concept_features import FEWEST, exchangeable, prepared
from geometry.dictionaries.dictionary import Dictionary
from geometry.dictionaries.feature_dictionary import FeatureDictionary
from geometry.dictionaries.feature_scores import Array, Mask, auc, best, f1
from geometry.dictionaries.random_dictionary import random_dictionary
from geometry.display import html_table, short_repr
from geometry.errors import EstimationError
from geometry.evidence import lemma_folds
from geometry.intervals import interval_of, mean_of
from geometry.randomness import generator

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class TreeFeatures:
    """What becomes of a parent's feature on the words of its children; on words that chose no feature.

    Attributes:
        edges: (parent, child) names, shape (e,).
        silent: share of the child's words on which the parent's feature is silent.
        silent_beside: the same of the parent's other words.
        absorbed: share of the child's words on which it is silent, the child's feature fires, and no active feature
            adds more to the parent's direction than the child's, whose cosine with it exceeds 2/√d.
        same: whether parent and child have one feature, in one half of the words at least.
        families: names of the parents with at least 2 children measured.
        single, union: F1 of a parent's words by the parent's own feature, and by any of its children's firing.
        permuted, random: measure → values as above of permuted words, shape (r, ·), and of random dictionaries (q, ·).
    """

    edges: tuple[tuple[str, str], ...]
    silent: Array
    silent_beside: Array
    absorbed: Array
    same: Mask
    families: tuple[str, ...]
    single: Array
    union: Array
    permuted: dict[str, Array]
    random: dict[str, Array]

    __repr__ = short_repr

    @property
    def splitting(self) -> Array:
        """By how much the children's features together beat the parent's own, F1, shape of `families`."""
        return self.union - self.single

    def summary(self) -> "DataFrame":
        """A row for each measure: mean, 95% interval over families, and the means of permuted words and random ones."""
        from pandas import DataFrame

        parents = np.unique([parent for parent, _ in self.edges], return_inverse=True)[1]
        table = {}
        for name in _MEASURES:
            values = np.asarray(getattr(self, name))
            over = None if name in _OF_FAMILIES else parents
            low, high = interval_of(values, over)
            table[name] = [mean_of(values), low, high, mean_of(self.permuted[name]), mean_of(self.random[name])]
        columns = ["mean", "low", "high", "permuted words", "random dictionary"]
        return DataFrame.from_dict(table, orient="index", columns=columns)

    def to_frame(self) -> "DataFrame":
        """A row for each edge."""
        from pandas import DataFrame

        columns = {"silent": self.silent, "silent beside": self.silent_beside, "absorbed": self.absorbed}
        return DataFrame(
            columns | {"same feature": self.same}, index=[f"{parent} → {child}" for parent, child in self.edges]
        )

    def _repr_html_(self) -> str:
        frame = self.summary()
        rows = [(name, *row) for name, row in zip(frame.index, frame.to_numpy(), strict=True)]
        return html_table(("", *frame.columns), rows, f"{len(self.edges)} edges, {len(self.families)} families")


class _Plan(NamedTuple):
    """The concepts that are measured and how they hang together, by row of `members`."""

    members: Mask
    edges: list[tuple[int, int]]
    families: dict[int, list[int]]


_CLOSE = 2.0  # standard deviations of the cosine of random directions, 1/√d
_MEASURES = ("silent", "silent_beside", "absorbed", "single", "union", "splitting")
_OF_FAMILIES = ("single", "union", "splitting")


@checked
def tree_features(
    dictionary: Dictionary,
    rows: ArrayLike,
    hierarchy: ConceptHierarchy,
    *,
    n_permutations: int = 99,
    n_random: int = 3,
    seed: int = 0,
) -> TreeFeatures:
    """Splitting and absorption of features along a hierarchy, beside permuted words and random dictionaries.

    Example::

        found = tree_features(dictionary, activations.mean("output.12"), hierarchy.over(activations.vocabulary))
        found.summary()

    One half of the words chooses, by AUC, the feature of each parent (against all other words) and of each child
    (against its parent's others); the other half, which shares no lemma with it, is measured, and both ways are
    averaged. The parent's direction is the difference of the mean rows of its other words, which the child does not
    hold, and of all words outside it.

    Parameters: as of `concept_features`.

    Raises EstimationError: as of `concept_features`; no child with 4 words whose parent has 4 more and 4 outside it.
    """
    x, members, kept, _ = prepared(rows, hierarchy)
    place = {int(index): row for row, index in enumerate(kept)}
    known = [(place[parent], place[child]) for parent, child in hierarchy.edges if {parent, child} <= place.keys()]
    edges = [edge for edge in known if (members[edge[0]] & ~members[edge[1]]).sum() >= FEWEST]
    if not edges:
        raise EstimationError(
            f"hierarchy {hierarchy.name!r}: no child has {FEWEST} words with {FEWEST} more in its parent and {FEWEST}"
            " outside that; a root that holds all words is no parent to measure"
        )
    families: dict[int, list[int]] = {}
    for parent, child in edges:
        families.setdefault(parent, []).append(child)
    plan = _Plan(members, edges, {parent: own for parent, own in families.items() if len(own) > 1})
    folds = lemma_folds(hierarchy, 2, generator(seed, "halves of words"))
    points = torch.as_tensor(x).float().numpy() if not isinstance(x, torch.Tensor) else x.float().numpy()
    z = dictionary.encode_sparse(points)
    found = _measured(dictionary, z, points, plan, folds)
    blocks = exchangeable(hierarchy)
    orders = (blocks.permutation(generator(seed, "permuted words", draw)) for draw in range(n_permutations))
    permuted = [_measured(dictionary, csr_array(z[order]), points[order], plan, folds) for order in orders]
    drawn = []
    if isinstance(dictionary, FeatureDictionary):
        for draw in range(n_random):
            control = random_dictionary(dictionary, points, seed=seed + draw)
            drawn.append(_measured(control, control.encode_sparse(points), points, plan, folds))
    names = [hierarchy.names[index] for index in kept]
    return TreeFeatures(
        tuple((names[parent], names[child]) for parent, child in edges),
        found["silent"], found["silent_beside"], found["absorbed"], found["same"] > 0,
        tuple(names[parent] for parent in plan.families), found["single"], found["union"],
        _stacked(permuted, found), _stacked(drawn, found),
    )  # fmt: skip


def _stacked(draws: list[dict[str, Array]], like: dict[str, Array]) -> dict[str, Array]:
    return {name: np.array([draw[name] for draw in draws]).reshape(-1, len(like[name])) for name in _MEASURES}


def _measured(
    dictionary: Dictionary, z: csr_array, points: Any, plan: _Plan, folds: NDArray[np.int64]
) -> dict[str, Array]:
    both = [_one_way(dictionary, z, points, plan, folds == held_out) for held_out in (0, 1)]
    with np.errstate(invalid="ignore"):
        found = {name: np.asarray(_mean_of_two(both[0][name], both[1][name])) for name in both[0]}
    found["splitting"] = found["union"] - found["single"]
    return found


def _mean_of_two(one: Array, other: Array) -> Array:
    """Where both are there; else the one that is."""
    return np.where(np.isnan(one), other, np.where(np.isnan(other), one, (one + other) / 2))


def _one_way(dictionary: Dictionary, z: csr_array, points: Any, plan: _Plan, test: Mask) -> dict[str, Array]:
    """All measures on the rows of `test`, by features that the other rows choose."""
    train = ~test
    members = plan.members
    chosen = best(auc(csr_array(z[train]), members[:, train]))
    decoder = dictionary.decoder.numpy()
    values: dict[str, list[float]] = {name: [] for name in ("silent", "silent_beside", "absorbed", "same")}
    for parent, child in plan.edges:
        own, beside = test & members[child], test & members[parent] & ~members[child]
        feature = chosen[parent]
        inside = train & members[parent]
        childs = best(auc(csr_array(z[inside]), members[[child]][:, inside]))[0]
        if min(feature, childs) < 0 or not own.any() or not beside.any() or members[child, inside].all():
            for kept in values.values():
                kept.append(np.nan)
            continue
        # Of the parent's other words: that of all its words is in part the child's own.
        others, rest = inside & ~members[child], train & ~members[parent]
        direction = points[others].mean(axis=0) - points[rest].mean(axis=0)
        quiet = _activity(z, feature, own) == 0
        values["silent"].append(float(quiet.mean()))
        values["silent_beside"].append(float((_activity(z, feature, beside) == 0).mean()))
        absorbed = quiet & _leads(csr_array(z[own]), childs, decoder, direction) if childs != feature else quiet & False
        values["absorbed"].append(float(absorbed.mean()))
        values["same"].append(float(childs == feature))
    fires = z[test] > 0
    single, union = [], []
    for parent, children in plan.families.items():
        numbers = np.unique([chosen[child] for child in children if chosen[child] >= 0])
        single.append(f1(_any_of(fires, [chosen[parent]]), members[parent, test]))
        union.append(f1(_any_of(fires, numbers), members[parent, test]))
    return {name: np.array(kept) for name, kept in values.items()} | {
        "single": np.array(single), "union": np.array(union)
    }  # fmt: skip


def _activity(z: csr_array, feature: int, rows: Mask) -> Array:
    return np.asarray(z[rows][:, [feature]].toarray()).ravel()


def _any_of(fires: csr_array, features: Any) -> Mask:
    return np.asarray(csr_array(fires)[:, np.asarray(features, dtype=np.int64)].toarray().any(axis=1))


def _leads(z: csr_array, feature: int, decoder: Any, direction: Array) -> Mask:
    """On which rows a feature fires and adds more to a direction than any other active one.

    None, if its own direction is no closer to it than 2.5% of random ones are.
    """
    along = decoder @ direction
    own = decoder[feature]
    if not along[feature] > _CLOSE / np.sqrt(len(direction)) * np.linalg.norm(own) * np.linalg.norm(direction):
        return np.zeros(z.shape[0], dtype=bool)
    adds = csr_array(z.multiply(along[None, :]))
    childs = np.asarray(adds[:, [feature]].toarray()).ravel()
    most = np.asarray(adds.max(axis=1).toarray()).ravel()
    return (childs > 0) & (childs >= most)
