"""Readout: how the residual stream becomes logits, and how a shift after the final norm is reached before it.

With λ the final hidden state after the norm of effective weight w, and r(h) the root mean square of the stream
(for LayerNorm, of the stream less its mean), λ ≈ w ⊙ h / r(h). A shift δ of λ is therefore the shift
r(h) · δ/w of the stream; it also shrinks what was there by r(h)/r(h + shift), as the norm is taken of both.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from geometry.errors import SteeringError
from geometry.steering.layout import ModelLayout
from geometry.steering.vector import Site, SteeringVector

__all__ = ["Readout", "carry", "logit_lens", "removes_mean"]

# A norm whose weight is this small beside its largest passes nothing on that could be steered.
_DEAD = 1e-6


@dataclass(frozen=True, eq=False)
class Readout:
    """The final norm and what follows it.

    Attributes
    ----------
    weight : w, float64, shape (d,): what the norm multiplies its normalised input with (of Gemma, 1 + its parameter).
    removes_mean : whether it is a LayerNorm, which subtracts the mean of the stream.
    notes : what bends the way from λ to logits: soft-capping, a scale, a bias.
    """

    weight: torch.Tensor
    removes_mean: bool
    notes: tuple[str, ...]

    @classmethod
    def of(cls, model: nn.Module) -> "Readout":
        """Read it off a model, by putting known inputs through its final norm.

        Raises
        ------
        SteeringError
            A layout that is not known (see `ModelLayout.of`), or a norm that gives NaN.
        """
        layout = ModelLayout.of(model)
        centred = removes_mean(layout)
        probe = torch.where(torch.arange(layout.width) % 2 == 0, 1.0, -1.0)
        unit = probe.double() - probe.double().mean() * centred
        unit = unit / unit.square().mean().sqrt()
        # Half the difference of opposite inputs: a bias falls out.
        weight = (_normed(layout, probe) - _normed(layout, -probe)) / 2 / unit
        if not bool(weight.isfinite().all()):
            raise SteeringError(f"{type(model).__name__}: its final norm turns a plain input into NaN")
        return cls(weight, centred, _notes(layout))

    def carried(self, shift: torch.Tensor) -> tuple[torch.Tensor, float]:
        """A shift of λ as the relative shift of the stream, and the share of its norm that the norm lets through.

        Shapes (..., d). A LayerNorm passes on only what is left after removing the mean, and no norm passes
        on where its weight is 0.
        """
        live = self.weight.abs() > _DEAD * self.weight.abs().max()
        divided = torch.where(live, shift.double() / torch.where(live, self.weight, 1.0), 0.0)
        if self.removes_mean:
            divided = divided - divided.mean(dim=-1, keepdim=True)
        reached = torch.linalg.vector_norm(divided * self.weight) / torch.linalg.vector_norm(shift.double())
        # r(h) is the norm of the stream over √d.
        return divided / shift.shape[-1] ** 0.5, float(reached)


def removes_mean(layout: ModelLayout) -> bool:
    """Whether the model normalises with LayerNorm, which cannot see the mean of the stream."""
    probe = torch.where(torch.arange(layout.width) % 2 == 0, 1.0, -1.0)
    plain, moved = _normed(layout, probe), _normed(layout, probe + 2)
    return bool((plain - moved).abs().max() <= 1e-2 * plain.abs().max())


def logit_lens(model: nn.Module, stream: torch.Tensor) -> torch.Tensor:
    """The final norm applied to a stream from any block, shape (..., d): λ, had the blocks after it done nothing.

    References
    ----------
    nostalgebraist, interpreting GPT: the logit lens, 2020.
    """
    layout = ModelLayout.of(model)
    with torch.no_grad():
        # Past the hooks of vectors at work.
        normed: torch.Tensor = layout.norm.forward(stream.to(layout.device, layout.dtype))
    return normed.float().cpu()


def carry(vector: SteeringVector, model: nn.Module, site: Site | str) -> SteeringVector:
    """Carry a vector for "after_norm" to a place before the final norm: δ/w, relative to the stream there.

    At "before_norm" adding it shifts λ by δ, up to the shrinking named above. At a block the same formula is
    a guess, that later blocks leave the direction alone; choose its strength with `relative`.

    Raises
    ------
    SteeringError
        The vector has other parts than one "after_norm", the model lacks the site, or another width.

    References
    ----------
    Park et al., arXiv 2406.01506, for δ = Σ^(-1/2) ℓ at λ.
    """
    target = replace(Site.parse(site), relative=True)
    layout = ModelLayout.of(model)
    layout.check(target)
    if vector.sites != (Site("after_norm"),):
        raise SteeringError(f"only vectors for after_norm can be carried, {vector.made} has {vector.sites[0]}")
    if target.place == "after_norm":
        raise SteeringError(f"{vector.made} is for after_norm already")
    vector.check_family(layout.family)
    if vector.width != layout.width:
        raise SteeringError(f"{vector.made} is {vector.width} wide, {type(model).__name__} {layout.width}")
    readout = Readout.of(model)
    part, reached = readout.carried(vector["after_norm"])
    notes = [*vector.notes, *readout.notes]
    if reached < 0.999:
        notes.append(f"the final norm lets {reached:.1%} of the shift through")
    made = f"({vector.made}) ÷ the final norm's weight, at {target}"
    return SteeringVector({target: part}, made, vector.model or layout.family, tuple(dict.fromkeys(notes)))


def _normed(layout: ModelLayout, probe: torch.Tensor) -> torch.Tensor:
    # By computing, as architectures store w, w − 1 or a bias beside it.
    return logit_lens(layout.model, probe[None, None]).reshape(-1).double()


def _notes(layout: ModelLayout) -> tuple[str, ...]:
    config: Any = layout.model.config
    config = config.get_text_config()
    notes = []
    if cap := getattr(config, "final_logit_softcapping", None):
        notes.append(f"logits are soft-capped at ±{cap:g}: large shifts saturate")
    for name in ("logit_scale", "logits_scaling"):
        if (scale := getattr(config, name, None)) not in (None, 1, 1.0):
            notes.append(f"logits are scaled ({name} {scale:g}): a coefficient acts that much more or less")
    if getattr(layout.head, "bias", None) is not None:
        notes.append("the head has a bias, which no shift of λ changes")
    return tuple(notes)
