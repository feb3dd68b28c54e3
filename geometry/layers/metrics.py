"""Metrics of a layer: what one measured there makes of a difference of two activations."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from geometry.arguments import checked
from geometry.display import listed, short_repr
from geometry.errors import SteeringError
from geometry.progress import progress_bar
from geometry.steering.activation_cache import activations_file, keep_activations, kept_activations
from geometry.steering.activation_table import Activations
from geometry.steering.activations import sites_of, watched
from geometry.steering.architecture import Architecture, evaluating
from geometry.steering.prompts import Tokenizer, encode, load_prompts, padded
from geometry.steering.vector import Site, SiteLike

_FIRST = 4  # tokens that are passed over: the first have residual norms of their own, and no context
_MOST = 4096
_NEUTRAL = "encyclopedia"


@dataclass(frozen=True, eq=False)
class Metric:
    """An inner product uᵀMv of differences of activations at a site.

    Attributes:
        name: what figures call it.
        matrix: M, float64, shape (d, d), symmetric and positive semi-definite.
        site: where it was measured.
        note: how.
    """

    name: str
    matrix: torch.Tensor
    site: Site
    note: str = ""

    __repr__ = short_repr

    def check(self, site: Site, width: int) -> None:
        """SteeringError for another site or width."""
        if site != self.site or self.matrix.shape != (width, width):
            raise SteeringError(
                f"the metric {self.name!r} was measured at {self.site}, of width {len(self.matrix)}, and not at {site},"
                f" of width {width}"
            )


@dataclass(frozen=True, eq=False)
class NeutralText:
    """Activations at the tokens of neutral text: how a layer varies when nothing in particular is said.

    Attributes:
        activations: site → float32 tensor, shape (tokens, d).
    """

    activations: Activations

    __repr__ = short_repr

    @classmethod
    @checked
    def read(
        cls,
        model: nn.Module,
        tokenizer: Tokenizer,
        *,
        sites: Sequence[SiteLike],
        texts: Sequence[str] | None = None,
        most_tokens: int = _MOST,
        cache: bool | str | Path = False,
        progress: bool | None = None,
    ) -> "NeutralText":
        """Read at most so many tokens, the first four of each text left out.

        Example::

            neutral = NeutralText.read(model, tokenizer, sites=["output.3", "output.12"])
            neutral.covariance("output.12")

        Parameters:
            texts: default, the packaged passages in the style of an encyclopedia.
            most_tokens: of all texts, the first ones.
            cache: keep what was read, and take it again, as of `geo.read_activations`.

        Raises SteeringError: no text of more than four tokens, a site that the model lacks, or activations that are
            not finite.
        """
        architecture, read = Architecture.of(model), sites_of(sites)
        for site in read:
            architecture.check(site)
        texts = load_prompts(_NEUTRAL).texts if texts is None else list(texts)
        rows = [encode(tokenizer, [text]).input_ids[0].tolist() for text in texts]
        room = [most_tokens, *(most_tokens - np.cumsum([max(0, len(row) - _FIRST) for row in rows])).tolist()]
        sizes = [max(0, min(len(row) - _FIRST, left)) for row, left in zip(rows, room, strict=False)]
        if (count := sum(sizes)) < 2:
            where = f"beyond the first {_FIRST} of each text"
            raise SteeringError(f"neutral text: {count} tokens {where}; give more")
        entry = None
        if cache:
            folder = None if cache is True else cache
            entry = activations_file(folder, model, padded(rows), read, "neutral", most_tokens)
        if entry is not None and (found := kept_activations(entry, read, (count, architecture.width))) is not None:
            return cls(Activations(found))
        kept: dict[Site, list[torch.Tensor]] = {site: [] for site in read}
        with torch.no_grad(), evaluating(architecture.model), watched(architecture, read) as seen:
            for row, size in zip(progress_bar(rows, "reading neutral text", progress=progress), sizes, strict=True):
                if not size:
                    continue
                batch = padded([row], architecture.device)
                architecture.check_tokens(batch.input_ids)
                with suppress(seen.enough):
                    architecture.model(**architecture.accepted(batch.arguments))
                for site, values in kept.items():
                    values.append(seen[site][0, _FIRST : _FIRST + size].float().cpu())
        activations = Activations((site, torch.cat(values)) for site, values in kept.items())
        for site, numbers in activations.items():
            if not bool(numbers.isfinite().all()):
                raise SteeringError(f"the residual stream at {site} is not finite on neutral text; use float32")
        if entry is not None:
            keep_activations(entry, activations)
        return cls(activations)

    def covariance(self, site: SiteLike) -> Metric:
        """The inverse of the layer's own covariance, shrunk to a multiple of the identity: differences in its units.

        What Σ⁻¹ is to unembeddings. Raises SteeringError: a site at which nothing was read, or nothing varies.

        Source: Ledoit and Wolf, J. Multivariate Anal. 88 (2004), for the shrinkage.
        """
        from sklearn.covariance import ledoit_wolf

        rows = self.activations[site].double().numpy()  # type: ignore[index]
        scale = float(np.square(rows - rows.mean(axis=0)).mean()) ** 0.5
        if not scale > 0:
            raise SteeringError(f"{Site.parse(site)}: neutral text does not vary there, so that it has no covariance")
        covariance, shrinkage = ledoit_wolf(rows / scale)
        values, vectors = torch.linalg.eigh(torch.from_numpy(covariance))
        if not bool(values[0] > 0):
            raise SteeringError(
                f"{Site.parse(site)}: the covariance of {len(rows)} tokens of neutral text is singular, shrunk or"
                " not; give more text"
            )
        note = f"{len(rows):,} tokens of neutral text, shrinkage {shrinkage:.2g}"
        return Metric("covariance", (vectors / (values * scale**2)) @ vectors.T, Site.parse(site), note)

    def __str__(self) -> str:
        tokens = {len(values) for values in self.activations.values()}
        return f"{listed(sorted(map(str, tokens)))} tokens of neutral text"
