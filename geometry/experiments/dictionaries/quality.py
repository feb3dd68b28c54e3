"""What dictionaries keep of held-out tokens, and what the model loses by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from geometry.dictionaries import Quality, ReplacementLosses, Training, measure, read_tokens, replacement_losses
from geometry.display import short_repr
from geometry.experiments.dictionaries.said import written
from geometry.experiments.dictionaries.setup import CODEBOOK, COMPONENTS, MEAN, RANDOM, SAE, Bench
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.steering import load_prompts

UNSTEERED = "unsteered"
_ELSEWHERE = "encyclopedia"
Value = tuple[float, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class QualityPart(Part):
    """Explained variance, L0, dead features and loss recovered.

    Attributes:
        site: where.
        sizes: dictionary → its features, or codes.
        quality: dictionary → of held-out tokens.
        elsewhere: dictionary → of tokens in another style, that of an encyclopedia.
        losses: with the residual stream replaced by what each gives back, and by the mean.
        training: of the autoencoder, if it was trained here.
        says: where tokens are from.
    """

    site: str
    sizes: Mapping[str, int]
    quality: Mapping[str, Quality]
    elsewhere: Mapping[str, Quality]
    losses: ReplacementLosses
    training: Training | None
    says: str

    __repr__ = short_repr

    def explained(self, name: str) -> Value:
        """Explained variance with its interval."""
        each = self.quality[name]
        return each.explained_variance, each.explained_variance_interval

    def explained_elsewhere(self, name: str) -> Value:
        """The same in another style."""
        each = self.elsewhere[name]
        return each.explained_variance, each.explained_variance_interval

    def recovered(self, name: str) -> Value:
        """Loss recovered, 0 with the mean in the stream's place, with its interval."""
        return self.losses.recovered(name, MEAN)

    def summary(self) -> list[str]:
        """What each keeps, and what of the control."""
        kept = {name: f"{_percent(self.explained(name))} of the variance" for name in self.quality}
        kept = {name: f"{said} and {_percent(self.recovered(name))} of the loss" for name, said in kept.items()}
        sae = self.quality[SAE]
        return [
            f"At {self.site} the {SAE} ({self.sizes[SAE]:,} features, L0 {sae.l0:.0f}) gives back {kept[SAE]} on"
            f" {sae.n:,} held-out tokens; as many {COMPONENTS} as it has active features {kept[COMPONENTS]}, the"
            f" {CODEBOOK} ({self.sizes[CODEBOOK]:,} codes, {self.quality[CODEBOOK].l0:.0f} a token, post hoc)"
            f" {kept[CODEBOOK]}, a {RANDOM} {kept[RANDOM]}.",
            f"Of the {SAE}'s features {sae.dead_share:.0%} are dead on them, of the codes"
            f" {self.quality[CODEBOOK].dead_share:.0%}. {self.says}",
            f"In another style, that of an encyclopedia ({self.elsewhere[SAE].n:,} tokens), the {SAE} explains"
            f" {_percent(self.explained_elsewhere(SAE))} of the variance, {COMPONENTS}"
            f" {_percent(self.explained_elsewhere(COMPONENTS))}.",
        ]

    def figures(self) -> list[FigureSpec]:
        """One: both measures and KL."""
        from geometry.experiments.dictionaries.quality_figures import quality

        return [quality(self)]

    def tables(self) -> list[TableSpec]:
        """A row a dictionary."""
        rows = []
        for name, each in self.quality.items():
            kl = self.losses.divergence(name)
            rows.append([
                name, f"{self.sizes[name]:,}", f"{each.l0:.1f}", _decimals(self.explained(name)),
                _decimals(self.explained_elsewhere(name)), f"{each.dead_share:.1%}", _decimals(self.recovered(name)),
                _decimals(kl),
            ])  # fmt: skip
        nothing = _decimals(self.losses.divergence(MEAN))
        rows.append([MEAN, "0", "0", "0", "–", "–", "0", nothing])
        head = (
            "", "directions", "L0", "explained variance", "in an encyclopedia", "dead", "loss recovered",
            "KL (nats a token)",
        )  # fmt: skip
        unsteered = self.losses.loss(UNSTEERED)[0]
        caption = (
            f"Held-out texts; 95% intervals over texts. Unsteered loss {unsteered:.3f} nats a token, on"
            f" {int(self.losses.tokens.sum()):,} predicted tokens. {self.says}"
        )
        return [TableSpec(f"What dictionaries keep at {self.site}", head, rows, caption)]

    def to_dict(self) -> dict[str, Any]:
        """The numbers."""
        found: dict[str, Any] = {
            name: {
                "directions": self.sizes[name],
                "tokens": each.n,
                "l0": each.l0,
                "explained_variance": _as_dict(self.explained(name)),
                "explained_variance_encyclopedia": _as_dict(self.explained_elsewhere(name)),
                "dead_share": each.dead_share,
                "loss": _as_dict(self.losses.loss(name)),
                "loss_recovered": _as_dict(self.recovered(name)),
                "kl": _as_dict(self.losses.divergence(name)),
            }
            for name, each in self.quality.items()
        }
        rest = {"loss": _as_dict(self.losses.loss(UNSTEERED)), "loss_mean": _as_dict(self.losses.loss(MEAN))}
        trained = {} if self.training is None else {"training": self.training.settings}
        return {"site": self.site, "dictionaries": found, "unsteered": rest, **trained}

    def arrays(self) -> dict[str, ArrayLike]:
        """Rates of features, losses of texts, and how training went."""
        arrays: dict[str, ArrayLike] = {f"rates/{name}": each.rates for name, each in self.quality.items()}
        arrays |= {f"losses/{name}": values for name, values in self.losses.losses.items()}
        return arrays if self.training is None else arrays | {"unexplained": self.training.unexplained}


def measure_quality(bench: Bench) -> QualityPart:
    """On tokens of texts that nothing was fitted to."""
    held_out, mean = bench.held_out, bench.rows.double().mean(dim=0).float()
    quality = {
        name: measure(dictionary, held_out.rows, held_out.texts.tolist())
        for name, dictionary in bench.dictionaries.items()
    }
    texts = load_prompts(_ELSEWHERE).texts
    other = read_tokens(bench.model, bench.tokenizer, texts, bench.site, cache=True)
    elsewhere = {
        name: measure(dictionary, other.rows, other.texts.tolist()) for name, dictionary in bench.dictionaries.items()
    }
    replacements = {name: dictionary.reconstruct for name, dictionary in bench.dictionaries.items()}

    def to_mean(rows: torch.Tensor) -> torch.Tensor:
        return mean.expand_as(rows)

    losses = replacement_losses(
        bench.model, bench.tokenizer, bench.site, bench.held_out_texts, {**replacements, MEAN: to_mean},
        n_tokens=bench.study.n_replaced, largest=bench.held_out.largest,
    )  # fmt: skip
    sizes = {name: dictionary.n_features for name, dictionary in bench.dictionaries.items()}
    sizes[COMPONENTS] = bench.components.n_features // 2
    return QualityPart(str(bench.site), sizes, quality, elsewhere, losses, bench.training, says(bench))


def says(bench: Bench) -> str:
    """Where the tokens are from, and how the codebook came about."""
    where = f"lines of {bench.study.texts}" if bench.study.texts else "WordNet's glosses (dictionary style)"
    trained = (
        f"trained on {bench.study.n_tokens:,} tokens of {where}"
        if bench.training is not None
        else f"as given, measured on {where}"
    )
    return (
        f"The {SAE} is {trained}; codebook and components are fitted to {len(bench.rows):,} of these. The codebook is"
        " post hoc: the paper trains the model with it."
    )


def _percent(value: Value) -> str:
    return written(*value, ".0%")


def _decimals(value: Value) -> str:
    return written(*value, ".3f")


def _as_dict(value: Value) -> dict[str, Any]:
    mean, interval = value
    return {"mean": mean, "interval": [None if np.isnan(end) else end for end in interval]}
