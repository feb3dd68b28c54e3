"""Planes and a simplex of hand-made classes of animals and plants, after figures 2 and 4 of arXiv 2406.01506."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

import geometry.evidence as evidence
from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy, load_hierarchy
from geometry.directions import ConceptDirections, TokenCloud
from geometry.evidence.splits import Split
from geometry.experiments.result import FigureSpec
from geometry.frames import Frame
from geometry.randomness import generator
from geometry.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLANES = ("animal", "plant", "mammal", "bird")
CLASSES = ("mammal", "bird", "fish", "insect")
SOURCES = ("model", "shuffled rows")

Fits = tuple[ConceptDirections, ConceptDirections]


def first_fits(space: CausalSpace, hierarchy: ConceptHierarchy, split: Split, seed: int) -> Fits:
    """The vectors that the tests are made on, of the model and of the first permutation of shuffled rows."""
    cloud = TokenCloud.of(space, hierarchy)
    shuffled = evidence.NULLS["shuffled"].draw(space, cloud, generator(seed, "shuffled"))
    train = evidence.train_mask(hierarchy, split, generator(seed, split))
    fit = partial(ConceptDirections.fit_cloud, train=train, max_tokens=evidence.MAX_TOKENS, missing="nan")
    return fit(cloud), fit(shuffled)


@dataclass(frozen=True, eq=False)
class Illustration:
    """A figure of hand-made classes, its tests, and further numbers."""

    tests: Results
    figure: FigureSpec
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The tests by name, and the numbers."""
        return {test.name: test.to_dict() for test in self.tests} | dict(self.numbers)


def _measured(
    space: CausalSpace, names: Sequence[str], statistics: Sequence[evidence.Statistic], n_permutations: int, seed: int
) -> tuple[Results, Fits]:
    hierarchy = load_hierarchy("organisms", space.unembedding.vocabulary, only=names)
    options: dict[str, Any] = {"nulls": ("shuffled",), "n_permutations": n_permutations, "seed": seed}
    tests = evidence.test_against_nulls(space, hierarchy, statistics, progress=False, **options)
    return tests, first_fits(space, hierarchy, "lemma", seed)


def measure_planes(space: CausalSpace, *, n_permutations: int, seed: int) -> Illustration:
    """Held-out words of animals and plants in the three planes of figure 2, of the model above shuffled rows.

    Raises GeometryError: the vocabulary has too few of the words.
    """
    tests, fits = _measured(space, PLANES, [evidence.projection()], n_permutations, seed)
    rows = [_planes(space, directions, source) for directions, source in zip(fits, SOURCES, strict=True)]
    test = tests["projection"]
    figure = FigureSpec(
        "planes",
        f"Held-out words of {', '.join(PLANES[:-1])} and {PLANES[-1]} project on their concept vector:"
        f" {test.value:.2f}, shuffled rows {test.nulls['shuffled'].mean:.2f}",
        "Planes of the unified space, drawn to scale; ℓ(c): concept vector of c, fitted to 70% of the lemmas of"
        " hand-made classes. Coloured: words of the other lemmas; the named ones lie furthest out. Title: mean"
        f" normalised projection ℓᵀg/‖ℓ‖² over the {test.n} concepts, and over {n_permutations} permutations of the"
        " rows, the first of which is drawn below.",
        partial(_draw_planes, rows),
    )
    return Illustration(tests, figure)


def _planes(space: CausalSpace, directions: ConceptDirections, source: str) -> list[dict[str, Any]]:
    animal, plant, mammal, bird = (directions[name] for name in PLANES)
    held_out = {name: directions.held_out(directions.hierarchy.index(name)) for name in PLANES}
    held_out["other animal"] = np.setdiff1d(held_out["animal"], np.concatenate([held_out["mammal"], held_out["bird"]]))
    contrast = "ℓ(bird) − ℓ(mammal)", bird - mammal
    spans = [
        (("ℓ(animal)", animal), ("ℓ(mammal), orthogonal part", mammal), "mammal, other animal", "animal, mammal"),
        (("ℓ(animal)", animal), contrast, "mammal, bird", "animal, bird, mammal"),
        (("ℓ(animal) − ℓ(plant)", animal - plant), contrast, "mammal, bird, plant", "animal, plant, bird"),
    ]
    row = []
    for (x_name, x), (y_name, y), shown, arrows in spans:
        frame = Frame.spanned_by(x, y)
        points = {name: _points(directions, frame, held_out[name]) for name in shown.split(", ")}
        texts = {name: [directions.hierarchy.words[token] for token in held_out[name]] for name in points}
        tips = {name: frame.coordinates(directions[name]) for name in arrows.split(", ")}
        place = {"x": x_name, "y": y_name, "title": source, "vocabulary": frame.of_vocabulary(space)}
        row.append({**place, "words": points, "texts": texts, "arrows": tips})
    return row


def _draw_planes(rows: Sequence[Sequence[Mapping[str, Any]]], *, title: str, caption: str) -> "Figure":
    import geometry.plots as plots  # numbers must not need matplotlib

    return plots.planes([[plots.Plane(**plane) for plane in row] for row in rows], title=title, caption=caption)


def measure_simplex(space: CausalSpace, *, n_permutations: int, seed: int) -> Illustration:
    """Four classes of animals as a simplex with their held-out words, as in figure 4, beside shuffled rows.

    Raises GeometryError: the vocabulary has too few of the words.
    """
    statistics = [evidence.membership(), evidence.simplex_angles()]
    tests, fits = _measured(space, ("animal", *CLASSES), statistics, n_permutations, seed)
    accuracy, angles = tests
    null, panels = accuracy.nulls["shuffled"].mean, []
    indices = [fits[0].hierarchy.index(name) for name in CLASSES]
    for source, directions, numbers in (
        ("model", fits[0], (accuracy.value, angles.value)),
        (f"shuffled rows, mean of {n_permutations}", fits[1], (null, angles.nulls["shuffled"].mean)),
    ):
        vertices = directions.vectors[indices]
        frame = Frame.spanned_by(*(vertices[1:] - vertices[0]), origin=vertices.mean(dim=0))
        held_out = dict(zip(CLASSES, map(directions.held_out, indices), strict=True))
        title = f"{source}: accuracy {numbers[0]:.2f},\nangles off 60° by {numbers[1]:.0f}°"
        corners = dict(zip(CLASSES, frame.coordinates(vertices), strict=True))
        words = {name: _points(directions, frame, tokens) for name, tokens in held_out.items()}
        panels.append({"title": title, "vertices": corners, "words": words})
    confusion = evidence.nearest_vertices(fits[0], indices)
    figure = FigureSpec(
        "simplex",
        f"Nearest-centroid accuracy of held-out words among {len(CLASSES)} classes, chance-corrected, is"
        f" {accuracy.value:.2f}; shuffled rows give {null:.2f}",
        f"Span of {', '.join(f'ℓ({name})' for name in CLASSES)}, centred; large marks: these concept vectors, fitted to"
        f" 70% of the lemmas; small marks: the {confusion.sum()} words of the others. Accuracy: balanced over the"
        " classes, 0 by chance. Angles: mean deviation from a regular simplex's, noise-corrected by comparing halves of"
        f" the words. Panel b draws the first of {n_permutations} permutations.",
        partial(_draw_simplex, panels),
    )
    return Illustration(tests, figure, {"concepts": CLASSES, "confusion": confusion.tolist()})


def _draw_simplex(panels: Sequence[Mapping[str, Any]], *, title: str, caption: str) -> "Figure":
    import geometry.plots as plots

    return plots.simplex([plots.SimplexPanel(**panel) for panel in panels], title=title, caption=caption)


def _points(directions: ConceptDirections, frame: Frame, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    return frame.coordinates(directions.cloud.points[torch.from_numpy(tokens)])
