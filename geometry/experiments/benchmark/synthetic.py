"""Synthetic unembeddings of any size with concepts planted in them, and real rows made wider."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from geometry.concepts import Concept, ConceptHierarchy
from geometry.models import Unembedding, Vocabulary

_MANY = 1 << 14  # rows from which on there are as many concepts as WordNet has
_STEP = 0.5  # of a planted contrast on each axis, the noise of a word being 1
_BLOCK = 4096


@dataclass(frozen=True)
class Head:
    """The shape of a synthetic unembedding, whose first rows are words of a regular tree of concepts.

    >>> head = Head(600, 16)
    >>> unembedding = head.unembedding()
    >>> unembedding, head.hierarchy(unembedding.vocabulary)
    (Unembedding('600 × 16', unknown, 600 x 16 torch.bfloat16), ConceptHierarchy('regular tree', 13 concepts, ...))

    Every row is standard normal noise; a word has a random step for each concept that holds it besides.
    """

    rows: int
    width: int

    @property
    def name(self) -> str:
        """As in "256,000 × 2,048"."""
        return f"{self.rows:,} × {self.width:,}"

    @property
    def levels(self) -> tuple[int, ...]:
        """Children of the root, of each of these, and so on."""
        return (8, 8, 8) if self.rows >= _MANY else (3, 3)

    @property
    def leaves(self) -> list[int]:
        """The leaf that each word belongs to: in any order, as in a vocabulary."""
        count = prod(self.levels)
        words = count * max(4, min(32, self.rows // (4 * count)))
        return [int(leaf) for leaf in np.random.default_rng(0).permutation(np.arange(words) % count)]

    def vocabulary(self) -> Vocabulary:
        """As many tokens as rows, each a word."""
        return Vocabulary([f"Ġw{row}" for row in range(self.rows)])

    def hierarchy(self, vocabulary: Vocabulary) -> ConceptHierarchy:
        """The tree over a vocabulary of this size: 585 concepts of 32 to 16,384 words, or 13 smaller ones."""
        held: dict[tuple[int, ...], list[int]] = {}
        ways = list(product(*map(range, self.levels)))
        for token, leaf in enumerate(self.leaves):
            for depth in range(len(self.levels) + 1):
                held.setdefault(ways[leaf][:depth], []).append(token)
        concepts = tuple(
            Concept(_named(way), tuple(vocabulary.text(token).strip() for token in tokens), tuple(tokens))
            for way, tokens in held.items()
        )
        return ConceptHierarchy("regular tree", concepts, {_named(way): (_named(way[:-1]),) for way in held if way})

    def matrix(self, device: torch.device | str = "cpu") -> torch.Tensor:
        """γ in bfloat16, made where it is to lie, a block at a time."""
        matrix = torch.empty(self.rows, self.width, dtype=torch.bfloat16, device=device)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            steps = [
                _STEP * torch.randn(prod(self.levels[: depth + 1]), self.width, device=device)
                for depth in range(len(self.levels))
            ]
            leaf = torch.tensor(self.leaves, device=device)
            for start in range(0, self.rows, _BLOCK):
                block = torch.randn(min(_BLOCK, self.rows - start), self.width, device=device)
                own = leaf[start : start + _BLOCK]
                for depth, step in enumerate(steps):
                    block[: len(own)] += step[own // prod(self.levels[depth + 1 :])]
                matrix[start : start + _BLOCK] = block.to(torch.bfloat16)
        return matrix

    def unembedding(self, device: torch.device | str = "cpu") -> Unembedding:
        """It and its vocabulary, in memory."""
        return Unembedding(self.matrix(device), self.vocabulary(), self.name)

    def write(self, folder: Path) -> None:
        """The same as a checkpoint of a single tensor."""
        save_file({"lm_head.weight": self.matrix()}, folder / "model.safetensors")
        vocabulary = {token: row for row, token in enumerate(self.vocabulary().tokens)}
        model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "Ġw0"}
        (folder / "tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": [], "model": model}))


def widened(rows: torch.Tensor, width: int) -> torch.Tensor:
    """Real rows, shape (n, d), with standard normal coordinates beside their own, shape (n, width)."""
    beside = np.random.default_rng(0).standard_normal((len(rows), width - rows.shape[1]), dtype=np.float32)
    return torch.cat([rows, torch.from_numpy(beside).to(rows)], dim=1)


def _named(way: Sequence[int]) -> str:
    return "-".join(["root", *map(str, way)])
