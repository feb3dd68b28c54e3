"""FinalNorm: how the residual stream becomes logits, and how a shift after the final norm is reached before it.

With λ the final hidden state after the norm of effective weight w, h the residual stream before it and r(h) its root
mean square (for LayerNorm, of h less its mean), λ ≈ w ⊙ h / r(h). A shift δ of λ is therefore the shift r(h) · δ/w
of h; it also shrinks what was there by r(h)/r(h + shift), as the norm is taken of both.
"""

from dataclasses import dataclass, replace

import torch
from torch import nn

from geometry.arguments import checked
from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.steering.architecture import Architecture
from geometry.steering.belonging import check_source
from geometry.steering.readout import Readout
from geometry.steering.vector import Site, SiteLike, SteeringVector

# A norm whose weight is this small beside its largest passes nothing on that could be steered.
_DEAD = 1e-6


@dataclass(frozen=True, eq=False)
class FinalNorm:
    """The final norm and what follows it.

    Attributes:
        weight: w, float64, shape (d,): what the norm multiplies its normalised input with (of Gemma, 1 + its
            parameter).
        removes_mean: whether it is a LayerNorm, which subtracts the mean of the residual stream.
        readout: what bends the way from λ to logits: soft-capping, a scale, a bias; None without logits.
    """

    weight: torch.Tensor
    removes_mean: bool
    readout: Readout | None

    __repr__ = short_repr

    @classmethod
    def of(cls, model: nn.Module) -> "FinalNorm":
        """Read it off a model, by putting known inputs through its final norm.

        Raises SteeringError: an architecture that is not known (see `Architecture.of`), or a norm that gives NaN.
        """
        architecture = Architecture.of(model)
        centred = removes_mean(architecture)
        probe = torch.where(torch.arange(architecture.width) % 2 == 0, 1.0, -1.0)
        unit = probe.double() - probe.double().mean() * centred
        unit = unit / unit.square().mean().sqrt()
        # Half the difference of opposite inputs: a bias falls out.
        weight = (_normed(architecture, probe) - _normed(architecture, -probe)) / 2 / unit
        if not bool(weight.isfinite().all()):
            raise SteeringError(f"{type(model).__name__}: its final norm turns a plain input into NaN")
        return cls(weight, centred, Readout.of(architecture))

    @property
    def notes(self) -> tuple[str, ...]:
        """What bends the way from λ to logits, in words."""
        return () if self.readout is None else self.readout.notes

    def pulled_back(self, shift: torch.Tensor) -> tuple[torch.Tensor, float]:
        """A shift of λ as the relative shift of the residual stream, and which fraction of it the norm lets through.

        Shapes (..., d). A LayerNorm passes on only what is left after removing the mean, and no norm passes
        on where its weight is 0.
        """
        live = self.weight.abs() > _DEAD * self.weight.abs().max()
        divided = torch.where(live, shift.double() / torch.where(live, self.weight, 1.0), 0.0)
        if self.removes_mean:
            divided = divided - divided.mean(dim=-1, keepdim=True)
        passed = torch.linalg.vector_norm(divided * self.weight) / torch.linalg.vector_norm(shift.double())
        # r(h) is the norm of the residual stream over √d.
        return divided / shift.shape[-1] ** 0.5, float(passed)


def removes_mean(architecture: Architecture) -> bool:
    """Whether the model normalises with LayerNorm, which cannot see the mean of the residual stream."""
    probe = torch.where(torch.arange(architecture.width) % 2 == 0, 1.0, -1.0)
    plain, raised = _normed(architecture, probe), _normed(architecture, probe + 2)
    return bool((plain - raised).abs().max() <= 1e-2 * plain.abs().max())


def logit_lens(model: nn.Module, residual: torch.Tensor) -> torch.Tensor:
    """The final norm applied to the residual stream of any block, shape (..., d): λ, had later blocks done nothing.

    Source: nostalgebraist, interpreting GPT: the logit lens, 2020.
    """
    architecture = Architecture.of(model)
    with torch.no_grad():
        # Past the hooks of vectors at work.
        return architecture.norm.forward(residual.to(architecture.device, architecture.dtype)).float().cpu()


@checked
def pull_back(vector: SteeringVector, model: nn.Module, site: SiteLike) -> SteeringVector:
    """Pull a vector for "after_norm" back through the final norm: δ/w, relative to the residual norm at the site.

    Example::

        vector = geo.pull_back(concepts["bird"], model, "output.20").relative(0.5)
        with geo.steer(model, vector, positions="last"):
            generations = geo.generate(model, tokenizer, ["In the garden I saw a"])

    At "before_norm" adding it shifts λ by δ, but for the shrinking of λ that any shift before a norm brings. At a
    block the same formula is a guess, that later blocks leave the direction alone; choose its strength with `relative`.

    Parameters:
        vector: with one part, at "after_norm", shape (d,) or (p, d): a vector of `ConceptSteering` or a sum of such.
        site: "before_norm", or a block such as "output.20".

    Returns SteeringVector: one relative part of the same shape at the site; its notes say what the way to the logits
        bends or loses.
    Raises SteeringError: the vector has other parts than one "after_norm", the model lacks the site, or another
        width, a vector of another model's unembedding, or a model with a layer between final norm and unembedding.
    Source: Park et al., arXiv 2406.01506, for δ = Σ^(-1/2) ℓ at λ.
    """
    target = replace(Site.parse(site), relative=True)
    architecture = Architecture.of(model)
    architecture.check(target)
    if vector.sites != (Site("after_norm"),):
        raise SteeringError(
            f"only vectors for after_norm can be pulled back, {vector.provenance} has {vector.sites[0]}"
        )
    if target.place == "after_norm":
        raise SteeringError(f"{vector.provenance} is for after_norm already")
    vector.check_family(architecture.family)
    if vector.width != architecture.width:
        raise SteeringError(f"{vector.provenance} is {vector.width} wide, {type(model).__name__} {architecture.width}")
    check_source(model, vector)
    final_norm = FinalNorm.of(model)
    if final_norm.readout is not None and not final_norm.readout.follows:
        raise SteeringError(
            f"{type(model).__name__}: a layer stands between its final norm and the unembedding, so that no shift after"
            " the norm has the products of its rows"
        )
    part, passed = final_norm.pulled_back(vector["after_norm"])
    notes = [*vector.notes, *final_norm.notes]
    if passed < 0.999:
        notes.append(f"the final norm lets {passed:.1%} of the shift through")
    provenance = f"({vector.provenance}) ÷ the final norm's weight, at {target}"
    family, unique = vector.model or architecture.family, tuple(dict.fromkeys(notes))
    return replace(vector, parts={target: part}, provenance=provenance, model=family, notes=unique)


def _normed(architecture: Architecture, probe: torch.Tensor) -> torch.Tensor:
    # By computing, as architectures store w, w − 1 or a bias beside it.
    return logit_lens(architecture.model, probe[None, None]).reshape(-1).double()
