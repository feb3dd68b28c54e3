"""One step of training a TopK autoencoder: the loss, its gradient, and unit rows of the decoder kept so."""

from dataclasses import dataclass

import torch
from torch import Tensor

from geometry.display import short_repr

PARAMETERS = ("encoder", "encoder_bias", "decoder", "decoder_bias")
_LARGEST_GRADIENT = 1.0


@dataclass(eq=False)
class TopKState:
    """All that changes in training: parameters, Adam's two moments of each, and rows since each feature was active."""

    parameters: dict[str, Tensor]
    optimiser: torch.optim.Adam
    quiet: Tensor
    step: int = 0

    __repr__ = short_repr

    @classmethod
    def beginning(cls, width: int, n_features: int, mean: Tensor, generator: torch.Generator) -> "TopKState":
        """Random unit rows as decoder, their transpose as encoder, the rows' mean as the decoder's bias."""
        decoder = torch.randn(n_features, width, generator=generator)
        decoder /= torch.linalg.vector_norm(decoder, dim=1, keepdim=True)
        given = {"encoder": decoder.T.clone(), "encoder_bias": torch.zeros(n_features)}
        return cls.of(given | {"decoder": decoder, "decoder_bias": mean.clone()})

    @classmethod
    def of(cls, tensors: dict[str, Tensor]) -> "TopKState":
        """With these parameters, as before the first step."""
        parameters = {name: tensors[name].contiguous().requires_grad_(True) for name in PARAMETERS}
        # Eps as of Gao et al.: gradients of a normalised loss are small.
        optimiser = torch.optim.Adam([parameters[name] for name in PARAMETERS], betas=(0.9, 0.999), eps=6.25e-10)
        return cls(parameters, optimiser, torch.zeros(len(tensors["encoder_bias"]), dtype=torch.int64))

    def tensors(self) -> dict[str, Tensor]:
        """All of it by name, for a file."""
        kept = {name: tensor.detach() for name, tensor in self.parameters.items()} | {"quiet": self.quiet}
        for name, tensor in self.parameters.items():
            for moment, value in self.optimiser.state.get(tensor, {}).items():
                kept[f"{name}.{moment}"] = value
        return kept

    def restore(self, tensors: dict[str, Tensor], step: int) -> None:
        """Go on from what `tensors` gave, after so many steps."""
        self.step, self.quiet = step, tensors["quiet"].clone()
        for name, tensor in self.parameters.items():
            moments = {key.split(".")[1]: value for key, value in tensors.items() if key.startswith(f"{name}.")}
            self.optimiser.state[tensor] = {moment: value.clone() for moment, value in moments.items()}


def take_step(state: TopKState, x: Tensor, k: int, *, rate: float, dead_after: int, auxiliary: float) -> float:
    """One step of Adam on a batch; returns the share of its variance that was not explained before.

    The loss is ‖x − x̂‖² over the batch's variance, and `auxiliary` times that by which dead features, chosen as TopK
    would, fail to give x − x̂ back (Gao et al., arXiv 2406.04093, appendix A.2).
    """
    w_enc, b_enc, w_dec, b_dec = (state.parameters[name] for name in PARAMETERS)
    before = torch.addmm(b_enc, x - b_dec, w_enc)
    z = _largest(before, k)
    left = x - torch.addmm(b_dec, z, w_dec)
    variance = (x - x.mean(dim=0)).square().sum().clamp(min=1e-12)
    unexplained = left.square().sum() / variance
    loss = unexplained
    dead = state.quiet >= dead_after
    if auxiliary and (count := int(dead.sum())):
        most = x.shape[1] // 2 or 1
        weight = min(count / most, 1.0)
        revived = _largest(before.masked_fill(~dead, -torch.inf), min(most, count)) @ w_dec
        loss = loss + auxiliary * weight * (left.detach() - revived).square().sum() / variance
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        gradient = w_dec.grad
        assert gradient is not None  # noqa: S101 (for the type checker)
        # What points along a row would be undone by its norm being kept.
        gradient -= (gradient * w_dec).sum(dim=1, keepdim=True) * w_dec
    torch.nn.utils.clip_grad_norm_(list(state.parameters.values()), _LARGEST_GRADIENT)
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    state.optimiser.step()
    with torch.no_grad():
        w_dec /= torch.linalg.vector_norm(w_dec, dim=1, keepdim=True).clamp(min=1e-12)
        active = (z.detach() > 0).any(dim=0)
        state.quiet = torch.where(active, 0, state.quiet + len(x))
    state.step += 1
    return float(unexplained.detach())


def _largest(before: Tensor, k: int) -> Tensor:
    values, where = before.topk(k, dim=1)
    return torch.zeros_like(before).scatter(1, where, values.clamp(min=0))
