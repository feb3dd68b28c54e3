"""Read the residual stream of a model on prompts, through hooks at the same sites where vectors are injected."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn
from tqdm import tqdm

from geometry.errors import SteeringError
from geometry.steering.activation_cache import activations_file, keep_activations, kept_activations
from geometry.steering.architecture import Architecture, Change
from geometry.steering.injection import steer_each
from geometry.steering.prompts import encode
from geometry.steering.vector import Site, SteeringVector

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Token = int | Literal["mean"]


@contextmanager
def record_activations(model: nn.Module, sites: Sequence[Site | str]) -> Iterator[dict[Site, torch.Tensor]]:
    """Record the residual stream of the last call of the model in a `with` block, steering included.

    >>> import torch
    >>> from transformers import GPT2Config, GPT2LMHeadModel
    >>> model = GPT2LMHeadModel(GPT2Config(n_layer=2, n_embd=8, n_head=2, vocab_size=16, eos_token_id=0)).eval()
    >>> with record_activations(model, ["output.1"]) as activations:
    ...     logits = model(torch.tensor([[1, 2, 3]])).logits
    >>> activations[Site("output", 1)].shape
    torch.Size([1, 3, 8])

    Parameters:
        sites: such as "output.6", "before_norm" or "after_norm"; see `Site`.

    Yields
    ------
    dict
        Site → tensor of shape (prompts, tokens, d), in the model's own dtype and on its device.

    Raises SteeringError: no sites, one that the model lacks, or a relative one.
    """
    architecture = Architecture.of(model)
    recorded = _sites(sites)
    if not recorded or any(site.relative for site in recorded):
        raise SteeringError("name at least one site to read, and none that is relative")
    for site in recorded:
        architecture.check(site)
    activations: dict[Site, torch.Tensor] = {}
    hooks = [architecture.attach(site, _recorder(activations, site)) for site in recorded]
    try:
        yield activations
    finally:
        for hook in hooks:
            hook.remove()


def _sites(sites: Sequence[Site | str]) -> list[Site]:
    """Sites from their names; a single name is one site, not a sequence of letters."""
    return [Site.parse(site) for site in ([sites] if isinstance(sites, str | Site) else sites)]


def _recorder(activations: dict[Site, torch.Tensor], site: Site) -> Change:
    def record(residual: torch.Tensor) -> None:
        activations[site] = residual.detach()

    return record


def read_activations(
    model: nn.Module,
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[str],
    sites: Sequence[Site | str],
    *,
    token: Token = -1,
    bos: bool | None = None,
    vectors: Sequence[SteeringVector | None] | None = None,
    batch_size: int = 16,
    cache: bool | str | Path = False,
) -> dict[Site, torch.Tensor]:
    """The residual stream at one token of every prompt.

    Example::

        activations = geo.read_activations(model, tokenizer, ["The robin is a", "The oak is a"], ["output.20"])
        robin, oak = activations[geo.Site("output", 20)]

    Parameters:
        prompts: texts of any lengths; n of them.
        sites: such as "output.6", "before_norm" or "after_norm"; see `Site`.
        token: index among a prompt's own tokens (−1: the last), or "mean" over all of them.
        bos: see `encode`.
        vectors: one for each prompt to be steered by, at all tokens (see `steer_each`); default: none, beyond what is
            at work in the model.
        batch_size: prompts run at a time, padded on the left; no further than to the last of the sites.
        cache: keep what was read, and take what was read before, bit for bit, from a file: in that folder, or for True
            beside the fetched models. Other weights, tokens of the prompts, sites, token, batch size or device make
            another file; a damaged one is replaced. A steered model is always read anew.

    Returns dict: site → float32 tensor on the CPU, shape (n, d), in the order of `prompts`.

    Raises SteeringError: an empty prompt, a site that the model lacks, a prompt without that token, activations that
        are not finite.
    """
    if token != "mean" and (isinstance(token, bool) or not isinstance(token, int)):  # noqa: S105 (no password)
        raise SteeringError(f"a token is an index or 'mean', not {token!r}")
    if vectors is not None and len(vectors) != len(prompts):
        raise SteeringError(f"{len(vectors)} vectors for {len(prompts)} prompts; one is needed for each")
    if batch_size < 1:
        raise SteeringError(f"a batch holds at least one prompt, not {batch_size}")
    architecture, read = Architecture.of(model), _sites(sites)
    encoded = encode(tokenizer, prompts, bos=bos)
    lengths = encoded.attention_mask.sum(dim=1)
    if token != "mean" and not -int(lengths.min()) <= token < int(lengths.min()):  # noqa: S105
        shortest = prompts[int(lengths.argmin())]
        raise SteeringError(f"the prompt {shortest!r} has {int(lengths.min())} tokens, and so none at {token}")
    path = None
    # The hash cannot see what hooks do.
    if cache and vectors is None and not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules()):
        path = activations_file(None if cache is True else cache, model, encoded, read, token, batch_size)
        if (kept := kept_activations(path, read)) is not None:
            return kept
    # Neighbours of like length leave little padding.
    order = torch.argsort(lengths).tolist()
    batches: dict[Site, list[torch.Tensor]] = {site: [] for site in read}
    with torch.no_grad(), record_activations(model, read) as recorded, _ended_at(architecture, max(read, key=_depth)):
        for start in tqdm(range(0, len(order), batch_size), desc="reading activations", disable=None, leave=False):
            indices = order[start : start + batch_size]
            batch = encode(tokenizer, [prompts[index] for index in indices], bos=bos, device=architecture.device)
            steered = nullcontext() if vectors is None else steer_each(model, [vectors[index] for index in indices])
            with steered, suppress(_Enough):
                model(**batch.arguments)
            for site, rows in batches.items():
                rows.append(_at(recorded[site].float(), batch.attention_mask, token).cpu())
    inverse = torch.argsort(torch.tensor(order))
    activations = {site: torch.cat(rows)[inverse] for site, rows in batches.items()}
    for site, activation in activations.items():
        if not bool(activation.isfinite().all()):
            raise SteeringError(
                f"the residual stream at {site} is not finite on these prompts; load the model in float32"
            )
    if path is not None:
        keep_activations(path, activations)
    return activations


class _Enough(Exception):  # noqa: N818 (nothing went wrong)
    """All that was wanted of a call has been seen."""


@contextmanager
def _ended_at(architecture: Architecture, site: Site) -> Iterator[None]:
    """Calls end with `_Enough` at a site: what comes after it, the large unembedding above all, is not computed."""

    def end(_: torch.Tensor) -> None:
        raise _Enough

    hook = architecture.attach(site, end)
    try:
        yield
    finally:
        hook.remove()


def _depth(site: Site) -> tuple[float, bool]:
    after_blocks = {"before_norm": (math.inf, False), "after_norm": (math.inf, True)}
    return after_blocks.get(site.place, (site.block or 0, site.place == "output"))


def _at(residual: torch.Tensor, mask: torch.Tensor, token: Token) -> torch.Tensor:
    """The residual stream at one token of each prompt, shape (prompts, d)."""
    mask = mask.to(residual.device)
    if token == "mean":  # noqa: S105
        weights = mask[..., None].float()
        return torch.where(weights > 0, residual, 0.0).sum(dim=1) / weights.sum(dim=1)
    index = token if token >= 0 else mask.sum(dim=1) + token
    return residual[torch.arange(len(residual), device=residual.device), mask.shape[1] - mask.sum(dim=1) + index]
