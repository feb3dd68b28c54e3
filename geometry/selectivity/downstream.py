"""Downstream: what a vector that is added at one block does to every concept's projection at the later ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from geometry.arguments import checked
from geometry.concepts import ConceptHierarchy
from geometry.directions import ConceptDirections
from geometry.display import html_table, short_repr
from geometry.errors import SteeringError
from geometry.intervals import interval_of
from geometry.layers import Metric, PhraseActivations
from geometry.progress import progress_bar
from geometry.selectivity.relations import RELATIONS, Relation, TreeRelations
from geometry.steering import Architecture, Positions, SteeringVector, read_activations
from geometry.steering.prompts import Tokenizer
from geometry.steering.vector import Site, depth

if TYPE_CHECKING:
    from pandas import DataFrame

Array = NDArray[np.float64]
_ROWS = 64


@dataclass(frozen=True, eq=False)
class ConceptProjections:
    """Projections on every concept's vector at the outputs of blocks, each by the concept vectors found there.

    Attributes:
        hierarchy: whose concepts they are, over the phrases that were read.
        readouts: site → float32 tensor, shape (k, d): what a displacement of the residual stream is multiplied with to
            give ⟨·, ℓ⟩ / ‖ℓ‖². 1 is a displacement by the whole concept vector.
        model: of which they were read.
    """

    hierarchy: ConceptHierarchy
    readouts: Mapping[Site, torch.Tensor]
    model: str

    __repr__ = short_repr

    @classmethod
    @checked
    def fit(
        cls,
        activations: PhraseActivations,
        hierarchy: ConceptHierarchy,
        metrics: Mapping[Site, Metric] | None = None,
        *,
        progress: bool | None = None,
    ) -> "ConceptProjections":
        """Fit concept vectors at every output of a block that was read.

        Example::

            activations = geo.read_phrases(model, tokenizer, organisms.words, sites=["output.3", "output.5"])
            projections = ConceptProjections.fit(activations, organisms.over(activations.vocabulary))

        Parameters:
            hierarchy: over `activations.vocabulary`.
            metrics: site → inner product there; default, Euclidean.

        Raises SteeringError: no output of a block among the sites, a site without a metric, or one of another site.
        """
        sites = [site for site in activations.sites if site.place == "output"]
        if not sites:
            raise SteeringError("no output of a block was read; read phrases at sites such as output.3")
        if metrics is not None and (lacking := [site for site in sites if site not in metrics]):
            raise SteeringError(f"there is no metric for {lacking[0]}; give one for each output of a block")
        readouts = {}
        for site in progress_bar(sites, "fitting concepts at blocks", progress=progress):
            space = activations.space(site, "euclidean" if metrics is None else metrics[site])
            vectors = ConceptDirections.fit(space, hierarchy).vectors
            readouts[site] = (vectors / (vectors * vectors).sum(dim=1, keepdim=True) @ space.whitener).float().cpu()
        return cls(hierarchy, readouts, activations.model)

    @property
    def sites(self) -> tuple[Site, ...]:
        """Outputs of blocks, in the order of the model."""
        return tuple(self.readouts)

    def of(self, displacements: Mapping[Site, torch.Tensor]) -> Array:
        """Projections of displacements (n, d) at some of the sites, shape (n, sites, k), float64."""
        each = [displacements[site].float() @ self.readouts[site].T for site in self.sites if site in displacements]
        return torch.stack(each, dim=1).double().numpy()


@dataclass(frozen=True, eq=False)
class DownstreamEffects:
    """How a vector moves the projections on k concepts at b later blocks, after n prompts.

    Attributes:
        provenance: of the vector.
        target: the concept that it is to stand for.
        names: of the concepts, shape (k,).
        relations: of each to the target, shape (k,).
        sites: where it is added and later, in order.
        change: steered less unsteered, in parts of the concept's vector there, shape (n, b, k).
        random: mean over prompts of the same for random vectors of the same norm, shape (r, b, k).
        size: mean norm of the displacement over that of the unsteered residual stream, shape (b,).
    """

    provenance: str
    target: str
    names: tuple[str, ...]
    relations: tuple[Relation, ...]
    sites: tuple[Site, ...]
    change: Array
    random: Array
    size: Array

    __repr__ = short_repr

    @property
    def mean(self) -> Array:
        """Over prompts, shape (b, k)."""
        return np.asarray(self.change.mean(axis=0))

    @property
    def beyond(self) -> NDArray[np.bool_]:
        """Whether a change is larger in absolute value than that of every random vector, shape (b, k)."""
        return np.asarray(np.abs(self.mean) > np.abs(self.random).max(axis=0))

    def by_relation(self) -> dict[Relation, Array]:
        """Relation → mean change over its concepts after each prompt, shape (n, b)."""
        kinds = np.array(self.relations)
        return {kind: self.change[:, :, kinds == kind].mean(axis=2) for kind in dict.fromkeys(self.relations)}

    def random_by_relation(self) -> dict[Relation, Array]:
        """The same of random vectors, shape (r, b)."""
        kinds = np.array(self.relations)
        return {kind: self.random[:, :, kinds == kind].mean(axis=2) for kind in dict.fromkeys(self.relations)}

    def to_frame(self) -> "DataFrame":
        """A row for each site and concept: relation, change, its 95% interval over prompts, the largest at random."""
        import pandas as pd

        rows = []
        for b, site in enumerate(self.sites):
            for k, name in enumerate(self.names):
                low, high = interval_of(self.change[:, b, k])
                most = float(np.abs(self.random[:, b, k]).max())
                rows.append((str(site), name, self.relations[k], float(self.mean[b, k]), low, high, most))
        heads = ["site", "concept", "relation", "change", "low", "high", "largest_random"]
        return pd.DataFrame(rows, columns=heads)

    def largest(
        self, count: int = 10, site: Site | None = None
    ) -> list[tuple[str, Relation, float, float, float, float]]:
        """The concepts whose projections change most at a site, by default the last: name, relation, change, its 95%
        interval over prompts, the largest change by a random vector."""
        b = len(self.sites) - 1 if site is None else self.sites.index(site)
        order = np.argsort(-np.abs(self.mean[b]), kind="stable")[:count]
        most = np.abs(self.random[:, b]).max(axis=0)
        return [
            (
                self.names[k],
                self.relations[k],
                float(self.mean[b, k]),
                *interval_of(self.change[:, b, k]),
                float(most[k]),
            )
            for k in order
        ]

    def _repr_html_(self) -> str:
        heads = ("concept", "relation", "change", "low", "high", "largest at random")
        return html_table(heads, self.largest(), f"{self.provenance}: projections at {self.sites[-1]}")


@checked
def downstream_effects(
    model: nn.Module,
    tokenizer: Tokenizer,
    vectors: Mapping[str, SteeringVector],
    prompts: Sequence[str],
    projections: ConceptProjections,
    *,
    positions: Positions | None = None,
    n_random: int = 19,
    seed: int = 0,
) -> dict[str, DownstreamEffects]:
    """What vectors that are added at a block do to every concept's projection there and at every later block.

    Example::

        vector = geo.pull_back(concepts["bird"], model, "output.3").relative(0.5)
        effects = geo.selectivity.downstream_effects(model, tokenizer, {"bird": vector}, prompts, projections)
        effects["bird"].largest()

    The residual stream is read at the last token of every prompt, steered and not; what differs is projected on the
    concept vectors of that block. Concepts of the target's own line are to follow; others beyond all random vectors
    are side effects.

    Parameters:
        vectors: name of a concept of `projections.hierarchy` → what is to steer to it.
        positions: of the vectors; default, the last token of the prompt.
        n_random: random vectors of the same norm at the same sites: with 19, one beyond them all is significant at .05.
            Vectors of one norm share them.

    Returns name → DownstreamEffects.
    Raises SteeringError: no prompts or vectors, one that acts after the last of the projections' sites, no random
        vectors, or what `steer` refuses. HierarchyError: an unknown concept.
    """
    if not prompts or not vectors:
        raise SteeringError("there are no prompts, or no vectors; give beginnings of sentences such as 'I saw a'")
    if n_random < 1:
        raise SteeringError(f"n_random: at least one random vector is needed as a control, not {n_random}")
    hierarchy = projections.hierarchy
    rows = {name: hierarchy.index(name) for name in vectors}  # refuses unknown names
    groups: dict[tuple[tuple[str, float], ...], dict[str, SteeringVector]] = {}
    for name, vector in vectors.items():
        if not _from(vector, projections.sites):
            raise SteeringError(
                f"{vector.provenance} acts at {vector.sites[0]}, after the last site that was read,"
                f" {projections.sites[-1]}; read phrases at a later one"
            )
        norms = tuple((str(site), float(f"{part.norm():.5g}")) for site, part in vector.parts.items())
        groups.setdefault(norms, {})[name] = vector
    Architecture.of(model).check(projections.sites[-1])
    relations, found = TreeRelations.of(hierarchy), {}
    for group in groups.values():
        like = next(iter(group.values()))
        sites = _from(like, projections.sites)
        every = [None, *group.values(), *(like.random(seed + number) for number in range(n_random))]
        change, size = _read(model, tokenizer, every, prompts, projections, sites, positions)
        at_random = change[len(group) :].mean(axis=1)
        for place, (name, vector) in enumerate(group.items()):
            kinds = tuple(RELATIONS[code] for code in relations.codes[rows[name]])
            found[name] = DownstreamEffects(
                vector.provenance,
                name,
                tuple(hierarchy.names),
                kinds,
                tuple(sites),
                change[place],
                at_random,
                size[place],
            )
    return {name: found[name] for name in vectors}


def _from(vector: SteeringVector, sites: Sequence[Site]) -> list[Site]:
    """Those of the sites where a vector first acts and later."""
    first = min(depth(site)[:2] for site in vector.sites)
    return [site for site in sites if depth(site)[:2] >= first]


def _read(
    model: nn.Module,
    tokenizer: Tokenizer,
    every: Sequence[SteeringVector | None],
    prompts: Sequence[str],
    projections: ConceptProjections,
    sites: list[Site],
    positions: Positions | None,
) -> tuple[Array, Array]:
    """Changes of projections by all but the first, shape (v, n, b, k), and relative sizes, shape (v, b)."""
    n = len(prompts)
    read = read_activations(
        model, tokenizer, [text for _ in every for text in prompts], sites, vectors=[v for v in every for _ in prompts],
        positions="last" if positions is None else positions, batch_size=_ROWS,
    )  # fmt: skip
    stacked = {site: rows.reshape(len(every), n, -1) for site, rows in read.items()}
    moved = {site: rows[1:] - rows[:1] for site, rows in stacked.items()}
    change = projections.of({site: rows.flatten(0, 1) for site, rows in moved.items()})
    sizes = [(moved[site].norm(dim=2) / stacked[site][:1].norm(dim=2)).mean(dim=1) for site in sites]
    return change.reshape(len(every) - 1, n, len(sites), -1), torch.stack(sizes, dim=1).double().numpy()
