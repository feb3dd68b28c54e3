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
from geometry.layers.key_values import keys_and_values, text_arguments
from geometry.layers.phrase_activations import PhraseActivations
from geometry.layers.phrase_tokens import phrase_tokens
from geometry.progress import progress_bar
from geometry.steering.activation_cache import activations_file, keep_activations, kept_activations
from geometry.steering.activations import sites_of, watched
from geometry.steering.architecture import Architecture, evaluating
from geometry.steering.hook_manager import HookManager
from geometry.steering.prompts import Tokenizer, padded
from geometry.steering.vector import Site, SiteLike

_PHRASES = 64  # that are run at a time
_CONTEXTS = 4  # of the packaged ones, unless others are asked for


@checked
def read_phrases(
    model: nn.Module,
    tokenizer: Tokenizer,
    phrases: Sequence[str],
    *,
    contexts: ContextsLike | None = None,
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
        contexts: c of them, by default four packaged ones: a packaged set, a file, templates with a gap, "I saw a {}",
            or a mapping of each phrase to texts that hold it; see `load_contexts`.
        sites: default the input of block 0 and the output of every block; also "attention.3" and "mlp.3", what these
            parts of a block put out.
        bos: see `geo.steering.encode`; default, what vectors at work need, or else as the tokenizer does.
        batch_size: phrases run at a time, of one length, so that nothing is padded.
        cache: keep what was read, and take it again bit for bit, as of `read_activations`; a file a context.
        progress: show a bar; default, in a terminal and in a notebook.

    Returns PhraseActivations: float32, on the CPU, shape (c, n, d) a site: 4 c n d bytes of memory each.
    Raises SteeringError: no phrases, one twice, one with spaces around it, one that is not in its context or shares a
        token with what stands beside it, a text longer than the model's window, a site that the model lacks,
        activations that are not finite.

    The tokens that all phrases of a context share at the beginning are run once, and their keys and values kept; of a
    model that keeps other states than these, or whose tokens attend to later ones, or with hooks of others, texts are
    run whole.
    """
    phrases, architecture = list(phrases), Architecture.of(model)
    if not phrases:
        raise SteeringError("there are no phrases to read")
    if twice := [phrase for phrase, others in groupby(sorted(phrases)) if len(list(others)) > 1]:
        raise SteeringError(f"the phrase {shown(twice[0])} stands twice among those to read")
    if wrong := [phrase for phrase in phrases if not phrase or phrase != phrase.strip()]:
        raise SteeringError(f"the phrase {shown(wrong[0])} is empty or has spaces around it; write it without")
    if batch_size < 1:
        raise SteeringError(f"a batch holds at least one phrase, not {batch_size}")
    found = load_contexts(count=_CONTEXTS) if contexts is None else load_contexts(contexts)
    blocks = range(len(architecture.blocks))
    read = sites_of(["input.0", *blocks] if sites is None else sites)
    for site in read:
        architecture.check(site)
    manager = HookManager.at_work(model)
    bos = bos if manager is None else manager.bos(bos)
    rows = [phrase_tokens(tokenizer, passages, bos=bos) for passages in found.passages(phrases)]
    if manager is not None:
        manager.check_begun(
            tokenizer.bos_token_id is not None and any(row[0] == tokenizer.bos_token_id for ids in rows for row in ids)
        )
    for label, ids in zip(found.labels, rows, strict=True):
        _check_window(architecture, label, ids)
    total = len(phrases) * len(rows)
    samples: dict[Site, list[torch.Tensor]] = {site: [] for site in read}
    shown_as: Any = {"total": total, "desc": "reading phrases", "unit": "phrase", "progress": progress}
    with progress_bar(**shown_as) as bar:
        for ids in rows:
            entry = None
            if cache:
                folder = None if cache is True else cache
                entry = activations_file(folder, model, padded(ids), read, "phrases", batch_size)
            kept = None if entry is None else kept_activations(entry, read, (len(phrases), architecture.width))
            if kept is None:
                kept = _read(architecture, ids, read, batch_size, bar)
                _check_finite(kept)
                if entry is not None:
                    keep_activations(entry, kept)
            else:
                bar.update(len(phrases))
            for site, values in kept.items():
                samples[site].append(values)
    config: Any = architecture.model.config
    source = str(getattr(config, "_name_or_path", ""))
    # Of a file it is the folder on this machine.
    name = source if source and not Path(source).exists() else type(architecture.model).__name__
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


def _read(
    architecture: Architecture, rows: Sequence[list[int]], sites: Sequence[Site], size: int, bar: Any
) -> dict[Site, torch.Tensor]:
    """Site → activations at the last token of every row, shape (n, d)."""
    result = {site: torch.empty(len(rows), architecture.width) for site in sites}
    with torch.no_grad(), evaluating(architecture.model):
        begun = torch.tensor([rows[0][: _shared(rows)]], dtype=torch.long, device=architecture.device)
        past = keys_and_values(architecture, begun) if begun.numel() else None
        start = 0 if past is None else begun.shape[1]
        with watched(architecture, sites) as seen:
            for batch in _batches(rows, size):
                ids = torch.tensor([rows[index][start:] for index in batch], device=architecture.device)
                more: dict[str, Any] = {}
                if past is not None:
                    own = copy.deepcopy(past)
                    own.batch_repeat_interleave(len(ids))
                    more = {"past_key_values": own, "use_cache": True}
                with suppress(seen.enough):
                    architecture.model(**architecture.accepted(text_arguments(ids, start)), **more)
                for site in sites:
                    result[site][batch] = seen[site][:, -1].float().cpu()
                bar.update(len(batch))
    return result


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
