"""Maps of the words of a hierarchy, alone or among the whole vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
import torch
from numpy.typing import NDArray

import geometry.plots as plots
from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections
from geometry.errors import EstimationError, HierarchyError
from geometry.output import replacing
from geometry.views.colouring import Members, branches, by_concept, by_depth, disjoint_concepts
from geometry.views.layout import layout
from geometry.views.selection import filled, labels_of

if TYPE_CHECKING:
    from pandas import DataFrame

    from geometry.plots import Figure, MapPanel, Options

_FEW = 30  # concepts at most of which the innermost are coloured, or the branches where these are many
_MOST = 12
_WORDS = 2  # of a concept that are named


@dataclass(frozen=True, eq=False)
class WordMap:
    """A map of words; see `word_map`.

    Attributes:
        hierarchy: whose concepts are shown.
        texts: of the n points, as the vocabulary has them.
        members: concept → positions of its words among the points, the farthest along its vector first.
        coordinates: shape (n, 2).
        method: how it was made, in words.
    """

    hierarchy: ConceptHierarchy
    texts: tuple[str, ...]
    members: Members
    coordinates: NDArray[np.float32]
    method: str

    @checked
    def plot(
        self, concepts: Sequence[str] | None = None, *, words: int = _WORDS, **options: "Unpack[Options]"
    ) -> "Figure":
        """Draw it, the words of some concepts in colour.

        Parameters:
            concepts: at most 12; default the innermost of a small hierarchy, of many the largest that hardly share a
                word. A word of several has the colour of the smallest.
            words: so many of each are named, those farthest along the concept's vector.
            options: of `geo.plots`.

        HierarchyError: an unknown or repeated concept, or more than 12.
        """
        names = self._chosen(concepts)
        title, caption = self._said(names)
        colouring = replace(by_concept(self.hierarchy, names, self.members, len(self.texts)), concepts=None)
        labels = word_labels(names, self.members, self.texts, words)
        return plots.point_map(
            [self._panel()], colouring, labels=labels, **filled(options, title, caption, labels_of(names))
        )

    @checked
    def page(self, path: str | Path, *, title: str = "", detail: str = "") -> Path:
        """Write an interactive page, to search and to walk by concept: one HTML file that needs no network.

        OutputError: the folder does not exist or the file cannot be written there.
        """
        names, count = self._chosen(None), len(self.texts)
        own_title, own_detail = self._said(names)
        by_name, depths = (
            by_concept(self.hierarchy, names, self.members, count),
            by_depth(self.hierarchy, self.members, count),
        )
        colourings = [replace(each, concepts=None) for each in (by_name, depths)]
        groups = [np.sort(self.members[name]) for name in self.hierarchy.names]
        tree = plots.ConceptTree(self.hierarchy.names, self.hierarchy.edges, groups)
        said = {"title": title or own_title, "detail": detail or own_detail}
        with replacing(path) as unfinished:
            html = plots.pages.explorer_page([self._panel()], self.texts, colourings, tree, **said)
            unfinished.write_text(html, encoding="utf-8")
        return Path(path)

    def to_frame(self) -> "DataFrame":
        """A row a word: x and y."""
        from pandas import DataFrame

        return DataFrame(self.coordinates, index=[text.strip() for text in self.texts], columns=["x", "y"])

    def _panel(self) -> "MapPanel":
        return plots.MapPanel("", self.coordinates)

    def _chosen(self, concepts: Sequence[str] | None) -> list[str]:
        if concepts is None:
            innermost = [name for name in self.hierarchy.names if not self.hierarchy.children[name]]
            if len(self.hierarchy) > _FEW:
                return disjoint_concepts(self.hierarchy)
            return innermost if len(innermost) <= _MOST else branches(self.hierarchy)
        names = [self.hierarchy.names[self.hierarchy.index(name)] for name in concepts]
        if not 1 <= len(set(names)) == len(names) <= _MOST:
            raise HierarchyError(f"word_map: give 1 to {_MOST} concepts, each once, not {len(names)}")
        return names

    def _said(self, names: Sequence[str]) -> tuple[str, str]:
        what = f"{len(self.texts):,} words, those of {len(names)} concepts of {self.hierarchy.name} in colour"
        how = f"Unified space, {self.method}; far groups have no distance that means something."
        return f"Map of {what}", f"{how} Named words are those farthest along their concept's vector."

    def __repr__(self) -> str:
        return f"WordMap({len(self.texts)} words of {self.hierarchy.name!r}, {self.method})"


@checked
def word_map(
    directions: ConceptDirections,
    *,
    space: CausalSpace | None = None,
    neighbours: int = 15,
    seed: int = 0,
    progress: bool | None = None,
) -> WordMap:
    """A map of the words that directions were fitted on, or with a space of its whole vocabulary, which takes minutes.

    >>> import geometry as geo
    >>> space = geo.CausalSpace.fit(geo.Unembedding.load("smollm2-135m"))
    >>> directions = geo.ConceptDirections.fit(space, geo.load_hierarchy("organisms", space.unembedding.vocabulary))
    >>> figure = geo.views.word_map(directions).plot(["bird", "fish", "insect", "tree"])

    UMAP, if there are more words than `neighbours`; else the two principal axes. `seed` and `progress` are UMAP's.

    EstimationError: fewer than two words, fewer than 2 neighbours, or a space of another width.
    """
    cloud, hierarchy = directions.cloud, directions.hierarchy
    if space is None:
        points, texts, members = (
            cloud.points,
            hierarchy.words,
            dict(zip(hierarchy.names, hierarchy.members, strict=True)),
        )
    else:
        if space.width != directions.vectors.shape[1]:
            raise EstimationError(
                f"word_map: the space has width {space.width}, the vectors {directions.vectors.shape[1]}"
            )
        rows, vocabulary = space.unembedding.rows, space.unembedding.vocabulary
        points, texts = space.unified, tuple(vocabulary.text(token) for token in rows.tolist())
        members = {concept.name: np.searchsorted(rows, concept.tokens) for concept in hierarchy}
    coordinates, method = layout("word_map", points, neighbours, seed, progress)
    return WordMap(hierarchy, texts, farthest_first(points, directions, members), coordinates, method)


def farthest_first(points: torch.Tensor, directions: ConceptDirections, members: Members) -> Members:
    """Of every concept the positions of its words among the points, the farthest along its vector first."""
    return {
        name: own[np.argsort(-(points[torch.from_numpy(own)] @ directions[name]).cpu().numpy(), kind="stable")]
        for name, own in members.items()
    }


def word_labels(names: Sequence[str], members: Members, texts: Sequence[str], words: int) -> dict[str, list[int]]:
    """What a map of words names: the concepts, and of each the first `words` in lower case."""
    labels = {label: members[name].tolist() for name, label in labels_of(names).items()}
    for name in names:
        # A concept may be called what one of its words is.
        named = [(texts[index].strip(), [index]) for index in members[name].tolist()]
        labels |= dict([(text, own) for text, own in named if text.islower() and text not in labels][:words])
    return labels
