"""What was read of phrases in contexts: by site, as samples, means, and as points of a space with a metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch

from geometry.arguments import checked
from geometry.causal import CausalSpace
from geometry.display import html_table, listed
from geometry.errors import SteeringError
from geometry.layers.metrics import Metric
from geometry.models import Unembedding, Vocabulary
from geometry.steering.activation_table import Activations
from geometry.steering.vector import Site, SiteLike, depth

FAMILY = "phrases"


@dataclass(frozen=True, eq=False, repr=False)
class PhraseVectors(Unembedding):
    """Vectors of phrases in the place of an unembedding: whatever reads only γ takes them.

    >>> import torch
    >>> PhraseVectors(torch.eye(2, 3), Vocabulary([" polar bear", " oak"]), name="mine")
    PhraseVectors('mine', phrases, 2 x 3 torch.float32)

    Of activations `PhraseActivations.vectors` makes them, with the site where they were read and the architecture of
    the model; of vectors of one's own, from wherever, the constructor.
    ModelError: as of `Unembedding`.
    """

    family: str = FAMILY
    tied: bool = True
    site: Site | None = None
    architecture: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class PhraseActivations:
    """The residual stream at the last token of n phrases in c contexts.

    Attributes:
        phrases: in order.
        contexts: what each context is called.
        samples: site → float32 tensor on the CPU, shape (c, n, d), in the order of the model.
        model, family: where it was read.
    """

    phrases: tuple[str, ...]
    contexts: tuple[str, ...]
    samples: Mapping[Site, torch.Tensor]
    model: str = "model"
    family: str = "unknown"

    def __post_init__(self) -> None:
        ordered = Activations((site, self.samples[site]) for site in sorted(self.samples, key=depth))
        object.__setattr__(self, "samples", ordered)

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where it was read, in the order of the model."""
        return tuple(self.samples)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The phrases as a vocabulary, for `hierarchy.over(...)`."""
        return Vocabulary([f" {phrase}" for phrase in self.phrases])

    def __getitem__(self, site: SiteLike) -> torch.Tensor:
        """All samples at a site, shape (c, n, d); SteeringError where nothing was read."""
        return self.samples[site]  # type: ignore[index]

    def mean(self, site: SiteLike, contexts: Sequence[int] | None = None) -> torch.Tensor:
        """Mean over contexts, or over some of them by number, shape (n, d); SteeringError for none or unknown ones."""
        chosen = range(len(self.contexts)) if contexts is None else contexts
        if not len(chosen) or not all(0 <= number < len(self.contexts) for number in chosen):
            raise SteeringError(f"contexts are numbered 0 to {len(self.contexts) - 1}, and not {list(chosen)}")
        total = self[site][chosen[0]].clone()
        for number in chosen[1:]:
            total += self[site][number]
        return total / len(chosen)

    def vectors(self, site: SiteLike, contexts: Sequence[int] | None = None) -> PhraseVectors:
        """`mean` as a matrix whose rows are called by the phrases.

        Raises SteeringError: a site at which all phrases lie at one point.
        """
        rows, place = self.mean(site, contexts), Site.parse(site)
        spread = float((rows - rows[0]).abs().max())
        if not spread > float(rows.abs().max()) * torch.finfo(torch.float32).eps:
            raise SteeringError(
                f"{place}: all {len(rows)} phrases lie at one point there; nothing can be measured of them (at the"
                " input of block 0 phrases with one last token are alike)"
            )
        return PhraseVectors(rows, self.vocabulary, f"{self.model} {place}", site=place, architecture=self.family)

    @checked
    def space(
        self,
        site: SiteLike,
        metric: "Metric | Literal['euclidean']" = "euclidean",
        *,
        contexts: Sequence[int] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> CausalSpace:
        """The points of a site in a space, where all that is claimed of an unembedding can be tested.

        Example::

            neutral = NeutralText.read(model, tokenizer, sites=activations.sites)
            space = activations.space("output.12", neutral.covariance("output.12"))
            results = geo.evaluate_claims(space, hierarchy.over(activations.vocabulary))

        Parameters:
            metric: "euclidean", or one that was measured there: the covariance of neutral text, or one pulled back.
            contexts: the mean over some of them, by number; default, all.
            dtype: of the computation.

        The origin is the mean of the phrases, so that what all of them share, as being read at such a place, is no
        part of any concept; one that holds all of them has no vector then (`geo.concepts.proper_concepts`).

        Raises SteeringError: a metric of another site or width, or phrases all at one point.
        """
        place, rows = Site.parse(site), self.vectors(site, contexts)
        width = rows.matrix.shape[1]
        if isinstance(metric, str):
            metric = Metric(metric, torch.eye(width, dtype=torch.float64), place)
        metric.check(place, width)
        mean = rows.matrix.double().mean(dim=0)
        return CausalSpace.with_metric(rows, metric.matrix, mean=mean, metric=metric.name, dtype=dtype)

    def __repr__(self) -> str:
        size = f"{len(self.phrases):,} phrases in {len(self.contexts)} contexts"
        return f"PhraseActivations({self.model!r}, {size}, {listed([str(site) for site in self.sites])})"

    def _repr_html_(self) -> str:
        rows = ((site, " × ".join(map(str, read.shape)), float(read.norm(dim=-1).mean())) for site, read in self._each)
        return html_table(("site", "shape", "mean norm"), rows, repr(self))

    @property
    def _each(self) -> "list[tuple[str, torch.Tensor]]":
        return [(str(site), read) for site, read in self.samples.items()]
