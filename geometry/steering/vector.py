"""SteeringVector: what is added to the residual stream and where, with vector algebra and its provenance."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import numpy as np
import torch

from geometry.arguments import checked
from geometry.display import html_table, in_short, listed
from geometry.errors import SteeringError

if TYPE_CHECKING:
    from geometry.steering.belonging import RowSample

Place = Literal["input", "attention", "mlp", "output", "before_norm", "after_norm"]
# What is worked out within a block, which can be read and has no site to be steered at.
READ_ONLY = ("attention", "mlp")


@checked(place=str, block=object)
@dataclass(frozen=True, order=True)
class Site:
    """A place in a model's residual stream, and the unit of what is added there.

    >>> print(Site("output", 27), Site.parse(27), Site.parse("before_norm.relative"))
    output.27 output.27 before_norm.relative

    Parameters:
        place: "input" or "output" of a block, "before_norm" or "after_norm" of the final norm; to be read only, what
            the module of the "attention" or the "mlp" of a block puts out: in most families what is added to the
            residual stream; in Gemma 2 and 3, OLMo 2 and others that before a norm; of BLOOM and MPT the "mlp" is the
            sum already.
        block: 0-based, of places in a block. The input of block l is the output of block l − 1, but for block
            0, whose input is the embedding.
        relative: the part is multiplied, position by position, with the residual norm there; of models that use
            LayerNorm, the norm after removing the mean, which no part of such a model sees.

    Raises SteeringError: an unknown place, a block where none belongs, or none where one does.
    """

    place: Place
    block: int | None = None
    relative: bool = False

    def __post_init__(self) -> None:
        if self.place not in get_args(Place):
            raise SteeringError(f"unknown place {self.place!r}; choose from {', '.join(get_args(Place))}")
        at_block = not self.place.endswith("_norm")
        if isinstance(self.block, np.integer):
            object.__setattr__(self, "block", int(self.block))
        given = isinstance(self.block, int) and not isinstance(self.block, bool) and self.block >= 0
        if not (given if at_block else self.block is None):
            need = "a block, counted from 0" if at_block else "no block"
            raise SteeringError(f"the place {self.place!r} needs {need}, not {self.block!r}")

    def __str__(self) -> str:
        block = "" if self.block is None else f".{self.block}"
        return f"{self.place}{block}{'.relative' if self.relative else ''}"

    @classmethod
    def parse(cls, site: "Site | str | int") -> "Site":
        """The site that `str` writes, such as "after_norm"; of 6, "6" and "output.6" the output of block 6."""
        if isinstance(site, Site):
            return site
        place, *rest = str(site).split(".")
        if place[:1].isdecimal():
            place, rest = "output", [place, *rest]
        relative = rest[-1:] == ["relative"]
        block = rest[:-1] if relative else rest
        if len(block) > 1 or not all(part.isascii() and part.isdecimal() and len(part) < 10 for part in block):
            raise SteeringError(f"{site!r} is no site; write for example output.6 or after_norm")
        return cls(place, int(block[0]) if block else None, relative)  # type: ignore[arg-type]


SiteLike = Site | str | int  # what `Site.parse` takes


@checked(parts=Mapping)
@dataclass(frozen=True, eq=False)
class SteeringVector:
    """Directions to add at sites of a model: a vector space, with a part for each site and 0 where it has none.

    >>> up = SteeringVector({"output.6": torch.tensor([3.0, 4.0])}, "up")
    >>> (2 * up - up / 2).provenance, up.norm(), (up - up).norm()
    ('2 × up − 0.5 × up', 5.0, 0.0)

    Parameters:
        parts: site (or what `Site.parse` takes: 6, "output.6") → tensor of shape (d,), the same at every steered
            position, or (p, d), a row for each of p positions. All of one width, finite; kept as float32.
        provenance: how it came about; the algebra keeps it up to date.
        model: architecture it is meant for ("llama", "gpt2"); "" fits any of its width.
        notes: what a user of it should know, such as what a map could not express.
        bos: whether its rows count from a beginning-of-text token, which prompts then need (`generate` gives it them),
            or from the first token of the text; None where it does not matter.
        sample: of the unembedding that it came from, by which `steer` knows the model; None if it came from none.

    Raises SteeringError: no parts, a wrong shape, different widths, NaN or infinite values; in the algebra, operands
        for other models, unembeddings, positions or beginnings, and factors that are not finite.
    """

    parts: Mapping[Site, torch.Tensor]
    provenance: str = "vector"
    model: str = ""
    notes: tuple[str, ...] = ()
    bos: bool | None = None
    sample: "RowSample | None" = None

    # NumPy would take the vector for an array of objects; with this it leaves products to __rmul__.
    __array_ufunc__: ClassVar[None] = None

    def __post_init__(self) -> None:
        if not self.parts:
            raise SteeringError(f"{self.provenance}: a steering vector needs a part at one site at least")
        parts = {Site.parse(site): torch.as_tensor(part).detach() for site, part in self.parts.items()}
        if len(parts) < len(self.parts):
            raise SteeringError(f"{self.provenance}: two parts at the same site")
        for site, part in parts.items():
            if site.place in READ_ONLY:
                raise SteeringError(f"{self.provenance}: {site} can be read, not steered; steer at output.{site.block}")
            if part.ndim not in (1, 2) or not part.numel() or not part.is_floating_point():
                raise SteeringError(
                    f"{self.provenance} at {site}: a part has shape (d,) or (positions, d) and floating-point numbers,"
                    f" not {tuple(part.shape)} of {part.dtype}"
                )
            # A copy: a vector stays what it is, whatever becomes of the tensor or the file it came from.
            parts[site] = part.to(torch.float32, copy=True)
            if not bool(parts[site].isfinite().all()):
                raise SteeringError(f"{self.provenance} at {site}: holds NaN or infinite values")
        if len(widths := {part.shape[-1] for part in parts.values()}) > 1:
            raise SteeringError(f"{self.provenance}: its parts have different widths, {sorted(widths)}")
        ordered = {site: parts[site] for site in sorted(parts, key=depth)}
        object.__setattr__(self, "parts", MappingProxyType(ordered))
        object.__setattr__(self, "notes", tuple(self.notes))

    def __reduce__(self) -> tuple[type["SteeringVector"], tuple[object, ...]]:
        return SteeringVector, (dict(self.parts), self.provenance, self.model, self.notes, self.bos, self.sample)

    @property
    def width(self) -> int:
        """d, the width of the residual stream that it fits."""
        return int(next(iter(self.parts.values())).shape[-1])

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where it has parts, from the embedding to the unembedding."""
        return tuple(self.parts)

    def __repr__(self) -> str:
        sites = listed([str(site) for site in self.sites])
        return f"SteeringVector({in_short(self.provenance, 100)}; {sites}; norm {self.norm():.3g})"

    def _repr_html_(self) -> str:
        shown = ((site, "×".join(map(str, part.shape)), float(part.norm())) for site, part in self.parts.items())
        return html_table(("site", "shape", "norm"), shown, repr(self))

    def __getitem__(self, site: SiteLike) -> torch.Tensor:
        try:
            return self.parts[Site.parse(site)]
        except KeyError:
            raise SteeringError(
                f"{self.provenance} has no part at {site}; it has {', '.join(map(str, self.sites))}"
            ) from None

    def __contains__(self, site: object) -> bool:
        return isinstance(site, SiteLike | np.integer) and Site.parse(site) in self.parts  # type: ignore[arg-type]

    __iter__ = None  # its parts are not a sequence

    def __radd__(self, other: object) -> "SteeringVector":
        # sum() begins with 0.
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __add__(self, other: "SteeringVector") -> "SteeringVector":
        return self._plus(other, 1.0)

    def __sub__(self, other: "SteeringVector") -> "SteeringVector":
        return self._plus(other, -1.0)

    def __mul__(self, factor: float) -> "SteeringVector":
        if (number := _number(factor)) is None:
            return NotImplemented
        parts = {site: number * part for site, part in self.parts.items()}
        return replace(self, parts=parts, provenance=f"{number:g} × {_operand(self)}".replace("-", "−", number < 0))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> "SteeringVector":
        if (number := _number(divisor)) is None:
            return NotImplemented
        if number == 0:
            raise SteeringError(f"{self.provenance}: cannot be divided by 0")
        return self * (1 / number)

    def __neg__(self) -> "SteeringVector":
        return self * -1.0

    def _plus(self, other: "SteeringVector", sign: float) -> "SteeringVector":
        if not isinstance(other, SteeringVector):
            return NotImplemented
        self._match(other)
        if None not in (self.bos, other.bos) and self.bos != other.bos:
            first, second = (self, other) if self.bos else (other, self)
            raise SteeringError(
                f"the rows of {first.provenance} count from a beginning-of-text token, those of {second.provenance}"
                " do not"
            )
        parts = dict(self.parts)
        for site, part in other.parts.items():
            parts[site] = parts[site] + sign * part if site in parts else sign * part
        provenance = f"{self.provenance} + {other.provenance}" if sign > 0 else f"{self.provenance} − {_operand(other)}"
        notes = tuple(dict.fromkeys(self.notes + other.notes))
        if self.sample is not None and other.sample is not None and not _agree(self.sample, other.sample):
            raise SteeringError(f"{self.provenance} and {other.provenance} come from different unembeddings")
        bos = other.bos if self.bos is None else self.bos
        return SteeringVector(parts, provenance, self.model or other.model, notes, bos, self.sample or other.sample)

    def _match(self, other: "SteeringVector") -> None:
        if self.width != other.width or _family(self.model) not in ("", _family(other.model) or _family(self.model)):
            raise SteeringError(
                f"{self.provenance} is for {self.model or 'a model'} of width {self.width},"
                f" {other.provenance} for {other.model or 'a model'} of width {other.width}"
            )
        for site in self.parts.keys() & other.parts.keys():
            if self.parts[site].shape != other.parts[site].shape:
                raise SteeringError(
                    f"{self.provenance} and {other.provenance} are for other numbers of positions at {site}:"
                    f" {tuple(self.parts[site].shape)} and {tuple(other.parts[site].shape)}"
                )

    def check_family(self, family: str) -> None:
        """SteeringError unless the vector is meant for models of that architecture, or for any."""
        if self.model and _family(self.model) != _family(family):
            raise SteeringError(
                f"{self.provenance} is for a {self.model}, this is a {family}; if these are names of one architecture,"
                ' use dataclasses.replace(vector, model="")'
            )

    def dot(self, other: "SteeringVector") -> float:
        """Sum of products over all parts, in float64."""
        self._match(other)
        shared = self.parts.keys() & other.parts.keys()
        return sum(float((self.parts[site].double() * other.parts[site].double()).sum()) for site in shared)

    def norm(self) -> float:
        """Euclidean norm over all parts together."""
        return float(self.dot(self) ** 0.5)

    def cosine(self, other: "SteeringVector") -> float:
        """Cosine of the angle between two vectors; SteeringError for a zero vector."""
        if not (lengths := self.norm() * other.norm()):
            raise SteeringError(f"a zero vector has no direction ({self.provenance}, {other.provenance})")
        return max(-1.0, min(1.0, self.dot(other) / lengths))

    def projection(self, onto: "SteeringVector") -> "SteeringVector":
        """The part of this vector along another; `v - v.projection(u)` is what is orthogonal to u."""
        if not (square := onto.dot(onto)):
            raise SteeringError(f"{onto.provenance}: a zero vector has no direction to project on")
        shadow = onto * (self.dot(onto) / square)
        return replace(shadow, provenance=f"projection of ({self.provenance}) on ({onto.provenance})")

    def with_norm(self, norm: float) -> "SteeringVector":
        """Every part scaled to a norm (over all of its positions); SteeringError for a part that is zero."""
        return self._normed(norm, relative=None)

    def relative(self, norm: float) -> "SteeringVector":
        """Every part in units of the residual norm: `norm` times that norm, a part with rows over all of them.

        Coefficients then carry over between layers and models, whose residual norms differ a hundredfold.
        """
        return self._normed(norm, relative=True)

    def _normed(self, norm: float, *, relative: bool | None) -> "SteeringVector":
        parts = {}
        for site, part in self.parts.items():
            if not (length := float(torch.linalg.vector_norm(part.double()))):
                raise SteeringError(f"{self.provenance} is zero at {site} and has no direction")
            target = site if relative is None else replace(site, relative=relative)
            if target in parts:
                raise SteeringError(f"{self.provenance} has an absolute and a relative part at {target}")
            parts[target] = part * (norm / length)
        unit = "" if relative is None else " × residual norm"
        return replace(self, parts=parts, provenance=f"({self.provenance}) of norm {norm:g}{unit}")

    def at(self, site: SiteLike) -> "SteeringVector":
        """The same numbers at another site; SteeringError unless the vector has one part alone."""
        if len(self.parts) != 1:
            raise SteeringError(f"{self.provenance} has parts at {len(self.parts)} sites; only one can be moved")
        (part,) = self.parts.values()
        return replace(self, parts={Site.parse(site): part}, provenance=f"({self.provenance}) at {site}")

    def first_dimensions(self, fraction: float) -> "SteeringVector":
        """The vector in the first `fraction` (0 to 1) of the residual stream's dimensions, 0 in the others."""
        if not 0 <= fraction <= 1:
            raise SteeringError(f"a fraction of the dimensions lies between 0 and 1, not at {fraction}")
        kept = round(fraction * self.width)
        parts = {site: torch.where(torch.arange(self.width) < kept, part, 0.0) for site, part in self.parts.items()}
        return replace(self, parts=parts, provenance=f"({self.provenance}) in the first {kept} dimensions")

    def random(self, seed: int) -> "SteeringVector":
        """The norm-matched control: uniform random directions, of this one's norm at every site and position."""
        generator = torch.Generator().manual_seed(seed)
        parts = {}
        for site, part in self.parts.items():
            drawn = torch.randn(part.shape, generator=generator)
            norms = torch.linalg.vector_norm(part, dim=-1, keepdim=True)
            parts[site] = drawn * (norms / torch.linalg.vector_norm(drawn, dim=-1, keepdim=True))
        return replace(self, parts=parts, provenance=f"norm-matched random vector {seed} for ({self.provenance})")


def _operand(vector: SteeringVector) -> str:
    """The provenance as the second operand of a difference or a product: a sum stands in brackets."""
    is_sum = " + " in vector.provenance or " − " in vector.provenance
    return f"({vector.provenance})" if is_sum else vector.provenance


def _family(model: str) -> str:
    """An architecture under one spelling; the text half of a multimodal one has the same residual stream."""
    return model.lower().removesuffix("_text").replace("_", "").replace("-", "")


def _agree(first: "RowSample", second: "RowSample") -> bool:
    """Whether two samples are of one unembedding, be one of them a quantised copy."""
    if not torch.equal(first.ids, second.ids) or first.rows.shape != second.rows.shape:
        return False
    return float(torch.corrcoef(torch.stack([first.rows.flatten(), second.rows.flatten()]))[0, 1]) > 0.9


def _number(value: object) -> float | None:
    """A real number as a float, of whatever library; None for anything else."""
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        value = value.item() if value.ndim == 0 else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError as error:
        raise SteeringError(f"the factor is too large: {error}") from error


def depth(site: Site) -> tuple[float, int, bool]:
    """Sorts sites from the embedding to the unembedding."""
    return math.inf if site.block is None else site.block, get_args(Place).index(site.place), site.relative
