"""Read phrases in contexts, at their last token, after every block: the context's keys and values computed once.

Owns the calls of the model; which tokens it is given is the business of phrase_tokens.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import nn

from geometry.arguments import checked
from geometry.display import in_short
from geometry.errors import SteeringError, shown
from geometry.layers.contexts import ContextsLike, load_contexts
from geometry.layers.phrase_activations import PhraseActivations
from geometry.layers.phrase_tokens import phrase_tokens
from geometry.progress import progress_bar
from geometry.steering.activation_cache import activations_file, keep_activations, kept_activations
from geometry.steering.activations import Watched, sites_of, watched
from geometry.steering.architecture import Architecture, evaluating
from geometry.steering.prompts import Batch, Tokenizer
from geometry.steering.vector import Site, SiteLike

_PHRASES = 64  # that are run at a time


@checked
def read_phrases(
    model: nn.Module,
    tokenizer: Tokenizer,
    phrases: Sequence[str],
    *,
    contexts: ContextsLike = "neutral",
    sites: Sequence[SiteLike] | None = None,
    bos: bool | None = None,
    batch_size: int = _PHRASES,
    cache: bool | str | Path = False,
    progress: bool | None = None,
) -> PhraseActivations:
    """The residual stream at the last token of phrases of any number of tokens, in every context.

    >>> import geometry as geo
    >>> model, tokenizer = geo.load_model("stories15m")
    >>> activations = read_phrases(model, tokenizer, ["polar bear", "ice cream"], contexts=["I saw a {}"])
    >>> activations["output.3"].shape, len(activations.sites)
    (torch.Size([1, 2, 288]), 7)

    Parameters:
        phrases: n different words and phrases, as they are to be written.
        contexts: c of them: a packaged set, a file, templates with a gap, "I saw a {}", or a mapping of each phrase to
            texts that hold it; see `load_contexts`.
        sites: default the input of block 0 and the output of every block; also "attention.3" and "mlp.3", what these
            parts of a block put out.
        bos: see `geo.steering.encode`.
        batch_size: phrases run at a time, of one length, so that nothing is padded.
        cache: keep what was read, and take it again bit for bit, as of `read_activations`; a file a context.
        progress: show a bar; default, in a terminal and in a notebook.

    Returns PhraseActivations: float32, on the CPU, shape (c, n, d) a site: 4 c n d bytes of memory each.
    Raises SteeringError: no phrases, one twice, one that is not in its context or shares a token with what stands
        beside it, a text longer than the model's window, a site that the model lacks, activations that are not finite.

    The tokens that all phrases of a context share at the beginning are run once, and their keys and values kept; of a
    model without such a cache, or with hooks of others, texts are run whole.
    """
    phrases, architecture = list(phrases), Architecture.of(model)
    if not phrases:
        raise SteeringError("there are no phrases to read")
    if twice := [phrase for phrase, others in groupby(sorted(phrases)) if len(list(others)) > 1]:
        raise SteeringError(f"the phrase {shown(twice[0])} stands twice among those to read")
    if batch_size < 1:
        raise SteeringError(f"a batch holds at least one phrase, not {batch_size}")
    found = load_contexts(contexts)
    blocks = range(len(architecture.blocks))
    read = sites_of(["input.0", *blocks] if sites is None else sites)
    for site in read:
        architecture.check(site)
    rows = [phrase_tokens(tokenizer, passages, bos=bos) for passages in found.passages(phrases)]
    for label, ids in zip(found.labels, rows, strict=True):
        _check_window(architecture, label, ids)
    hooked = any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    total = len(phrases) * len(rows)
    samples: dict[Site, list[torch.Tensor]] = {site: [] for site in read}
    shown_as: Any = {"total": total, "desc": "reading phrases", "unit": "phrase", "progress": progress}
    with progress_bar(**shown_as) as bar:
        for ids in rows:
            entry = None
            if cache and not hooked:
                folder = None if cache is True else cache
                entry = activations_file(folder, model, _padded(ids), read, "phrases", batch_size)
            kept = None if entry is None else kept_activations(entry, read, (len(phrases), architecture.width))
            if kept is None:
                kept = _read(architecture, ids, read, batch_size, bar, apart=hooked or not architecture.caches)
                _check_finite(kept)
                if entry is not None:
                    keep_activations(entry, kept)
            else:
                bar.update(len(phrases))
            for site, values in kept.items():
                samples[site].append(values)
    name = str(getattr(getattr(architecture.model, "config", None), "_name_or_path", "") or type(model).__name__)
    stacked = {}
    for site in list(samples):  # one site after the other, so that memory is not twice that of the result
        stacked[site] = torch.stack(samples.pop(site))
    return PhraseActivations(tuple(phrases), found.labels, stacked, in_short(name, 80), architecture.family)


def _check_window(architecture: Architecture, label: str, rows: Sequence[Sequence[int]]) -> None:
    longest = max(rows, key=len)
    config: Any = architecture.model.config
    window = getattr(config.get_text_config(), "max_position_embeddings", None)
    if isinstance(window, int) and len(longest) > window:
        kind = type(architecture.model).__name__
        raise SteeringError(
            f"context {shown(label)}: a text of {len(longest)} tokens, and {kind} has a window of {window}; shorten it"
        )
    architecture.check_tokens(torch.tensor([longest]))
    architecture.check_tokens(torch.tensor([[max(token for row in rows for token in row)]]))


def _check_finite(read: dict[Site, torch.Tensor]) -> None:
    if broken := [site for site, values in read.items() if not bool(values.isfinite().all())]:
        raise SteeringError(f"the residual stream at {broken[0]} is not finite on these phrases; use float32")


def _padded(rows: Sequence[Sequence[int]]) -> Batch:
    """As one batch, whose hash is that of all texts."""
    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return Batch(ids, mask, (mask.cumsum(dim=1) - 1).clamp(min=0))


def _read(
    architecture: Architecture, rows: Sequence[list[int]], sites: Sequence[Site], size: int, bar: Any, *, apart: bool
) -> dict[Site, torch.Tensor]:
    """Site → activations at the last token of every row, shape (n, d)."""
    shared = 0 if apart else _shared(rows)
    result = {site: torch.empty(len(rows), architecture.width) for site in sites}
    with torch.no_grad(), evaluating(architecture.model):
        past = _past(architecture, rows[0][:shared]) if shared else None
        with watched(architecture, sites) as seen:
            for batch in _batches(rows, size):
                ids = torch.tensor([rows[index][shared:] for index in batch], device=architecture.device)
                _run(architecture, ids, past, seen)
                for site in sites:
                    result[site][batch] = seen[site][:, -1].float().cpu()
                bar.update(len(batch))
    return result


def _run(architecture: Architecture, ids: torch.Tensor, past: Any, seen: Watched) -> None:
    """One call, ended after the last site."""
    start = 0 if past is None else past.get_seq_length()
    positions = torch.arange(start, start + ids.shape[1], device=ids.device).expand(len(ids), -1)
    mask = torch.ones(len(ids), start + ids.shape[1], dtype=torch.long, device=ids.device)
    arguments = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
    more: dict[str, Any] = {}
    if past is not None:
        own = copy.deepcopy(past)
        own.batch_repeat_interleave(len(ids))
        more = {"past_key_values": own, "use_cache": True}
    with suppress(seen.enough):
        architecture.model(**architecture.accepted(arguments), **more)


def _past(architecture: Architecture, ids: Sequence[int]) -> Any:
    """Keys and values of the tokens that all texts begin with; None where the model keeps them in another way."""
    arguments = {"input_ids": torch.tensor([ids], device=architecture.device)}
    past = architecture.model(**arguments, use_cache=True).past_key_values
    return past if hasattr(past, "batch_repeat_interleave") else None


def _shared(rows: Sequence[list[int]]) -> int:
    """How many tokens all rows begin with; each has at least one more."""
    first, last = min(rows), max(rows)
    most = min(map(len, rows)) - 1
    return next((place for place in range(most) if first[place] != last[place]), most)


def _batches(rows: Sequence[list[int]], size: int) -> Iterator[list[int]]:
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    for _, same in groupby(order, key=lambda index: len(rows[index])):
        indices = list(same)
        yield from (indices[start : start + size] for start in range(0, len(indices), size))
