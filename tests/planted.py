"""Models whose geometry is known, and results whose numbers are: what tests of evidence share."""

from dataclasses import dataclass

import numpy as np
import torch

import geometry as geo

WORDS_PER_CLASS = 30
FILLER = 3000
WIDTH = 48


@dataclass(frozen=True)
class Planted:
    """A synthetic model in which `animal` ⊃ `mammal`, `bird` really are orthogonal directions plus noise."""

    unembedding: geo.Unembedding
    hierarchy: geo.ConceptHierarchy


def planted_classes() -> Planted:
    """Thing ⊃ animal ⊃ mammal, bird and thing ⊃ tree: thirty words a class, three thousand fillers."""
    rng = np.random.default_rng(7)
    names = {"mammal": [], "bird": [], "tree": []}
    tokens, rows = [], []
    axes = dict(zip(["animal", "mammal", "bird", "tree"], np.eye(WIDTH)[:4] * 6, strict=True))
    parents = {"mammal": ["animal"], "bird": ["animal"], "tree": []}
    for kind, words in names.items():
        for number in range(WORDS_PER_CLASS):
            words.append(f"{kind}x{number}")
            tokens.append(f"Ġ{kind}x{number}")
            centre = axes[kind] + sum((axes[name] for name in parents[kind]), np.zeros(WIDTH))
            rows.append(centre + rng.standard_normal(WIDTH))
    tokens += [f"Ġfiller{number}" for number in range(FILLER)]
    rows += list(rng.standard_normal((FILLER, WIDTH)))
    matrix = torch.from_numpy(np.array(rows, dtype=np.float32))
    vocabulary = geo.Vocabulary(tokens)
    concepts = tuple(
        geo.concepts.Concept.from_words(name, words, vocabulary)
        for name, words in {
            "thing": names["mammal"] + names["bird"] + names["tree"],
            "animal": names["mammal"] + names["bird"],
            **names,
        }.items()
    )
    hierarchy = geo.ConceptHierarchy(
        "planted", concepts, {"animal": ("thing",), "tree": ("thing",), "mammal": ("animal",), "bird": ("animal",)}
    )
    return Planted(geo.Unembedding(matrix, vocabulary, "planted"), hierarchy)


def nested_words(levels: tuple[int, ...], per_leaf: int) -> tuple[dict[str, list[str]], dict[str, tuple[str, ...]]]:
    """Words of every concept of a regular tree, and its parents; the root is "r", its children "ra", "rb" …"""
    words, parents, current = {"r": []}, {}, ["r"]
    for width in levels:
        for name in (current := [parent + "abcdefgh"[i] for parent in current for i in range(width)]):
            words[name], parents[name] = [], (name[:-1],)
    for leaf in current:
        own = [f"{leaf}w{number}" for number in range(per_leaf)]
        for length in range(1, len(leaf) + 1):
            words[leaf[:length]] += own
    return words, parents


def synthetic(rows: np.ndarray, words: dict, parents: dict) -> tuple[geo.Unembedding, geo.ConceptHierarchy]:
    """A model of these rows, its first ones those of the root's words, and the hierarchy of these words."""
    named = words["r"]
    tokens = [f"Ġ{word}" for word in named] + [f"Ġfiller{number}" for number in range(len(rows) - len(named))]
    vocabulary = geo.Vocabulary(tokens)
    concepts = tuple(geo.concepts.Concept.from_words(name, own, vocabulary) for name, own in words.items())
    unembedding = geo.Unembedding(torch.from_numpy(rows.astype(np.float32)), vocabulary, "synthetic")
    return unembedding, geo.ConceptHierarchy("synthetic", concepts, parents)


def planted_tree(
    levels: tuple[int, ...], per_leaf: int, width: int, rows: int, *, tilt: float = 0.0, scattered: bool = False
) -> tuple[geo.Unembedding, geo.ConceptHierarchy]:
    """Every family a regular simplex, every level orthogonal to the others, and unit noise on each row.

    With `tilt` every child's step has that cosine with its parent's centre, by turns of either sign, so that contrasts
    of siblings lean on their parent. Tokens are in the tree's order, as if frequency followed meaning, unless
    `scattered`.
    """
    rng = np.random.default_rng(0)
    words, parents = nested_words(levels, per_leaf)
    axes = iter(np.linalg.qr(rng.standard_normal((width, width)))[0].T)
    centre = {"r": 8 * next(axes)}
    for parent in [name for name in words if any(above == (name,) for above in parents.values())]:
        children = [name for name, above in parents.items() if above == (parent,)]
        vertices = np.stack([next(axes) for _ in children])
        along = centre[parent] / np.linalg.norm(centre[parent])
        for sign, child, vertex in zip((-1.0) ** np.arange(len(children)), children, vertices, strict=True):
            step = vertex - vertices.mean(axis=0)
            size = np.linalg.norm(step)
            centre[child] = centre[parent] + 8 * (np.sqrt(1 - tilt**2) * step + sign * tilt * size * along)
    if scattered:
        words["r"] = [words["r"][index] for index in rng.permutation(len(words["r"]))]
    means = np.stack([centre[word.split("w")[0]] for word in words["r"]])
    noise = rng.standard_normal((rows, width))
    noise[: len(means)] += means
    return synthetic(noise, words, parents)


def result(values: np.ndarray, nulls: dict[str, np.ndarray] | None = None, **fields: object) -> geo.TestResult:
    """A test result named x with numbered labels."""
    labels = tuple(map(str, range(len(values))))
    return geo.TestResult(**{"name": "x", "labels": labels, "values": values, "nulls": nulls or {}, **fields})
