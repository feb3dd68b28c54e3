"""What a vector says: words that it makes likelier and less likely, concepts nearest to it, concepts it is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from geometry.anatomy.decomposition import Decomposition, decompose
from geometry.anatomy.lens import (
    NOTE,
    Lens,
    cosines_with,
    nearest_concepts,
    path_to,
    said_concepts,
    said_path,
    said_words,
)
from geometry.anatomy.pair_reading import PairReading, exchanged, pair_differences, read_pairs
from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.concepts import short_name
from geometry.directions import ConceptDirections
from geometry.display import html_table, listed, short_repr
from geometry.errors import SteeringError
from geometry.steering import Site, SteeringVector
from geometry.steering.prompts import Tokenizer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
RANDOM, EXCHANGED, GIVEN = "random vectors", "vectors of exchanged sides", "vectors without the trait"
_FEWEST = 19  # vectors of a null that can reach 5%


@dataclass(frozen=True, eq=False)
class VectorReading:
    """A vector read through the unembedding.

    Attributes:
        provenance, site: of the vector; of which rows, where it has several.
        promoted, suppressed: tokens with the z-score of their logit's shift over the vocabulary, strongest first.
        largest_at_random: the largest |z| of the null's vectors at the same site, shape (r,).
        nearest: concepts with the cosine of their vector, nearest first; opposite: least first.
        nearest_at_random: the largest cosine of the same vectors, shape (r,).
        decomposition: over all concept vectors; None without concepts.
        notes: what the reading rests on.
        path: of the nearest concept in the tree, from the root; empty without concepts.
        pairs: what differs within pairs of prompts at the site; None without pairs.
        null: what the vectors are that it stands beside, in the plural.
    """

    provenance: str
    site: Site
    promoted: tuple[tuple[str, float], ...]
    suppressed: tuple[tuple[str, float], ...]
    largest_at_random: Array
    nearest: tuple[tuple[str, float], ...]
    opposite: tuple[tuple[str, float], ...]
    nearest_at_random: Array
    decomposition: Decomposition | None
    notes: tuple[str, ...]
    path: tuple[str, ...] = ()
    pairs: PairReading | None = None
    null: str = RANDOM

    __repr__ = short_repr

    @property
    def chance_z(self) -> float:
        """95% of the null's vectors stay below it with every token."""
        return float(np.quantile(self.largest_at_random, 0.95))

    @property
    def chance_cosine(self) -> float:
        """95% of the null's vectors stay below it with every concept; nan without concepts."""
        return float(np.quantile(self.nearest_at_random, 0.95)) if len(self.nearest_at_random) else float("nan")

    def summary(self) -> list[str]:
        """What it says, in sentences."""
        said = [
            f"{self.provenance}, at {self.site}",
            f"makes likelier: {said_words(self.promoted)}; less likely: {said_words(self.suppressed)} (z-scores of"
            f" logits; 95% of {self.null} stay below {self.chance_z:.1f} with every token)",
        ]
        if self.nearest:
            said.append(
                f"nearest concepts: {said_concepts(self.nearest)}; most opposite: {said_concepts(self.opposite)}"
                f" (cosines; 95% of {self.null} stay below {self.chance_cosine:.2f} with every concept)"
            )
            said.append(f"the nearest in the tree: {said_path(self.path)}")
        if self.decomposition is not None:
            found = self.decomposition
            parts = " + ".join(
                f"{weight:.2g} × {short_name(name)}"
                for name, weight in zip(found.names, found.coefficients, strict=True)
            )
            random = f"{found.random_share.mean():.0%}"
            said.append(
                f"made of: {parts or 'no concept beyond chance'}; {found.residual_share:.0%} of its squared norm is"
                f" left (of {self.null} {random}, by as many concepts)"
            )
        if self.pairs is not None:
            said += self.pairs.summary()
        return said + [f"note: {note}" for note in self.notes]

    def __str__(self) -> str:
        return "\n".join(self.summary())

    def to_dict(self) -> dict[str, Any]:
        """All of it."""
        found = self.decomposition
        made_of = None if found is None else {
            "atoms": {name: float(weight) for name, weight in zip(found.names, found.coefficients, strict=True)},
            "p": found.p.tolist(),
            "residual_share": found.residual_share,
            "random_share": float(found.random_share.mean()),
        }  # fmt: skip
        return {
            "provenance": self.provenance,
            "site": str(self.site),
            "promoted": [list(pair) for pair in self.promoted],
            "suppressed": [list(pair) for pair in self.suppressed],
            "null": {"of": self.null, "n": len(self.largest_at_random)},
            "chance_z": self.chance_z,
            "nearest": [list(pair) for pair in self.nearest],
            "opposite": [list(pair) for pair in self.opposite],
            "path": list(self.path),
            "chance_cosine": None if np.isnan(self.chance_cosine) else self.chance_cosine,
            "made_of": made_of,
            "pairs": None if self.pairs is None else self.pairs.to_dict(),
            "notes": list(self.notes),
        }

    def _repr_html_(self) -> str:
        rows = [("likelier", *pair) for pair in self.promoted] + [("less likely", *pair) for pair in self.suppressed]
        return html_table(("logits", "token", "z"), rows, self.provenance)

    def plot(self, **options: Any) -> "Figure":
        """Words, concepts and what it is made of, side by side."""
        from geometry.anatomy.reading_figure import draw_reading

        return draw_reading(self, **options)


@checked
def explain(
    vector: SteeringVector,
    space: CausalSpace,
    directions: ConceptDirections | None = None,
    model: nn.Module | None = None,
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    tokenizer: "Tokenizer | None" = None,
    null: ArrayLike | None = None,
    n_tokens: int = 8,
    n_concepts: int = 6,
    n_random: int = 99,
    seed: int = 0,
) -> VectorReading:
    """Read a steering vector through the model's unembedding and its concept vectors.

    Example::

        reading = geo.anatomy.explain(vector, space, directions, model)
        print(reading)
        reading.plot()
        explain(vector, space, directions, model, pairs=pairs, tokenizer=tokenizer).pairs.singular.count

    Parameters:
        vector: with one part; of one with rows (p, d) their mean is read.
        space: of the model's unembedding.
        directions: concept vectors in that space.
        model: needed for vectors before the final norm, whose weight is then multiplied with: the logit lens of the
            vector alone, as if later blocks left it as it is.
        pairs: of texts with a trait and without, 4 at least, such as those that the vector was made from: the
            components of what differs within them at the vector's site are read alike. Needs `model` and `tokenizer`.
        null: vectors (r, d) at the vector's site, made as it was but without its trait, 19 at least: by labels
            shuffled, by sides exchanged. What the vector says is held against what they do. Default: of pairs, their
            mean differences with the sides of half of them exchanged, where there are 19 of these; else random vectors
            of the same norm, through the same map.
        n_random: how many of these.

    Directions that are made of texts lie nearer to words and concepts than random vectors do, with or without a trait:
    beyond random vectors is more easily said than beyond exchanged sides.

    Raises SteeringError: several parts, a vector of another width or model, a block that the model has not, one before
        the final norm without `model`, concept vectors of another space, one that is zero after the norm, pairs without
        a model or tokenizer, another null, or what `pair_differences` refuses.
    Source: nostalgebraist, interpreting GPT: the logit lens, 2020; Park et al., arXiv 2406.01506, for concept vectors.
    """
    if len(vector.parts) != 1:
        raise SteeringError(
            f"{vector.provenance} has parts at {listed(list(map(str, vector.sites)))}; explain one of them"
        )
    ((site, part),) = vector.parts.items()
    if min(n_tokens, n_concepts, n_random) < 1:
        raise SteeringError(
            f"n_tokens, n_concepts and n_random are 1 at least, not {n_tokens}, {n_concepts}, {n_random}"
        )
    lens = Lens.of(vector, space, directions, model)
    notes = list(vector.notes)
    if part.ndim == 2:
        notes.append(f"the mean of {len(part)} rows, one a token")
        part = part.mean(dim=0)
    if site.place != "after_norm":
        notes.append(NOTE)
    if not bool(torch.linalg.vector_norm(lens.unified(part[None].double())) > 0):
        raise SteeringError(f"{vector.provenance}: nothing of it is left after the final norm")
    differences = None
    if pairs is not None:
        if model is None or tokenizer is None:
            raise SteeringError("pairs are read by the model; give explain the model and its tokenizer too")
        differences = pair_differences(model, tokenizer, pairs, site)
    named, draws = _null(part, null, differences, max(n_random, _FEWEST), seed)
    if differences is not None and null is None and named == RANDOM:
        notes.append(f"{len(differences)} pairs are too few for a null of exchanged sides; give 6 or more")
    unified = lens.unified(torch.cat([part[None].double(), draws]))
    unit = unified / torch.linalg.vector_norm(unified, dim=1, keepdim=True).clamp(min=1e-12)
    rows, z = lens.scores(unit)
    nearest: tuple[tuple[str, float], ...] = ()
    opposite, concepts_at_random, made_of = nearest, np.empty(0), None
    path: tuple[str, ...] = ()
    if directions is not None:
        cosines = cosines_with(directions, unit)
        nearest, opposite = nearest_concepts(directions, cosines[0], n_concepts)
        path = path_to(directions.hierarchy, nearest[0][0])
        concepts_at_random = cosines[1:].max(axis=1)
        names, atoms = list(directions.hierarchy.names), directions.vectors.double().cpu().numpy()
        made_of = decompose(unified[0].cpu().numpy(), atoms, names, null=unified[1:].cpu().numpy(), seed=seed + 1)
    return VectorReading(
        vector.provenance,
        site,
        *lens.words(rows, z[:, 0], n_tokens),
        np.abs(z[:, 1:]).max(axis=0),
        nearest,
        opposite,
        concepts_at_random,
        made_of,
        tuple(notes),
        path,
        None
        if differences is None
        else read_pairs(lens, part, differences, n_tokens=n_tokens, n_random=n_random, seed=seed),
        named,
    )


def _null(
    part: torch.Tensor, given: ArrayLike | None, differences: Array | None, count: int, seed: int
) -> tuple[str, torch.Tensor]:
    """What a part (d,) stands beside, and these vectors at its site, shape (r, d)."""
    if given is not None:
        rows = torch.as_tensor(np.asarray(given, dtype=np.float64))
        if rows.ndim != 2 or rows.shape[1:] != part.shape or len(rows) < _FEWEST or not bool(rows.isfinite().all()):
            raise SteeringError(
                f"a null is finite vectors (r, {len(part)}), {_FEWEST} at least, not {tuple(rows.shape)}"
            )
        return GIVEN, rows
    if differences is not None and len(rows := torch.from_numpy(exchanged(differences, count, seed))) >= _FEWEST:
        return EXCHANGED, rows
    draws = torch.randn((count, len(part)), generator=torch.Generator().manual_seed(seed)).double()
    return RANDOM, draws * torch.linalg.vector_norm(part) / torch.linalg.vector_norm(draws, dim=1, keepdim=True)
