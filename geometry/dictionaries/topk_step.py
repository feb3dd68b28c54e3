"""One step of training a TopK autoencoder: the loss, its gradient, and unit rows of the decoder kept so."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from geometry.display import short_repr

PARAMETERS = ("encoder", "encoder_bias", "decoder", "decoder_bias")
_LARGEST_GRADIENT = 1.0
_AT_ONCE = 32  # rows whose active features are gathered, so that they stay in the processor's cache


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
        optimiser = torch.optim.Adam(
            [parameters[name] for name in PARAMETERS], betas=(0.9, 0.999), eps=6.25e-10, fused=True
        )
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
    would, fail to give x − x̂ back (Gao et al., arXiv 2406.04093, appendix A.2). Its gradient is written out, since
    all of it but the encoder's product is of active features alone: a fifth of the work that dense products take.
    """
    with torch.no_grad():
        w_enc, b_enc, w_dec, b_dec = (state.parameters[name] for name in PARAMETERS)
        inputs = x - b_dec
        before = torch.addmm(b_enc, inputs, w_enc)
        values, where = before.topk(k, dim=1)
        values.clamp_(min=0)
        z = _sparse(values, where, len(b_enc))
        left = inputs - _product(z, w_dec)
        variance = (x - x.mean(dim=0)).square().sum().clamp(min=1e-12)
        unexplained = left.square().sum() / variance
        of_output = left * (-2 / variance)
        of_before = _sparse(_along(w_dec, where, of_output) * (values > 0), where, len(b_enc))
        gradients = {
            "encoder": _product(of_before.T, inputs).T,
            "encoder_bias": torch.from_numpy(np.asarray(of_before.sum(axis=0), dtype=np.float32)),
            "decoder": _product(z.T, of_output),
        }
        active = torch.from_numpy(np.asarray(z.max(axis=0).toarray()).ravel() > 0)
        dead = (state.quiet >= dead_after).nonzero()[:, 0]
        if auxiliary and len(dead):
            _revive(gradients, dead, before[:, dead], w_dec[dead], inputs, left, auxiliary / variance)
        gradients["decoder_bias"] = of_output.sum(dim=0) - w_enc @ gradients["encoder_bias"]
        # What points along a row would be undone by its norm being kept.
        gradients["decoder"] -= (gradients["decoder"] * w_dec).sum(dim=1, keepdim=True) * w_dec
        for name, tensor in state.parameters.items():
            tensor.grad = gradients[name].contiguous()
    torch.nn.utils.clip_grad_norm_(list(state.parameters.values()), _LARGEST_GRADIENT)
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    state.optimiser.step()
    with torch.no_grad():
        w_dec /= torch.linalg.vector_norm(w_dec, dim=1, keepdim=True).clamp(min=1e-12)
        state.quiet = torch.where(active, 0, state.quiet + len(x))
    state.step += 1
    return float(unexplained)


def _revive(
    gradients: dict[str, Tensor], dead: Tensor, before: Tensor, rows: Tensor, inputs: Tensor, left: Tensor, over: Tensor
) -> None:
    """Add the gradient of the dead features' own loss; `before` and decoder `rows` are theirs."""
    most = inputs.shape[1] // 2 or 1
    values, where = before.topk(min(most, len(dead)), dim=1)
    y = torch.zeros_like(before).scatter_(1, where, values.clamp_(min=0))
    of_output = (left - y @ rows) * (-2 * over * min(len(dead) / most, 1.0))
    of_before = (of_output @ rows.T) * (y > 0)
    gradients["encoder"][:, dead] += inputs.T @ of_before
    gradients["encoder_bias"][dead] += of_before.sum(dim=0)
    gradients["decoder"][dead] += y.T @ of_output


def _along(rows: Tensor, where: Tensor, x: Tensor) -> Tensor:
    """Products of each x (n, d) with those of the rows that `where` (n, k) names, shape (n, k)."""
    parts = [
        (rows.index_select(0, some.flatten()).view(*some.shape, -1) * own[:, None, :]).sum(dim=-1)
        for some, own in zip(torch.split(where, _AT_ONCE), torch.split(x, _AT_ONCE), strict=True)
    ]
    return torch.cat(parts)


def _sparse(values: Tensor, where: Tensor, n_features: int) -> csr_array:
    """Values (n, k) at columns (n, k) as a matrix (n, f)."""
    n, k = values.shape
    content = values.numpy().ravel(), where.numpy().astype(np.int32).ravel(), np.arange(n + 1, dtype=np.int32) * k
    return csr_array(content, shape=(n, n_features))


def _product(sparse: Any, dense: Tensor) -> Tensor:
    return torch.from_numpy(sparse @ dense.detach().numpy())
