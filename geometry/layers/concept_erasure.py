"""Erasers of concepts: of what tells their words, and those of what is below them, from others in activations."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from geometry.arguments import checked
from geometry.concepts import ConceptHierarchy
from geometry.errors import SteeringError
from geometry.layers.block_vectors import steerable
from geometry.layers.contexts import ContextsLike
from geometry.layers.phrase_reading import read_phrases
from geometry.randomness import generator
from geometry.steering.architecture import Architecture
from geometry.steering.eraser import Eraser
from geometry.steering.prompts import Tokenizer
from geometry.steering.vector import SiteLike

FEWEST = 5  # words of a concept whose direction is more than their noise
_MOST = 1000


@checked
def concept_eraser(
    model: nn.Module,
    tokenizer: Tokenizer,
    hierarchy: ConceptHierarchy,
    concepts: str | Sequence[str],
    *,
    site: SiteLike,
    subtree: bool = True,
    contexts: ContextsLike | None = None,
    most_words: int = _MOST,
    shrinkage: float | None = None,
    seed: int = 0,
    cache: bool | str | Path = False,
    progress: bool | None = None,
) -> Eraser:
    """The eraser of a concept, or of several at once, from its words beside other words of the hierarchy.

    >>> import geometry as geo
    >>> organisms = geo.load_hierarchy("organisms", geo.concepts.AnyPhrase())
    >>> model, tokenizer = geo.load_model("stories15m")
    >>> concept_eraser(model, tokenizer, organisms, "animal", site="output.3", contexts=["I saw a {}"])
    Eraser(animal and 6 concepts below it; output.3; rank 7 of 288)

    Parameters:
        hierarchy: its words are read in contexts, at their last token; over `geo.concepts.AnyPhrase` phrases as well.
        concepts: names.
        site: where it reads and acts, such as "output.12".
        subtree: erase each concept below them too, so that they are not discriminated from each other either.
        contexts: see `read_phrases`; each activation in a context counts as one.
        most_words: that are read, of the concepts and of the others each, drawn at random by `seed`.
        shrinkage: see `Eraser.fit`.

    Returns Eraser: of rank as many as concepts. Its notes say how far it moves activations, and which concepts below
        had fewer than five words among those that were read and are left out.
    Raises HierarchyError: an unknown name.
    Raises SteeringError: no concepts, one with fewer than five words or with every word of the hierarchy, a site that
        can be read only, or what `read_phrases` and `Eraser.fit` refuse.
    """
    place = steerable(site)
    asked = [concepts] if isinstance(concepts, str) else list(dict.fromkeys(concepts))
    if not asked:
        raise SteeringError("name a concept to erase")
    if most_words < FEWEST:
        raise SteeringError(f"at least {FEWEST} words of a concept must be read, not {most_words}")
    members = dict(zip(hierarchy.names, hierarchy.members, strict=True))
    for name in asked:
        hierarchy.index(name)  # refuses an unknown name
        if len(members[name]) < FEWEST:
            raise SteeringError(f"{name}: {len(members[name])} words are too few to find what tells them; {FEWEST} do")
    Architecture.of(model).check(place)
    below = set[str]().union(*map(hierarchy.descendants, asked)) - set(asked) if subtree else set[str]()
    own = np.unique(np.concatenate([members[name] for name in asked]))
    others = np.setdiff1d(np.arange(len(hierarchy.tokens)), own)
    if len(others) < FEWEST:
        raise SteeringError(
            f"{', '.join(asked)}: {len(others)} words of {hierarchy.name!r} lie outside; nothing is left to tell from"
        )
    rng = generator(seed, "words of an eraser")
    read = np.concatenate([_drawn(rng, own, most_words, asked, members), _some(rng, others, most_words)])
    labels = {name: np.isin(read, members[name]) for name in [*asked, *(n for n in hierarchy.names if n in below)]}
    few = [name for name in below if labels[name].sum() < FEWEST]
    erased = [name for name in labels if name not in few]
    words = [hierarchy.words[index] for index in read]
    activations = read_phrases(
        model, tokenizer, words, contexts=contexts, sites=[place], cache=cache, progress=progress
    )  # fmt: skip
    samples = activations[place]
    rows = samples.reshape(-1, samples.shape[-1])
    columns = np.tile(np.column_stack([labels[name] for name in erased]), (len(samples), 1))
    eraser = Eraser.fit(
        rows.numpy(),
        columns,
        place,
        shrinkage=shrinkage,
        name=_called(asked, len(erased) - len(asked)),
        names=erased,
        model=activations.family.removesuffix("_text") if activations.family != "unknown" else "",
    )
    moved = (eraser.erase(rows) - rows).norm(dim=1) / rows.norm(dim=1)
    inside = np.tile(np.isin(read, own), len(samples))
    notes = [
        f"moves the states of its words by {float(moved[inside].mean()):.2f} of their norm on average, those of other"
        f" words by {float(moved[~inside].mean()):.2f}"
    ]
    if few:
        notes.append(f"{len(few)} concepts below with fewer than {FEWEST} words among those read are left out")
    return replace(eraser, notes=(*eraser.notes, *notes))


def _drawn(
    rng: np.random.Generator,
    own: NDArray[np.int64],
    most: int,
    asked: Sequence[str],
    members: dict[str, NDArray[np.int64]],
) -> NDArray[np.int64]:
    """At most so many of the concepts' words, a few of each asked for among them."""
    if len(own) <= most:
        return own
    share = max(FEWEST, most // len(asked))
    return np.unique(np.concatenate([_some(rng, members[name], share) for name in asked]))


def _some(rng: np.random.Generator, words: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    return words if len(words) <= most else np.sort(rng.choice(words, most, replace=False))


def _called(asked: Sequence[str], below: int) -> str:
    names = ", ".join(asked)
    return (
        f"{names} and {below} concept{'s' * (below > 1)} below {'them' if len(asked) > 1 else 'it'}" if below else names
    )
