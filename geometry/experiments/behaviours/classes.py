"""Where classes of behaviour lie: told on held-out prompts, by words and by prompts, their shape and their levels."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray

import geometry as geo
from analysis.behaviours_study import FINAL, Study, class_rows, labels, names, prompts

HELD_OUT = ("template", "domain")
FEWEST_FOR_A_SHAPE = 4
LEVEL_DRAWS = 99  # ten claims: fewer could not be significant
LEVEL_CLAIMS = ("separation", "orthogonality-a", "orthogonality-b", "orthogonality-c", "orthogonality-d")

Sweeps = dict[str, geo.probing.HeldOutSweep]


@dataclass(frozen=True, eq=False)
class Routes:
    """The word route against the prompt route, one class with itself.

    Attributes
    ----------
    final : prompts by their final hidden states.
    by_block : shape (blocks,), mean cosine with prompts by the stream after each block, put through the final norm.
    block : of `by_block`, where classes are told best.
    at_block : shape (k,), the cosine of each class there.
    shuffled, random_prompts : shape (draws, k), with rows of random tokens for words, with plain sentences for prompts.
    """

    final: geo.probing.Matching
    by_block: NDArray[np.float64]
    block: int
    at_block: NDArray[np.float64]
    shuffled: NDArray[np.float64]
    random_prompts: NDArray[np.float64]

    def p_value(self, null: NDArray[np.float64]) -> float:
        """Share of a null's draws whose mean cosine is as large."""
        return geo.significance.permutation_p(self.final.value, null.mean(axis=1), "greater")

    @property
    def real(self) -> bool:
        """Beyond permuted classes and both nulls."""
        return max(self.final.p_value, self.p_value(self.shuffled), self.p_value(self.random_prompts)) <= 0.05


def held_out(study: Study, name: str, kind: str) -> geo.probing.HeldOutSweep:
    """Classification without one template or domain at a time, after each block and after the final norm."""
    some, labelled = prompts(study.families[name]), labels(study.families[name])
    groups = [getattr(prompt, kind) for prompt in some]
    cells = [(prompt.template, prompt.domain) for prompt in some]
    return geo.probing.HeldOutSweep(
        [
            geo.probing.classify_held_out(rows.numpy(), labelled, groups, cells=cells, draws=study.draws, seed=study.seed)
            for rows in study.activations[name].values()
        ]
    )


def best_block(study: Study, sweeps: Sweeps) -> int:
    """The block in the middle of the model after which classes are told best on unseen templates."""
    return int(sweeps["template"].accuracy[: len(study.middle)].argmax())


def compare_routes(study: Study, blocks: Mapping[str, int]) -> dict[str, Routes]:
    """Concept vectors of class words against Σ^(1/2) of mean hidden states, families of three classes or more."""
    cloud = geo.directions.TokenCloud.of(study.space, study.words)
    streams = (geo.randomness.generator(study.seed, "shuffled", draw) for draw in range(study.draws))
    drawn = [geo.NULLS["shuffled"].draw(study.space, cloud, some) for some in streams]
    fitted = [geo.ConceptDirections.fit_cloud(some) for some in (cloud, *drawn)]
    found = {}
    for name, block in blocks.items():
        family = study.families[name]
        concepts = [geo.concepts.class_concept(family, one) for one in names(family)]
        if len(concepts) < 3:
            continue
        words, *shuffled = (torch.stack([some[concept] for concept in concepts]).numpy() for some in fitted)
        shown = {site: unified(study, class_rows(family, lensed(study, name, site))) for site in study.blocks}
        final = unified(study, class_rows(family, study.activations[name][FINAL]))
        by_block = [own_cosines(words, rows) for rows in shown.values()]
        found[name] = Routes(
            geo.probing.matched_cosines(words, final, seed=study.seed),
            np.array([cosines.mean() for cosines in by_block]),
            block,
            by_block[block],
            np.array([own_cosines(some, final) for some in shuffled]),
            np.array([own_cosines(words, unified(study, some)) for some in random_classes(study, len(concepts))]),
        )
    return found


def lensed(study: Study, name: str, site: geo.Site) -> torch.Tensor:
    return geo.steering.logit_lens(study.model, study.activations[name][site])


def unified(study: Study, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ^(1/2) λ."""
    found: NDArray[np.float64] = rows @ study.space.colourer.double().numpy()
    return found


def own_cosines(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return geo.probing.matched_cosines(one, other, draws=0).cosines.diagonal()


def random_classes(study: Study, k: int) -> list[NDArray[np.float64]]:
    """Means of k random classes of plain sentences by their final hidden states, one array (k, d) a draw."""
    rows = study.plain_activations[FINAL].double().numpy()
    rng = np.random.default_rng(study.seed)
    return [
        np.stack([some.mean(axis=0) for some in np.array_split(rng.permutation(rows), k)]) for _ in range(study.draws)
    ]


def shape(study: Study, name: str, block: int) -> geo.evidence.ShapeComparison | None:
    """Simplex, line, circle or tree, of the means after a block; None of too few classes."""
    family = study.families[name]
    if len(family.classes) < FEWEST_FOR_A_SHAPE:
        return None
    rows = study.activations[name][study.blocks[block]]
    means = class_rows(family, rows)
    branch = {one: group for group, some in family.groups.items() for one in some}
    rng = np.random.default_rng(study.seed)
    return geo.evidence.compare_shapes(
        means,
        tuple(names(family)),
        groups=np.array([branch[one] for one in names(family)]) if branch else None,
        noise=np.stack([class_rows(family, rows[rng.permutation(len(rows))]) for _ in range(study.draws)]),
        draws=max(199, study.draws),
        seed=study.seed,
    )


def contrasts(study: Study, name: str, block: int) -> dict[tuple[str, str], geo.evidence.PairContrast]:
    """Every two classes: do the differences of prompts in one situation share a direction after a block?"""
    family = study.families[name]
    rows = study.activations[name][study.blocks[block]].double().numpy()
    cells: dict[str, dict[tuple[str, str], list[int]]] = {one: {} for one in names(family)}
    for place, (prompt, owner) in enumerate(zip(prompts(family), labels(family), strict=True)):
        cells[owner].setdefault((prompt.template, prompt.domain), []).append(place)
    found = {}
    for one, other in combinations(names(family), 2):
        pairs = [
            pair for cell in cells[one] for pair in zip(cells[one][cell], cells[other].get(cell, []), strict=False)
        ]
        first, second = np.array(pairs).T
        found[one, other] = geo.evidence.pair_contrast(rows[first], rows[second], draws=99, seed=study.seed)
    return found


@dataclass(frozen=True, eq=False)
class Opposed:
    """Where a classic contrast points among the classes of a family.

    Attributes
    ----------
    cosines : shape (k,), of the mean difference of its pairs with what sets each class apart from the family.
    swapped : shape (draws, k), the same with the sentences of random pairs swapped, by the length of the former.
    """

    cosines: NDArray[np.float64]
    swapped: NDArray[np.float64]


def opposed(study: Study, name: str, block: int) -> dict[str, Opposed]:
    """The classic contrasts, each the mean difference of its pairs (CAA), against the classes after a block."""
    site = study.blocks[block]
    means = class_rows(study.families[name], study.activations[name][site])
    apart = means - means.mean(axis=0)
    apart /= np.linalg.norm(apart, axis=1, keepdims=True)
    found = {}
    for contrast, activations in study.opposed.items():
        rows = activations[site].double().numpy()
        differences = rows[0::2] - rows[1::2]
        signs = geo.randomness.generator(study.seed, contrast).choice([-1.0, 1.0], size=(99, len(differences)))
        vectors = np.concatenate([np.ones((1, len(differences))), signs]) @ differences
        # Swapped pairs leave the axis and take the length: by the length of the true mean, that they do counts.
        cosines = vectors @ apart.T / np.linalg.norm(vectors[0])
        found[contrast] = Opposed(cosines[0], cosines[1:])
    return found


def levels(study: Study) -> list[geo.evidence.ClaimResult]:
    """Orthogonality of levels, behaviour → kind → family → class, in the unified space: by words and by prompts.

    Prompts are final hidden states less the mean of plain sentences.
    """
    claims = [claim for claim in geo.CLAIMS if claim.name in LEVEL_CLAIMS]
    rows = torch.cat([some[FINAL] for some in study.activations.values()]) - study.plain_activations[FINAL].mean(0)
    points = rows.to(study.space.mean) @ study.space.colourer
    shown = geo.directions.TokenCloud(geo.concepts.behaviour_prompts(list(study.families.values())), points)
    results: list[geo.evidence.ClaimResult] = []
    for concepts, nulls in (
        (study.words, {name: geo.NULLS[name] for name in geo.evidence.PROMPT_NULLS}),
        (shown, geo.evidence.PROMPT_NULLS),
    ):
        hierarchy = concepts.hierarchy if isinstance(concepts, geo.directions.TokenCloud) else concepts
        tests = geo.evidence.claim_tests(
            study.space, concepts, claims=claims, nulls=nulls, draws=LEVEL_DRAWS, seed=study.seed, progress=False
        )
        results += geo.evidence.claim_results(claims, hierarchy, tests)
    return geo.evidence.adjusted(results)
