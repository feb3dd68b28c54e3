"""A plane of the unified space that concept vectors span, with their words in it."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import torch

import geometry.plots as plots
from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.directions import ConceptDirections
from geometry.errors import EstimationError, shown
from geometry.frames import Frame
from geometry.views.selection import (
    Words,
    chosen,
    filled,
    has_held_out,
    labels_of,
    listed,
    points_of,
    projection,
    said,
    shown_words,
    with_beside,
)

if TYPE_CHECKING:
    from geometry.plots import Figure, Options, Plane

# A concept, a contrast of two (the first less the second), or a vector of one's own.
Axis = str | Collection[Any]
_MOST = 6
_ORTHOGONAL = 0.95  # of an axis's length: if less is orthogonal to the first axis, its label says so


@checked
def plane(
    directions: ConceptDirections,
    concepts: Sequence[str],
    *,
    x: Axis | None = None,
    y: Axis | None = None,
    space: CausalSpace | None = None,
    beside: Mapping[str, ConceptDirections] | None = None,
    labels: int = 5,
    **options: "Unpack[Options]",
) -> "Figure":
    """The vectors of one to six concepts, and their words, in a plane of the unified space, drawn to scale.

    >>> import geometry as geo
    >>> space = geo.CausalSpace.fit(geo.Unembedding.load("smollm2-135m"))
    >>> directions = geo.ConceptDirections.fit(space, geo.load_hierarchy("organisms", space.unembedding.vocabulary))
    >>> figure = geo.views.plane(directions, ["animal", "mammal", "bird"], x=("animal", "plant"))

    Parameters:
        concepts: whose vectors are arrows, and whose words are coloured, each word in the smallest of its concepts.
        x, y: the axes, y without its part along x: a concept's name, two names for the contrast ℓ(first) − ℓ(second),
            or a vector of shape (d,). Default x: ℓ of the first concept. Default y: of three concepts the contrast of
            the last two, of two the second, of more the first principal axis of all but the first, of one concept that
            of its words.
        space: to draw the whole vocabulary behind; default, the other words of the hierarchy.
        beside: title → further directions of the same concepts, such as `null_directions`: a panel each.
        labels: so many words of each concept are named, the furthest out.
        options: of `geo.plots`; `ax` takes one Axes a panel.

    Words are held-out ones where the directions were fitted with a `train` mask, else those that they were fitted to.

    HierarchyError: an unknown or repeated concept. EstimationError: axes that span no plane, another width, more than
    six concepts, or one without a vector.
    Source: Park et al., arXiv 2406.01506, figure 2.
    """
    names = chosen("plane", directions, concepts, 1, _MOST)
    fits = with_beside("plane", directions, beside, names)
    if labels < 0:
        raise EstimationError(f"plane: labels must be 0 or more, not {labels}")
    if space is not None and space.width != directions.vectors.shape[1]:
        raise EstimationError(f"plane: the space has width {space.width}, the vectors {directions.vectors.shape[1]}")
    x, y = names[0] if x is None else x, _second(names) if y is None else y
    words, short = shown_words(directions, names), labels_of(names)
    renamed = {name: _other(directions, name, names, short) for name in names}
    drawn = {renamed[name]: tokens for name, tokens in words.items() if len(tokens)}
    panels = [
        plane_panel(other, x, y, drawn, names, space=space, title=title if len(fits) > 1 else "")
        for title, other in fits.items()
    ]
    title, caption = _said(fits, names, list(short.values()), panels[0], sum(map(len, drawn.values())))
    kept = filled(options, title, caption, renamed)
    return plots.planes([[panel] for panel in panels], labels=labels, **kept)


def plane_panel(
    directions: ConceptDirections,
    x: Axis,
    y: Axis | None,
    words: Words,
    arrows: Sequence[str],
    *,
    space: CausalSpace | None = None,
    title: str = "",
) -> "Plane":
    """One panel: `words` are what is coloured, name → positions in the hierarchy's tokens; errors as of `plane`."""
    x_name, first = _axis(directions, x, "x")
    y_name, second = _principal(directions, words, arrows, first) if y is None else _axis(directions, y, "y")
    try:
        frame = Frame.spanned_by(first, second)
    except EstimationError as error:
        said = f"plane: {x_name} and {y_name} are linearly dependent, so they span no plane; give another x= or y="
        raise EstimationError(said) from error
    left = torch.linalg.vector_norm(second @ frame.basis[1]) / torch.linalg.vector_norm(second)
    others = np.setdiff1d(np.arange(len(directions.cloud.points)), np.concatenate([[], *words.values()]))
    back = frame.coordinates(points_of(directions, others)) if space is None else frame.of_vocabulary(space)
    return plots.Plane(
        x_name,
        y_name if left > _ORTHOGONAL else f"{y_name}, orthogonal part",
        back,
        {name: frame.coordinates(points_of(directions, tokens)) for name, tokens in words.items()},
        {name: [directions.hierarchy.words[token] for token in tokens] for name, tokens in words.items()},
        {label: frame.coordinates(directions[name]) for name, label in labels_of(arrows).items()},
        title,
        f"other words of {directions.hierarchy.name}" if space is None else "all other tokens",
    )


def _second(names: Sequence[str]) -> Axis | None:
    return (names[-1], names[-2]) if len(names) == 3 else names[-1] if len(names) == 2 else None


def _axis(directions: ConceptDirections, given: Axis, which: str) -> tuple[str, torch.Tensor]:
    """An axis's label and vector."""
    if isinstance(given, str):
        return f"ℓ({labels_of([given])[given]})", directions[given]
    if isinstance(given, tuple | list) and all(isinstance(part, str) for part in given):
        if len(given) != 2:
            raise EstimationError(f"plane: {which} is the contrast of two concepts, not of {len(given)}")
        (first, second), short = given, labels_of(list(given))
        return f"ℓ({short[first]}) − ℓ({short[second]})", directions[first] - directions[second]
    try:
        vector = torch.as_tensor(given).to(directions.vectors)
    except (TypeError, ValueError, RuntimeError):
        vector = torch.empty(0)
    width = directions.vectors.shape[1]
    if vector.shape != (width,) or not bool(vector.isfinite().all()):
        problem = f"a concept, two of them, or {width} finite numbers, not {shown(given)}"
        raise EstimationError(f"plane: {which} must be {problem}")
    return f"vector given as {which}", vector


def _principal(
    directions: ConceptDirections, words: Words, names: Sequence[str], first: torch.Tensor
) -> tuple[str, torch.Tensor]:
    """The axis orthogonal to x along which the vectors after the first differ most, or if they are few the words."""
    if len(names) > 3:
        what, points = "concept vectors", torch.stack([directions[name] for name in names[1:]])
    else:
        what, points = "words", torch.cat([points_of(directions, tokens) for tokens in words.values()])
    unit = torch.nn.functional.normalize(first, dim=0)
    beside = points - points.mean(dim=0)
    beside = beside - torch.outer(beside @ unit, unit)
    _, sizes, axes = torch.linalg.svd(beside, full_matrices=False)
    if not len(sizes) or not bool(sizes[0] > 1e-6 * torch.linalg.vector_norm(points)):
        raise EstimationError(f"plane: the {len(points)} {what} differ along x alone, so that they give no y; give y=")
    return f"first principal axis of the {what}", axes[0] * axes[0][axes[0].abs().argmax()].sign()


def _other(directions: ConceptDirections, name: str, names: Sequence[str], short: Mapping[str, str]) -> str:
    """What its words are called where those of shown concepts below it are left out."""
    own = directions.hierarchy.members[directions.hierarchy.index(name)]
    below = directions.hierarchy.descendants(name).intersection(names)
    return f"other {short[name]}" if below and len(own) else short[name]


def _said(
    fits: Mapping[str, ConceptDirections], names: Sequence[str], short: Sequence[str], panel: "Plane", count: int
) -> tuple[str, str]:
    directions = fits["model"]
    if has_held_out(directions):
        values = {title: projection(other, names) for title, other in fits.items()}
        title = said(f"Held-out words of {listed(short)} project on their concept vector:", values)
        words = f"{count} held-out words; title: their mean normalised projection ℓᵀg/‖ℓ‖², 1 for words fitted to"
    else:
        title = f"Words of {listed(short)} in the plane of {panel.x} and {panel.y}"
        words = f"the {count} words that the vectors were fitted to: they lie far along these in noise too"
    return title, (
        f"Plane of the unified space, drawn to scale; ℓ(c): concept vector of c. Coloured: {words}. The named ones lie"
        f" furthest out.{f' Grey: {panel.backdrop}.' if len(panel.vocabulary) else ''}"
    )
