"""A family at a block, ready to be steered: two folds of templates, and vectors of one norm between its classes.

Vectors are fitted to the prompts of some templates. The first prompt of every class, template and domain of the others
is steered; the rest of these fit the probes. Then the templates change roles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.display import short_repr
from geometry.experiments.behaviours.setup import FINAL, Family, Setup
from geometry.experiments.evaluator import Strength
from geometry.probing import Probe
from geometry.steering import Architecture, Site, SteeringVector, mean_vectors

NEUTRAL = ""  # the class of neutral prompts; no class of a family can be called so
COSTED = 3  # pairs by whose vectors the strength is chosen
_STRENGTHS = (0.5, 1.0, 1.5, 2.0, 3.0)  # times the difference of two classes
_OPENINGS = 4  # of neutral prompts, in each fold
_OPENING_WORDS = 4

Pair = tuple[str, str]
Rows = NDArray[np.bool_]
Means = dict[str, SteeringVector]


@dataclass(frozen=True, eq=False)
class Fold:
    """One way round.

    Attributes:
        fitted, steered: which of the family's prompts vectors are fitted to, and which are steered; of other templates.
        means: class → mean residual stream of the former; `NEUTRAL`, that of neutral prompts.
        probes: at the block and after the final norm, of classes and neutral prompts, fitted to prompts that are
            neither.
        neutral: neutral prompts that were used for none of these; openings: their first words.
    """

    fitted: Rows
    steered: Rows
    means: Means
    probes: Mapping[Site, Probe]
    neutral: Sequence[str]
    openings: Sequence[str]

    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class Bench:
    """A family at a site: its folds, the strength of its vectors, and the vectors that are compared."""

    setup: Setup
    family: Family
    site: Site

    __repr__ = short_repr

    @cached_property
    def pairs(self) -> list[Pair]:
        """Each class once as source and once as target: half the family apart, so that levels rise and fall."""
        k = len(self.family.classes)
        return [(source, self.family.classes[(index + k // 2) % k]) for index, source in enumerate(self.family.classes)]

    @cached_property
    def folds(self) -> list[Fold]:
        """Templates and neutral prompts divided, means and probes fitted."""
        setup, owners, texts = self.setup, self.family.labels, self.setup.neutral.texts
        contexts = list(zip(self.family.cells, owners, strict=True))
        first_of_cell = np.array([contexts.index(context) == index for index, context in enumerate(contexts)])
        half = np.isin([prompt.template for prompt in self.family.prompts], list(self.family.behaviour.templates)[::2])
        others = np.arange(2 * _OPENINGS, len(texts))
        folds = []
        for turn, fitted in enumerate((half, ~half)):
            taught = ~fitted & ~first_of_cell
            # Of neutral prompts as many as of a class.
            neutral = others[others % 2 != turn][: int(taught.sum()) // len(self.family.classes)]
            known = [*owners[taught].tolist(), *[NEUTRAL] * len(neutral)]
            probes = {}
            for site in (self.site, FINAL):
                shown = self.family.activations[site][torch.from_numpy(taught)]
                probes[site] = Probe.fit(torch.cat([shown, setup.neutral_activations[site][neutral]]).numpy(), known)
            rest = setup.neutral_activations[self.site][others[others % 2 == turn]]
            means = self.means(fitted) | self._means(rest, [NEUTRAL] * len(rest))
            own = texts[turn * _OPENINGS : (turn + 1) * _OPENINGS]
            openings = [" ".join(text.split()[:_OPENING_WORDS]) for text in own]
            folds.append(Fold(fitted, ~fitted & first_of_cell, means, probes, own, openings))
        return folds

    @cached_property
    def strength(self) -> Strength:
        """The largest that keeps the perplexity of neutral texts within its bound."""
        means = self.folds[0].means
        differences = [means[target] - means[source] for source, target in self.pairs[:COSTED]]
        return self.setup.evaluator.strongest_within(_STRENGTHS, lambda s: [s * each for each in differences])

    @cached_property
    def vectors(self) -> dict[tuple[Fold, Pair], Means]:
        """Fold and pair → method or control → vector; all of the norm of the difference of the two classes, scaled."""
        return {(fold, pair): self._vectors(fold, pair) for fold in self.folds for pair in self.pairs}

    def _vectors(self, fold: Fold, pair: Pair) -> Means:
        source, target = pair
        index, seed = self.pairs.index(pair), self.setup.seed
        wanted, axis = fold.means[target] - fold.means[source], self._contrast_pair(fold)
        mixed, neutral = self.shuffled_means(fold.fitted, index), self._random_halves(index)
        one, two = (self.means(self._first(fold, name))[name] for name in pair)
        vectors = {
            "class difference": wanted,
            "contrast-pair direction": axis if axis.dot(wanted) >= 0 else -axis,
            "single sentence pair": two - one,
            "shuffled labels": mixed[target] - mixed[source],
            "neutral prompts": neutral["True"] - neutral["False"],
        }
        scaled = {name: vector.with_norm(self.strength.value * wanted.norm()) for name, vector in vectors.items()}
        return scaled | {"random direction": scaled["class difference"].random(seed + index)}

    def _contrast_pair(self, fold: Fold) -> SteeringVector:
        """One axis for the whole family: its last level less its first, or of kinds the two that are farthest apart."""
        ends = (self.family.classes[0], self.family.classes[-1])
        apart = {
            pair: (fold.means[pair[1]] - fold.means[pair[0]]).norm() for pair in combinations(self.family.classes, 2)
        }
        first, last = ends if self.family.behaviour.ordered else max(apart, key=apart.__getitem__)
        return fold.means[last] - fold.means[first]

    def _first(self, fold: Fold, name: str) -> Rows:
        """The first fitted prompt of a class, of the same template and domain for every class."""
        rows = fold.fitted & (self.family.labels == name)
        rows[np.flatnonzero(rows)[1:]] = False
        return rows

    def _random_halves(self, index: int) -> Means:
        """Means of two random halves of the neutral prompts."""
        texts = np.arange(len(self.setup.neutral.texts))
        half = np.array_split(np.random.default_rng([self.setup.seed, index]).permutation(len(texts)), 2)[0]
        return self._means(self.setup.neutral_activations[self.site], np.isin(texts, half).astype(str).tolist())

    def sentences(self, rows: Rows, name: str) -> list[str]:
        """Those of a class among some of the family's prompts."""
        chosen = zip(self.family.prompts, rows & (self.family.labels == name), strict=True)
        return [prompt.text for prompt, kept in chosen if kept]

    def means(self, rows: Rows, owners: NDArray[np.str_] | None = None) -> Means:
        """Mean residual stream of each class over some of the family's prompts."""
        owners = self.family.labels if owners is None else owners
        return self._means(self.family.activations[self.site][torch.from_numpy(rows)], owners[rows].tolist())

    def shuffled_means(self, rows: Rows, index: int) -> Means:
        """Means of classes whose labels were shuffled within template and domain."""
        rng = np.random.default_rng([self.setup.seed, index])
        owners = self.family.labels.copy()
        for cell in dict.fromkeys(self.family.cells):
            inside = np.flatnonzero([each == cell for each in self.family.cells])
            owners[inside] = owners[rng.permutation(inside)]
        return self.means(rows, owners)

    def _means(self, activations: torch.Tensor, owners: list[str]) -> Means:
        architecture = Architecture.of(self.setup.evaluator.model).family
        return mean_vectors({self.site: activations}, owners, model=architecture)
