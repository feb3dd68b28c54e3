"""Metrics of a layer pulled back through the rest of the model, of all layers by the same backward passes."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from geometry.arguments import checked
from geometry.cache import Entry
from geometry.causal import CausalSpace
from geometry.display import listed, short_repr
from geometry.errors import SteeringError
from geometry.layers.key_values import keys_and_values, text_arguments
from geometry.layers.metrics import Metric
from geometry.memory import in_passing
from geometry.progress import progress_bar
from geometry.steering.activation_cache import activations_file, keep_activations, kept_activations
from geometry.steering.activations import sites_of
from geometry.steering.architecture import Architecture, evaluating
from geometry.steering.belonging import check_belongs
from geometry.steering.prompts import Tokenizer, encode, load_prompts, padded
from geometry.steering.readout import Readout, logits_at
from geometry.steering.residual_stream import ResidualStream
from geometry.steering.vector import Site, SiteLike

_TOKENS = 24  # of a text; its last one is what the rest of the model is differentiated at
_NEUTRAL = "encyclopedia"
_FINAL = Site("after_norm")
_NAMES = ("causal", "fisher")


@dataclass(frozen=True, eq=False)
class PulledBackMetrics:
    """What a difference of activations does to the model's output, to first order, on average over texts.

    With J = ∂λ/∂h the Jacobian of the final hidden state by the residual stream at a site, at the same token:

    - causal: E[Jᵀ Σ J], the variance over the vocabulary of the change of the logits γᵀλ; Σ = Cov(γ).
    - Fisher: E[Jᵀ Cov_p(γ) J], twice the KL divergence of the next-token laws, to second order; p is the model's own.
      Of logits that the model scales or caps, γ stands for what they change by.

    Attributes:
        causal, fisher: site → M, float64, shape (d, d).
        samples, vectors: of how many texts, and of how many random vectors each, every one a backward pass.
    """

    causal: Mapping[Site, torch.Tensor]
    fisher: Mapping[Site, torch.Tensor]
    samples: int
    vectors: int

    __repr__ = short_repr

    @classmethod
    @checked
    def of(
        cls,
        model: nn.Module,
        tokenizer: Tokenizer,
        space: CausalSpace,
        *,
        sites: Sequence[SiteLike],
        texts: Sequence[str] | None = None,
        n_samples: int = 64,
        n_vectors: int = 32,
        seed: int = 0,
        cache: bool | str | Path = False,
        progress: bool | None = None,
    ) -> "PulledBackMetrics":
        """Measure both at all sites.

        Example::

            metrics = PulledBackMetrics.of(model, tokenizer, causal_space, sites=["output.3", "output.12"])
            space = activations.space("output.12", metrics.metric("fisher", "output.12"))

        Parameters:
            space: the model's own, of its unembedding, which Σ and γ are of.
            texts: default, the packaged passages in the style of an encyclopedia; those of 24 tokens and more count,
                each up to its 24th.
            n_samples: of texts, at most.
            n_vectors: random vectors u a text, with mean 0 and covariance Σ, or Cov_p(γ): the gradient of uᵀλ at all
                sites is one backward pass. M has at most rank n_samples × n_vectors.
            seed: of the random vectors.
            cache: keep what was measured, and take it again, as of `geo.read_activations`.

        Raises SteeringError: a space of another model, no text of 24 tokens, sites after the final norm, a model whose
            final hidden state does not depend on a site.

        Source: the causal inner product of Park et al., arXiv 2311.03658, and Fisher's information, each at the output
        and pulled back. Hutchinson's estimate: E[Jᵀu uᵀJ] = Jᵀ Cov(u) J.
        """
        architecture, wanted = Architecture.of(model), sites_of(sites)
        check_belongs(architecture.model, space.unembedding)
        for site in wanted:
            architecture.check(site)
            if site.block is None:
                raise SteeringError(f"{site}: metrics are pulled back to blocks; write such as output.3")
        if n_samples < 1 or n_vectors < 1:
            raise SteeringError(f"metrics need a sample and a vector at least, not {n_samples} and {n_vectors}")
        given = load_prompts(_NEUTRAL).texts if texts is None else texts
        ids = _ids(tokenizer, given, n_samples).to(architecture.device)
        architecture.check_tokens(ids)
        entries: dict[str, Entry | None] = dict.fromkeys(_NAMES)
        if cache:
            folder = None if cache is True else cache
            options = (n_vectors, seed, space.unembedding.sha256)
            for name in _NAMES:
                # The numbers of the samples are those of the batch, so its rows are all that are asked for.
                batch = padded(ids.tolist())
                entries[name] = activations_file(folder, model, batch, wanted, "pulled back", name, *options)
        square = (architecture.width, architecture.width)
        kept = [None if entry is None else kept_activations(entry, wanted, square) for entry in entries.values()]
        if None in kept:
            measured = _measured(architecture, ids, wanted, space, n_vectors, seed, progress)
            for name, entry in entries.items():
                if entry is not None:
                    keep_activations(entry, measured[name])
        else:
            measured = dict(zip(_NAMES, kept, strict=True))  # type: ignore[arg-type]
        both = {name: {site: matrix.double() for site, matrix in measured[name].items()} for name in _NAMES}
        return cls(both["causal"], both["fisher"], len(ids), n_vectors)

    def metric(self, name: str, site: SiteLike) -> Metric:
        """One of them at a site, "causal" or "fisher"; SteeringError for another name, or where none was measured."""
        matrices: Mapping[str, Mapping[Site, torch.Tensor]] = {"causal": self.causal, "fisher": self.fisher}
        place = Site.parse(site)
        if name not in matrices or place not in matrices[name]:
            raise SteeringError(
                f"there is no metric {name!r} pulled back to {place}, but to {listed(list(map(str, self.causal)))}"
            )
        note = f"pulled back from {self.samples} texts × {self.vectors} vectors"
        matrix, rank = matrices[name][place], self.samples * self.vectors
        if rank < len(matrix):
            # As float32 its other eigenvalues are rounding error, not the zeros that they were.
            values, vectors = torch.linalg.eigh(matrix)
            values[:-rank] = 0
            matrix = (vectors * values) @ vectors.T
        return Metric(name, matrix, place, note)


def _measured(
    architecture: Architecture,
    ids: torch.Tensor,
    sites: Sequence[Site],
    space: CausalSpace,
    n_vectors: int,
    seed: int,
    progress: bool | None,
) -> dict[str, dict[Site, torch.Tensor]]:
    """Name of the metric → site → M, float32, shape (d, d)."""
    rng = torch.Generator().manual_seed(seed)
    with evaluating(architecture.model):
        states, final = _graph(architecture, ids, sites)
        laws = final.detach().double().cpu()
        draws = {"causal": _causal(space, len(ids), rng), "fisher": _fisher(architecture, space, laws, rng)}
        zero = torch.zeros(architecture.width, architecture.width, dtype=torch.float64)
        total = {name: {site: zero.clone() for site in sites} for name in draws}
        shown_as: Any = {"total": 2 * n_vectors, "desc": "pulling metrics back", "progress": progress}
        with progress_bar(**shown_as) as bar:
            for _ in range(n_vectors):
                for name, draw in draws.items():
                    given = draw().to(final)
                    gradients = torch.autograd.grad(final, states, given, retain_graph=True, allow_unused=True)
                    for site, gradient in zip(sites, gradients, strict=True):
                        if gradient is None:
                            raise SteeringError(f"{site}: the final hidden state does not depend on it")
                        rows = gradient[:, -1].double().cpu()
                        total[name][site] += rows.T @ rows
                    bar.update()
    count = len(ids) * n_vectors
    return {name: {site: (matrix / count).float() for site, matrix in own.items()} for name, own in total.items()}


def _ids(tokenizer: Tokenizer, texts: Sequence[str], count: int) -> torch.Tensor:
    """The first 24 tokens of so many texts, shape (n, 24)."""
    rows = []
    for text in texts:
        ids = encode(tokenizer, [text]).input_ids[0]
        if len(ids) >= _TOKENS:
            rows.append(ids[:_TOKENS])
        if len(rows) == count:
            break
    if not rows:
        raise SteeringError(f"metrics are pulled back at the {_TOKENS}th token; none of {len(texts)} texts is so long")
    return torch.stack(rows)


def _graph(
    architecture: Architecture, ids: torch.Tensor, sites: Sequence[Site]
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """The residual stream at the sites, and at the last token the final hidden state, with what leads there.

    What stands before the last token does not depend on it, so its keys and values are numbers, and only the last token
    is differentiated.
    """
    seen: dict[Site, torch.Tensor] = {}
    stream = ResidualStream(architecture)
    past = keys_and_values(architecture, ids[:, :-1])
    more: dict[str, Any] = {} if past is None else {"past_key_values": past}
    arguments = text_arguments(ids) if past is None else text_arguments(ids[:, -1:], ids.shape[1] - 1)
    with ExitStack() as hooks, torch.enable_grad():
        hooks.enter_context(stream.watched(norm=True))
        # Before any weight, so that there is a graph also where no weight asks for gradients.
        hooks.enter_context(stream.attach(Site("input", 0), lambda residual: residual.detach().requires_grad_()))
        for site in (*sites, _FINAL):
            hooks.enter_context(stream.attach(site, partial(_keep, seen, site)))
        architecture.model(**architecture.accepted(arguments), **more)
        return [seen[site] for site in sites], seen[_FINAL][:, -1]


def _keep(seen: dict[Site, torch.Tensor], site: Site, residual: torch.Tensor) -> None:
    seen[site] = residual


def _causal(space: CausalSpace, count: int, rng: torch.Generator) -> "Any":
    """Draws of vectors with covariance Σ, shape (n, d)."""
    root = space.colourer.double().cpu()
    return lambda: torch.randn(count, space.width, generator=rng, dtype=torch.float64) @ root


def _fisher(architecture: Architecture, space: CausalSpace, states: torch.Tensor, rng: torch.Generator) -> "Any":
    """Draws of ∂z(y) − E_p ∂z with y from each state's own next-token law p, shape (n, d); ∂z = γ but for caps."""
    matrix, readout = space.unembedding.matrix, Readout.of(architecture)
    logits = logits_at(architecture, states)[:, : len(matrix)]
    law, slopes = logits.softmax(dim=1), torch.ones_like(logits)
    if readout is not None:
        slopes *= readout.scale
        if readout.cap is not None:
            slopes *= 1 - (logits / readout.cap).square()
    mean = torch.zeros(len(states), space.width, dtype=torch.float64)
    blocks = torch.split(matrix, 1 << 14)
    shares = torch.split(law * slopes, 1 << 14, dim=1)
    for share, block in zip(shares, in_passing(matrix, blocks), strict=True):
        mean += share @ block.double().cpu()

    def draw() -> torch.Tensor:
        tokens = torch.multinomial(law, 1, generator=rng)
        return slopes.gather(1, tokens) * matrix[tokens[:, 0].to(matrix.device)].double().cpu() - mean

    return draw
