"""What a vector says: words that it makes likelier and less likely, concepts nearest to it, concepts it is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from geometry.anatomy.decomposition import Decomposition, decompose
from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.concepts import short_name
from geometry.directions import ConceptDirections
from geometry.display import html_table, in_short, listed, short_repr
from geometry.errors import SteeringError
from geometry.steering import FinalNorm, Site, SteeringVector
from geometry.steering.belonging import check_source

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class VectorReading:
    """A vector read through the unembedding.

    Attributes:
        provenance, site: of the vector; of which rows, where it has several.
        promoted, suppressed: tokens with the z-score of their logit's shift over the vocabulary, strongest first.
        largest_at_random: the largest |z| of random vectors of the same norm at the same site, shape (r,).
        nearest: concepts with the cosine of their vector, nearest first; opposite: least first.
        nearest_at_random: the largest cosine of the same random vectors, shape (r,).
        decomposition: over all concept vectors; None without concepts.
        notes: what the reading rests on.
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

    __repr__ = short_repr

    @property
    def chance_z(self) -> float:
        """95% of random vectors stay below it with every token."""
        return float(np.quantile(self.largest_at_random, 0.95))

    @property
    def chance_cosine(self) -> float:
        """95% of random vectors stay below it with every concept; nan without concepts."""
        return float(np.quantile(self.nearest_at_random, 0.95)) if len(self.nearest_at_random) else float("nan")

    def summary(self) -> list[str]:
        """What it says, in sentences."""
        said = [
            f"{self.provenance}, at {self.site}",
            f"makes likelier: {_words(self.promoted)}; less likely: {_words(self.suppressed)} (z-scores of logits; 95%"
            f" of random vectors stay below {self.chance_z:.1f} with every token)",
        ]
        if self.nearest:
            said.append(
                f"nearest concepts: {_concepts(self.nearest)}; most opposite: {_concepts(self.opposite)} (cosines; 95%"
                f" of random vectors stay below {self.chance_cosine:.2f} with every concept)"
            )
        if self.decomposition is not None:
            found = self.decomposition
            parts = " + ".join(
                f"{weight:.2g} × {short_name(name)}"
                for name, weight in zip(found.names, found.coefficients, strict=True)
            )
            random = f"{found.random_share.mean():.0%}"
            said.append(
                f"made of: {parts or 'no concept beyond chance'}; {found.residual_share:.0%} of its squared norm is"
                f" left (of random vectors {random}, by as many concepts)"
            )
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
            "chance_z": self.chance_z,
            "nearest": [list(pair) for pair in self.nearest],
            "opposite": [list(pair) for pair in self.opposite],
            "chance_cosine": None if np.isnan(self.chance_cosine) else self.chance_cosine,
            "made_of": made_of,
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

    Parameters:
        vector: with one part; of one with rows (p, d) their mean is read.
        space: of the model's unembedding.
        directions: concept vectors in that space.
        model: needed for vectors before the final norm, whose weight is then multiplied with: the logit lens of the
            vector alone, as if later blocks left it as it is.
        n_random: random vectors of the same norm at the same site, read alike.

    Raises SteeringError: several parts, a vector of another width or model, one before the final norm without `model`,
        concept vectors of another space, one that is zero after the norm.
    Source: nostalgebraist, interpreting GPT: the logit lens, 2020; Park et al., arXiv 2406.01506, for concept vectors.
    """
    if len(vector.parts) != 1:
        raise SteeringError(
            f"{vector.provenance} has parts at {listed(list(map(str, vector.sites)))}; explain one of them"
        )
    ((site, part),) = vector.parts.items()
    if vector.width != space.width:
        raise SteeringError(f"{vector.provenance} is {vector.width} wide, the space {space.width}")
    if directions is not None and directions.vectors.shape[1] != space.width:
        raise SteeringError(f"the concept vectors are {directions.vectors.shape[1]} wide, the space {space.width}")
    if min(n_tokens, n_concepts, n_random) < 1:
        raise SteeringError(
            f"n_tokens, n_concepts and n_random are 1 at least, not {n_tokens}, {n_concepts}, {n_random}"
        )
    notes = list(vector.notes)
    if part.ndim == 2:
        notes.append(f"the mean of {len(part)} rows, one a token")
        part = part.mean(dim=0)
    generator = torch.Generator().manual_seed(seed)
    draws = torch.randn((n_random, vector.width), generator=generator)
    draws *= torch.linalg.vector_norm(part) / torch.linalg.vector_norm(draws, dim=1, keepdim=True)
    shifts = torch.cat([part[None], draws]).double()
    if site.place != "after_norm":
        if model is None:
            raise SteeringError(
                f"{vector.provenance} acts at {site}, before the final norm; give explain the model too"
            )
        vector.check_family(str(getattr(getattr(model, "config", None), "model_type", "")) if vector.model else "")
        check_source(model, vector)
        norm = FinalNorm.of(model)
        if len(norm.weight) != space.width:
            raise SteeringError(f"the model is {len(norm.weight)} wide, the space {space.width}")
        shifts = (shifts - shifts.mean(dim=1, keepdim=True) if norm.removes_mean else shifts) * norm.weight
        notes.append("read through the final norm's weight, as if later blocks left it as it is")
    unified = space.unify_hidden(shifts)
    lengths = torch.linalg.vector_norm(unified, dim=1, keepdim=True)
    if not bool(lengths[0] > 0):
        raise SteeringError(f"{vector.provenance}: nothing of it is left after the final norm")
    unit = unified / lengths
    promoted, suppressed, at_random = _tokens(space, unit, n_tokens)
    nearest: tuple[tuple[str, float], ...] = ()
    opposite, concepts_at_random, made_of = nearest, np.empty(0), None
    if directions is not None:
        rows = directions.vectors.to(unit)
        cosines = (unit @ (rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)).T).cpu().numpy()
        order, names = np.argsort(-cosines[0], kind="stable"), directions.hierarchy.names
        nearest = tuple((names[k], float(cosines[0, k])) for k in order[:n_concepts])
        opposite = tuple((names[k], float(cosines[0, k])) for k in order[::-1][:n_concepts])
        concepts_at_random = cosines[1:].max(axis=1)
        made_of = decompose(
            unified[0].cpu().numpy(), rows.cpu().numpy(), list(names), n_random=max(n_random, 19), seed=seed + 1
        )
    return VectorReading(
        vector.provenance,
        site,
        promoted,
        suppressed,
        at_random,
        nearest,
        opposite,
        concepts_at_random,
        made_of,
        tuple(notes),
    )


def _tokens(
    space: CausalSpace, unit: torch.Tensor, count: int
) -> tuple[tuple[tuple[str, float], ...], tuple[tuple[str, float], ...], Array]:
    """Tokens by z-score: products of g(y) with a unit vector have variance 1 over the vocabulary."""
    usable = torch.from_numpy(space.unembedding.rows)
    scores = space.scores(unit).cpu()[usable]
    own, order = scores[:, 0], torch.argsort(-scores[:, 0], stable=True)
    vocabulary = space.unembedding.vocabulary

    def named(places: torch.Tensor) -> tuple[tuple[str, float], ...]:
        return tuple((vocabulary.text(int(usable[place])), float(own[place])) for place in places)

    largest = scores[:, 1:].abs().max(dim=0).values.double().numpy()
    return named(order[:count]), named(order.flip(0)[:count]), np.asarray(largest)


def _words(pairs: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{in_short(repr(token), 24)} {z:+.1f}" for token, z in pairs)


def _concepts(pairs: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{short_name(name)} {cosine:+.2f}" for name, cosine in pairs)
