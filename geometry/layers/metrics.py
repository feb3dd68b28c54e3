"""Metrics of a layer: what one measured there makes of a difference of two activations."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from geometry.arguments import checked
from geometry.display import listed, short_repr
from geometry.errors import SteeringError
from geometry.progress import progress_bar
from geometry.steering.activation_table import Activations
from geometry.steering.activations import sites_of, watched
from geometry.steering.architecture import Architecture, evaluating
from geometry.steering.prompts import Tokenizer, encode, load_prompts
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
        progress: bool | None = None,
    ) -> "NeutralText":
        """Read at most so many tokens, the first four of each text left out.

        Example::

            neutral = NeutralText.read(model, tokenizer, sites=["output.3", "output.12"])
            neutral.covariance("output.12")

        Parameters:
            texts: default, the packaged passages in the style of an encyclopedia.

        Raises SteeringError: no text of more than four tokens, a site that the model lacks, or activations that are
            not finite.
        """
        architecture, read = Architecture.of(model), sites_of(sites)
        for site in read:
            architecture.check(site)
        texts = load_prompts(_NEUTRAL).texts if texts is None else list(texts)
        kept: dict[Site, list[torch.Tensor]] = {site: [] for site in read}
        count = 0
        with torch.no_grad(), evaluating(architecture.model), watched(architecture, read) as seen:
            for text in progress_bar(texts, "reading neutral text", progress=progress):
                batch = encode(tokenizer, [text], device=architecture.device)
                size = min(batch.input_ids.shape[1] - _FIRST, most_tokens - count)
                if size < 1:
                    continue
                architecture.check_tokens(batch.input_ids)
                with suppress(seen.enough):
                    architecture.model(**architecture.accepted(batch.arguments))
                for site, values in kept.items():
                    values.append(seen[site][0, _FIRST : _FIRST + size].float().cpu())
                count += size
        if count < 2:
            raise SteeringError(f"neutral text: {count} tokens beyond the first {_FIRST} of each text; give more")
        activations = Activations((site, torch.cat(values)) for site, values in kept.items())
        for site, rows in activations.items():
            if not bool(rows.isfinite().all()):
                raise SteeringError(f"the residual stream at {site} is not finite on neutral text; use float32")
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
