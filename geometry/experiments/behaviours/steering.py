"""Steering between classes of behaviour: sentences read under vectors, and what is written under them.

Sentences of templates that a vector has not seen are steered after a block and told by a probe after the final norm;
texts written under the vector are told by one in the model without it. All that is compared has one length: that
of the difference of two classes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

import geometry as geo
from analysis.behaviours_bench import PLAIN, PRICED, Bench, Fold, Pair, choose_strength, compared, prepare, price
from analysis.behaviours_study import FINAL, Study, prompts

TOKENS = 16
BATCH = 64
WRITTEN = ("classes", "opposites", "prompting", "nothing", "random direction")
SHOWN = 24  # tokens of a completion on the page
UNSTEERED = "(nothing)"

METHODS = ("classes", "opposites", "one pair", "prompting")
CONTROLS = ("nothing", "random direction", "shuffled labels", "plain sentences")
PARTS = ("family", "level", "family + level")
DOMAINS = ("own domain", "other domain", "shuffled labels")

Values = NDArray[np.float64]
Told = NDArray[np.str_]
Key = tuple[str, ...]
Vectors = Mapping[tuple[Fold, Pair], Mapping[str, geo.SteeringVector]]


@dataclass(frozen=True, eq=False)
class Case:
    """Prompts of a fold and the vector that they are to be steered by.

    Attributes
    ----------
    key : what is being asked; cases of both folds share it.
    before : for each of `prompts` a sentence to stand before it.
    """

    key: Key
    fold: Fold
    vector: geo.SteeringVector | None
    prompts: Sequence[str]
    before: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Steered:
    """What steering did in one family. Lists hold 1.0 for each prompt or text told as wanted, else 0.0.

    Attributes
    ----------
    strength : see `choose_strength`.
    matrix : from class × to class, share of sentences told as the latter; on the diagonal without a vector.
    reached : method or control → sentences told as the class they were steered to, over `pairs`.
    written : those of `WRITTEN` → the same of texts that go on from plain openings after a sentence of the source.
    odds : method or control → change of the log-odds of class words in nats, for each pair and beginning.
    perplexity : method → times the unsteered one, geometric mean.
    family, level : part, "random direction" or "nothing" → plain sentences told as any class, and as the one wanted.
    transfer : where the vector is from → sentences of one domain.
    completions : opening → `UNSTEERED` or class → text.
    """

    block: int
    strength: float
    pairs: list[Pair]
    matrix: Values
    reached: dict[str, Values]
    written: dict[str, Values]
    odds: dict[str, Values]
    perplexity: dict[str, float]
    family: dict[str, Values]
    level: dict[str, Values]
    transfer: dict[str, Values]
    completions: dict[str, dict[str, str]]

    def over_opposites(self, kind: str) -> Values:
        """What a vector of two classes does beyond the one axis of opposites: in `reached`, `written` or `odds`."""
        by: dict[str, Values] = getattr(self, kind)
        return by["classes"] - by["opposites"]


def steer_family(study: Study, name: str, block: int) -> Steered:
    """All of it, for one family."""
    bench = prepare(study, name, block)
    strength = choose_strength(bench)
    vectors = {(fold, pair): compared(bench, fold, pair, strength) for fold in bench.folds for pair in bench.pairs}
    cases = [*between_all(bench, strength), *others(bench, vectors)]
    cases += [*compositions(bench, strength), *transfers(bench, strength)]
    told, texts = told_states(bench, cases), told_texts(bench, to_be_written(bench, vectors))
    classes, pairs = bench.classes, bench.pairs

    def share(*key: str, wanted: str) -> Values:
        return np.asarray(told[key] == wanted, dtype=np.float64)

    reached = {
        "classes": [share("matrix", one, to, wanted=to) for one, to in pairs],
        "nothing": [share("matrix", one, one, wanted=to) for one, to in pairs],
    }
    for way in (*METHODS, *CONTROLS):
        if way not in reached:
            reached[way] = [share("method", way, one, to, wanted=to) for one, to in pairs]
    written = {way: [texts[way, one, to] == to for one, to in pairs] for way in WRITTEN}
    transfer = {way: [share("transfer", way, one, to, wanted=to) for one, to in pairs] for way in DOMAINS}
    composed = {}
    for part in (*PARTS, "random direction", "nothing"):
        # The family's part and nothing are the same for every class.
        keys = [("composed", part, one) for one in classes]
        composed[part] = [told[key] if key in told else told[key[:2]] for key in keys]
    levels = {part: [of == one for one, of in zip(classes, by, strict=True)] for part, by in composed.items()}
    return Steered(
        block=block,
        strength=strength,
        pairs=pairs,
        matrix=np.array([[share("matrix", one, to, wanted=to).mean() for to in classes] for one in classes]),
        reached=joined(reached),
        written=joined(written),
        odds=word_odds(bench, vectors),
        perplexity=perplexities(bench, vectors),
        family=joined({part: [of != PLAIN for of in by] for part, by in composed.items()}),
        level=joined(levels),
        transfer=joined(transfer),
        completions=complete_levels(bench, strength),
    )


def joined(lists: Mapping[str, Sequence[NDArray[Any]]]) -> dict[str, Values]:
    """Lists of yes and no by name, each as one of 1.0 and 0.0."""
    return {name: np.concatenate(some).astype(np.float64) for name, some in lists.items()}


def between_all(bench: Bench, strength: float) -> list[Case]:
    """Sentences of every class to every other; to their own without a vector."""
    return [
        Case(
            ("matrix", one, to),
            fold,
            strength * (fold.means[to] - fold.means[one]) if to != one else None,
            bench.sentences(fold.steered, one),
        )
        for fold in bench.folds
        for one in bench.classes
        for to in bench.classes
    ]


def others(bench: Bench, vectors: Vectors) -> list[Case]:
    """Other ways between the pairs; prompting puts a sentence of the target before those of the source."""
    cases = []
    for (fold, pair), by in vectors.items():
        own = bench.sentences(fold.steered, pair[0])
        cases += [Case(("method", way, *pair), fold, vector, own) for way, vector in by.items() if way != "classes"]
        shown = bench.sentences(fold.fitted, pair[1])[: len(own)]
        cases.append(Case(("method", "prompting", *pair), fold, None, own, shown))
    return cases


def compositions(bench: Bench, strength: float) -> list[Case]:
    """Parent + child: from plain sentences to the family, and from the family to a level of it."""
    cases = []
    for fold in bench.folds:
        whole = sum((fold.means[one] for one in bench.classes[1:]), fold.means[bench.classes[0]]) / len(bench.classes)
        parent = strength * (whole - fold.means[PLAIN])
        parts: dict[Key, geo.SteeringVector | None] = {("family",): parent, ("nothing",): None}
        for place, one in enumerate(bench.classes):
            child = strength * (fold.means[one] - whole)
            composed = parent + child
            parts |= {("level", one): child, ("family + level", one): composed}
            parts["random direction", one] = composed.random(bench.study.seed + place)
        cases += [Case(("composed", *part), fold, vector, fold.plain) for part, vector in parts.items()]
    return cases


def transfers(bench: Bench, strength: float) -> list[Case]:
    """Sentences of one domain by vectors fitted in it or in another, and by shuffled labels of the other."""
    cases = []
    domains = list(bench.family.domains)
    where = np.array([prompt.domain for prompt in prompts(bench.family)])
    for fold in bench.folds:
        for place, domain in enumerate(domains):
            other = domains[(place + 1) % len(domains)]
            own, away = (fold.fitted & (where == name) for name in (domain, other))
            means = dict(zip(DOMAINS, (bench.means(own), bench.means(away), bench.shuffled(away, place)), strict=True))
            for one, to in bench.pairs:
                norm = strength * (fold.means[to] - fold.means[one]).norm()
                asked = bench.sentences(fold.steered, one, domain)
                for way, by in means.items():
                    cases.append(Case(("transfer", way, one, to), fold, (by[to] - by[one]).with_norm(norm), asked))
    return cases


def to_be_written(bench: Bench, vectors: Vectors) -> list[Case]:
    """Plain openings after a sentence of the source, or for prompting one of the target."""
    cases = []
    for (fold, pair), by in vectors.items():
        for way in WRITTEN:
            shown = bench.sentences(fold.fitted, pair[way == "prompting"])[:: len(fold.openings)]
            before = [shown[place % len(shown)] for place in range(len(fold.openings))]
            cases.append(Case((way, *pair), fold, by.get(way), fold.openings, before))
    return cases


def told_states(bench: Bench, cases: Sequence[Case]) -> dict[Key, Told]:
    """Key → what the probe after the final norm tells each prompt to be, while it is steered after the block."""
    study = bench.study
    asked = [
        (f"{case.before[place]} {prompt}" if case.before else prompt, case.vector)
        for case in cases
        for place, prompt in enumerate(case.prompts)
    ]
    texts, vectors = zip(*asked, strict=True)
    rows = geo.read_activations(study.model, study.tokenizer, texts, [FINAL], vectors=vectors, batch=BATCH)
    return by_key(cases, rows[FINAL], FINAL)


def told_texts(bench: Bench, cases: Sequence[Case]) -> dict[Key, Told]:
    """Key → what the probe at the block tells each text to be, in the model without vectors."""
    texts = [whole_sentences(text) for text in write(bench, cases)]
    rows = geo.read_activations(bench.study.model, bench.study.tokenizer, texts, [bench.site], batch=BATCH)
    return by_key(cases, rows[bench.site], bench.site)


def by_key(cases: Sequence[Case], rows: torch.Tensor, site: geo.Site) -> dict[Key, Told]:
    found: dict[Key, list[Told]] = {}
    for case, part in zip(cases, torch.split(rows, [len(case.prompts) for case in cases]), strict=True):
        probe = case.fold.probes[site]
        found.setdefault(case.key, []).append(np.array(probe.classes)[probe.told(part.numpy())])
    return {key: np.concatenate(some) for key, some in found.items()}


def write(bench: Bench, cases: Sequence[Case]) -> list[str]:
    """All prompts in order with what the model wrote after them, the most probable each time, without `before`."""
    model, tokenizer = bench.study.model, bench.study.tokenizer
    jobs = [
        (f"{before} {opening}", opening, case.vector)
        for case in cases
        for opening, before in zip(case.prompts, case.before, strict=True)
    ]
    texts = [""] * len(jobs)
    # Prompts of like length leave little padding.
    order = sorted(range(len(jobs)), key=lambda job: len(jobs[job][0]))
    for start in tqdm(range(0, len(order), BATCH), desc=f"writing {bench.family.name}", disable=None, leave=False):
        some = order[start : start + BATCH]
        asked, openings, vectors = zip(*(jobs[job] for job in some), strict=True)
        with geo.steer_each(model, vectors):
            completions = geo.generate(model, tokenizer, asked, max_new_tokens=TOKENS, frequency_penalty=1.0)
        for job, opening, (one,) in zip(some, openings, completions, strict=True):
            texts[job] = opening + one.text
    return texts


def whole_sentences(text: str) -> str:
    """Up to the last full stop, as the sentences that the probe knows end; all of it where there is none."""
    ends = [match.end() for match in re.finditer(r"[.!?]", text)]
    return text[: ends[-1]] if ends else text


def word_odds(bench: Bench, vectors: Vectors) -> dict[str, Values]:
    """Change of log P(words of the target) − log P(words of the source) after a beginning for a word of manner."""
    study = bench.study
    concepts = {one: geo.concepts.class_concept(bench.family, one) for one in bench.classes}
    words = geo.steering.concept_tokens(study.words, list(concepts.values()))
    asked = geo.steering.NextToken(study.model, study.tokenizer, study.plain.beginnings)

    def odds(effect: geo.steering.Effect, one: str, to: str) -> Values:
        found: Values = np.log(effect.probability[concepts[to]]) - np.log(effect.probability[concepts[one]])
        return found

    before = asked.effect(None, words)
    changes: dict[str, list[Values]] = {}
    for (fold, pair), by in vectors.items():
        if fold is bench.folds[0]:
            for way, vector in by.items():
                changes.setdefault(way, []).append(odds(asked.effect(vector, words), *pair) - odds(before, *pair))
    return {way: np.concatenate(some) for way, some in changes.items()}


def perplexities(bench: Bench, vectors: Vectors) -> dict[str, float]:
    """How many times each way multiplies the perplexity of neutral texts, over the pairs of `choose_strength`."""
    some = [vectors[bench.folds[0], pair] for pair in bench.pairs[:PRICED]]
    ways = ("classes", "opposites", "one pair", "random direction")
    return {way: price(bench.study, [by[way] for by in some]) for way in ways}


def complete_levels(bench: Bench, strength: float) -> dict[str, dict[str, str]]:
    """Opening → `UNSTEERED` or class → a longer completion, sampled, under family + level."""
    study, fold = bench.study, bench.folds[0]
    vectors: dict[str, Any] = {UNSTEERED: None}
    vectors |= {one: strength * (fold.means[one] - fold.means[PLAIN]) for one in bench.classes}
    openings = [opening for each in bench.folds for opening in each.openings][::2]
    asked = [(opening, name) for opening in openings for name in vectors]
    with geo.steer_each(study.model, [vectors[name] for _, name in asked]):
        texts = geo.generate(
            study.model,
            study.tokenizer,
            [opening for opening, _ in asked],
            max_new_tokens=SHOWN,
            temperature=0.7,
            top_p=0.9,
            frequency_penalty=1.0,
            seed=study.seed,
        )
    found: dict[str, dict[str, str]] = {opening: {} for opening in openings}
    for (opening, name), (one,) in zip(asked, texts, strict=True):
        found[opening][name] = one.text
    return found
