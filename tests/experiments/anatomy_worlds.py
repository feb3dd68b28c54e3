"""Planted worlds for the study of vectors: laws that are linear in a vector, and what pruning does in them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

import geometry as geo
from geometry.anatomy import components
from geometry.anatomy.pruning import prunings
from geometry.experiments.anatomy.candidates import CONCEPTS, SINGULAR, Candidates
from geometry.experiments.anatomy.pruning import measure_pruning
from geometry.experiments.anatomy.pruning_part import PruningPart
from geometry.experiments.anatomy.setup import Subject
from geometry.layers.equal_kl import AtKL
from geometry.steering import kl_divergence

WIDTH, TOKENS, N_PROMPTS, COUNTS = 24, 160, 4, (1, 2, 4)
NAMES = ("a.n.01", "b.n.01", "c.n.01", "d.n.01", "x – y", "u – v")


class Linear:
    """In the place of `EqualKL`: log P(y) = base + W δ, the coefficient by bisection."""

    def __init__(self, matrix: Any, nats: float, seed: int) -> None:
        base = torch.from_numpy(np.random.default_rng(seed).standard_normal((N_PROMPTS, TOKENS)))
        self.base, self.matrix, self.nats = base, torch.from_numpy(matrix), nats
        self.unsteered = base.log_softmax(dim=1)

    def find(self, vectors: Sequence[geo.SteeringVector]) -> Iterator[AtKL]:
        for index, vector in enumerate(vectors):
            (part,) = vector.parts.values()
            shift = self.matrix @ part.double()
            low, high = 0.0, 200.0
            for _ in range(60):
                middle = (low + high) / 2
                law = (self.base + middle * shift).log_softmax(dim=1)
                kl = kl_divergence(law, self.unsteered)
                low, high = (middle, high) if kl.mean() < self.nats else (low, middle)
            yield AtKL(index, middle, kl, law)


def measured(noise: float, seed: int = 0) -> PruningPart:
    """Each vector is one axis, along which its own tokens lie, and noise along the axes of others' tokens.

    The atoms are the axes, and the pairs differ along the vector's own axis alone.
    """
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0].T
    owner = rng.integers(len(NAMES), WIDTH, TOKENS)
    matrix = axes[owner] + 0.02 * rng.standard_normal((TOKENS, WIDTH))
    subjects, found = [], {}
    for index, name in enumerate(NAMES):
        tokens = np.arange(10) + 10 * index
        matrix[tokens] = axes[index] + 0.02 * rng.standard_normal((10, WIDTH))
        rest = rng.standard_normal(WIDTH - len(NAMES)) @ axes[len(NAMES) :]
        part = axes[index] + noise * rest / np.linalg.norm(rest)
        vector = geo.SteeringVector({geo.Site("output", 1): torch.from_numpy(part)}, name)
        differences = axes[index] + 0.05 * rng.standard_normal((8, WIDTH))
        none = np.empty(0, dtype=np.int64)
        concept = name.endswith(".01")
        choose, judge = ((half[:2], none if concept else half[2:4]) for half in (tokens[:5], tokens[5:]))
        subjects.append(Subject(name, concept, vector, differences, differences, differences, choose, judge, tokens))
        singular = components(differences, n_random=19)
        turned = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0]
        found[name] = Candidates(
            {SINGULAR: prunings(vector, singular, COUNTS), CONCEPTS: prunings(vector, axes, COUNTS)},
            {kind: prunings(vector, turned * np.sign(turned @ part)[:, None], COUNTS) for kind in (SINGULAR, CONCEPTS)},
        )
    finders = {("choosing", 0.5): Linear(matrix, 0.5, 1)} | {
        ("reporting", nats): Linear(matrix, nats, 2) for nats in (0.5, 2.0)
    }
    return measure_pruning(
        subjects, found, finders, counts=COUNTS, n_prompts=(N_PROMPTS, N_PROMPTS), left_out={"SAE features": "none"},
        texts=None, seed=seed, tolerance=0.01,
    )  # fmt: skip
