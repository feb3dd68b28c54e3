"""Planes and a simplex of hand-made classes of animals and plants, after figures 2 and 4 of arXiv 2406.01506."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

import geometry.evidence as evidence
import geometry.plots as plots
from geometry.causal import CausalSpace
from geometry.concepts import load_hierarchy
from geometry.directions import ConceptDirections, TokenCloud
from geometry.display import short_repr
from geometry.evidence.splits import Split
from geometry.experiments.result import FigureSpec
from geometry.randomness import generator
from geometry.results import Results
from geometry.views import null_directions
from geometry.views.concept_plane import Axis, plane_panel
from geometry.views.concept_simplex import simplex_panel

PLANES = ("animal", "plant", "mammal", "bird")
CLASSES = ("mammal", "bird", "fish", "insect")
SOURCES = ("model", "shuffled rows")
# Axes x and y, whose words are shown, and whose vectors.
_SPANS: tuple[tuple[Axis, Axis, tuple[str, ...], tuple[str, ...]], ...] = (
    ("animal", "mammal", ("mammal", "other animal"), ("animal", "mammal")),
    ("animal", ("bird", "mammal"), ("mammal", "bird"), ("animal", "bird", "mammal")),
    (("animal", "plant"), ("bird", "mammal"), ("mammal", "bird", "plant"), ("animal", "plant", "bird")),
)

Fits = tuple[ConceptDirections, ConceptDirections]


def first_fits(space: CausalSpace, cloud: TokenCloud, split: Split, seed: int, null: str = "shuffled") -> Fits:
    """The vectors that the tests are made on, of the model and of the first permutation of a null."""
    train = evidence.train_mask(cloud.hierarchy, split, generator(seed, split))
    options: dict[str, Any] = {"train": train, "max_tokens": evidence.MAX_TOKENS, "missing": "nan"}
    model = ConceptDirections.fit_cloud(cloud, **options)
    return model, null_directions(space, model, null, seed=seed)


@dataclass(frozen=True, eq=False)
class Illustration:
    """A figure of hand-made classes, its tests, and further numbers."""

    tests: Results
    figure: FigureSpec
    numbers: Mapping[str, Any] = field(default_factory=dict)

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """The tests by name, and the numbers."""
        return {test.name: test.to_dict() for test in self.tests} | dict(self.numbers)


def _measured(
    space: CausalSpace, names: Sequence[str], statistics: Sequence[evidence.Statistic], n_permutations: int, seed: int
) -> tuple[Results, Fits]:
    cloud = TokenCloud.of(space, load_hierarchy("organisms", space.unembedding.vocabulary, only=names))
    options: dict[str, Any] = {"nulls": ("shuffled",), "n_permutations": n_permutations, "seed": seed}
    tests = evidence.test_against_nulls(space, cloud, statistics, progress=False, **options)
    return tests, first_fits(space, cloud, "lemma", seed)


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
        partial(plots.planes, rows),
    )
    return Illustration(tests, figure)


def _planes(space: CausalSpace, directions: ConceptDirections, source: str) -> "list[plots.Plane]":
    held_out = {name: directions.held_out(directions.hierarchy.index(name)) for name in PLANES}
    held_out["other animal"] = np.setdiff1d(held_out["animal"], np.concatenate([held_out["mammal"], held_out["bird"]]))
    return [
        plane_panel(directions, x, y, {name: held_out[name] for name in shown}, arrows, space=space, title=source)
        for x, y, shown, arrows in _SPANS
    ]


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
        title = f"{source}: accuracy {numbers[0]:.2f},\nangles off 60° by {numbers[1]:.0f}°"
        held_out = dict(zip(CLASSES, map(directions.held_out, indices), strict=True))
        panels.append(simplex_panel(directions, held_out, title))
    confusion = evidence.nearest_vertices(fits[0], indices)
    figure = FigureSpec(
        "simplex",
        f"Nearest-centroid accuracy of held-out words among {len(CLASSES)} classes, chance-corrected, is"
        f" {accuracy.value:.2f}; shuffled rows give {null:.2f}",
        f"Span of {', '.join(f'ℓ({name})' for name in CLASSES)}, centred; large marks: these concept vectors, fitted to"
        f" 70% of the lemmas; small marks: the {confusion.sum()} words of the others. Accuracy: balanced over the"
        " classes, 0 by chance. Angles: mean deviation from a regular simplex's, noise-corrected by comparing halves of"
        f" the words. Panel b draws the first of {n_permutations} permutations.",
        partial(plots.simplex, panels),
    )
    return Illustration(tests, figure, {"concepts": CLASSES, "confusion": confusion.tolist()})
