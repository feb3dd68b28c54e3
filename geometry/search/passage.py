"""From vectors added at one site to the residual stream at a later one, with gradients between the two."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import NoReturn

import torch
from torch import nn

from geometry.errors import SteeringError
from geometry.search.last_token import LastToken
from geometry.steering.activations import Watched
from geometry.steering.architecture import Architecture, evaluating
from geometry.steering.final_norm import removes_mean
from geometry.steering.prompts import Tokenizer
from geometry.steering.residual_stream import ResidualStream
from geometry.steering.vector import READ_ONLY, Site

ROWS = 256  # texts that are run at a time, over all vectors


class Passage:
    """The residual stream at the last token of n texts between two sites, for many vectors at once.

    A vector is added at `site`, in units of the residual norm there, as `geo.steer` adds a relative one at the last
    token. A call ends at `read_site`.

    Attributes:
        unsteered: at the read site, shape (n, d).

    Raises SteeringError: what `encode` refuses, or padding in a model that does not heed it.
    """

    def __init__(
        self, model: nn.Module, tokenizer: Tokenizer, texts: Sequence[str], site: Site, read_site: Site
    ) -> None:
        self.architecture = Architecture.of(model)
        self.site, self.read_site = site, read_site
        self._centred = removes_mean(self.architecture)
        self._last = LastToken(self.architecture, tokenizer, texts)
        zero = torch.zeros(1, self.architecture.width, dtype=self.dtype, device=self.architecture.device)
        self.unsteered = self.steered(zero)[0]

    @property
    def dtype(self) -> torch.dtype:
        """Of the vectors: the residual stream's own, or float32 where that is narrower, as steering computes."""
        return torch.float64 if self.architecture.dtype == torch.float64 else torch.float32

    def steered(self, vectors: torch.Tensor) -> torch.Tensor:
        """The residual stream at the read site under each of k vectors (k, d), shape (k, n, d)."""
        chunks = torch.split(vectors, max(1, ROWS // self._last.count))
        return torch.cat([self._run(chunk) for chunk in chunks])

    def _run(self, vectors: torch.Tensor) -> torch.Tensor:
        copies, seen, count = len(vectors), Watched(), self._last.count
        each = vectors.repeat(count, 1)  # texts stand one after the other, each with all its vectors
        stream = ResidualStream(self.architecture)
        with ExitStack() as hooks:
            hooks.enter_context(stream.watched(norm=self.read_site.block is None))
            hooks.enter_context(stream.attach(self.site, partial(self._added, each)))
            hooks.enter_context(stream.attach(self.read_site, partial(_seen, seen, self.read_site)))
            with suppress(Watched.enough):
                self.architecture.model(**self._last.arguments(copies))
        rows = seen[self.read_site][:, -1]
        return rows.reshape(count, copies, -1).transpose(0, 1)

    def _added(self, vectors: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """As `Part` of the steering room adds a relative vector: in float32 at least, the norm without the mean where
        the model's norms remove it."""
        start = residual.detach()
        wide = start[:, -1].to(vectors)
        read = wide - wide.mean(dim=-1, keepdim=True) if self._centred else wide
        added = torch.linalg.vector_norm(read, dim=-1, keepdim=True) * vectors
        last = torch.add(start[:, -1], added.to(residual.dtype))
        return torch.cat([start[:, :-1], last[:, None]], dim=1)


def _seen(seen: Watched, site: Site, residual: torch.Tensor) -> NoReturn:
    seen[site] = residual
    raise Watched.enough


def blocks_passed(architecture: Architecture, site: Site) -> int:
    """How many blocks have run where a site lies; half of one counts for none."""
    if site.block is None:
        return len(architecture.blocks)
    return site.block + (site.place == "output")


def check_sites(architecture: Architecture, site: Site, read_site: Site) -> None:
    """SteeringError unless a block lies between a site to steer at and a later one to read at."""
    for given, what in ((site, "site"), (read_site, "read_site")):
        architecture.check(given)
        if given.place in READ_ONLY or given.relative:
            raise SteeringError(
                f"{what}: {given} is no place in the residual stream; write such as output.{given.block}"
            )
    if site.block is None:
        raise SteeringError(f"site: vectors are searched at blocks, not at {site}; write such as output.7")
    if blocks_passed(architecture, read_site) <= blocks_passed(architecture, site):
        raise SteeringError(
            f"read_site: {read_site} has no block between it and {site}, where vectors are added; read at a later block"
        )


@contextmanager
def differentiable(model: nn.Module) -> Iterator[None]:
    """The model evaluated without gradients of its own weights meanwhile, so that only vectors have some.

    Raises SteeringError: in inference mode, or of weights that were made in it, nothing can be differentiated.
    """
    if torch.is_inference_mode_enabled():
        raise SteeringError("torch.inference_mode allows no gradients; search outside of it")
    parameters = list(model.parameters())
    if any(parameter.is_inference() for parameter in parameters):
        raise SteeringError(
            f"{type(model).__name__}: its weights were made in torch.inference_mode, which allows no gradients; load"
            " the model outside of it"
        )
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        with torch.enable_grad(), evaluating(model):
            yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
