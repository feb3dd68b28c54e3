"""Which concepts and words a view shows, what they are called there, and how its defaults are filled in."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.concepts import short_name
from geometry.directions import ConceptDirections
from geometry.errors import EstimationError, HierarchyError, shown

if TYPE_CHECKING:
    import geometry.plots as plots

Beside = Mapping[str, ConceptDirections]
Words = Mapping[str, NDArray[np.int64]]
MODEL = "model"


def chosen(view: str, directions: ConceptDirections, concepts: Sequence[str], least: int, most: int) -> list[str]:
    """The concepts, refused where they are unknown, repeated, too many or too few, or have no vector."""
    names = list(concepts)
    for name in names:
        index = directions.hierarchy.index(name)
        if not bool(directions.vectors[index].isfinite().all()):
            raise EstimationError(
                f"{view}: concept {name!r} has no vector, for want of words to fit it to; leave it out"
            )
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise HierarchyError(f"{view}: concept {repeated[0]!r} is named more than once; name each once")
    if not least <= len(names) <= most:
        raise EstimationError(f"{view}: give {_span(least, most)} concepts, not {len(names)}")
    return names


def _span(least: int, most: int) -> str:
    return f"{least}" if least == most else f"{least} or {most}" if most == least + 1 else f"{least} to {most}"


def with_beside(view: str, directions: ConceptDirections, beside: Beside | None, names: Sequence[str]) -> Beside:
    """The model's vectors and those beside it, title → directions, all of which have the named concepts."""
    fits = {MODEL: directions} | dict(beside or {})
    if len(fits) == len(beside or {}):
        raise EstimationError(f"{view}: beside must not be called {MODEL!r}, as the first panel is")
    for title, other in fits.items():
        if lacking := [name for name in names if name not in other]:
            raise HierarchyError(f"{view}: the directions beside, {title!r}, have no concept {shown(lacking[0])}")
        chosen(f"{view}, {title}", other, names, 0, len(names))
    return fits


def labels_of(names: Sequence[str]) -> dict[str, str]:
    """Concept → what figures call it: the words of a synset, or the whole name where two have the same."""
    counts = Counter(map(short_name, names))
    return {name: short if counts[short := short_name(name)] == 1 else name for name in names}


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def has_held_out(directions: ConceptDirections) -> bool:
    """Whether words were held out of the fits; else all that can be shown is what they were fitted to."""
    return not bool(directions.train.all())


def shown_words(directions: ConceptDirections, names: Sequence[str]) -> Words:
    """Concept → positions of the words to show, held-out ones if any; each in the smallest of its concepts."""
    members = {name: directions.hierarchy.members[directions.hierarchy.index(name)] for name in names}
    taken = np.empty(0, dtype=np.int64)
    words = {}
    for name in sorted(names, key=lambda name: len(members[name])):
        words[name] = np.setdiff1d(members[name], taken)
        taken = np.union1d(taken, members[name])
        if has_held_out(directions):
            words[name] = words[name][~directions.train[words[name]]]
    return {name: words[name] for name in names}


def points_of(directions: ConceptDirections, tokens: NDArray[np.int64]) -> torch.Tensor:
    """Where some of the hierarchy's words lie, shape (n, d)."""
    return directions.cloud.points[torch.from_numpy(tokens)]


def projection(directions: ConceptDirections, names: Sequence[str]) -> float:
    """Mean normalised projection ℓᵀg/‖ℓ‖² of held-out words on the vectors of concepts, over those that have some."""
    means = []
    for index in map(directions.hierarchy.index, names):
        if len(tokens := directions.held_out(index)):
            vector = directions.vectors[index]
            means.append(float((points_of(directions, tokens) @ vector).mean() / (vector @ vector)))
    return float(np.mean(means)) if means else float("nan")


def said(number: str, values: Mapping[str, float]) -> str:
    """A number of the model in a sentence, and in brackets what it is beside: "of two 0.58 (shuffled rows 0.40)"."""
    (_, first), *others = values.items()
    beside = ", ".join(f"{title} {value:.2f}" for title, value in others)
    return f"{number} {first:.2f}{f' ({beside})' if beside else ''}"


def filled(options: Mapping[str, Any], title: str, caption: str, renamed: Mapping[str, str]) -> "plots.Options":
    """The options with our title and caption where none are given, and colours by what is drawn as well as by name."""
    colours = options.get("colours")
    if isinstance(colours, Mapping):
        colours = {**colours, **{new: colours[old] for old, new in renamed.items() if old in colours}}
    kept = {"title": title, "caption": caption, **options}
    return cast("plots.Options", {**kept, "colours": colours} if "colours" in options else kept)
