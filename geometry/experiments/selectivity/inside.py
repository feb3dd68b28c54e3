"""Inside the model: vectors added at one block, and how far each concept's projection follows at the later ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.concepts import (
    AnyPhrase,
    ConceptHierarchy,
    largest_concepts,
    load_hierarchy,
    proper_concepts,
    sample_words,
)
from geometry.display import short_repr
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.selectivity.forward import block
from geometry.experiments.selectivity.labels import ALL
from geometry.experiments.selectivity.setup import Bench
from geometry.intervals import interval_of, mean_of, summarise
from geometry.layers import NeutralText, PhraseActivations, load_contexts, mean_difference, read_phrases
from geometry.selectivity import (
    RELATIONS,
    ConceptProjections,
    DownstreamEffects,
    downstream_effects,
    spread_over_depths,
)
from geometry.selectivity.relations import Relation
from geometry.steering import Architecture, Site

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Array = NDArray[np.float64]
STRENGTH = 0.5  # × residual norm
_CONCEPTS, _WORDS, _MOST_FREQUENT, _CONTEXTS = 100, 24, 20_000, 2
N_RANDOM = 19  # with which one vector beyond them all is significant at .05


@dataclass(frozen=True, eq=False)
class Downstream(Part):
    """Vectors of a concepts, added at one block; b later sites, n prompts, r random vectors of the same norm.

    Attributes:
        site, strength: where, and how large, in residual norms.
        effects: of each concept.
    """

    site: Site
    strength: float
    effects: Mapping[str, DownstreamEffects]

    __repr__ = short_repr

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where projections were read."""
        return next(iter(self.effects.values())).sites

    @property
    def n_random(self) -> int:
        """Random vectors."""
        return len(next(iter(self.effects.values())).random)

    @property
    def chance(self) -> float:
        """How often a change is beyond all random ones if the vector is one of them."""
        return 1 / (self.n_random + 1)

    def changes(self, relation: Relation) -> Array:
        """Mean change over a relation's concepts, of every target that has any, shape (targets, b)."""
        found = [effect.by_relation().get(relation) for effect in self.effects.values()]
        return np.array([each.mean(axis=0) for each in found if each is not None]).reshape(-1, len(self.sites))

    def random_changes(self, relation: Relation) -> Array:
        """The same of random vectors, averaged over targets, shape (r, b)."""
        found = [effect.random_by_relation().get(relation) for effect in self.effects.values()]
        return np.asarray(np.mean([each for each in found if each is not None], axis=0))

    def beyond(self, relation: Relation) -> Array:
        """The fraction of a relation's concepts that move beyond all random vectors, of every target (targets, b)."""
        rows = []
        for effect in self.effects.values():
            kinds = np.array(effect.relations) == relation
            if kinds.any():
                rows.append(effect.beyond[:, kinds].mean(axis=1))
        return np.array(rows).reshape(-1, len(self.sites))

    @property
    def relations(self) -> list[Relation]:
        """Those that any target has."""
        return [relation for relation in RELATIONS if len(self.changes(relation))]

    def kept(self) -> Array:
        """Of its projection where it is added, what is left of the target's own at the last site, shape (targets,)."""
        own = self.changes("self")
        return np.asarray(own[:, -1] / own[:, 0])

    @property
    def example(self) -> str:
        """The target that is shown concept by concept: the last, the deepest in the tree."""
        return list(self.effects)[-1]

    def summary(self) -> list[str]:
        """How much is kept, and who moves along."""
        ends = {relation: (self.changes(relation)[:, -1], self.beyond(relation)[:, -1]) for relation in self.relations}
        own, last = self.kept(), self.sites[-1]
        low, high = interval_of(own)
        lines = [
            f"Vectors of {len(self.effects)} concepts, added at {self.site}, {self.strength:g} × residual norm: at"
            f" {last} {own.mean():.0%} [{low:.0%}, {high:.0%}] of their own projection is left."
        ]
        for relation in ("sibling", "cousin", "unrelated"):
            if relation in ends:
                changes, beyond = ends[relation]
                lines.append(
                    f"There {ALL[relation]} have moved by {mean_of(changes):+.2f} of their vector;"
                    f" {mean_of(beyond):.0%} of them beyond all {self.n_random} random vectors of the same norm"
                    f" ({self.chance:.0%} by chance)."
                )
        return lines

    def figures(self) -> list[FigureSpec]:
        """Along the blocks by relation, and concept by concept."""
        from geometry.experiments.selectivity.inside_figures import downstream, downstream_map

        return [downstream(self), downstream_map(self, self.example)]

    def tables(self) -> list[TableSpec]:
        """What follows and what is a side effect."""
        from geometry.experiments.selectivity.inside_figures import downstream_table

        return [downstream_table(self, self.example)]

    def to_dict(self) -> dict[str, Any]:
        """Relation → changes with intervals over targets, where it is added and at the end; the largest changes."""
        ends = {"site": 0, "last": -1}
        return {
            "site": str(self.site),
            "strength": self.strength,
            "random_vectors": self.n_random,
            "kept": summarise(self.kept()),
            "change": {
                relation: {name: summarise(self.changes(relation)[:, end]) for name, end in ends.items()}
                for relation in self.relations
            },
            "beyond_random": {
                relation: {name: summarise(self.beyond(relation)[:, end]) for name, end in ends.items()}
                for relation in self.relations
            },
            "largest": {
                name: [
                    dict(zip(("concept", "relation", "change", "low", "high", "largest_random"), row, strict=True))
                    for row in effect.largest()
                ]
                for name, effect in self.effects.items()
            },
        }

    def arrays(self) -> dict[str, ArrayLike]:
        """What the figures are drawn from."""
        arrays: dict[str, ArrayLike] = {}
        for name, effect in self.effects.items():
            arrays[f"{name}/mean"] = effect.mean
            arrays[f"{name}/random"] = effect.random
        return arrays


def followed_downstream(bench: Bench) -> Downstream:
    """Of some concepts of phrases, added at the middle block, after every other of the bench's prompts."""
    study, site = bench.study, block(bench)
    packaged = study.hierarchy.startswith("wordnet")
    whole = load_hierarchy(study.hierarchy, AnyPhrase(_MOST_FREQUENT if packaged else None))
    phrases = proper_concepts(sample_words(largest_concepts(whole, _CONCEPTS), _WORDS, seed=study.seed))
    sites = [Site("output", number) for number in range(site.block or 0, len(Architecture.of(bench.model).blocks))]
    contexts = load_contexts(load_contexts("neutral").templates[:_CONTEXTS])  # type: ignore[union-attr]
    activations = read_phrases(bench.model, bench.tokenizer, phrases.words, contexts=contexts, sites=sites, cache=True)
    neutral = NeutralText.read(bench.model, bench.tokenizer, sites=sites, cache=True)
    hierarchy = phrases.over(activations.vocabulary)
    targets = spread_over_depths(hierarchy, study.n_downstream)
    metrics = {place: neutral.covariance(place) for place in sites}
    return measure_downstream(
        bench.model, bench.tokenizer, activations, hierarchy, metrics, targets,
        site, bench.beginnings[::2], seed=study.seed,
    )  # fmt: skip


def measure_downstream(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    activations: PhraseActivations,
    hierarchy: ConceptHierarchy,
    metrics: Mapping[Site, Any],
    targets: Sequence[str],
    site: Site,
    prompts: Sequence[str],
    *,
    seed: int,
) -> Downstream:
    """Add differences of mean activations at a site, half a residual norm large, and read what becomes of them.

    Parameters:
        hierarchy: over `activations.vocabulary`; metrics: of all outputs of blocks that were read.
    """
    projections = ConceptProjections.fit(activations, hierarchy, metrics)
    vectors = {name: mean_difference(activations, hierarchy, name, site).relative(STRENGTH) for name in targets}
    effects = downstream_effects(model, tokenizer, vectors, prompts, projections, n_random=N_RANDOM, seed=seed)
    return Downstream(site, STRENGTH, effects)
