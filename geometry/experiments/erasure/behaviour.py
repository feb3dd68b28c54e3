"""What the model says: log-odds of held-out words after prompts about a concept and neutral ones, and the cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.concepts import ConceptHierarchy, proper_concepts
from geometry.display import short_repr
from geometry.errors import EstimationError
from geometry.experiments.erasure.methods import ERASURE, MEAN, PERMUTED, RANDOM, by_method
from geometry.experiments.erasure.removal import cell
from geometry.experiments.erasure.setup import Bench, Target
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.study import Step
from geometry.intervals import mean_of, summarise
from geometry.randomness import generator
from geometry.selectivity import RELATIONS, ConceptOdds
from geometry.selectivity.relations import Relation
from geometry.steering import Eraser, TextCost, kl_divergence, load_prompts, next_token_laws

Array = NDArray[np.float64]
PLAIN = "plain ablation at every token"
ASKED = (ERASURE, MEAN, PLAIN, RANDOM, PERMUTED)
COSTED = (ERASURE, PLAIN, RANDOM)
ABOUT, NEUTRAL = "about the concept", "neutral"
KINDS = (ABOUT, NEUTRAL)
_FEWEST = 5  # held-out words of a concept
_FITS = 3  # words in a prompt about a concept


@dataclass(frozen=True, eq=False, kw_only=True)
class BehaviourPart(Part):
    """Next-token laws with each of t concepts erased at every token.

    Attributes:
        targets: names. prompts: how many of each kind.
        change: kind → method → relation → change of log-odds of held-out words, the mean over the relation's concepts
            and over prompts, shape (t,); nan where there are none.
        kl: kind → method → KL(erased ‖ unsteered) in nats, mean over prompts, shape (t,).
        ratio: method → perplexity of neutral texts over the unsteered, shape (t,).
    """

    targets: Sequence[str]
    prompts: Mapping[str, int]
    change: Mapping[str, Mapping[str, Mapping[Relation, Array]]]
    kl: Mapping[str, Mapping[str, Array]]
    ratio: Mapping[str, Array]

    __repr__ = short_repr

    def summary(self) -> list[str]:
        """On its own prompts, on neutral ones, and the cost."""
        said = []
        for kind in KINDS:
            own, sibling, far = (
                summarise(self.change[kind][ERASURE][name]) for name in ("self", "sibling", "unrelated")
            )
            controls = ", ".join(
                f"{name} {mean_of(self.change[kind][name]['self']):+.2f}" for name in (RANDOM, PERMUTED)
            )
            said.append(
                f"After prompts {kind} LEACE changes the log-odds of a concept's held-out words by"
                f" {cell(own, '+.2f')} nats ({controls}), of siblings' {cell(sibling, '+.2f')}, of unrelated"
                f" {cell(far, '+.2f')}, at {mean_of(self.kl[kind][ERASURE]):.3f} nats of KL."
            )
        cost = ", ".join(f"{method} × {mean_of(values):.3f}" for method, values in self.ratio.items())
        said.append(f"Perplexity of neutral texts: {cost}.")
        return said

    def to_dict(self) -> dict[str, Any]:
        """Everything with intervals over concepts."""
        return {
            "targets": list(self.targets),
            "prompts": dict(self.prompts),
            "change": {
                kind: {
                    method: {name: summarise(values) for name, values in by.items()} for method, by in methods.items()
                }
                for kind, methods in self.change.items()
            },
            "kl": {kind: {method: summarise(v) for method, v in by.items()} for kind, by in self.kl.items()},
            "perplexity_ratio": {method: summarise(values) for method, values in self.ratio.items()},
        }

    def figures(self) -> list[FigureSpec]:
        """By relation and kind of prompt."""
        from geometry.experiments.erasure import figures

        return [figures.behaviour(self)]

    def tables(self) -> list[TableSpec]:
        """Method × relation, KL and perplexity."""
        rows = [
            [f"{method}; {kind}"]
            + [cell(summarise(self.change[kind][method][name]), "+.2f") for name in RELATIONS]
            + [cell(summarise(self.kl[kind][method]), ".3f")]
            + [cell(summarise(self.ratio[method]), ".3f") if method in self.ratio else "–"]
            for kind in KINDS
            for method in ASKED
        ]
        return [
            TableSpec(
                "Change of log-odds (nats) of held-out words after erasing, by relation, mean [95%]",
                ["erased by; prompts", *RELATIONS, "KL", "perplexity ×"],
                rows,
                f"{len(self.targets)} concepts, erased one at a time; intervals over these. Self and child: raw"
                " log-odds; others among the words outside the concept, renormalised.",
            )
        ]

    def arrays(self) -> dict[str, ArrayLike]:
        """By concept."""
        return {
            f"{kind}/{method}/{name}": values
            for kind, methods in self.change.items()
            for method, by in methods.items()
            for name, values in by.items()
        }


def behaved(bench: Bench, step: Step) -> BehaviourPart:
    """Ask the model after each prompt, with and without each concept."""
    study = bench.study
    vocabulary = step.session.unembedding(study.model, study.placement).vocabulary
    hierarchy = proper_concepts(step.session.hierarchy(study.hierarchy, vocabulary))
    odds = ConceptOdds.of(held_out(hierarchy, [bench.words[row] for row in bench.fitted]))
    targets = [target for target in bench.concepts if target.name in odds.hierarchy.names]
    if not targets:
        raise EstimationError(f"none of the erased concepts has {_FEWEST} held-out words that are one token")
    packaged = load_prompts("neutral")
    neutral, texts = packaged.beginnings[: study.n_prompts], packaged.texts
    cost = TextCost(bench.model, bench.tokenizer, texts)
    change: dict[str, dict[str, dict[Relation, list[float]]]] = {
        kind: {method: {name: [] for name in RELATIONS} for method in ASKED} for kind in KINDS
    }
    kl: dict[str, dict[str, list[float]]] = {kind: {method: [] for method in ASKED} for kind in KINDS}
    ratio: dict[str, list[float]] = {method: [] for method in COSTED}
    for number, target in enumerate(targets):
        step(f"asking without {target.label} ({number + 1} of {len(targets)})")
        prompts = {ABOUT: about(bench, target), NEUTRAL: list(neutral)}
        every = [prompt for texts_ in prompts.values() for prompt in texts_]
        erasers = _erasers(bench, target)
        before = next_token_laws(bench.model, bench.tokenizer, every)
        place = odds.hierarchy.index(target.name)
        codes = odds.relations.codes[place]
        unsteered = odds.at(before.double().exp().numpy()[:, odds.tokens].T, place)
        for method, eraser in erasers.items():
            after = next_token_laws(bench.model, bench.tokenizer, every, eraser, positions="all")
            moved = odds.at(after.double().exp().numpy()[:, odds.tokens].T, place) - unsteered
            nats = kl_divergence(after, before)
            values = np.where((codes <= 1)[:, None], moved.raw, moved.off_target)
            start = 0
            for kind, texts_ in prompts.items():
                here = slice(start, start := start + len(texts_))
                kl[kind][method].append(float(nats[here].mean()))
                for code, name in enumerate(RELATIONS):
                    change[kind][method][name].append(mean_of(values[codes == code, here]))
            if method in ratio:
                ratio[method].append(cost.ratio(eraser))
    return BehaviourPart(
        targets=[target.label for target in targets],
        prompts={ABOUT: len(about(bench, targets[0])), NEUTRAL: len(neutral)},
        change={k: {m: {n: np.array(v) for n, v in by.items()} for m, by in ms.items()} for k, ms in change.items()},
        kl={kind: {method: np.array(v) for method, v in by.items()} for kind, by in kl.items()},
        ratio={method: np.array(values) for method, values in ratio.items()},
    )


def _erasers(bench: Bench, target: Target) -> dict[str, Eraser]:
    """One of each method; the plain ablation is what `steer(..., mode="ablate")` does at every token."""
    found: dict[str, Eraser] = {}
    for method, eraser in by_method(bench, target):
        found.setdefault(method, eraser)
    found[PLAIN] = Eraser.orthogonal(found[ERASURE].left.numpy(), bench.site, name=target.label)
    return {method: found[method] for method in ASKED}


def about(bench: Bench, target: Target) -> list[str]:
    """Prompts after which a word of the concept is to be expected, made of words that no eraser was fitted to."""
    rows = np.concatenate([bench.first, bench.second])
    own = rows[bench.members[rows, target.columns[0]]]
    count = max(2, bench.study.n_prompts // 2)
    rng = generator(bench.study.seed, f"prompts about {target.name}")
    drawn = [rng.choice(own, _FITS, replace=False) for _ in range(count)]
    return [f"The {bench.words[a]}, the {bench.words[b]}, the {bench.words[c]} and the" for a, b, c in drawn]


def held_out(hierarchy: ConceptHierarchy, words: Sequence[str]) -> ConceptHierarchy:
    """The concepts with at least five words that are no form of those given, nor of their last words, and these alone.

    Raises EstimationError: fewer than three concepts.
    """
    known = {form for word in words for form in (word.lower(), word.lower().split()[-1])}
    seen = {lemma for lemma, word in zip(hierarchy.lemmas, hierarchy.words, strict=True) if word.lower() in known}
    left = {int(token) for token, lemma in zip(hierarchy.tokens, hierarchy.lemmas, strict=True) if lemma not in seen}
    kept: dict[str, frozenset[int]] = {}
    for concept in hierarchy:  # parents come first
        own = frozenset(concept.tokens) & left
        # A child that is left with all of its parent's words is the parent.
        if len(own) >= _FEWEST and all(kept.get(parent) != own for parent in hierarchy.parents[concept.name]):
            kept[concept.name] = own
    if len(kept) < 3:
        raise EstimationError(
            f"hierarchy {hierarchy.name!r}: {len(kept)} concepts have {_FEWEST} words of one token that erasers were"
            " not fitted to, where 3 are needed"
        )
    concepts = []
    for concept in hierarchy.only(list(kept)):
        pairs = [(w, t) for w, t in zip(concept.words, concept.tokens, strict=True) if t in left]
        concepts.append(replace(concept, words=tuple(w for w, _ in pairs), tokens=tuple(t for _, t in pairs)))
    return replace(hierarchy.only(list(kept)), concepts=tuple(concepts))
