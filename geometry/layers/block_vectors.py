"""Steering vectors that steer where they were found: concept vectors of a block, and differences of means there.

A point of a block's space is g(y) = M^(1/2) (h(y) − h̄), so the displacement of the residual stream that moves it by ℓ
is M^(-1/2) ℓ. Imports phrase_activations.
"""

from dataclasses import replace

import numpy as np
import torch

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections
from geometry.errors import SteeringError, shown
from geometry.layers.phrase_activations import PhraseActivations, PhraseVectors
from geometry.steering.activation_vectors import class_difference, mean_vectors
from geometry.steering.concept_vectors import HierarchySteering
from geometry.steering.vector import READ_ONLY, Site, SiteLike, SteeringVector


class BlockSteering(HierarchySteering):
    """Steering vectors of concepts that were fitted at a site of the residual stream, to be added there.

    >>> import geometry as geo
    >>> organisms = geo.load_hierarchy("organisms", geo.concepts.AnyPhrase())
    >>> model, tokenizer = geo.load_model("stories15m")
    >>> activations = geo.read_phrases(model, tokenizer, organisms.words, sites=["output.3"], contexts=["I saw a {}"])
    >>> space = activations.space("output.3")
    >>> directions = geo.ConceptDirections.fit(space, organisms.over(activations.vocabulary))
    >>> steering = BlockSteering(space, directions, "output.3")
    >>> (steering["animal"] + 2 * steering.child("bird", of="animal")).provenance
    'animal at output.3 + 2 × ((bird − animal) at output.3)'

    Parameters:
        space: of phrases read at the site: `activations.space(site, metric)`.
        directions: ℓ of every concept, fitted in that space.
        site: where vectors are added, such as "output.12".
        unit: make every part of norm 1 in the space. By default the lengths of ℓ are kept, in the units of the
            residual stream: with coefficient 1 a phrase moves by the concept vector itself.

    The displacement is M^(-1/2) ℓ with the space's metric M, and for a child that of ℓ_child − ℓ_ancestor. Of a metric
    without full rank it has no part that the metric does not see.

    Raises SteeringError: a space of anything but phrases read at that site, directions of another space, a site that
        can be read only.
    Source: Park et al., arXiv 2406.01506, for ℓ; here ℓ moves the activations themselves, and not the logits' products.
    """

    @checked
    def __init__(
        self, space: CausalSpace, directions: ConceptDirections, site: SiteLike, *, unit: bool = False
    ) -> None:
        super().__init__(space, directions, unit=unit)
        self.site = steerable(site)
        self._model = _architecture(space, self.site)
        points = directions.cloud.points
        if not torch.allclose(points, space.rows(directions.hierarchy.tokens).to(points), rtol=1e-3, atol=1e-5):
            raise SteeringError(
                f"{self.site}: the concept vectors were fitted to other points than the space's; fit them by"
                " ConceptDirections.fit(space, hierarchy)"
            )

    def norm(self, vector: SteeringVector) -> float:
        """Norm in the block's space of a vector of this object or a sum of such."""
        return float(torch.linalg.vector_norm(vector[self.site].to(self.space.mean) @ self.space.whitener))

    def _steering_vector(self, direction: torch.Tensor, provenance: str) -> SteeringVector:
        part = (self.space.colourer @ direction).cpu()
        found = f"({provenance})" if " − " in provenance else provenance
        notes = (f"fitted where it is added, in the {self.space.metric} metric",)
        return SteeringVector({self.site: part}, f"{found} at {self.site}", self._model, notes)


@checked
def mean_difference(
    activations: PhraseActivations,
    hierarchy: ConceptHierarchy,
    name: str,
    site: SiteLike,
    *,
    of: str | None = None,
) -> SteeringVector:
    """The mean activation of a concept's phrases less that of the others: what a concept vector is compared with.

    Example::

        vector = mean_difference(activations, hierarchy, "bird.n.01", "output.12")
        with geo.steer(model, 2 * vector, positions="last"):
            model.generate(...)

    Parameters:
        hierarchy: over `activations.vocabulary`.
        of: an ancestor; then the others are the rest of its phrases, by default the rest of all.

    Returns SteeringVector: one part of shape (d,) at the site, in the units of the residual stream.
    Raises HierarchyError: an unknown name.
    Raises SteeringError: a hierarchy over another vocabulary, an `of` that is no ancestor, no other phrases, a site
        that was not read or can be read only.
    Source: Rimsky et al., arXiv 2312.06681, and Marks and Tegmark, arXiv 2310.06824, for differences of class means.
    """
    place = steerable(site)
    check_phrases(activations, hierarchy)
    members = np.asarray(hierarchy[name].tokens)
    if of is not None and name not in hierarchy.descendants(of):
        raise SteeringError(f"{of!r} is no ancestor of {name!r} in hierarchy {hierarchy.name!r}")
    every = np.arange(len(activations.phrases)) if of is None else np.asarray(hierarchy[of].tokens)
    if len(others := np.setdiff1d(every, members)) == 0:
        raise SteeringError(f"{name!r}: there are no phrases outside it to take the mean of")
    rows = torch.from_numpy(np.concatenate([members, others]))
    rest = "other phrases" if of is None else f"the rest of {of}"
    means = mean_vectors(
        {place: activations.mean(place)[rows]},
        [name] * len(members) + [rest] * len(others),
        model=_named(activations.family),
    )
    return replace(class_difference(means, name), provenance=f"mean of {name} − mean of {rest} at {place}")


def steerable(site: SiteLike) -> Site:
    """A site at which vectors are added as they are; SteeringError for one that can be read only, or a relative one."""
    place = Site.parse(site)
    if place.place in READ_ONLY:
        raise SteeringError(f"{place} can be read, not steered; steer at output.{place.block}")
    if place.relative:
        raise SteeringError(f"{place}: activations lie at {replace(place, relative=False)}; write that")
    return place


def check_space(space: CausalSpace, site: Site) -> None:
    """SteeringError for a space of anything but phrases that were read at the site."""
    _architecture(space, site)


def _architecture(space: CausalSpace, site: Site) -> str:
    """That of the model whose phrases were read at the site, as vectors call it; "" where it is not known."""
    vectors = space.unembedding
    measured = vectors.site if isinstance(vectors, PhraseVectors) else None
    if not isinstance(vectors, PhraseVectors) or measured != site:
        where = "" if measured is None else f", at {measured}"
        raise SteeringError(
            f"{site}: the space is of {shown(vectors.name)}{where}, not of phrases read at {site}; make it by"
            f" activations.space({str(site)!r}, metric)"
        )
    return _named(vectors.architecture)


def _named(family: str) -> str:
    return "" if family == "unknown" else family.removesuffix("_text")


def check_phrases(activations: PhraseActivations, hierarchy: ConceptHierarchy) -> None:
    """SteeringError for a hierarchy that was made over another vocabulary than the phrases that were read."""
    phrases = activations.phrases
    for token, word in zip(hierarchy.tokens.tolist(), hierarchy.words, strict=True):
        if token >= len(phrases) or phrases[token] != word:
            raise SteeringError(
                f"hierarchy {hierarchy.name!r} takes number {token} for {shown(word)}, which it is not among the"
                " phrases that were read; use hierarchy.over(activations.vocabulary)"
            )
