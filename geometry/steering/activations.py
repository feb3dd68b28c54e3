"""Read the residual stream of a model on prompts, through hooks at the same sites where vectors are injected."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn
from tqdm import tqdm

from geometry.errors import SteeringError
from geometry.steering.injection import steer_each
from geometry.steering.layout import Change, ModelLayout
from geometry.steering.prompts import encode
from geometry.steering.vector import Site, SteeringVector

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Token", "read_activations", "recording"]

Token = int | Literal["mean"]


@contextmanager
def recording(model: nn.Module, sites: Sequence[Site | str]) -> Iterator[dict[Site, torch.Tensor]]:
    """What the stream was at the sites in the last call, shape (batch, positions, d), steering included.

    Raises
    ------
    SteeringError
        A site that the model lacks, or a relative one.
    """
    layout = ModelLayout.of(model)
    wanted = _several(sites)
    if not wanted or any(site.relative for site in wanted):
        raise SteeringError("name at least one site to read, and none that is relative")
    for site in wanted:
        layout.check(site)
    seen: dict[Site, torch.Tensor] = {}
    hooks = [layout.attach(site, _keep(seen, site)) for site in wanted]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _several(sites: Sequence[Site | str]) -> list[Site]:
    """Sites from their names; a single name is one site, not a sequence of letters."""
    return [Site.parse(site) for site in ([sites] if isinstance(sites, str | Site) else sites)]


def _keep(seen: dict[Site, torch.Tensor], site: Site) -> Change:
    def keep(stream: torch.Tensor) -> None:
        seen[site] = stream.detach()

    return keep


def read_activations(
    model: nn.Module,
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[str],
    sites: Sequence[Site | str],
    *,
    token: Token = -1,
    bos: bool | None = None,
    vectors: Sequence[SteeringVector | None] | None = None,
    batch: int = 16,
) -> dict[Site, torch.Tensor]:
    """The residual stream at one token of every prompt.

    Parameters
    ----------
    token : index among a prompt's own tokens (−1: the last), or "mean" over all of them.
    bos : see `encode`.
    vectors : one for each prompt to be steered by, at all tokens (see `steer_each`); default: none, beyond what is at
        work in the model.
    batch : prompts run at a time, padded on the left; no further than to the last of the sites.

    Returns
    -------
    dict
        Site → float32 tensor on the CPU, shape (prompts, d), in the order of `prompts`.

    Raises
    ------
    SteeringError
        An empty prompt, a site that the model lacks, a prompt without that token, a stream that is not finite.
    """
    if token != "mean" and (isinstance(token, bool) or not isinstance(token, int)):  # noqa: S105 (no password)
        raise SteeringError(f"a token is an index or 'mean', not {token!r}")
    if vectors is not None and len(vectors) != len(prompts):
        raise SteeringError(f"{len(vectors)} vectors for {len(prompts)} prompts; one is needed for each")
    if batch < 1:
        raise SteeringError(f"a batch holds at least one prompt, not {batch}")
    layout = ModelLayout.of(model)
    whole = encode(tokenizer, prompts, bos=bos)
    lengths = whole.mask.sum(dim=1)
    if token != "mean" and not -int(lengths.min()) <= token < int(lengths.min()):  # noqa: S105
        shortest = prompts[int(lengths.argmin())]
        raise SteeringError(f"the prompt {shortest!r} has {int(lengths.min())} tokens, and so none at {token}")
    # Neighbours of like length leave little padding.
    order = torch.argsort(lengths).tolist()
    found: dict[Site, list[torch.Tensor]] = {site: [] for site in _several(sites)}
    with torch.no_grad(), recording(model, sites) as seen, _ended_at(layout, max(found, key=_depth)):
        for start in tqdm(range(0, len(order), batch), desc="reading activations", disable=None, leave=False):
            some = order[start : start + batch]
            part = encode(tokenizer, [prompts[i] for i in some], bos=bos, device=layout.device)
            steered = nullcontext() if vectors is None else steer_each(model, [vectors[i] for i in some])
            with steered, suppress(_Enough):
                model(input_ids=part.ids, attention_mask=part.mask, position_ids=part.positions)
            for site, rows in found.items():
                rows.append(_at(seen[site].float(), part.mask, token).cpu())
    back = torch.argsort(torch.tensor(order))
    activations = {site: torch.cat(rows)[back] for site, rows in found.items()}
    for site, read in activations.items():
        if not bool(read.isfinite().all()):
            raise SteeringError(f"the stream at {site} is not finite on these prompts; load the model in float32")
    return activations


class _Enough(Exception):  # noqa: N818 (nothing went wrong)
    """All that was wanted of a call has been seen."""


@contextmanager
def _ended_at(layout: ModelLayout, site: Site) -> Iterator[None]:
    """Calls end with `_Enough` at a site: what comes after it, the large unembedding above all, is not computed."""

    def end(_: torch.Tensor) -> None:
        raise _Enough

    hook = layout.attach(site, end)
    try:
        yield
    finally:
        hook.remove()


def _depth(site: Site) -> tuple[float, bool]:
    after_blocks = {"before_norm": (math.inf, False), "after_norm": (math.inf, True)}
    return after_blocks.get(site.place, (site.block or 0, site.place == "output"))


def _at(stream: torch.Tensor, mask: torch.Tensor, token: Token) -> torch.Tensor:
    mask = mask.to(stream.device)
    if token == "mean":  # noqa: S105
        weights = mask[..., None].float()
        return torch.where(weights > 0, stream, 0.0).sum(dim=1) / weights.sum(dim=1)
    index = token if token >= 0 else mask.sum(dim=1) + token
    return stream[torch.arange(len(stream), device=stream.device), mask.shape[1] - mask.sum(dim=1) + index]
