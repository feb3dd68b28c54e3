"""Eraser: an affine map that takes concepts out of the residual stream, fitted in closed form (LEACE).

r(x) = x − P(x − μ), with the oblique projection P = W⁺QW: W whitens, Q projects on the span of WΣ_XZ.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from geometry.arguments import checked
from geometry.display import html_table, in_short
from geometry.errors import SteeringError
from geometry.steering.erasure_labels import label_matrix
from geometry.steering.vector import READ_ONLY, Site, SiteLike, SteeringVector

_RANK = 1e-9  # of the largest singular value: labels that are combinations of others are below it, no concept is
_SINGULAR = 1e-12  # of the largest eigenvalue of Σ_XX
_SAME = 1e-6
_REACH = 10.0  # times the root mean square distance of the activations that were fitted


@checked(site=SiteLike, left=object, right=object, mean=object)
@dataclass(frozen=True, eq=False, repr=False)
class Eraser:
    """Takes concepts out at a site: x ← x − Aᵀ(B(x − μ)), of rank r; everything else stays as near as it can.

    >>> import numpy as np
    >>> rows, labels = np.random.default_rng(0).standard_normal((50, 4)), [0, 1] * 25
    >>> eraser = Eraser.fit(rows + np.outer(labels, [3.0, 0, 0, 0]), labels, "output.6", name="odd")
    >>> eraser
    Eraser(odd; output.6; rank 1 of 4)
    >>> bool(np.allclose(eraser.erase(eraser.erase(rows)), eraser.erase(rows)))
    True

    `geo.steer(model, eraser)` applies it at every token (`positions` may name fewer), so that no linear probe reads
    the concepts off the activations that it was fitted to; what of it later blocks rebuild is another question.

    Parameters:
        left: A, shape (r, d), orthonormal rows: what is subtracted lies along them.
        right: B, shape (r, d), with B Aᵀ = 1, so that erasing twice is erasing once.
        mean: μ, shape (d,), which is left where it is.
        site: where it acts, absolute.
        name: of what is erased.
        model: architecture that it is meant for; "" fits any of its width.
        notes: what a user of it should know.
        reach: states farther from μ are left as they are, bit for bit. The first token of a text has a residual norm a
            hundred times that of others in many models, is no word, and what little of it an oblique projection takes
            for a concept would be more than all other states are long.

    Raises SteeringError: shapes or numbers of another kind, B Aᵀ other than 1, a site that is read only or relative, a
        reach that is not positive.
    """

    left: torch.Tensor
    right: torch.Tensor
    mean: torch.Tensor
    site: Site
    name: str = "concept"
    model: str = ""
    notes: tuple[str, ...] = ()
    reach: float = math.inf

    bos: ClassVar[None] = None  # it counts no positions

    def __post_init__(self) -> None:
        place = Site.parse(self.site)
        if place.place in READ_ONLY:
            raise SteeringError(f"{self.name}: {place} can be read, not steered; erase at output.{place.block}")
        if place.relative:
            raise SteeringError(f"{self.name}: {place}: an eraser has no unit to be relative in; leave out .relative")
        left, right, mean = (torch.as_tensor(part).detach() for part in (self.left, self.right, self.mean))
        if left.ndim != 2 or left.shape != right.shape or mean.shape != left.shape[1:] or not left.numel():
            raise SteeringError(
                f"{self.name}: an eraser has matrices (r, d) and a mean (d,), not {tuple(left.shape)},"
                f" {tuple(right.shape)} and {tuple(mean.shape)}"
            )
        parts = {"left": left, "right": right, "mean": mean}
        for key, part in parts.items():
            if not part.is_floating_point():
                raise SteeringError(f"{self.name}: {key} must hold floating-point numbers, not {part.dtype}")
            parts[key] = part.to(torch.float64, copy=True).cpu()
            if not bool(parts[key].isfinite().all()):
                raise SteeringError(f"{self.name}: {key} holds NaN or infinite values")
        if not self.reach > 0:
            raise SteeringError(f"{self.name}: its reach is a positive distance, not {self.reach}")
        if not len(left) < left.shape[1]:
            raise SteeringError(f"{self.name}: rank {len(left)} in {left.shape[1]} dimensions leaves nothing")
        one = torch.eye(len(left), dtype=torch.float64)
        for product in (parts["right"] @ parts["left"].T, parts["left"] @ parts["left"].T):
            if not torch.allclose(product, one, rtol=0, atol=_SAME):
                raise SteeringError(f"{self.name}: left and right are no projection: AAᵀ = 1 and BAᵀ = 1 do not hold")
        for key, part in parts.items():
            object.__setattr__(self, key, part)
        object.__setattr__(self, "site", place)
        object.__setattr__(self, "notes", tuple(self.notes))

    @classmethod
    @checked(activations=ArrayLike, labels=Iterable[Any])
    def fit(
        cls,
        activations: NDArray[np.floating],
        labels: ArrayLike,
        site: SiteLike,
        *,
        shrinkage: float | None = None,
        name: str = "concept",
        names: Sequence[str] | None = None,
        model: str = "",
    ) -> "Eraser":
        """From activations and what is to be erased of each: afterwards no linear probe tells it.

        Example::

            activations = geo.read_phrases(model, tokenizer, birds + others, sites=["output.12"]).mean("output.12")
            eraser = Eraser.fit(activations, [True] * len(birds) + [False] * len(others), "output.12", name="bird")
            with geo.steer(model, eraser):
                geo.generate(model, tokenizer, ["The robin is a kind of"])

        Parameters:
            activations: shape (n, d), read at the site.
            labels: the class of each (numbers, texts or bools), shape (n,); or (n, k), a column for each of several
                concepts at once, which may overlap as those of a subtree do.
            site: where it is to act.
            shrinkage: of Σ_XX towards a multiple of the identity, 0 to 1; default, as Ledoit and Wolf. With any,
                Cov(r(X), Z) is 0 on these activations; with 0 (and the pseudoinverse, where Σ_XX is singular) r(X) is
                the nearest to X of all affine maps with that property, in E‖r(X) − X‖². Of fewer activations than
                dimensions that one fits their noise, and leaves much of the concept in others.
            name: of what is erased.
            names: of the columns of `labels`, for messages.

        Raises SteeringError: activations that are not a finite matrix, another number of labels, one class alone, a
            column that does not vary, as many concepts as dimensions or activations, or activations that do not
            differ between the labels.
        Source: Belrose et al., LEACE: Perfect linear concept erasure in closed form, arXiv 2306.03819, Theorem 4.3.
        """
        rows = _matrix(activations, name)
        targets = label_matrix(labels, len(rows), name, names)
        mean = rows.mean(axis=0)
        centred = rows - mean
        scale = float(np.square(centred).mean()) ** 0.5
        if not scale > _SAME * float(np.abs(rows).max()):
            raise SteeringError(f"{name}: all {len(rows)} activations lie at one point; nothing can be told apart")
        if shrinkage is not None and not 0 <= shrinkage <= 1:
            raise SteeringError(f"{name}: shrinkage lies between 0 and 1, not at {shrinkage}")
        values, vectors, used = _spectrum(centred / scale, shrinkage)
        cross = vectors.T @ ((centred / scale).T @ targets) / len(rows)
        kept = values > _SINGULAR * values[-1]
        root = np.sqrt(values[kept])
        directions, sizes, _ = np.linalg.svd(cross[kept] / root[:, None], full_matrices=False)
        rank = int((sizes > max(_RANK * sizes[0], _SAME**2)).sum())
        if not rank:
            raise SteeringError(f"{name}: the activations do not differ between the labels; there is nothing to erase")
        if rank >= min(rows.shape[1], len(rows) - 1):
            raise SteeringError(
                f"{name}: {rank} directions in {rows.shape[1]} dimensions, of {len(rows)} activations, leave nothing;"
                " erase fewer concepts, or give more activations"
            )
        whitened, basis = directions[:, :rank], vectors[:, kept]
        left, factor = np.linalg.qr(basis @ (root[:, None] * whitened))
        right = factor @ (whitened / root[:, None]).T @ basis.T
        note = f"fitted to {len(rows):,} activations, shrinkage {used:.2g}"
        matrices = [torch.from_numpy(each) for each in (left.T.copy(), right, mean)]
        distances = np.linalg.norm(centred, axis=1)
        reach = max(_REACH * float(np.square(distances).mean()) ** 0.5, (1 + _SAME) * float(distances.max()))
        return cls(matrices[0], matrices[1], matrices[2], Site.parse(site), name, model, (note,), reach)

    @classmethod
    @checked(directions=ArrayLike)
    def orthogonal(
        cls,
        directions: NDArray[np.floating],
        site: SiteLike,
        *,
        mean: ArrayLike | None = None,
        name: str = "directions",
        model: str = "",
        reach: float = math.inf,
    ) -> "Eraser":
        """The orthogonal projection out of the span of directions, shape (r, d): what erasing is compared with.

        Of one direction and without a mean (0), it is what `geo.steer(..., mode="ablate")` does.

        Raises SteeringError: directions that are no finite matrix, or that are linearly dependent.
        """
        rows = _matrix(directions, name, least=1)
        _, sizes, basis = np.linalg.svd(rows, full_matrices=False)
        if len(sizes) < len(rows) or not sizes[-1] > _RANK * sizes[0]:
            raise SteeringError(f"{name}: the {len(rows)} directions are linearly dependent, or zero")
        origin = np.zeros(rows.shape[1]) if mean is None else np.asarray(mean, dtype=np.float64)
        both = torch.from_numpy(basis.copy())
        return cls(both, both, torch.from_numpy(origin.copy()), Site.parse(site), name, model, (), reach)

    @property
    def rank(self) -> int:
        """r, how many dimensions are erased."""
        return len(self.left)

    @property
    def width(self) -> int:
        """d, the width of the residual stream that it fits."""
        return int(self.left.shape[1])

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where it acts."""
        return (self.site,)

    @property
    def provenance(self) -> str:
        """What messages call it."""
        return f"the eraser of {self.name}"

    @property
    def parts(self) -> Mapping[Site, torch.Tensor]:
        """Its site → μ, the rows of A and those of B, shape (1 + 2r, d), float64: what hooks compute with."""
        return {self.site: torch.cat([self.mean[None], self.left, self.right])}

    @checked(activations=ArrayLike)
    def erase(self, activations: NDArray[np.floating] | torch.Tensor) -> Any:
        """The same activations without the concepts, shape (..., d): in their own precision and kind.

        Raises SteeringError: another width.
        """
        given = torch.as_tensor(activations)
        if not given.ndim or given.shape[-1] != self.width:
            raise SteeringError(
                f"{self.provenance} is {self.width} wide, the activations have shape {tuple(given.shape)}"
            )
        erased = erased_by(self.parts[self.site].to(given.device), given, self.reach)
        return erased if isinstance(activations, torch.Tensor) else erased.numpy()

    def random(self, seed: int) -> "Eraser":
        """The control: as many random directions, projected out orthogonally about the same mean."""
        drawn = torch.randn(self.left.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        name = f"{self.rank} random directions {seed}, as many as of {self.name}"
        return Eraser.orthogonal(
            drawn.numpy(), self.site, mean=self.mean.numpy(), name=name, model=self.model, reach=self.reach
        )

    def check_family(self, family: str) -> None:
        """SteeringError unless it is meant for models of that architecture, or for any."""
        SteeringVector({self.site: self.mean}, self.provenance, self.model).check_family(family)

    def __repr__(self) -> str:
        return f"Eraser({in_short(self.name, 100)}; {self.site}; rank {self.rank} of {self.width})"

    def _repr_html_(self) -> str:
        return html_table(
            ("erased", "site", "rank", "width"), [(self.name, self.site, self.rank, self.width)], repr(self)
        )


def erased_by(stacked: torch.Tensor, states: torch.Tensor, reach: float) -> torch.Tensor:
    """x − Aᵀ(B(x − μ)) of states (..., d), computed in the precision of `stacked`, which `Eraser.parts` holds."""
    left, right = stacked[1:].chunk(2)
    wide = states.to(stacked.dtype)
    centred = wide - stacked[0]
    erased = (wide - (centred @ right.T) @ left).to(states.dtype)
    if reach == math.inf:
        return erased
    return torch.where(torch.linalg.vector_norm(centred, dim=-1, keepdim=True) <= reach, erased, states)


def _matrix(values: ArrayLike, name: str, least: int = 3) -> NDArray[np.float64]:
    if isinstance(values, torch.Tensor):
        values = values.detach().double().cpu()  # NumPy has no bfloat16
    rows = np.asarray(values)
    if rows.ndim != 2 or rows.dtype.kind not in "fiu" or len(rows) < least or not rows.size:
        raise SteeringError(
            f"{name}: a matrix of numbers is needed, a row for each of {least} at least, not {rows.dtype} {rows.shape}"
        )
    if not np.isfinite(rows).all():
        raise SteeringError(f"{name}: holds NaN or infinite values")
    return rows.astype(np.float64)


def _spectrum(
    centred: NDArray[np.float64], shrinkage: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Eigenvalues of Σ_XX, shrunk, ascending; eigenvectors in columns; how much it was shrunk."""
    from sklearn.covariance import ledoit_wolf_shrinkage

    used = float(ledoit_wolf_shrinkage(centred, assume_centered=True)) if shrinkage is None else float(shrinkage)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    values = np.maximum(values, 0.0)
    return (1 - used) * values + used * values.mean(), vectors, used
