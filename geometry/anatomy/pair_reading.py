"""What differs within pairs of prompts at a vector's site, each component read as a vector is."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from geometry.anatomy.components import FEWEST, Components, components
from geometry.anatomy.lens import Lens, Scored, cosines_with, nearest_concepts, said_concepts, said_words
from geometry.arguments import checked
from geometry.display import short_repr
from geometry.errors import SteeringError, shown
from geometry.steering import Site, read_activations
from geometry.steering.activations import Token
from geometry.steering.prompts import Tokenizer
from geometry.steering.vector import SiteLike

Array = NDArray[np.float64]
_READ = 2  # components of either kind
_ROUNDING = 16 * float(torch.finfo(torch.float32).eps)


@dataclass(frozen=True, eq=False)
class ComponentReading:
    """A component's words and concepts at either end.

    Attributes:
        name: which.
        stands_out: beyond what the same numbers give under random signs.
        promoted, suppressed, nearest, opposite: as of a `VectorReading`.
        cosine: of the component with the vector.
    """

    name: str
    stands_out: bool
    promoted: Scored
    suppressed: Scored
    nearest: Scored
    opposite: Scored
    cosine: float

    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class PairReading:
    """What differs within n pairs at the site of a vector.

    Attributes:
        singular, principal: of the differences about 0 and about their mean.
        readings: of the first components of either kind.
        cosine: of the vector with the mean difference.
        span_share: of the vector's squared norm in the span of the singular directions that stand out.
        random_share: the same of a random vector, their number over d.
        exchanged_share: the same of the exchanged mean differences below, which lie among the pairs as well.
        exchanged_z: the largest |z| of any token under the mean difference of the same pairs with the sides of half of
            them exchanged, shape (r,): what directions made of these texts do without the trait.
        exchanged_cosines: the largest cosine of the same with any concept, shape (r,); empty without concepts.
    """

    singular: Components
    principal: Components
    readings: tuple[ComponentReading, ...]
    cosine: float
    span_share: float
    random_share: float
    exchanged_share: float
    exchanged_z: Array
    exchanged_cosines: Array

    __repr__ = short_repr

    @property
    def chance_z(self) -> float:
        """95% of vectors of exchanged sides stay below it with every token."""
        return float(np.quantile(self.exchanged_z, 0.95))

    @property
    def chance_cosine(self) -> float:
        """95% of vectors of exchanged sides stay below it with every concept; nan without concepts."""
        return float(np.quantile(self.exchanged_cosines, 0.95)) if len(self.exchanged_cosines) else float("nan")

    def summary(self) -> list[str]:
        """What differs within the pairs, in sentences."""
        first, about = self.singular, self.principal
        low, high = first.mean_interval
        said = [
            f"{len(first.scores)} pairs: their mean difference holds {first.mean_share:.0%} [{low:.0%}, {high:.0%}] of"
            f" the squared norm of all differences (sides exchanged at random {first.null_mean_share:.0%}), and the"
            f" vector has cosine {self.cosine:+.2f} with it",
            f"components beyond random signs: {_count(first)} about 0, {_count(about)} about the mean; the vector has"
            f" {self.span_share:.0%} of its squared norm in the former (with sides exchanged"
            f" {self.exchanged_share:.0%}, a random vector {self.random_share:.1%})",
        ]
        near = f", below {self.chance_cosine:.2f} with every concept" if len(self.exchanged_cosines) else ""
        said.append(
            f"with the sides of half of the pairs exchanged, 95% of mean differences stay below {self.chance_z:.1f}"
            f" with every token{near}"
        )
        for reading in self.readings:
            beyond = "" if reading.stands_out else ", within chance"
            concepts = f"; concepts {said_concepts(reading.nearest[:3])}" if reading.nearest else ""
            against = f"; {said_concepts(reading.opposite[:3])}" if reading.opposite else ""
            said.append(
                f"{reading.name}{beyond} (cosine {reading.cosine:+.2f}): + {said_words(reading.promoted[:5])}{concepts}"
                f"; − {said_words(reading.suppressed[:5])}{against}"
            )
        return said

    def to_dict(self) -> dict[str, Any]:
        """The numbers."""
        return {
            "pairs": len(self.singular.scores),
            "cosine_with_mean": self.cosine,
            "span_share": self.span_share,
            "random_share": self.random_share,
            "exchanged_share": self.exchanged_share,
            "chance_z": self.chance_z,
            "chance_cosine": None if np.isnan(self.chance_cosine) else self.chance_cosine,
            **self.singular.mean_to_dict(),
            "singular": self.singular.to_dict(),
            "principal": self.principal.to_dict(),
            "readings": [
                {
                    "name": each.name, "stands_out": each.stands_out, "cosine": each.cosine,
                    "promoted": [list(pair) for pair in each.promoted],
                    "suppressed": [list(pair) for pair in each.suppressed],
                    "nearest": [list(pair) for pair in each.nearest],
                    "opposite": [list(pair) for pair in each.opposite],
                }
                for each in self.readings
            ],
        }  # fmt: skip


@checked
def pair_differences(
    model: nn.Module,
    tokenizer: Tokenizer,
    pairs: Sequence[tuple[str, str]],
    site: SiteLike,
    *,
    token: Token = -1,
) -> Array:
    """The residual stream after the first text of each pair less that after the second, shape (n, d).

    Example::

        pairs = geo.steering.load_text_pairs("calm.csv")
        differences = geo.anatomy.pair_differences(model, tokenizer, pairs, "output.15")

    Parameters:
        site: of a relative one, the place itself.
        token: see `read_activations`.

    Raises SteeringError: fewer than 4 pairs, pairs that do not differ at the site, or what
        `read_activations` refuses.
    """
    if len(pairs) < FEWEST:
        raise SteeringError(f"{len(pairs)} pairs have no components to speak of; give {FEWEST} at least")
    place = Site.parse(site)
    place = Site(place.place, place.block)
    texts = [text for pair in pairs for text in pair]
    rows = read_activations(model, tokenizer, texts, [place], token=token)[place].double()
    first, second = rows[0::2], rows[1::2]
    distance = torch.linalg.vector_norm(first - second, dim=1)
    # Equal residual streams differ by rounding when their prompts stand at other places of a batch.
    alike = distance <= _ROUNDING * torch.linalg.vector_norm(first, dim=1)
    if bool(alike.any()):
        number = int(torch.nonzero(alike)[0])
        raise SteeringError(
            f"pair {number + 1} ({shown(pairs[number][0])}) does not differ at {place}: its two texts end alike there;"
            " give pairs that do"
        )
    return np.asarray((first - second).numpy())


def _count(found: Components) -> str:
    return f"{found.count}{' or more' if found.count == len(found.directions) else ''}"


def read_pairs(
    lens: Lens, part: torch.Tensor, differences: Array, *, n_tokens: int, n_random: int, seed: int
) -> PairReading:
    """The components of differences at the site of a vector's part (d,), read through the lens."""
    vector = part.double().numpy()
    vector = vector / np.linalg.norm(vector)
    kinds = {
        "singular direction": components(differences, n_random=max(n_random, 19), seed=seed),
        "principal component": components(differences, centred=True, n_random=max(n_random, 19), seed=seed),
    }
    readings = []
    for kind, found in kinds.items():
        # As many as stand out, but one at least and few.
        chosen = found.directions[: min(max(found.count, 1), _READ)]
        unified = lens.unified(torch.from_numpy(chosen))
        unit = unified / torch.linalg.vector_norm(unified, dim=1, keepdim=True).clamp(min=1e-12)
        rows, z = lens.scores(unit)
        cosines = None if lens.directions is None else cosines_with(lens.directions, unit)
        for number in range(len(chosen)):
            concepts: tuple[Scored, Scored] = ((), ())
            if lens.directions is not None and cosines is not None:
                concepts = nearest_concepts(lens.directions, cosines[number], 6)
            words = lens.words(rows, z[:, number], n_tokens)
            cosine = float(vector @ chosen[number])
            readings.append(ComponentReading(f"{kind} {number + 1}", number < found.count, *words, *concepts, cosine))
    singular = kinds["singular direction"]
    mean = differences.mean(axis=0)
    standing = singular.directions[: singular.count]
    means = exchanged(differences, n_random, seed)
    along = (means @ standing.T) ** 2
    turned = lens.unified(torch.from_numpy(means))
    unit = turned / torch.linalg.vector_norm(turned, dim=1, keepdim=True).clamp(min=1e-12)
    return PairReading(
        singular,
        kinds["principal component"],
        tuple(readings),
        float(vector @ mean / max(np.linalg.norm(mean), 1e-300)),
        float(((standing @ vector) ** 2).sum()),
        len(standing) / len(vector),
        float(along.sum() / max((means**2).sum(), 1e-300)),
        np.abs(lens.scores(unit)[1]).max(axis=0),
        np.empty(0) if lens.directions is None else cosines_with(lens.directions, unit).max(axis=1),
    )


def exchanged(differences: Array, count: int, seed: int) -> Array:
    """Mean differences with the sides of half of the pairs exchanged, shape (r, d).

    No two are of the same half, so that of few pairs r is less than `count`: 6 of four pairs, 10 of five.
    """
    rng, n = np.random.default_rng(seed), len(differences)
    sides = np.resize([1.0, -1.0], n)
    every = comb(n, n // 2)
    chosen: dict[bytes, Array] = {}
    while len(chosen) < min(count, every):
        drawn = rng.permutation(sides)
        chosen[drawn.tobytes()] = drawn
    return np.asarray(np.stack(list(chosen.values())) @ differences / n)
