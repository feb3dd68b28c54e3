"""One noun on another: additive in its nouns or not, whether order is bound, and whether the model answers by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from geometry.anatomy.role_binding import RoleMaps, TwoWayShares, role_maps, two_way_shares
from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.experiments.composition.labels import MOVES
from geometry.experiments.composition.setup import Bench
from geometry.experiments.composition.steered_token import SteeredToken, matched
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.intervals import interval_of, summarise
from geometry.layers import load_contexts, read_phrases
from geometry.steering import NextToken, Site, SteeringVector

Array = NDArray[np.float64]
NOUNS = (
    "duck", "horse", "cat", "dog", "bear", "rabbit", "mouse", "snake", "fish", "bird", "cow", "sheep", "lion", "wolf",
    "frog", "elephant",
)  # fmt: skip
CONTEXT = "There was {}"
PLACES = {"last noun": "a {} on a {}", "full stop": "a {} on a {}."}
QUESTIONS = {"top": " The one on top was the", "below": " The one below was the"}
_TWO = "There was a {} on a {} and a {} on a {}."
_SITES, _PAIRS = 6, 40
_ABLE = 0.75


@dataclass(frozen=True, eq=False)
class RelationsPart(Part):
    """Pairs of nouns, n of them.

    Attributes:
        nouns: in their order.
        shares, maps: place ("last noun", "full stop") → site → what was found there.
        competence: question → whether the unsteered model prefers the right noun of two, shape (pairs,).
        sites: where the full stop was steered.
        moved: way → change of log P(new top noun) − log P(old one) after "The one on top was the", (sites, pairs).
    """

    nouns: tuple[str, ...]
    shares: Mapping[str, Mapping[Site, TwoWayShares]]
    maps: Mapping[str, Mapping[Site, RoleMaps]]
    competence: Mapping[str, Array]
    sites: tuple[Site, ...]
    moved: Mapping[str, Array]

    __repr__ = short_repr

    @property
    def able(self) -> bool:
        """Whether every question is answered by order."""
        return all(values.mean() >= _ABLE for values in self.competence.values())

    @property
    def best(self) -> int:
        """The site where a composed step does most, the first of them."""
        return int(self.moved[MOVES[0]].mean(axis=1).argmax())

    def binding(self, place: str) -> Site:
        """Where role maps beat the bag by most."""
        return max(
            self.maps[place], key=lambda site: self.maps[place][site].r2("roles") - self.maps[place][site].r2("bag")
        )

    def summary(self) -> list[str]:
        """Shares, maps, order, and answers."""
        lines = []
        for place, maps in self.maps.items():
            site = self.binding(place)
            found, shares = maps[site], self.shares[place][site]
            ends = {name: shares.interval(name) for name in shares.shares}
            said = ", ".join(
                f"{label} {shares.shares[name]:.0%} [{ends[name][0]:.0%}, {ends[name][1]:.0%}]"
                for name, label in (
                    ("first", "first noun"),
                    ("second", "second noun"),
                    ("interaction", "both only together"),
                )
            )
            (low, high), (below, above) = found.interval("roles"), interval_of(found.ordered, found.pairs.min(axis=1))
            lines.append(
                f"“an A on a B”, read at the {place}, at {site}: of the variance over {len(found.pairs)} pairs {said}"
                f" (pairs permuted: {shares.permuted['first']:.0%}, {shares.permuted['second']:.0%},"
                f" {shares.permuted['interaction']:.0%}). Maps by role explain {found.r2('roles'):.2f} [{low:.2f},"
                f" {high:.2f}] of pairs of two held-out nouns, one map of their sum {found.r2('bag'):.2f}, pairs"
                f" permuted {found.permuted.mean():.2f}; order is recovered for {found.ordered.mean():.0%}"
                f" [{below:.0%}, {above:.0%}] (roles flipped at random {found.flipped.mean():.0%}, p ="
                f" {found.p_order:.2g})."
            )
        told = ", ".join(f"{name} {values.mean():.0%}" for name, values in self.competence.items())
        verdict = "the model answers by order" if self.able else "the model cannot tell by order"
        lines.append(
            f"Asked who is on whom, {verdict}: right for {told} of {len(next(iter(self.competence.values())))} pairs"
            " (50% by chance)" + (".", ", so that steering its answer says little.")[not self.able]
        )
        at = self.best
        ends2 = {way: interval_of(self.moved[way][at]) for way in MOVES}
        changes = {
            way: f"{self.moved[way][at].mean():+.2f} [{ends2[way][0]:+.2f}, {ends2[way][1]:+.2f}]" for way in MOVES
        }
        lines.append(
            f"A composed step to another top noun, from pairs with other bottom nouns, added to the full stop at"
            f" {self.sites[at]}, changes log P(new) − log P(old) by {changes[MOVES[0]]} nats; the pair's own difference"
            f" {changes[MOVES[1]]}, the step of the other role {changes[MOVES[2]]}, random {changes[MOVES[3]]}."
        )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Place → site → numbers; competence; steering."""
        read = {
            place: {
                str(site): {
                    "shares": {name: {"share": value, "interval": list(self.shares[place][site].interval(name))}
                               for name, value in self.shares[place][site].shares.items()},
                    "shares_permuted": dict(self.shares[place][site].permuted),
                    "r2": {name: {"value": found.r2(name), "interval": list(found.interval(name))}
                           for name in found.errors},
                    "r2_permuted": float(found.permuted.mean()),
                    "ordered": summarise(found.ordered),
                    "ordered_flipped": float(found.flipped.mean()),
                    "p_order": found.p_order,
                }
                for site, found in maps.items()
            }
            for place, maps in self.maps.items()
        }  # fmt: skip
        return {
            "nouns": list(self.nouns),
            "read": read,
            "competence": {name: summarise(values) for name, values in self.competence.items()},
            "able": self.able,
            "steering": {
                str(site): {way: summarise(self.moved[way][at]) for way in MOVES} for at, site in enumerate(self.sites)
            },
        }

    def figures(self) -> list[FigureSpec]:
        """What is read, and what steering does."""
        from geometry.experiments.composition.figures import relation_steering, relations

        return [relations(self), relation_steering(self)]

    def tables(self) -> list[TableSpec]:
        """By place and site."""
        rows = []
        for place, maps in self.maps.items():
            for site, found in maps.items():
                shares = self.shares[place][site].shares
                (low, high), (below, above) = (
                    found.interval("roles"),
                    interval_of(found.ordered, found.pairs.min(axis=1)),
                )
                rows.append(
                    [f"{place}, {site}", *(f"{shares[name]:.0%}" for name in ("first", "second", "interaction")),
                     f"{found.r2('roles'):.2f} [{low:.2f}, {high:.2f}]", f"{found.r2('bag'):.2f}",
                     f"{found.permuted.mean():.2f}", f"{found.ordered.mean():.0%} [{below:.0%}, {above:.0%}]",
                     f"{found.flipped.mean():.0%}", f"{found.p_order:.2g}"]
                )  # fmt: skip
        head = [
            "place",
            "first",
            "second",
            "together",
            "R² by role",
            "bag",
            "permuted",
            "order recovered",
            "roles flipped",
            "p",
        ]
        caption = (
            "Shares of variance of the first noun, the second, and only both together; R² of linear maps on pairs of"
            " two held-out nouns; how often a pair is nearer to its own prediction than to that of the nouns exchanged."
        )
        return [TableSpec("An A on a B", head, rows, caption)]

    def arrays(self) -> dict[str, ArrayLike]:
        """Steered changes, and held-out pairs whose order is recovered."""
        ordered: dict[str, ArrayLike] = {
            f"ordered/{place}/{site}": found.ordered
            for place, maps in self.maps.items()
            for site, found in maps.items()
        }
        return ordered | {f"moved/{way}": values for way, values in self.moved.items()}


def related(bench: Bench) -> RelationsPart:
    """Read all ordered pairs at both places, fit, ask, steer."""
    study = bench.study
    ids = {noun: bench.unembedding.vocabulary.word_id(noun) for noun in NOUNS}
    nouns = tuple(noun for noun in NOUNS if ids[noun] is not None)[: study.n_nouns]
    if len(nouns) < 5:
        raise SteeringError(
            f"only {len(nouns)} of {', '.join(NOUNS)} are single tokens of this vocabulary; 5 are needed"
        )
    outputs = [site for site in bench.inside if site.place != "input"]
    chosen = [outputs[i] for i in sorted({round(i) for i in np.linspace(0, len(outputs) - 1, _SITES)})]
    pairs = [(i, j) for i in range(len(nouns)) for j in range(len(nouns)) if i != j]
    read: dict[str, dict[Site, Array]] = {}
    alone: dict[str, dict[Site, Array]] = {}
    raw: dict[tuple[str, Site], Array] = {}
    for place, template in PLACES.items():
        texts = [template.format(nouns[i], nouns[j]) for i, j in pairs]
        end = "." if template.endswith(".") else ""
        singles = [f"a {noun}{end}" for noun in nouns]
        contexts = load_contexts([CONTEXT])
        got = read_phrases(
            bench.model, bench.tokenizer, [*texts, *singles], contexts=contexts, sites=chosen, cache=True
        )
        read[place], alone[place] = {}, {}
        for site in chosen:
            space = got.space(site, bench.neutral.covariance(site))
            rows = space.rows(np.arange(len(got.phrases))).double().cpu().numpy()
            read[place][site], alone[place][site] = _square(rows, pairs, len(nouns)), rows[len(pairs) :]
            raw[place, site] = _square(got.mean(site).double().numpy(), pairs, len(nouns))
    options = {"n_permutations": study.n_permutations, "seed": study.seed}
    with threadpool_limits(1):
        shares = {p: {site: two_way_shares(rows, **options) for site, rows in at.items()} for p, at in read.items()}
        maps = {
            p: {site: role_maps(rows, alone[p][site], **options) for site, rows in at.items()} for p, at in read.items()
        }
    rng = np.random.default_rng(study.seed)
    some = [pairs[i] for i in rng.permutation(len(pairs))[:_PAIRS]]
    tokens = torch.tensor([int(ids[noun] or 0) for noun in nouns])
    sites = tuple(site for site in chosen if site in bench.steered)
    moved = _steered(bench, nouns, some, tokens, {site: raw["full stop", site] for site in sites})
    return RelationsPart(nouns, shares, maps, _competence(bench, nouns, some, tokens), sites, moved)


def _square(rows: Array, pairs: list[tuple[int, int]], count: int) -> Array:
    """Rows of pairs as an array (n, n, d), nan on its diagonal."""
    whole = np.full((count, count, rows.shape[1]), np.nan)
    whole[tuple(np.array(pairs).T)] = rows[: len(pairs)]
    return whole


def _text(nouns: tuple[str, ...], pair: tuple[int, int], question: str) -> str:
    return CONTEXT.format(PLACES["full stop"].format(*(nouns[k] for k in pair))) + QUESTIONS[question]


def _competence(
    bench: Bench, nouns: tuple[str, ...], pairs: list[tuple[int, int]], tokens: torch.Tensor
) -> dict[str, Array]:
    """Whether the right one of two nouns is the likelier, with one pair and with two."""
    first, second = torch.tensor(pairs).T
    texts = {
        "on top": ([_text(nouns, pair, "top") for pair in pairs], first, second),
        "below": ([_text(nouns, pair, "below") for pair in pairs], second, first),
    }
    # Another pair beside each, of other nouns: who is on whom is not told by who was named last.
    others = [next(p for p in pairs[k:] + pairs[:k] if not set(p) & set(pair)) for k, pair in enumerate(pairs)]
    third = torch.tensor([i for i, _ in others])
    both = [_TWO.format(*(nouns[k] for k in (*pair, *other))) for pair, other in zip(pairs, others, strict=True)]
    asked = {"on the first of two": (pairs, first, third), "on the second of two": (others, third, first)}
    for name, (whose, right, wrong) in asked.items():
        ends = [f" On the {nouns[j]} there was a" for _, j in whose]
        texts[name] = ([text + end for text, end in zip(both, ends, strict=True)], right, wrong)
    found = {}
    for name, (prompts, right, wrong) in texts.items():
        law = NextToken(bench.model, bench.tokenizer, prompts).unsteered
        chances = law.gather(1, torch.stack([tokens[right], tokens[wrong]], dim=1)).numpy()
        found[name] = (chances[:, 0] > chances[:, 1]).astype(np.float64)
    return found


def _steered(
    bench: Bench, nouns: tuple[str, ...], pairs: list[tuple[int, int]], tokens: torch.Tensor,
    read: Mapping[Site, Array],
) -> dict[str, Array]:  # fmt: skip
    """The full stop moved to a pair with another top noun; every vector as long as the pair's own difference."""
    study = bench.study
    rng = np.random.default_rng(study.seed)
    others = [int(rng.choice([k for k in range(len(nouns)) if k not in pair])) for pair in pairs]
    rows = [bench.tokenizer(_text(nouns, pair, "top"))["input_ids"] for pair in pairs]
    tail = len(bench.tokenizer(QUESTIONS["top"], add_special_tokens=False)["input_ids"])
    if len({len(row) for row in rows}) > 1:
        raise SteeringError("the pairs of nouns make texts of several lengths, which are not steered at one place")
    asked = SteeredToken(bench.model, torch.tensor(rows), len(rows[0]) - tail - 1)
    old, new = tokens[torch.tensor([i for i, _ in pairs])], tokens[torch.tensor(others)]

    def contrast(law: torch.Tensor) -> Array:
        both = law.gather(1, torch.stack([new, old], dim=1)).double().numpy()
        return np.asarray(both[:, 0] - both[:, 1])

    unsteered = contrast(asked.law())
    moved: dict[str, list[Array]] = {way: [] for way in MOVES}
    for site, at in read.items():
        own, step, crossed = [], [], []
        for (i, j), k in zip(pairs, others, strict=True):
            rest = [b for b in range(len(nouns)) if b not in (i, j, k)]
            own.append(at[k, j] - at[i, j])
            step.append(np.mean([at[k, b] - at[i, b] for b in rest], axis=0))
            crossed.append(np.mean([at[a, k] - at[a, i] for a in rest], axis=0))
        ceiling = [_vector(site, part) for part in own]
        norms = [vector.norm() for vector in ceiling]
        random = [[vector.random(study.seed + 1000 * draw + n) for n, vector in enumerate(ceiling)]
                  for draw in range(study.n_random)]  # fmt: skip
        sets = {
            MOVES[0]: [[_vector(site, part) for part in step]], MOVES[1]: [ceiling],
            MOVES[2]: [[_vector(site, part) for part in crossed]], MOVES[3]: random,
        }  # fmt: skip
        for way, several in sets.items():
            changes = [contrast(asked.law(matched(vectors, norms))) - unsteered for vectors in several]
            moved[way].append(np.asarray(np.mean(changes, axis=0)))
    return {way: np.stack(values) for way, values in moved.items()}


def _vector(site: Site, part: Array) -> SteeringVector:
    return SteeringVector({site: torch.from_numpy(np.ascontiguousarray(part)).float()}, f"pair at {site}")
