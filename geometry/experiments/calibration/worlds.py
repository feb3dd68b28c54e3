"""Worlds: planted models of known answer, with concepts as the theory says, nearly so, or without any structure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.causal import CausalSpace
from geometry.concepts import Concept, ConceptHierarchy
from geometry.display import short_repr
from geometry.evidence.orthogonality.comparisons import MOST_OF_A_FAMILY
from geometry.models import Unembedding, Vocabulary

SQUARED_LENGTH = 10.0  # of every planted contrast, the noise of a word being 1 on each axis
FORM_CORRELATION = 0.61  # between the rows of two forms of a lemma, as in SmolLM2
_ENDINGS = ("", "s", "ed")
_BANDS = 10  # of frequency, as `LemmaBlocks` has

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Sizes:
    """How large a planted model is.

    Attributes:
        width, vocabulary: of the unembedding.
        levels: children of the root, of each of these, and so on.
        lemmas: of each leaf.
        forms: how many forms a lemma has, by turns.
    """

    width: int
    vocabulary: int
    levels: tuple[int, ...]
    lemmas: int
    forms: tuple[int, ...] = (1, 2)

    @property
    def leaves(self) -> list[tuple[int, ...]]:
        """The way down to each leaf, in order."""
        return list(product(*map(range, self.levels)))


class PlantedModel(NamedTuple):
    """A model and its hierarchy; `noiseless`: the rows of `hierarchy.tokens` without noise, shape (T, d)."""

    unembedding: Unembedding
    hierarchy: ConceptHierarchy
    noiseless: Values


@dataclass(frozen=True)
class World:
    """A kind of planted models.

    >>> import numpy as np
    >>> small = Sizes(width=24, vocabulary=300, levels=(2, 2), lemmas=6)
    >>> planted = WORLDS["true"].draw(np.random.default_rng(0), small)
    >>> planted.unembedding, planted.hierarchy
    (Unembedding('true', unknown, 300 x 24 torch.float64), ConceptHierarchy('planted', 7 concepts, 6 edges, 36 tokens))

    Attributes:
        name: what figures call it.
        draw: from a random generator and sizes to a model.
        structured: whether concepts mean anything in it.
        says: what it is, for a caption.
    """

    name: str
    draw: Callable[[np.random.Generator, Sizes], PlantedModel]
    structured: bool
    says: str

    __repr__ = short_repr


def _hierarchy(sizes: Sizes, tokens: Sequence[NDArray[np.int64]]) -> tuple[Vocabulary, ConceptHierarchy]:
    """A vocabulary in which lemma i has the given tokens, and the concepts of lemmas in order, leaf by leaf."""
    spelled = [f"Ġfiller{number}" for number in range(sizes.vocabulary)]
    words, variants = [], {}
    for number, ids in enumerate(tokens):
        forms = [f"w{number}{ending}" for ending in _ENDINGS[: len(ids)]]
        words.append(forms)
        if len(forms) > 1:
            variants[forms[0]] = tuple(forms[1:])
        for token, form in zip(ids.tolist(), forms, strict=True):
            spelled[token] = f"Ġ{form}"
    vocabulary = Vocabulary(spelled)
    held: dict[tuple[int, ...], list[str]] = {}
    for place, leaf in enumerate(sizes.leaves):
        own = [form for forms in words[place * sizes.lemmas : (place + 1) * sizes.lemmas] for form in forms]
        for depth in range(len(leaf) + 1):
            held.setdefault(leaf[:depth], []).extend(own)
    parents = {_named(way): (_named(way[:-1]),) for way in held if way}
    concepts = tuple(Concept.from_words(_named(way), own, vocabulary) for way, own in held.items())
    return vocabulary, ConceptHierarchy("planted", concepts, parents, variants)


def _named(way: tuple[int, ...]) -> str:
    return "-".join(["root", *map(str, way)])


def _forms(sizes: Sizes) -> NDArray[np.int64]:
    """How many forms each lemma has."""
    return np.resize(np.array(sizes.forms, dtype=np.int64), len(sizes.leaves) * sizes.lemmas)


def _anywhere(rng: np.random.Generator, sizes: Sizes) -> list[NDArray[np.int64]]:
    """The tokens of each lemma, drawn from the whole vocabulary."""
    forms = _forms(sizes)
    return np.split(rng.choice(sizes.vocabulary, int(forms.sum()), replace=False), np.cumsum(forms)[:-1])


def _model(
    name: str, sizes: Sizes, tokens: Sequence[NDArray[np.int64]], rows: Values, centres: Values | None = None
) -> PlantedModel:
    """Rows, with the centre of each leaf added to those of its lemmas."""
    vocabulary, hierarchy = _hierarchy(sizes, tokens)
    noiseless = np.zeros_like(rows)
    if centres is not None:
        for number, own in enumerate(tokens):
            noiseless[own] = centres[number // sizes.lemmas]
    matrix = torch.from_numpy(rows + noiseless)
    return PlantedModel(Unembedding(matrix, vocabulary, name), hierarchy, noiseless[hierarchy.tokens])


def concepts(rng: np.random.Generator, sizes: Sizes, *, tilt: float = 0.0, name: str = "true") -> PlantedModel:
    """Every concept adds a contrast, orthogonal to all others.

    With `tilt`, contrasts have that cosine with their parent's centre, by turns of either sign.
    """
    length = np.sqrt(SQUARED_LENGTH)
    axes = iter(np.linalg.qr(rng.standard_normal((sizes.width, sizes.width)))[0].T)
    centres: dict[tuple[int, ...], Values] = {(): length * next(axes)}
    for depth, width in enumerate(sizes.levels):
        for parent in [way for way in centres if len(way) == depth]:
            along = centres[parent] / np.linalg.norm(centres[parent])
            first = rng.choice([-1.0, 1.0])
            for child in range(width):
                contrast = np.sqrt(1 - tilt**2) * next(axes) + first * (-1) ** child * tilt * along
                centres[*parent, child] = centres[parent] + length * contrast
    rows = rng.standard_normal((sizes.vocabulary, sizes.width))
    return _model(name, sizes, _anywhere(rng, sizes), rows, np.stack([centres[leaf] for leaf in sizes.leaves]))


def noise(rng: np.random.Generator, sizes: Sizes) -> PlantedModel:
    """Gaussian rows."""
    return _model("noise", sizes, _anywhere(rng, sizes), rng.standard_normal((sizes.vocabulary, sizes.width)))


def frequency(rng: np.random.Generator, sizes: Sizes, *, within: bool, name: str) -> PlantedModel:
    """Rows shift along two directions with log rank, and concepts differ in their words' ranks; nothing else.

    Words are unknown ones, whose frequency the order of tokens stands for. A lemma has one form. Which concept a word
    belongs to depends on its tenth of the ranks alone, or with `within` on its rank within that too.
    """
    rank = np.arange(sizes.vocabulary)
    logarithm = np.log(rank + 0.1 * sizes.vocabulary)
    logarithm = (logarithm - logarithm.mean()) / logarithm.std()
    axes = np.linalg.qr(rng.standard_normal((sizes.width, 2)))[0].T
    rows = rng.standard_normal((sizes.vocabulary, sizes.width))
    rows += logarithm[:, None] * axes[0] + np.square(logarithm)[:, None] * axes[1]
    n = len(sizes.leaves) * sizes.lemmas
    tokens = np.sort(rng.choice(sizes.vocabulary, n, replace=False))
    tenth, frequent = np.arange(n) * _BANDS // n, logarithm[tokens]
    score = frequent if within else (np.bincount(tenth, frequent) / np.bincount(tenth))[tenth]
    own = tokens[np.argsort(score + rng.standard_normal(n))]
    return _model(name, replace(sizes, forms=(1,)), list(own[:, None]), rows)


def variants_only(rng: np.random.Generator, sizes: Sizes) -> PlantedModel:
    """Two or three forms a lemma with correlated rows; nothing else."""
    sizes = replace(sizes, forms=(2, 3))
    tokens = _anywhere(rng, sizes)
    rows = rng.standard_normal((sizes.vocabulary, sizes.width))
    for own in tokens:
        shared = np.sqrt(FORM_CORRELATION) * rng.standard_normal(sizes.width)
        rows[own] = shared + np.sqrt(1 - FORM_CORRELATION) * rows[own]
    return _model("variants only", sizes, tokens, rows)


def power_law(rng: np.random.Generator, sizes: Sizes) -> PlantedModel:
    """Eigenvalues of the covariance fall as 1/rank, and all rows have a heavy-tailed share of one direction."""
    axes = np.linalg.qr(rng.standard_normal((sizes.width, sizes.width)))[0]
    spread = 1 / np.sqrt(np.arange(1, sizes.width + 1))
    rows = (rng.standard_normal((sizes.vocabulary, sizes.width)) * spread) @ axes
    common = 3 + rng.standard_t(3, sizes.vocabulary)
    rows += common[:, None] * rng.standard_normal(sizes.width) / np.sqrt(sizes.width)
    return _model("GloVe-like spectrum", sizes, _anywhere(rng, sizes), rows)


def _by_frequency(name: str, within: bool, says: str) -> World:
    return World(name, partial(frequency, within=within, name=name), False, says)


WORLDS: dict[str, World] = {
    world.name: world
    for world in (
        World("true", concepts, True, "each concept adds a contrast orthogonal to all above"),
        World("tilted .15", partial(concepts, tilt=0.15, name="tilted .15"), True, "contrasts have cosine ±.15"),
        World("tilted .3", partial(concepts, tilt=0.3, name="tilted .3"), True, "contrasts have cosine ±.3"),
        World("noise", noise, False, "Gaussian rows"),
        _by_frequency("frequency only", False, "rows depend on frequency, concepts on its tenth"),
        _by_frequency("frequency, smooth", True, "rows and concepts depend on frequency, within its tenths too"),
        World("variants only", variants_only, False, "forms of a lemma have similar rows"),
        World("GloVe-like spectrum", power_law, False, "power-law spectrum, heavy common component"),
    )
}


def true_cosine(planted: PlantedModel, space: CausalSpace | None = None) -> float:
    """The cosine of claim (b) in the unified space without noise: root of Σ⟨c, p⟩²/Σ|c|²|p|² over pairs of siblings.

    c is the difference of two siblings' means, p the mean of their parent's words that neither holds; large families
    weigh as much as the twelve pairs that the estimate takes of them.
    """
    if not planted.noiseless.any():
        return float("nan")
    space = space or CausalSpace.fit(planted.unembedding)
    hierarchy = planted.hierarchy
    points = space.unify(torch.from_numpy(planted.noiseless)).cpu().double().numpy()
    squared, lengths = 0.0, 0.0
    for parent, children in hierarchy.families.items():
        pairs = list(combinations(children, 2))
        share = min(1.0, MOST_OF_A_FAMILY / max(1, len(pairs)))
        for pair in pairs:
            one, other = (hierarchy.members[child] for child in pair)
            rest = np.setdiff1d(hierarchy.members[parent], np.concatenate([one, other]))
            contrast, reference = points[other].mean(axis=0) - points[one].mean(axis=0), points[rest].mean(axis=0)
            squared += share * float(contrast @ reference) ** 2
            lengths += share * float(contrast @ contrast) * float(reference @ reference)
    return float(np.sqrt(squared / lengths))
