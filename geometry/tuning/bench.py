"""What a candidate brings and costs on validation prompts, with an account of the forward passes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.steering.measure import kl_divergence
from geometry.steering.prompts import LanguageModel, Tokenizer
from geometry.steering.side_by_side import SideBySide
from geometry.steering.text_cost import TextCost
from geometry.steering.vector import Site, SteeringVector
from geometry.tuning.goals import Goal, Numbers, TextContrast, WordGoal
from geometry.tuning.whole_texts import TextKL, log_probabilities_of

CostName = Literal["kl", "perplexity"]
COST_LABELS = {"kl": "KL(steered ‖ unsteered), nats", "perplexity": "rise of log-perplexity of neutral texts, nats"}

LEAST_BOUND = 1e-5  # nats: less is no more than the rounding of float32

_UNIT = 4.0  # nats


@dataclass(frozen=True, eq=False)
class Trial:
    """A candidate at a strength, measured.

    Attributes:
        site: where.
        strength: times the candidate: of one at a block × the residual norm, after the final norm of unit vectors.
        effects, costs: shape (n,) and (m,), by prompt or text; `effect` and `cost` are their means. Costs are nats.
        level: the effect on the scale on which it is about linear in the strength.
        passes: prompts and texts run for it, 0 where the law follows without a pass.
    """

    site: Site
    strength: float
    effects: Numbers
    costs: Numbers
    level: float
    passes: int

    __repr__ = short_repr

    @property
    def effect(self) -> float:
        """The mean effect."""
        return float(self.effects.mean())

    @property
    def cost(self) -> float:
        """The mean cost in nats; infinite where the model's numbers do not hold."""
        mean = float(self.costs.mean())
        return mean if math.isfinite(mean) else math.inf


class Bench:
    """Measures candidates on prompts that it keeps, several at a time.

    Parameters:
        candidates: site → vector; those at a block relative to the residual norm, of norm 1.
        goal: see `geo.tune`.
        prompts: beginnings of sentences.
        measure: "kl" after the prompts, of a `TextContrast` within the texts; or "perplexity" of the texts.
        texts: see there.
        laws: of these prompts, kept from another bench; counted as if they had been run for this one.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        candidates: Mapping[Site, SteeringVector],
        goal: Goal,
        prompts: Sequence[str],
        measure: CostName,
        texts: Sequence[str],
        *,
        laws: SideBySide | None = None,
    ) -> None:
        self.model, self.tokenizer, self.candidates, self.measure = model, tokenizer, candidates, measure
        self._laws = SideBySide(model, tokenizer, prompts) if laws is None else laws
        self._start = self._laws.passes
        self._contrast = goal if isinstance(goal, TextContrast) else None
        size = self._laws.unsteered.shape[1]
        self._words = None if isinstance(goal, TextContrast) else WordGoal(goal, size)
        self.free = [site for site, vector in candidates.items() if self._needs_no_pass(vector)]
        self.paid = [site for site in candidates if site not in self.free]
        self._passes, self._kept_texts = 0, False
        self._cost = TextCost(model, tokenizer, texts) if measure == "perplexity" else None
        # What is measured on whole texts is to cost what it costs there.
        whole = self._contrast is not None and measure == "kl"
        self._within = TextKL(model, tokenizer, texts) if whole else None
        self._texts = tuple(texts) if self._cost is not None or self._within is not None else ()
        self._before = np.empty(0)
        if self._contrast is not None:
            (self._before,) = log_probabilities_of(model, tokenizer, self._contrast.texts, [None])
        self._passes += len(self._texts) + len(self._before)
        self.unsteered = (
            self._words.effects(self._laws.unsteered)
            if self._words is not None
            else np.zeros(len(self._contrast.promoted if self._contrast else ()))
        )
        self.unsteered_level = self._level(float(self.unsteered.mean()))

    @property
    def goal_label(self) -> str:
        """What the effect is, in words."""
        return self._words.label if self._words is not None else "gain of promoted over suppressed texts, nats a token"

    @property
    def passes(self) -> int:
        """Prompts and texts run through the model so far, those for what is kept included."""
        return self._laws.kept_passes + self._laws.passes - self._start + self._passes

    @property
    def rows(self) -> int:
        """Prompts and texts that one trial takes where it is not free."""
        if self._contrast is not None:
            return len(self._texts) + len(self._contrast.texts)
        return len(self._laws.prompts) + len(self._texts)

    def unit(self, site: Site) -> float:
        """The strength at which a free candidate's shift of the logits has a standard deviation of 4 nats."""
        shift = self._laws.shift(self.candidates[site])
        return 1.0 if shift is None else _UNIT / max(float(shift.std()), 1e-12)

    def trials(self, wanted: Sequence[tuple[Site, float]]) -> list[Trial]:
        """Candidates at strengths, measured in one batch as far as it fits."""
        before = self.passes
        vectors = [strength * self.candidates[site] for site, strength in wanted]
        laws = self._laws.laws(vectors) if self._words is not None else []
        costs = [self._costs(order, vectors, laws) for order in range(len(vectors))]
        effects = self._effects(vectors, laws)
        # What a batch took, shared among those that took it.
        spent = [0 if self._is_free(site) else self.rows for site, _ in wanted]
        rest = self.passes - before - sum(spent)
        if rest:  # texts of free candidates are run all the same
            spent = [each or rest // max(1, spent.count(0)) for each in spent]
        return [
            Trial(site, strength, effect, cost, self._level(float(effect.mean())), each)
            for (site, strength), effect, cost, each in zip(wanted, effects, costs, spent, strict=True)
        ]

    def _effects(self, vectors: Sequence[SteeringVector], laws: Sequence[torch.Tensor]) -> list[Numbers]:
        if self._words is not None:
            return [self._words.effects(law) for law in laws]
        contrast = self._contrast
        if contrast is None:
            return []
        self._passes += len(contrast.texts) * len(vectors)
        steered = log_probabilities_of(self.model, self.tokenizer, contrast.texts, vectors)
        return [contrast.effects(after, self._before) for after in steered]

    def _costs(self, order: int, vectors: Sequence[SteeringVector], laws: Sequence[torch.Tensor]) -> Numbers:
        if self._within is not None:
            self._passes += len(self._texts)
            return self._within.of([vectors[order]])[0]
        if self._cost is None:
            return kl_divergence(laws[order], self._laws.unsteered)
        if not self._is_free(vectors[order].sites[0]):
            self._passes += len(self._texts)
        elif not self._kept_texts:
            self._passes += len(self._texts)  # their unsteered laws are kept at the first
            self._kept_texts = True
        ratio = self._cost.ratio(vectors[order])
        return np.array([math.log(ratio) if ratio > 0 and math.isfinite(ratio) else math.inf])

    def _level(self, effect: float) -> float:
        return effect if self._words is None else self._words.level(effect)

    def _needs_no_pass(self, vector: SteeringVector) -> bool:
        return self._contrast is None and self._laws.shift(vector) is not None

    def _is_free(self, site: Site) -> bool:
        return site in self.free


def check_measure(measure: str, bound: float) -> None:
    """SteeringError for a bound that is no positive number, or no more than the rounding of a cost."""
    if not (bound >= LEAST_BOUND and math.isfinite(bound)):
        unit = "of KL divergence" if measure == "kl" else "of log-perplexity"
        raise SteeringError(
            f"bound: a positive number of nats {unit}, such as 0.5, at least {LEAST_BOUND:g}, not {bound}"
        )
