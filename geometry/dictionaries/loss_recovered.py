"""What a model loses when the residual stream at one site is replaced by what a dictionary gives back of it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from geometry.arguments import checked
from geometry.dictionaries.token_activations import token_rows
from geometry.display import html_table, short_repr
from geometry.errors import SteeringError
from geometry.intervals import bootstrap_means, central
from geometry.progress import progress_bar
from geometry.steering.architecture import Architecture, evaluating
from geometry.steering.hook_manager import HookManager
from geometry.steering.measure import kl_divergence
from geometry.steering.prompts import Tokenizer, padded
from geometry.steering.residual_stream import ResidualStream
from geometry.steering.vector import Site, SiteLike

Array = NDArray[np.float64]
Replacement = Callable[[torch.Tensor], torch.Tensor]
_AT_ONCE = 512  # tokens of one call, each with a whole next-token law
UNSTEERED = "unsteered"


@dataclass(frozen=True, eq=False)
class ReplacementLosses:
    """Sums over the predicted tokens of each of t texts.

    Attributes:
        tokens: how many are predicted, shape (t,).
        losses: name → −log p in nats, shape (t,); "unsteered" among them.
        kl: name → KL(replaced ‖ unsteered) in nats, shape (t,).
    """

    tokens: Array
    losses: Mapping[str, Array]
    kl: Mapping[str, Array]

    __repr__ = short_repr

    def loss(self, name: str) -> tuple[float, tuple[float, float]]:
        """Nats a token, with the 95% interval over texts."""
        return self._ratio(self.losses[name], self.tokens)

    def divergence(self, name: str) -> tuple[float, tuple[float, float]]:
        """KL(replaced ‖ unsteered) a token, with its interval."""
        return self._ratio(self.kl[name], self.tokens)

    def recovered(self, name: str, ablated: str) -> tuple[float, tuple[float, float]]:
        """(ablated loss − loss)/(ablated loss − unsteered loss), with its interval: 1 is no harm, 0 as if ablated."""
        worst = self.losses[ablated]
        return self._ratio(worst - self.losses[name], worst - self.losses[UNSTEERED])

    def _ratio(self, top: Array, bottom: Array) -> tuple[float, tuple[float, float]]:
        means = bootstrap_means(top[None, :]) / bootstrap_means(bottom[None, :])
        return float(top.sum() / bottom.sum()), central(means)

    def _repr_html_(self) -> str:
        rows = [(name, self.loss(name)[0], self.divergence(name)[0]) for name in self.kl]
        said = f"unsteered {self.loss(UNSTEERED)[0]:.3f} nats a token, {len(self.tokens)} texts"
        return html_table(("replaced by", "loss", "KL"), rows, said)


@checked
def replacement_losses(
    model: nn.Module,
    tokenizer: Tokenizer,
    site: SiteLike,
    texts: Sequence[str],
    replacements: Mapping[str, Replacement],
    *,
    n_tokens: int | None = None,
    longest: int = 128,
    largest: float = np.inf,
    progress: bool | None = None,
) -> ReplacementLosses:
    """The model's loss on texts with its residual stream at a site as it is, and as each replacement makes it.

    Example::

        losses = replacement_losses(
            model, tokenizer, "output.15", held_out_texts,
            {"dictionary": dictionary.reconstruct, "mean": lambda rows: mean.expand_as(rows)},
        )
        losses.recovered("dictionary", ablated="mean")

    The first token of a text and massive ones, at which dictionaries are not trained, stay as they are, as in
    `read_tokens`; what is predicted after the first does not count.

    Parameters:
        replacements: name → what makes rows (n, d), float32 on the CPU, of rows (n, d).
        n_tokens, longest: as of `read_tokens`.
        largest: the norm beyond which a token's row stays as it is, such as `TokenActivations.largest`.

    Raises SteeringError: what `read_tokens` refuses, texts of too few tokens for anything to be predicted, rows of
        another shape, a vector at work in the model.
    Source: the measure is that of Bricken et al. 2023 and Rajamanoharan et al. (arXiv 2404.16014), there beside zero.
    """
    architecture, place = Architecture.of(model), Site.parse(site)
    architecture.check(place)
    if HookManager.at_work(model):
        raise SteeringError("measure before steering: what the replaced stream is compared with is to be unsteered")
    if UNSTEERED in replacements or not replacements:
        raise SteeringError(f"name what replaces the residual stream, and nothing {UNSTEERED!r}")
    rows = token_rows(model, tokenizer, texts, n_tokens=n_tokens, longest=longest)
    # Of a text whose last token alone is kept nothing is predicted.
    usable = [index for index, count in enumerate(rows.counts) if count > 1]
    if not usable:
        raise SteeringError("no text has three tokens: after the first, one to read and one to predict")
    tokens = np.array([rows.counts[index] - 1 for index in usable], dtype=np.float64)
    losses = {name: np.zeros(len(usable)) for name in (UNSTEERED, *replacements)}
    kl = {name: np.zeros(len(usable)) for name in replacements}

    def shape(index: int) -> tuple[int, int]:
        return len(rows.ids[usable[index]]), rows.skipped[usable[index]]

    order = sorted(range(len(usable)), key=shape)
    bar: Any = progress_bar(None, "replacing activations", progress=progress, total=int(tokens.sum()))
    with torch.no_grad(), evaluating(architecture.model), bar:
        for (length, skip), same in groupby(order, key=shape):
            alike, size = list(same), max(1, _AT_ONCE // length)
            for batch in (alike[start : start + size] for start in range(0, len(alike), size)):
                ids = torch.tensor([rows.ids[usable[index]] for index in batch])
                before = _laws(architecture, place, ids, skip, None, largest)
                targets = ids[:, skip + 1 :].reshape(-1, 1)
                for name, replacement in ((UNSTEERED, None), *replacements.items()):
                    law = before if replacement is None else _laws(architecture, place, ids, skip, replacement, largest)
                    own = -law.gather(1, targets).double().view(len(batch), -1).sum(dim=1)
                    losses[name][batch] = own.numpy()
                    if replacement is not None:
                        kl[name][batch] = kl_divergence(law, before).reshape(len(batch), -1).sum(axis=1)
                bar.update(len(targets))
    return ReplacementLosses(tokens, losses, kl)


def _laws(
    architecture: Architecture,
    site: Site,
    ids: torch.Tensor,
    skip: int,
    replacement: Replacement | None,
    largest: float,
) -> torch.Tensor:
    """log p after every token from number `skip` on but the last, of texts of one length, shape (texts × places, V)."""

    def change(residual: torch.Tensor) -> torch.Tensor:
        assert replacement is not None  # noqa: S101 (for the type checker)
        rows = residual[:, skip:].reshape(-1, residual.shape[-1]).float().cpu()
        made = replacement(rows)
        if made.shape != rows.shape:
            raise SteeringError(f"a replacement makes rows of shape {tuple(rows.shape)}, not {tuple(made.shape)}")
        made = torch.where(torch.linalg.vector_norm(rows, dim=1, keepdim=True) > largest, rows, made)
        changed = residual.clone()
        changed[:, skip:] = made.to(residual).view(len(residual), -1, residual.shape[-1])
        return changed

    given = padded(ids.tolist(), architecture.device)
    stream = ResidualStream(architecture)
    with ExitStack() as hooks:
        hooks.enter_context(stream.watched(norm=site.block is None))
        if replacement is not None:
            hooks.enter_context(stream.attach(site, change))
        logits = architecture.model(**architecture.accepted(given.arguments)).logits
    return logits[:, skip:-1].float().cpu().log_softmax(dim=-1).flatten(0, 1)
