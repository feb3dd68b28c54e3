"""ConceptHierarchy: a DAG of named concepts, each with its words and their tokens."""

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from operator import itemgetter, lt

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import shortest_path

from geometry.arguments import checked
from geometry.concepts.ancestry import parents_first
from geometry.concepts.exports import to_dict, to_frame, to_networkx
from geometry.concepts.words import lemma_groups
from geometry.display import html_table, in_short, short_repr
from geometry.errors import HierarchyError, shown
from geometry.models import Vocabulary

_MOST_PAIRED = 10_000


@dataclass(frozen=True)
class Concept:
    """A named set of words. `words[i]` is the text of `tokens[i]`; tokens ascend and do not repeat.

    `lost` are words that it was to hold too, of which no form is a single token.
    """

    name: str
    words: tuple[str, ...]
    tokens: tuple[int, ...]
    lost: tuple[str, ...] = ()

    __repr__ = short_repr

    def __post_init__(self) -> None:
        ascending = all(map(lt, self.tokens, self.tokens[1:])) and (not self.tokens or self.tokens[0] >= 0)
        if len(self.words) != len(self.tokens) or not ascending:
            raise HierarchyError(f"concept {shown(self.name)} needs one word per token, and ascending token ids from 0")

    def __len__(self) -> int:
        return len(self.tokens)

    @classmethod
    def from_words(cls, name: str, words: Iterable[str], vocabulary: Vocabulary) -> "Concept":
        """The concept made of those `words` that are single tokens after a space."""
        word_of = {token: word for word in words if (token := vocabulary.word_id(word)) is not None}
        tokens = tuple(sorted(word_of))
        return cls(name, tuple(word_of[token] for token in tokens), tokens)


@checked
@dataclass(frozen=True, eq=False)
class ConceptHierarchy:
    """A directed acyclic graph of concepts; edges run from a parent to its children.

    >>> import geometry as geo
    >>> vocabulary = geo.Vocabulary(["Ġcat", "Ġcats", "Ġcrow"])
    >>> animal, mammal = (geo.concepts.Concept.from_words(name, words, vocabulary) for name, words in
    ...                   [("animal", ["cat", "cats", "crow"]), ("mammal", ["cat", "cats"])])
    >>> toy = geo.ConceptHierarchy("toy", (animal, mammal), {"mammal": ("animal",)})
    >>> toy, toy["mammal"].words, toy.children["animal"]
    (ConceptHierarchy('toy', 2 concepts, 1 edges, 3 tokens), ('cat', 'cats'), ('mammal',))

    Parameters:
        name: what figures and results call it.
        concepts: in any order; stored parents first, siblings in the order given.
        parents: child name → names of its parents. Concepts not mentioned are roots.
        variants: word → its other spellings, by which `lemmas` joins words beyond case and plural.
        recipe: how it was made, for the record.
        notes: what was merged, dropped or skipped on the way, for the record.
        drawn: of the concepts that a null model drew beside real ones, which it keeps for comparison: name → the real
            child it stands for. Statistics report these alone, and they may hang on any parent.

    HierarchyError: no concepts, a duplicate or empty concept, an unknown parent, a cycle, or a real child whose words
    are all of its parent's or not among them.
    """

    name: str
    concepts: tuple[Concept, ...]
    parents: Mapping[str, tuple[str, ...]]
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    recipe: str = ""
    notes: tuple[str, ...] = field(default=())
    drawn: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        this = f"hierarchy {self.name!r}"
        if not self.concepts:
            raise HierarchyError(f"{this} has no concepts")
        by_name = {concept.name: concept for concept in self.concepts}
        counts = Counter(concept.name for concept in self.concepts)
        if duplicates := sorted(name for name, count in counts.items() if count > 1):
            raise HierarchyError(f"{this}: duplicate concepts {', '.join(duplicates)}")
        for child, parents in self.parents.items():
            if unknown := [name for name in (child, *parents) if name not in by_name]:
                raise HierarchyError(f"{this}: {child!r} refers to unknown concept {unknown[0]!r}")
        if empty := [concept.name for concept in self.concepts if not len(concept)]:
            problem = "is a single token of this vocabulary; add words or drop the concept"
            raise HierarchyError(f"{this}: none of the words of {empty[0]!r} {problem}")
        # Unknown and repeated names are refused by now, so that nothing below is worked out in vain.
        above = {name: tuple(dict.fromkeys(self.parents.get(name, ()))) for name in by_name}
        ordered = parents_first(this, above)
        children: dict[str, list[Concept]] = {}
        for name in ordered:
            if self.drawn is None or name not in self.drawn:
                for parent in above[name]:
                    children.setdefault(parent, []).append(by_name[name])
        for parent in ordered:
            self._check_words(this, by_name[parent], children.get(parent, []))
        object.__setattr__(self, "concepts", tuple(by_name[name] for name in ordered))
        object.__setattr__(self, "parents", {name: above[name] for name in ordered})

    def _check_words(self, this: str, parent: Concept, children: Iterable[Concept]) -> None:
        words = set(parent.words)
        for child in children:
            if len(child) == len(parent) and child.tokens == parent.tokens:
                problem = f"{child.name!r} has exactly the words of its parent {parent.name!r}; merge them"
                raise HierarchyError(f"{this}: {problem}")
            if not words.issuperset(child.words):
                stranger = min(set(child.words) - words)
                problem = f"({shown(stranger)}); a parent holds all words of its children"
                raise HierarchyError(
                    f"{this}: {child.name!r} has words that its parent {parent.name!r} lacks {problem}"
                )

    @checked
    def over(self, vocabulary: Vocabulary) -> "ConceptHierarchy":
        """The same concepts and words with the tokens of another vocabulary; HierarchyError where it lacks a word."""
        concepts = tuple(Concept.from_words(concept.name, concept.words, vocabulary) for concept in self)
        for before, after in zip(self, concepts, strict=True):
            if lacking := set(before.words) - set(after.words):
                problem = "is no single token of that vocabulary; build it over common_vocabulary(...)"
                raise HierarchyError(f"hierarchy {self.name!r}: {min(lacking)!r} of {after.name!r} {problem}")
        kept = tuple(replace(new, lost=old.lost) for old, new in zip(self, concepts, strict=True))
        return replace(self, concepts=kept)

    @checked
    def only(self, names: Collection[str]) -> "ConceptHierarchy":
        """The named concepts alone, each with all its words, under those of its parents that are kept too."""
        kept = {self[name].name for name in names}
        concepts = tuple(concept for concept in self if concept.name in kept)
        parents = {name: tuple(parent for parent in self.parents[name] if parent in kept) for name in kept}
        return replace(self, concepts=concepts, parents=parents)

    to_dict, to_networkx, to_frame = to_dict, to_networkx, to_frame

    def __len__(self) -> int:
        return len(self.concepts)

    def __iter__(self) -> Iterator[Concept]:
        return iter(self.concepts)

    def __getitem__(self, name: str) -> Concept:
        return self.concepts[self.index(name)]

    def __contains__(self, name: object) -> bool:
        return name in self._positions

    def __repr__(self) -> str:
        size = f"{len(self)} concepts, {len(self.edges)} edges, {len(self.tokens)} tokens"
        return f"ConceptHierarchy({in_short(repr(self.name), 80)}, {size})"

    def _repr_html_(self) -> str:
        rows = ((c.name, ", ".join(self.parents[c.name]), len(c), ", ".join(c.words[:6])) for c in self)
        return html_table(("concept", "parents", "words", "first of them"), rows, repr(self))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Concept names, parents before children."""
        return tuple(concept.name for concept in self.concepts)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    def index(self, name: str) -> int:
        """Position of a concept in `concepts`; HierarchyError for an unknown name."""
        if not isinstance(name, str):
            raise HierarchyError(f"hierarchy {self.name!r}: a concept has a text for a name, not {shown(name)}")
        try:
            return self._positions[name]
        except KeyError:
            close = difflib.get_close_matches(name, self.names, n=3)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise HierarchyError(f"hierarchy {self.name!r} has no concept {shown(name)}{hint}") from None

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """(parent, child) positions of every edge, ordered by child; a child may have several."""
        children = enumerate(self.names)
        return tuple((self.index(parent), child) for child, name in children for parent in self.parents[name])

    @cached_property
    def children(self) -> Mapping[str, tuple[str, ...]]:
        """Concept name → names of its children."""
        below = _by_parent(self.edges)
        return {name: tuple(self.names[child] for child in below.get(i, ())) for i, name in enumerate(self.names)}

    @cached_property
    def families(self) -> Mapping[int, tuple[int, ...]]:
        """Position of every concept that has children → positions of its children, drawn ones left out."""
        return _by_parent(edge for edge in self.edges if self.names[edge[1]] not in (self.drawn or ()))

    @cached_property
    def reported(self) -> tuple[int, ...]:
        """Positions of the concepts that statistics report: all, or in a null model those it drew."""
        return tuple(i for i, name in enumerate(self.names) if self.drawn is None or name in self.drawn)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names as statistics report them: a drawn concept has that of the one it stands for."""
        return tuple((self.drawn or {}).get(name, name) for name in self.names)

    @cached_property
    def above(self) -> NDArray[np.int64]:
        """Position of the first parent of every concept, a root's own: what an interval clusters concepts by."""
        parents = (self.parents[name] for name in self.names)
        return np.array([self.index(own[0]) if own else index for index, own in enumerate(parents)], dtype=np.int64)

    @cached_property
    def reported_edges(self) -> tuple[tuple[int, int], ...]:
        """The edges whose child is reported."""
        reported = set(self.reported)
        return tuple(edge for edge in self.edges if edge[1] in reported)

    @cached_property
    def reported_families(self) -> Mapping[int, tuple[int, ...]]:
        """The same of reported children alone."""
        return _by_parent(self.reported_edges)

    def descendants(self, name: str) -> set[str]:
        """Names of everything below a concept, itself not included."""
        below: set[str] = set()
        waiting = [self[name].name]
        while waiting:
            waiting.extend(new := set(self.children[waiting.pop()]) - below)
            below |= new
        return below

    @cached_property
    def depth_first(self) -> tuple[int, ...]:
        """Positions ordered so that every subtree is contiguous, a concept under its first parent."""
        order: list[int] = []
        stack = [name for name in reversed(self.names) if not self.parents[name]]
        while stack:
            order.append(self.index(name := stack.pop()))
            stack.extend(child for child in reversed(self.children[name]) if self.parents[child][0] == name)
        return tuple(order)

    def blocks(self, max_size: int = 60, min_size: int = 7) -> list[tuple[str, int, int]]:
        """Subtrees worth naming in a depth-first picture: (name, start, stop) in `depth_first` order.

        A subtree of more than `max_size` concepts is divided into its children's; one of fewer than `min_size` is
        passed over. In a hierarchy of at most `max_size` concepts each is named.
        """
        order = self.depth_first
        if len(order) <= max_size:
            return [(self.names[index], row, row + 1) for row, index in enumerate(order)]
        sizes = np.ones(len(self), dtype=np.int64)
        for index in reversed(range(len(self))):
            if self.parents[self.names[index]]:
                sizes[self.above[index]] += sizes[index]
        blocks, start = [], 0
        while start < len(order):
            stop = start + int(sizes[order[start]])
            if stop - start > max_size:
                start += 1
                continue
            if stop - start >= min_size:
                blocks.append((self.names[order[start]], start, stop))
            start = stop
        return blocks

    @cached_property
    def depths(self) -> NDArray[np.int64]:
        """Edges from the root along first parents, one per concept."""
        depths = np.zeros(len(self), dtype=np.int64)
        for child, parent in enumerate(self.above):
            depths[child] = depths[parent] + 1 if parent != child else 0
        return depths

    def tree_distance(self) -> NDArray[np.float64]:
        """Edges on the shortest path between every two concepts, direction ignored; inf if none.

        HierarchyError: of more than 10,000 concepts, whose pairs take gigabytes; so does `shared_tokens`.
        """
        self._check_pairs()
        ends = np.array(self.edges, dtype=np.int64).reshape(-1, 2)
        graph = coo_array((np.ones(len(ends)), tuple(ends.T)), shape=(len(self), len(self)))
        return shortest_path(graph.tocsr(), directed=False, unweighted=True)

    def shared_tokens(self) -> NDArray[np.int64]:
        """Number of tokens that every two concepts have in common, shape (k, k)."""
        self._check_pairs()
        held = incidence(self.members, len(self.tokens))
        return (held @ held.T).toarray()

    def _check_pairs(self) -> None:
        if len(self) > _MOST_PAIRED:
            problem = f"{len(self):,} concepts are too many for numbers of every two; {_MOST_PAIRED:,} at most"
            raise HierarchyError(f"hierarchy {self.name!r}: {problem}, keep some with .only(...)")

    @property
    def _outermost(self) -> Iterator[Concept]:
        """Those that hold all words between them: what hangs on a parent has no others, unless a null model drew it."""
        return (c for c in self if not self.parents[c.name] or c.name in (self.drawn or ()))

    @cached_property
    def tokens(self) -> NDArray[np.int64]:
        """Ids of all tokens of all concepts, ascending, without repeats."""
        return np.unique(np.concatenate([np.array(c.tokens, dtype=np.int64) for c in self._outermost]))

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words of `tokens`."""
        word = {token: word for c in self._outermost for token, word in zip(c.tokens, c.words, strict=True)}
        return tuple(word[int(token)] for token in self.tokens)

    @cached_property
    def lost(self) -> tuple[str, ...]:
        """Words that its concepts were to hold too, of which no form is a single token of the vocabulary."""
        return tuple(dict.fromkeys(word for concept in self._outermost for word in concept.lost))

    @cached_property
    def members(self) -> tuple[NDArray[np.int64], ...]:
        """For each concept the positions of its tokens in `tokens`."""
        return tuple(np.searchsorted(self.tokens, c.tokens) for c in self.concepts)

    @cached_property
    def lemmas(self) -> NDArray[np.int64]:
        """For each of `tokens` the number of its lemma; variants of one word share it."""
        return lemma_groups(self.words, self.variants)


def incidence(members: Sequence[NDArray[np.int64]], n: int) -> csr_array:
    """Which set (row) holds which of n things (column), as 0 and 1."""
    owner = np.repeat(np.arange(len(members)), [len(positions) for positions in members])
    ones = np.ones(len(owner), dtype=np.int64)
    return coo_array((ones, (owner, np.concatenate(members))), shape=(len(members), n)).tocsr()


def _by_parent(edges: Iterable[tuple[int, int]]) -> dict[int, tuple[int, ...]]:
    grouped = groupby(sorted(edges, key=itemgetter(0)), itemgetter(0))
    return {parent: tuple(child for _, child in own) for parent, own in grouped}
