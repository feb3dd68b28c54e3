"""Read the residual stream at every token of many texts, in parts that are kept: an interrupt loses the last one."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, groupby, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from geometry.arguments import checked
from geometry.cache import Entry, Key
from geometry.display import short_repr
from geometry.errors import SteeringError, shown
from geometry.models import cache_folder
from geometry.progress import progress_bar
from geometry.steering.activation_cache import activations_file, keep_activations, kept_activations
from geometry.steering.activations import sites_of, watched
from geometry.steering.architecture import Architecture, evaluating
from geometry.steering.hook_manager import HookManager
from geometry.steering.prompts import Batch, Tokenizer, beginning, padded
from geometry.steering.vector import Site, SiteLike

MASSIVE = 5.0  # × the median norm
PART = 16_384  # tokens that are read and kept together
_AT_ONCE = 2048  # tokens of one call
_TOKENISED = 2048  # texts
NOBODY = Batch(*(torch.zeros(0, 0, dtype=torch.long),) * 3)  # for the hash of the model and the site alone


@dataclass(frozen=True, eq=False)
class TokenActivations:
    """The residual stream at n tokens of texts.

    Attributes:
        rows: float32 on the CPU, shape (n, d), text by text.
        tokens: id of each, shape (n,).
        texts: number of the text that each is from, ascending, shape (n,).
        site: where.
        largest: the norm beyond which tokens were left out, infinite if none was to be.
        n_massive: how many were.
        n_texts: how many of the given texts were used or passed over, so that `texts[n_texts:]` are new ones.
    """

    rows: torch.Tensor
    tokens: NDArray[np.int64]
    texts: NDArray[np.int64]
    site: Site
    largest: float
    n_massive: int
    n_texts: int

    __repr__ = short_repr


@dataclass(frozen=True)
class TokenRows:
    """The ids that a model is given of some texts, and which of their tokens count.

    Attributes:
        ids: of each text, from its beginning-of-text token if there is one.
        numbers: of these texts among those given.
        skipped: how many tokens at the beginning of each are run and not kept.
        n_texts: as of `TokenActivations`.
    """

    ids: tuple[tuple[int, ...], ...]
    numbers: tuple[int, ...]
    skipped: tuple[int, ...]
    n_texts: int

    @property
    def counts(self) -> list[int]:
        """How many tokens of each text are kept."""
        return [len(ids) - skipped for ids, skipped in zip(self.ids, self.skipped, strict=True)]


@checked
def read_tokens(
    model: nn.Module,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    site: SiteLike,
    *,
    n_tokens: int | None = None,
    longest: int = 128,
    massive: float | None = MASSIVE,
    bos: bool | None = None,
    cache: bool | str | Path = False,
    progress: bool | None = None,
) -> TokenActivations:
    """The residual stream at every token of texts but the first of each, what a dictionary is trained on.

    Example::

        read = read_tokens(model, tokenizer, geo.concepts.load_glosses(seed=0), "output.15", n_tokens=20_000)
        read.rows.shape, tokenizer.decode(read.tokens[:5])

    The first token of a text, mostly the beginning-of-text token, draws the attention of all others and lies far from
    all other rows: it is left out, as whatever the tokenizer puts before a text. So are the few others of that kind, a
    hundred times as long as all the rest, whose means and variances would hide those of these. Nothing is padded, as
    texts of one length are run together, no further than to the site.

    Parameters:
        texts: as many as are needed are used, in their order.
        site: such as "output.15".
        n_tokens: how many to read; default, all. Of the last text the rest is left out.
        longest: tokens of a text, at most the model's window, from which on the rest is left out.
        massive: tokens whose norm is more than so many times the median are left out of what was read; None: none is.
        bos: see `geo.steering.encode`; default, what vectors at work need, or else as the tokenizer does.
        cache: keep what was read and take it again bit for bit, as of `read_activations`; 16,384 tokens a file, so that
            an interrupt loses no more than these.
        progress: show a bar; default, in a terminal and in a notebook.

    Returns TokenActivations: 4 n d bytes.
    Raises SteeringError: no text of two tokens, a text that is none, fewer tokens than asked for, a site that the model
        lacks, activations that are not finite.
    Source: Sun et al., arXiv 2402.17762, for massive activations.
    """
    if massive is not None and not massive > 1:
        raise SteeringError(f"massive: tokens are left out beyond a multiple of the median norm above 1, not {massive}")
    architecture, (place,) = Architecture.of(model), sites_of([site])
    architecture.check(place)
    rows = token_rows(model, tokenizer, texts, n_tokens=n_tokens, longest=longest, bos=bos)
    base = activations_file(None if cache is True else str(cache), model, NOBODY, [place], "tokens") if cache else None
    counts = rows.counts
    read = torch.empty(sum(counts), architecture.width)
    shown_as: Any = {"total": len(read), "desc": "reading tokens", "unit": "token", "progress": progress}
    begin = 0
    with torch.no_grad(), evaluating(architecture.model), progress_bar(**shown_as) as bar:
        for some in _parts(counts):
            ids, skipped = rows.ids[some], rows.skipped[some]
            part = read[begin : begin + sum(counts[some])]
            entry = None if base is None else _entry(base, None if cache is True else str(cache), ids, skipped)
            kept = None if entry is None else kept_activations(entry, [place], (len(part), architecture.width))
            if kept is not None:
                part[:] = kept[place]
                bar.update(len(part))
            else:
                _read(architecture, place, ids, skipped, part, bar)
                if entry is not None:
                    keep_activations(entry, {place: part})
            begin += len(part)
    tokens = np.array([token for ids, skip in zip(rows.ids, rows.skipped, strict=True) for token in ids[skip:]])
    numbers = np.repeat(rows.numbers, counts)
    norms = torch.linalg.vector_norm(read, dim=1)
    largest = float("inf") if massive is None else massive * float(norms.median())
    if n_massive := int((norms > largest).sum()):
        usual = norms <= largest
        read, tokens, numbers = _compacted(read, usual), tokens[usual.numpy()], numbers[usual.numpy()]
    return TokenActivations(read, tokens, numbers, place, largest, n_massive, rows.n_texts)


def token_rows(
    model: nn.Module,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    n_tokens: int | None = None,
    longest: int = 128,
    bos: bool | None = None,
) -> TokenRows:
    """What `read_tokens` gives the model, with its errors."""
    architecture = Architecture.of(model)
    if isinstance(texts, str) or longest < 2 or (n_tokens is not None and n_tokens < 1):
        raise SteeringError("texts are a list of texts, longest is at least 2, n_tokens at least 1")
    config: Any = architecture.model.config
    window = getattr(config.get_text_config(), "max_position_embeddings", None)
    longest = min(longest, window) if isinstance(window, int) else longest
    manager = HookManager.at_work(model)
    bos = bos if manager is None else manager.bos(bos)
    special = set(tokenizer.all_special_ids)
    begun: dict[tuple[int, ...], tuple[int, ...]] = {}
    kept: list[tuple[int, ...]] = []
    numbers: list[int] = []
    skips: list[int] = []
    total, number = 0, 0
    for number, (text, own) in enumerate(_tokenised(tokenizer, texts), start=1):
        # A text may hold itself what the tokenizer would put before it.
        its = tuple(takewhile(special.__contains__, own))
        if its not in begun:
            begun[its] = tuple(beginning(tokenizer, text, bos))
        row = (*begun[its], *own)[:longest]
        skip = max(1, len(begun[its]))
        if len(row) > skip:
            row = row if n_tokens is None else row[: skip + n_tokens - total]
            kept.append(row)
            numbers.append(number - 1)
            skips.append(skip)
            total += len(row) - skip
        if total == n_tokens:
            break
    if not kept:
        raise SteeringError("no text has two tokens; the first of each is not read")
    if n_tokens is not None and total < n_tokens:
        raise SteeringError(
            f"the {len(texts):,} texts have {total:,} tokens after the first of each, and {n_tokens:,} are asked for;"
            " give more texts or ask for fewer"
        )
    if manager is not None:
        manager.check_begun(
            tokenizer.bos_token_id is not None and any(row[0] == tokenizer.bos_token_id for row in kept)
        )
    architecture.check_tokens(torch.tensor([max(kept, key=len)]))
    architecture.check_tokens(torch.tensor([[max(map(max, kept))]]))
    return TokenRows(tuple(kept), tuple(numbers), tuple(skips), number)


def _tokenised(tokenizer: Tokenizer, texts: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
    for start in range(0, len(texts), _TOKENISED):
        some = list(texts[start : start + _TOKENISED])
        if wrong := [text for text in some if not isinstance(text, str)]:
            raise SteeringError(f"a text is a string, not {shown(wrong[0])}")
        yield from zip(some, tokenizer(some, add_special_tokens=False)["input_ids"], strict=True)


def _parts(counts: Sequence[int]) -> Iterator[slice]:
    """Neighbouring texts of as many tokens as are kept together."""
    ends = accumulate(counts)
    start = 0
    for _, same in groupby((end - 1) // PART for end in ends):
        count = len(list(same))
        yield slice(start, start + count)
        start += count


def _compacted(rows: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The wanted rows, moved to the front where they are, as a copy would take as much memory again."""
    count = 0
    for start in range(0, len(rows), PART):
        part = rows[start : start + PART][wanted[start : start + PART]]
        rows[count : count + len(part)] = part
        count += len(part)
    return rows[:count]


def _entry(base: Entry, folder: str | None, ids: Sequence[tuple[int, ...]], skipped: Sequence[int]) -> Entry:
    """The file of a part; all but its tokens is in the name of `base`."""
    key = Key("activations")
    key.add(base.path.name, list(ids), list(skipped), _AT_ONCE)
    return Entry.within(cache_folder(), key) if folder is None else Entry.beside(Path(folder), key)


def _read(
    architecture: Architecture, site: Site, rows: Sequence[tuple[int, ...]], skipped: Sequence[int], into: Any, bar: Any
) -> None:
    """Fill `into`, shape (n, d), with what is kept of the texts."""
    starts = [0, *accumulate(len(row) - skip for row, skip in zip(rows, skipped, strict=True))]
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    with watched(architecture, [site]) as seen:
        for length, same in groupby(order, key=lambda index: len(rows[index])):
            alike, size = list(same), max(1, _AT_ONCE // length)
            for batch in (alike[start : start + size] for start in range(0, len(alike), size)):
                given = padded([rows[index] for index in batch], architecture.device)
                with suppress(seen.enough):
                    architecture.model(**architecture.accepted(given.arguments))
                values = seen[site].float().cpu()
                if not bool(values.isfinite().all()):
                    raise SteeringError(f"the residual stream at {site} is not finite on these texts; use float32")
                for index, own in zip(batch, values, strict=True):
                    into[starts[index] : starts[index + 1]] = own[skipped[index] :]
                bar.update(sum(starts[index + 1] - starts[index] for index in batch))
