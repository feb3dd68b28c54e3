"""Where classes of behaviour lie: probed on held-out prompts, by words and by prompts, their shape and their levels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.concepts import behaviour_prompts, class_concept
from geometry.directions import ConceptDirections, TokenCloud
from geometry.display import short_repr
from geometry.evidence import (
    CLAIMS,
    NULLS,
    PROMPT_NULLS,
    PairContrast,
    ShapeComparison,
    compare_shapes,
    evaluate_claims,
    pair_contrast,
)
from geometry.evidence.orthogonality.pooled import FEWEST_FAMILIES
from geometry.experiments.behaviours.setup import FINAL, Family, Setup
from geometry.probing import HeldOutSweep, Matching, classify_held_out, matched_cosines
from geometry.randomness import generator
from geometry.results import NullValues, Results, TestResult
from geometry.steering import Site, logit_lens

HELD_OUT = ("template", "domain")
LEVEL_CLAIMS = ("separation", "orthogonality-a", "orthogonality-b", "orthogonality-c", "orthogonality-d")
_LATEST = 2 / 3  # of the depth
_FEWEST_FOR_A_MATCH = 3
_FEWEST_FOR_A_SHAPE = 4
# Ten claims are adjusted together, and a shape has few orders: fewer permutations could not be significant.
_PERMUTATIONS = 99
_ORDERS = 199
_TWINS = 5

Values = NDArray[np.float64]


def probe_held_out(setup: Setup, family: Family, kind: str) -> HeldOutSweep:
    """Classification without one template or domain at a time, after each block and after the final norm."""
    groups = [getattr(prompt, kind) for prompt in family.prompts]
    options: dict[str, Any] = {"cells": family.cells, "n_permutations": setup.n_permutations, "seed": setup.seed}
    points = [rows.numpy() for rows in family.activations.values()]
    results = [classify_held_out(rows, family.labels.tolist(), groups, **options) for rows in points]
    return HeldOutSweep([replace(result, name=f"held_out_{kind}", subject=family.name) for result in results])


def best_block(setup: Setup, sweep: HeldOutSweep) -> int:
    """The block after which probes are most accurate, of those with enough of the model after them to steer at."""
    return int(sweep.accuracy[: max(1, int(_LATEST * len(setup.blocks)))].argmax())


@dataclass(frozen=True, eq=False)
class Routes:
    """The class words against the prompts of each class.

    Attributes:
        matching: cosine of both, prompts by their final hidden states; beside permuted classes, words of shuffled rows
            and random classes of neutral prompts.
        by_block: shape (blocks, k), cosines with prompts by the residual stream after each block, put through the final
            norm.
    """

    matching: Matching
    by_block: Values

    __repr__ = short_repr

    @property
    def agree(self) -> bool:
        """Beyond every null."""
        return max(map(self.matching.p_against, self.matching.nulls)) <= 0.05

    def to_dict(self) -> dict[str, Any]:
        """The test, each class's cosine, the p-value against each null, and the mean cosine by block."""
        return self.matching.to_dict() | {
            "classes": dict(zip(self.matching.labels, self.matching.values.tolist(), strict=True)),
            "p_values": {null: self.matching.p_against(null) for null in self.matching.nulls},
            "by_block": self.by_block.mean(axis=1).tolist(),
        }


def compare_routes(setup: Setup) -> dict[str, Routes]:
    """Concept vectors of class words against Σ^(1/2) of mean hidden states, families of three classes or more."""
    cloud, draw = TokenCloud.of(setup.space, setup.words), NULLS["shuffled"].draw
    generators = [generator(setup.seed, "shuffled", index) for index in range(setup.n_permutations)]
    clouds = [cloud, *(draw(setup.space, cloud, rng) for rng in generators)]
    fitted = [ConceptDirections.fit_cloud(each) for each in clouds]
    families = [family for family in setup.families.values() if len(family.classes) >= _FEWEST_FOR_A_MATCH]
    return {family.name: _routes(setup, family, fitted) for family in families}


def _routes(setup: Setup, family: Family, fitted: Sequence[ConceptDirections]) -> Routes:
    concepts = [class_concept(family.behaviour, label) for label in family.classes]
    words, *shuffled = (np.stack([each[concept].cpu().numpy() for concept in concepts]) for each in fitted)
    final = _unified(setup, family.means(family.activations[FINAL]))
    lensed = [logit_lens(setup.evaluator.model, family.activations[site]) for site in setup.blocks]
    random_classes = _random_classes(setup, len(concepts))
    by_block = [_cosines(words, _unified(setup, family.means(rows))) for rows in lensed]
    by_shuffled = [_cosines(rows, final) for rows in shuffled]
    by_random = [_cosines(words, _unified(setup, rows)) for rows in random_classes]
    matching = matched_cosines(words, final, labels=family.classes, seed=setup.seed)
    nulls = {
        "shuffled": NullValues(np.array(by_shuffled), "shuffled rows", "x"),
        "neutral_prompts": NullValues(np.array(by_random), "neutral prompts", "d"),
    }
    matching = replace(matching, name="routes", subject=family.name, nulls={**matching.nulls, **nulls})
    return Routes(matching, np.array(by_block))


def _unified(setup: Setup, rows: Values) -> Values:
    """Σ^(1/2) λ."""
    unified: Values = setup.space.unify_hidden(torch.from_numpy(rows)).cpu().double().numpy()
    return unified


def _cosines(words: Values, shown: Values) -> Values:
    return matched_cosines(words, shown, n_permutations=0).values


def _random_classes(setup: Setup, k: int) -> list[Values]:
    """Means of k random classes of neutral prompts by their final hidden states, one array (k, d) a permutation."""
    rows = setup.neutral_activations[FINAL].double().numpy()
    rng = np.random.default_rng(setup.seed)
    permuted = [np.array_split(rng.permutation(rows), k) for _ in range(setup.n_permutations)]
    return [np.stack([part.mean(axis=0) for part in parts]) for parts in permuted]


def class_shapes(setup: Setup, family: Family, site: Site) -> ShapeComparison | None:
    """Line, circle or tree, of the means at a site; None of too few classes."""
    if len(family.classes) < _FEWEST_FOR_A_SHAPE:
        return None
    rows, rng = family.activations[site], np.random.default_rng(setup.seed)
    branch = {label: group for group, members in family.behaviour.groups.items() for label in members}
    return compare_shapes(
        family.means(rows),
        tuple(family.classes),
        groups=np.array([branch[label] for label in family.classes]) if branch else None,
        noise=np.stack([family.means(rows[rng.permutation(len(rows))]) for _ in range(setup.n_permutations)]),
        n_permutations=max(_ORDERS, setup.n_permutations),
        seed=setup.seed,
    )


def class_contrasts(setup: Setup, family: Family, site: Site) -> dict[tuple[str, str], PairContrast]:
    """Every two classes: do the differences of prompts in one context share a direction at a site?"""
    rows = family.activations[site].double().numpy()
    contexts: dict[str, dict[tuple[str, str], list[int]]] = {label: {} for label in family.classes}
    for index, (label, cell) in enumerate(zip(family.labels.tolist(), family.cells, strict=True)):
        contexts[label].setdefault(cell, []).append(index)
    contrasts = {}
    for one, two in combinations(family.classes, 2):
        pairs = [pair for cell in contexts[one] for pair in zip(contexts[one][cell], contexts[two][cell], strict=False)]
        first, second = np.array(pairs).T
        contrast = pair_contrast(rows[first], rows[second], n_permutations=_PERMUTATIONS, seed=setup.seed)
        contrasts[one, two] = replace(contrast, subject=f"{family.name}: {one} – {two}")
    return contrasts


def contrast_pair_directions(setup: Setup, family: Family, site: Site) -> dict[str, TestResult]:
    """The mean difference of the pairs of each packaged contrast (CAA), against what sets the classes apart."""
    means = family.means(family.activations[site])
    apart = means - means.mean(axis=0)
    apart /= np.linalg.norm(apart, axis=1, keepdims=True)
    results = {}
    for contrast, activations in setup.contrast_activations.items():
        rows = activations[site].double().numpy()
        differences = rows[0::2] - rows[1::2]
        flips = generator(setup.seed, contrast).choice([-1.0, 1.0], size=(_PERMUTATIONS, len(differences)))
        vectors = np.concatenate([np.ones((1, len(differences))), flips]) @ differences
        # Flipped pairs leave the axis and get shorter: over the norm of the true mean, that they do counts.
        cosines = vectors @ apart.T / np.linalg.norm(vectors[0])
        results[contrast] = TestResult(
            name=contrast,
            labels=tuple(family.classes),
            values=cosines[0],
            nulls={"sign_flip": NullValues(cosines[1:], "sign flips", ".")},
            measure="cosine of the contrast-pair direction with the class offset",
            subject=family.name,
            reference=None,  # each class is tested by itself; over all classes cosines cancel
        )
    return results


def level_claims(setup: Setup) -> Results:
    """Orthogonality of levels, behaviour → kind → family → class, in the unified space: by words and by prompts.

    Prompts are final hidden states less the mean of neutral prompts. Below 8 parents no twin could make orthogonality
    measurable, and of prompts there is none: they are exchanged one by one, twins exchange whole lemmas.
    """
    claims = [claim for claim in CLAIMS if claim.name in LEVEL_CLAIMS]
    states = torch.cat([family.activations[FINAL] for family in setup.families.values()])
    points = setup.space.unify_hidden(states - setup.neutral_activations[FINAL].mean(0))
    shown = TokenCloud(behaviour_prompts([family.behaviour for family in setup.families.values()]), points)
    options: dict[str, Any] = {"claims": claims, "n_permutations": _PERMUTATIONS, "seed": setup.seed, "progress": False}
    n_twins = _TWINS if len(setup.words.families) >= FEWEST_FAMILIES else 0
    by_words = evaluate_claims(setup.space, setup.words, nulls=tuple(PROMPT_NULLS), n_twins=n_twins, **options)
    by_prompts = evaluate_claims(setup.space, shown, nulls=PROMPT_NULLS, n_twins=0, **options)
    return Results([*by_words, *by_prompts]).adjusted()
