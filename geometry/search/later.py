"""What vectors have changed at a later site, prompt by prompt: how much, in how many dimensions, in which direction."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.search.last_token import LastToken
from geometry.search.measures import Measure, moved
from geometry.search.passage import ROWS
from geometry.steering import Architecture, Positions, Site, SiteLike, SteeringVector, steer_each
from geometry.steering.activations import watched
from geometry.steering.architecture import evaluating
from geometry.steering.hook_manager import HookManager
from geometry.steering.prompts import LanguageModel, Tokenizer

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LaterChanges:
    """The residual stream at one site after n prompts, under each of k vectors and without.

    Attributes:
        site: where it was read.
        unsteered: shape (n, d).
        steered: shape (k, n, d).
    """

    site: Site
    unsteered: torch.Tensor
    steered: torch.Tensor

    __repr__ = short_repr

    @property
    def displacement(self) -> torch.Tensor:
        """Steered less unsteered, shape (k, n, d)."""
        return self.steered - self.unsteered

    def moved(self, measure: Measure = "change") -> Array:
        """As `find_vectors` measures it, shape (k, n)."""
        return np.asarray(moved(self.steered, self.unsteered, measure).double().numpy())

    @cached_property
    def coordinates(self) -> Array:
        """How many coordinates carry a displacement δ: (Σδᵢ²)²/Σδᵢ⁴, from 1 to d; shape (k, n)."""
        squares = self.displacement.double().square()
        return np.asarray((squares.sum(dim=2).square() / squares.square().sum(dim=2)).numpy())

    @cached_property
    def effective_dimension(self) -> Array:
        """How many directions a vector's displacements after all prompts fill, from 1 (the same direction after every
        prompt) to n; shape (k,)."""
        rows = self.displacement.double()
        rows = rows / torch.linalg.vector_norm(rows, dim=2, keepdim=True)
        values = torch.linalg.eigvalsh(rows @ rows.transpose(1, 2)).clamp(min=0)
        return np.asarray((values.sum(dim=1).square() / values.square().sum(dim=1)).numpy())

    def cosine(self, other: "LaterChanges") -> Array:
        """Of the displacements after every prompt with those of as many other vectors, shape (k, n)."""
        if self.steered.shape != other.steered.shape:
            raise SteeringError(
                f"changes of {tuple(self.steered.shape)} and of {tuple(other.steered.shape)} (vectors, prompts, width)"
                " cannot be paired; read both on the same prompts"
            )
        return np.asarray(torch.cosine_similarity(self.displacement.double(), other.displacement.double(), 2).numpy())


@checked
def later_changes(
    model: LanguageModel,
    tokenizer: Tokenizer,
    vectors: Sequence[SteeringVector],
    prompts: Sequence[str],
    read_site: SiteLike,
) -> LaterChanges:
    """Add vectors at the last token of prompts, and read there what has changed at a later site.

    Example::

        changes = geo.search.later_changes(model, tokenizer, found.vectors, held_out, found.read_site)
        print(changes.moved().mean(axis=1), changes.coordinates.mean(axis=1))

    A vector with rows for several tokens is refused.

    Raises SteeringError: no vectors or prompts, vectors at work in the model, a site that it lacks, or what `steer`
        refuses.
    """
    if not vectors or not prompts:
        raise SteeringError("there are no vectors, or no prompts; give at least one of each")
    architecture, site = Architecture.of(model), Site.parse(read_site)
    architecture.check(site)
    if site.relative:
        raise SteeringError(
            f"read_site: {site} is relative, and activations are not; write {replace(site, relative=False)}"
        )
    if any(part.ndim > 1 for vector in vectors for part in vector.parts.values()):
        raise SteeringError("vectors: one has rows for several tokens, and changes are of the last alone; give one row")
    if HookManager.at_work(model):
        raise SteeringError("changes are measured without others at work; remove those first")
    with torch.no_grad(), evaluating(architecture.model):
        last = LastToken(architecture, tokenizer, prompts)
        each = max(1, ROWS // last.count)
        every: list[SteeringVector | None] = [None, *vectors]
        rows = [_read(architecture, last, every[start : start + each], site) for start in range(0, len(every), each)]
    found = torch.cat(rows)
    if not bool(found.isfinite().all()):
        raise SteeringError(f"the residual stream at {site} is not finite under these vectors; take smaller ones")
    return LaterChanges(site, found[0], found[1:])


def _read(
    architecture: Architecture, last: LastToken, vectors: Sequence[SteeringVector | None], site: Site
) -> torch.Tensor:
    """The last token's residual stream at a site under each vector, shape (k, n, d), on the CPU."""
    positions: Positions = "all" if last.alone else "last"
    with (
        steer_each(architecture.model, list(vectors) * last.count, positions=positions),
        watched(architecture, [site]) as seen,
        suppress(seen.enough),
    ):
        architecture.model(**last.arguments(len(vectors)))
    return seen[site][:, -1].float().cpu().reshape(last.count, len(vectors), -1).transpose(0, 1)
