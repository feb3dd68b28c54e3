"""Read the residual stream of a model on prompts, through hooks at the same sites where vectors are injected."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from geometry.arguments import checked
from geometry.errors import SteeringError
from geometry.progress import progress_bar
from geometry.steering.activation_cache import activations_file, keep_activations, kept_activations
from geometry.steering.activation_table import Activations
from geometry.steering.architecture import Architecture, evaluating
from geometry.steering.eraser import Eraser
from geometry.steering.hook_manager import HookManager
from geometry.steering.injection import steer_each
from geometry.steering.padding import heeds_padding
from geometry.steering.positions import Positions
from geometry.steering.prompts import Tokenizer, encode
from geometry.steering.residual_stream import Change, ResidualStream
from geometry.steering.vector import Site, SiteLike, SteeringVector, depth

Token = int | Literal["mean"]


@checked
@contextmanager
def record_activations(model: nn.Module, sites: Sequence[SiteLike]) -> Iterator[Activations]:
    """Record the residual stream of the last call of the model in a `with` block, steering included.

    >>> import torch
    >>> from transformers import GPT2Config, GPT2LMHeadModel
    >>> model = GPT2LMHeadModel(GPT2Config(n_layer=2, n_embd=8, n_head=2, vocab_size=16, eos_token_id=0)).eval()
    >>> with record_activations(model, ["output.1"]) as activations:
    ...     logits = model(torch.tensor([[1, 2, 3]])).logits
    >>> activations["output.1"].shape
    torch.Size([1, 3, 8])

    Sites are such as "output.6", "before_norm" or "after_norm"; see `Site`.

    Yields Activations: site → tensor of shape (prompts, tokens, d), in the model's own dtype and on its device.
    Raises SteeringError: no sites, one that the model lacks, or a relative one; when the model is called, a residual
        stream of another shape, or a site that a call passes more than once.
    """
    activations = Activations()
    recorded = sites_of(sites)
    with _attached(Architecture.of(model), {site: [partial(_record, activations, site)] for site in recorded}):
        yield activations


@contextmanager
def _attached(architecture: Architecture, watchers: Mapping[Site, Sequence[Change]]) -> Iterator[None]:
    stream = ResidualStream(architecture)
    with ExitStack() as hooks:
        hooks.enter_context(stream.watched(norm=any(site.block is None for site in watchers)))
        for site, changes in watchers.items():
            for change in changes:
                hooks.enter_context(stream.attach(site, change))
        yield


def sites_of(sites: Sequence[SiteLike]) -> list[Site]:
    """Sites to read from their names; a single name is one site. SteeringError for none, and for relative ones."""
    read = [Site.parse(site) for site in ([sites] if isinstance(sites, str | int | Site) else sites)]
    if not read or any(site.relative for site in read):
        raise SteeringError("name at least one site to read, and none that is relative")
    return read


def _record(activations: dict[Site, torch.Tensor], site: Site, residual: torch.Tensor) -> None:
    activations[site] = residual.detach()


@checked
def read_activations(
    model: nn.Module,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    sites: Sequence[SiteLike],
    *,
    token: Token = -1,
    bos: bool | None = None,
    vectors: Sequence[SteeringVector | Eraser | None] | None = None,
    positions: Positions | None = None,
    batch_size: int = 16,
    cache: bool | str | Path = False,
) -> Activations:
    """The residual stream at one token of every prompt, without dropout.

    Example::

        activations = geo.read_activations(model, tokenizer, ["The robin is a", "The oak is a"], ["output.20"])
        robin, oak = activations["output.20"]

    Parameters:
        prompts: texts of any lengths; n of them.
        sites: such as "output.6", "before_norm" or "after_norm"; see `Site`.
        token: index among a prompt's own tokens (−1: the last), or "mean" over all of them.
        bos: see `encode`; default, what the vectors need, or else as the tokenizer does.
        vectors: one for each prompt to be steered by (see `steer_each`); default: none, beyond what is at work in the
            model.
        positions: of the vectors, as names or indices; see `steer`.
        batch_size: prompts run at a time, padded on the left, or of one length if the model does not heed padding; no
            further than to the last of the sites.
        cache: keep what was read, and take what was read before, bit for bit, from a file: in that folder, or for True
            beside the fetched models. Other weights, tokens of the prompts, sites, token, batch size or device make
            another file; a damaged one is replaced. A steered model is always read anew, and so is one that is
            offloaded, sharded or quantised, whose weights cannot all be seen.

    Returns Activations: site → float32 tensor on the CPU, shape (n, d), in the order of `prompts`.
    Raises SteeringError: an empty prompt, a site that the model lacks, a prompt without that token, activations that
        are not finite.
    """
    prompts = list(prompts)
    if token != "mean" and (isinstance(token, bool) or not isinstance(token, int)):  # noqa: S105 (no password)
        raise SteeringError(f"a token is an index or 'mean', not {token!r}")
    if vectors is not None and len(vectors) != len(prompts):
        raise SteeringError(f"{len(vectors)} vectors for {len(prompts)} prompts; one is needed for each")
    if batch_size < 1:
        raise SteeringError(f"a batch holds at least one prompt, not {batch_size}")
    architecture, read = Architecture.of(model), sites_of(sites)
    manager = HookManager.at_work(model)
    bos = bos if manager is None else manager.bos(bos)
    for needed in {vector.bos for vector in vectors or () if vector is not None and vector.bos is not None}:
        if bos not in (None, needed):
            raise SteeringError("vectors whose rows count from a beginning-of-text token and others cannot be mixed")
        bos = needed
    encoded = encode(tokenizer, prompts, bos=bos)
    if manager is not None:
        manager.check_begun(encoded.brings(tokenizer.bos_token_id))
    architecture.check_tokens(encoded.input_ids)
    lengths = encoded.attention_mask.sum(dim=1)
    if token != "mean" and not -int(lengths.min()) <= token < int(lengths.min()):  # noqa: S105
        shortest = prompts[int(lengths.argmin())]
        raise SteeringError(f"the prompt {shortest!r} has {int(lengths.min())} tokens, and so none at {token}")
    path = None
    if cache and vectors is None:
        path = activations_file(None if cache is True else cache, model, encoded, read, token, batch_size)
        if path is not None and (kept := kept_activations(path, read, (len(prompts), architecture.width))) is not None:
            return Activations(kept)
    chunks = _chunks(architecture, lengths.tolist(), batch_size)
    order = [index for chunk in chunks for index in chunk]
    batches: dict[Site, list[torch.Tensor]] = {site: [] for site in read}
    with torch.no_grad(), evaluating(architecture.model), watched(architecture, read) as recorded:
        for indices in progress_bar(chunks, "reading activations"):
            batch = encode(tokenizer, [prompts[index] for index in indices], bos=bos, device=architecture.device)
            chosen = [vectors[index] for index in indices] if vectors is not None else None
            steered = nullcontext() if chosen is None else steer_each(model, chosen, positions=positions)
            with steered, suppress(recorded.enough):
                architecture.model(**architecture.accepted(batch.arguments))
            for site, rows in batches.items():
                rows.append(_at(recorded[site].float(), batch.attention_mask, token).cpu())
    places = torch.argsort(torch.tensor(order))
    activations = Activations((site, torch.cat(rows)[places]) for site, rows in batches.items())
    if broken := [site for site, rows in activations.items() if not bool(rows.isfinite().all())]:
        raise SteeringError(
            f"the residual stream at {broken[0]} is not finite on these prompts; load the model in float32"
        )
    if path is not None:
        keep_activations(path, activations)
    return activations


def _chunks(architecture: Architecture, lengths: list[int], size: int) -> list[list[int]]:
    """Indices of the prompts of each batch. Neighbours of like length leave little padding."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    chunks = [order[start : start + size] for start in range(0, len(order), size)]
    if all(lengths[chunk[0]] == lengths[chunk[-1]] for chunk in chunks):
        return chunks
    if heeds_padding(architecture):
        return chunks
    return [list(alike) for chunk in chunks for _, alike in groupby(chunk, key=lengths.__getitem__)]


class _Enough(Exception):  # noqa: N818 (nothing went wrong)
    """All that was wanted of a call has been seen."""


class Watched(dict[Site, torch.Tensor]):
    """What the last call put at each site, in the model's own dtype; `enough` is raised after the last one."""

    enough = _Enough


@contextmanager
def watched(architecture: Architecture, sites: Sequence[Site]) -> Iterator[Watched]:
    """Watch sites of calls that end after the last of them: what comes later, a large head above all, is left out."""
    seen = Watched()
    watchers: dict[Site, list[Change]] = {site: [partial(_record, seen, site)] for site in sites}
    watchers.get(max(sites, key=depth, default=Site("after_norm")), []).append(_end)
    with _attached(architecture, watchers):
        yield seen


def _end(_: torch.Tensor) -> None:
    raise _Enough


def _at(residual: torch.Tensor, mask: torch.Tensor, token: Token) -> torch.Tensor:
    """The residual stream at one token of each prompt, shape (prompts, d)."""
    mask = mask.to(residual.device)
    if token == "mean":  # noqa: S105
        weights = mask[..., None].float()
        return torch.where(weights > 0, residual, 0.0).sum(dim=1) / weights.sum(dim=1)
    index = token if token >= 0 else mask.sum(dim=1) + token
    return residual[torch.arange(len(residual), device=residual.device), mask.shape[1] - mask.sum(dim=1) + index]
