"""What is written under addition: words of the target and of its kin, counted in sampled generations."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

import geometry.plots as plots
from geometry.concepts import short_name
from geometry.display import short_repr
from geometry.experiments.evaluator import FREQUENCY_PENALTY, TEMPERATURE, TOP_P, sampling_note
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.selectivity.methods import NATS
from geometry.experiments.selectivity.setup import Bench
from geometry.intervals import interval_of, summarise
from geometry.selectivity import RELATIONS, TreeEffects
from geometry.steering import Site, SteeringVector, generate, steer

Array = NDArray[np.float64]
COUNTED = ("self", "sibling", "parent", "unrelated")
TOKENS, N_STEERED, _PROMPTS = 16, 4, 8
UNSTEERED, ADDED, RANDOM = "unsteered", "addition", "random direction"


@dataclass(frozen=True, eq=False, kw_only=True)
class GenerationPart(Part):
    """Words of each relation in generations; a targets, c generations.

    Attributes:
        targets: names.
        counts: (condition, nats) → share of a generation's tokens that are words of the target, of its siblings, of the
            rest of its parents, and of unrelated concepts, shape (a, 4, c).
        samples: condition → the first generation for the first target.
    """

    targets: tuple[str, ...]
    counts: Mapping[tuple[str, float], Array]
    samples: Mapping[str, str]
    seed: int

    __repr__ = short_repr

    def summary(self) -> list[str]:
        """How often words of the target and of siblings are written."""
        said = []
        for nats in NATS:
            own, sibling = (_percent(self._of(ADDED, nats, name)) for name in ("self", "sibling"))
            before, random = (_percent(self._of(*at, "self")) for at in ((UNSTEERED, 0.0), (RANDOM, nats)))
            beside = _percent(self._of(UNSTEERED, 0.0, "sibling"))
            said.append(
                f"In generation at {nats:g} nats {own} of the tokens are words of the target (unsteered {before},"
                f" random direction {random}), {sibling} words of its siblings (unsteered {beside})."
            )
        return said

    def _of(self, condition: str, nats: float, relation: str) -> Array:
        return self.counts[condition, nats][:, COUNTED.index(relation)]

    def to_dict(self) -> dict[str, Any]:
        """Shares with intervals over generations."""
        return {
            "targets": list(self.targets),
            "seed": self.seed,
            "tokens": TOKENS,
            "counts": {
                f"{condition}{f' at {nats:g} nats' if nats else ''}": {
                    name: summarise(values[:, place]) for place, name in enumerate(COUNTED)
                }
                for (condition, nats), values in self.counts.items()
            },
            "samples": dict(self.samples),
        }

    def figures(self) -> list[FigureSpec]:
        """Shares of tokens by relation, a panel a relation."""
        names = [f"{condition}{f', {nats:g} nats' if nats else ''}" for condition, nats in self.counts]
        panels = []
        for place, relation in enumerate(COUNTED):
            rows = []
            for (condition, _), values in self.counts.items():
                share = 100 * values[:, place]
                estimate = plots.Estimate(float(np.nanmean(share)), *interval_of(share))
                if condition == ADDED:
                    rows.append(plots.ForestRow({"steered": estimate}))
                else:
                    mark = plots.NullMark(estimate.value, low=estimate.low, high=estimate.high)
                    rows.append(plots.ForestRow({}, {"unsteered or random": mark}))
            title = {"self": "the target's", "sibling": "its siblings'", "parent": "rest of its parents'"}
            panels.append(plots.ForestPanel("% of tokens", rows, title.get(relation, relation)))
        count = next(iter(self.counts.values())).shape[2]
        listed = ", ".join(short_name(name) for name in self.targets)
        return [
            FigureSpec(
                "generation",
                self._title(),
                f"Tokens of {count} generations of {TOKENS} tokens for each of {len(self.targets)} concepts ({listed})"
                " that are words of the relation and not of the target; bars: 95%, bootstrap over generations. Added"
                " at every token, at the coefficient of that KL divergence on neutral prompts; random: one direction"
                f" for all. {sampling_note(self.seed)}",
                partial(plots.forest, panels, names),
            )
        ]

    def _title(self) -> str:
        last = NATS[-1]
        own, sibling = (self._of(ADDED, last, name).mean() for name in ("self", "sibling"))
        before = {name: self._of(UNSTEERED, 0.0, name).mean() for name in ("self", "sibling")}
        return (
            f"Generated under steering at {last:g} nats, {own:.1%} of tokens are the target's words (unsteered"
            f" {before['self']:.1%}) and {sibling:.1%} its siblings' ({before['sibling']:.1%})"
        )

    def tables(self) -> list[TableSpec]:
        """Shares in percent."""
        rows = []
        for (condition, nats), values in self.counts.items():
            cells = []
            for place in range(len(COUNTED)):
                low, high = interval_of(values[:, place])
                cells.append(f"{values[:, place].mean():.1%} [{low:.1%}, {high:.1%}]")
            rows.append([condition, f"{nats:g}" if nats else "–", *cells])
        count = next(iter(self.counts.values())).shape[2]
        return [
            TableSpec(
                "Share of generated tokens by relation to the target, mean [95%]",
                ["condition", "KL", *COUNTED],
                rows,
                f"{count} generations for each of {len(self.targets)} concepts, seed {self.seed}.",
            )
        ]

    def arrays(self) -> dict[str, ArrayLike]:
        """Shares."""
        return {f"{condition}/{nats:g}": values for (condition, nats), values in self.counts.items()}


def _percent(shares: Array) -> str:
    return f"{shares.mean():.1%}"


def chosen_to_write(effects: TreeEffects) -> tuple[str, ...]:
    """Concepts with siblings, a parent and words of their own, spread over the targets."""
    usable = [
        name
        for row, name in enumerate(effects.targets)
        if np.isfinite(effects.coefficients[row])
        and all((effects.codes[row] == RELATIONS.index(need)).any() for need in ("sibling", "parent"))
    ]
    count = min(N_STEERED, len(usable))
    return tuple(usable[i] for i in ((np.arange(count) + 0.5) * len(usable) / max(count, 1)).astype(int))


def measure_generation(
    bench: Bench, targets: Sequence[str], vectors: Mapping[str, Array], added: Sequence[TreeEffects],
    random: Sequence[TreeEffects], random_vectors: Mapping[str, Array],
) -> GenerationPart:  # fmt: skip
    """Completions under addition and under a random direction at every KL divergence, and unsteered."""
    completions, seed = bench.study.n_completions, bench.study.seed
    prompts = bench.beginnings[: min(_PROMPTS, completions)]
    each = -(-completions // len(prompts))
    sets = {name: _words(bench, name) for name in targets}
    counts: dict[tuple[str, float], list[Array]] = {}
    samples: dict[str, str] = {}

    def write(vector: SteeringVector | None, order: int) -> tuple[list[tuple[int, ...]], str]:
        with steer(bench.model, vector, positions="all") if vector is not None else nullcontext():
            generations = generate(
                bench.model, bench.tokenizer, prompts, max_new_tokens=TOKENS, num_return_sequences=each,
                temperature=TEMPERATURE, top_p=TOP_P, frequency_penalty=FREQUENCY_PENALTY, seed=seed + order,
            )  # fmt: skip
        flat = [generation for own in generations for generation in own][:completions]
        return [one.token_ids for one in flat], flat[0].prompt + flat[0].text

    unsteered, text = write(None, 0)
    samples[UNSTEERED] = text
    for name in targets:
        counts.setdefault((UNSTEERED, 0.0), []).append(_shares(unsteered, sets[name]))
    for kind, effects, own in ((ADDED, added, vectors), (RANDOM, random, random_vectors)):
        for nats, one in zip(NATS, effects, strict=True):
            # A random direction has no target: one of them is counted for all.
            steered = targets if kind == ADDED else targets[:1]
            written = {}
            for order, name in enumerate(steered):
                coefficient = float(one.coefficients[one.targets.index(name)])
                part = torch.from_numpy(np.asarray(coefficient * own[name], dtype=np.float32))
                vector = SteeringVector({Site("after_norm"): part}, f"{kind} to {name}")
                written[name], text = write(vector, order)
                samples.setdefault(f"{kind} to {name} at {nats:g} nats", text)
            counts[kind, nats] = [_shares(written.get(name, written[steered[0]]), sets[name]) for name in targets]
    return GenerationPart(
        targets=tuple(targets), counts={key: np.stack(values) for key, values in counts.items()}, samples=samples,
        seed=seed,
    )  # fmt: skip


def _words(bench: Bench, name: str) -> list[NDArray[np.int64]]:
    """Ids of the target's words, and of those of each other relation that are neither the target's nor nearer kin's."""
    relations, odds = bench.selectivity.odds.relations, bench.selectivity.odds
    row = relations.codes[bench.hierarchy.index(name)]
    taken, found = np.empty(0, np.int64), []
    for relation in COUNTED:
        indices = np.flatnonzero(row == RELATIONS.index(relation)).tolist()
        ids = np.unique(np.concatenate([odds.words(index) for index in indices] or [taken[:0]]))
        if relation == "parent":  # those right above it: further up holds nearly everything
            above = [bench.hierarchy.index(each) for each in bench.hierarchy.parents[name]]
            ids = np.unique(np.concatenate([odds.words(index) for index in above] or [taken[:0]]))
        found.append(np.setdiff1d(ids, taken))
        taken = np.union1d(taken, ids)
    return found


def _shares(completions: Sequence[tuple[int, ...]], sets: Sequence[NDArray[np.int64]]) -> Array:
    """Which part of each completion's tokens are of each set, shape (sets, completions)."""
    return np.array([[float(np.isin(ids, own).mean()) if ids else 0.0 for ids in completions] for own in sets])
