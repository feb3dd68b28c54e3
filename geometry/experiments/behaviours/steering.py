"""Steering between classes of behaviour: sentences read under vectors, and what is generated under them.

Sentences of templates that a vector was not fitted to are steered after a block and classified by a probe after the
final norm; texts generated under the vector are classified by one in the model without it. All vectors that are
compared have one norm: that of the difference of two classes.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.concepts import class_concept
from geometry.display import short_repr
from geometry.experiments.behaviours.folds import COSTED, NEUTRAL, Bench, Fold, Pair
from geometry.experiments.behaviours.setup import FINAL, Family, Setup
from geometry.experiments.evaluator import FREQUENCY_PENALTY, Strength
from geometry.intervals import summarise
from geometry.progress import progress_bar
from geometry.steering import NextToken, SteeringVector, concept_tokens, generate, read_activations, steer_each

UNSTEERED = "unsteered"
METHODS = ("class difference", "contrast-pair direction", "single sentence pair", "prompting")
CONTROLS = (UNSTEERED, "random direction", "shuffled labels", "neutral prompts")
SUM = "family mean + class offset"
PARTS = ("family mean", "class offset", SUM)
DOMAINS = ("own domain", "other domain", "shuffled labels")
MAX_NEW_TOKENS = 16
_GENERATED = ("class difference", "contrast-pair direction", "prompting", UNSTEERED, "random direction")
_COSTED = ("class difference", "contrast-pair direction", "single sentence pair", "random direction")
_SHOWN_TOKENS = 24  # of a generation on the page
_BATCH = 64

Values = NDArray[np.float64]
Outcomes = dict[str, Values]


@dataclass(frozen=True, eq=False)
class FamilySteering:
    """What steering did in one family.

    Attributes:
        strength: times the difference of two classes.
        matrix: source × target, steering success rate; on the diagonal unsteered.
        outcomes: measure → condition → values, 1.0 for each prompt or text classified as wanted, else 0.0. "success":
            sentences classified as the target, over `pairs`; "generated": the same of texts that go on from neutral
            openings after a sentence of the source; "any_class", "right_class": neutral prompts classified as any class
            of the family, and as the target, by `PARTS`; "transfer": sentences of one domain, by the domain that the
            vector is fitted in; "log_odds": change of the log-odds of class words in nats, for each pair and beginning.
        perplexity: condition → times the unsteered one, geometric mean.
        generations: opening → `UNSTEERED` or class → text.
    """

    block: int
    strength: Strength
    pairs: list[Pair]
    matrix: Values
    outcomes: Mapping[str, Outcomes]
    perplexity: Mapping[str, float]
    generations: Mapping[str, Mapping[str, str]]

    __repr__ = short_repr

    def over_contrast_pair(self, measure: str) -> Values:
        """What the difference of two classes does beyond the family's one axis, in one of `outcomes`."""
        return self.outcomes[measure]["class difference"] - self.outcomes[measure]["contrast-pair direction"]

    def to_dict(self) -> dict[str, Any]:
        """The numbers, means with their intervals."""
        means = {name: {way: summarise(values) for way, values in by.items()} for name, by in self.outcomes.items()}
        over = {name: summarise(self.over_contrast_pair(name)) for name in ("success", "generated", "log_odds")}
        chosen = {"block": self.block, "strength": self.strength.value, "within_bound": self.strength.within}
        measured = {"pairs": [list(pair) for pair in self.pairs], "matrix": self.matrix.tolist(), **means}
        rest = {"perplexity": self.perplexity, "over_contrast_pair": over, "generations": self.generations}
        return chosen | measured | rest


@dataclass(frozen=True, eq=False)
class Trial:
    """Prompts that are steered from one class to another by one vector, perhaps with a sentence prepended to each."""

    condition: str
    pair: Pair
    fold: Fold
    vector: SteeringVector | None
    prompts: Sequence[str]
    prepended: Sequence[str] = ()

    __repr__ = short_repr

    @property
    def inputs(self) -> list[str]:
        """What the model reads."""
        pairs = zip(self.prepended, self.prompts, strict=bool(self.prepended))
        return list(map(" ".join, pairs)) or list(self.prompts)


Classified = list[tuple[Trial, NDArray[np.str_]]]


def steer_family(setup: Setup, family: Family, block: int) -> FamilySteering:
    """Choose a strength by its cost, then steer: between classes, from neutral prompts, between domains, in texts."""
    bench = Bench(setup, family, setup.blocks[block])
    every = success(bench, classify(bench, between_all(bench)))
    composed = classify(bench, compositions(bench))
    first = {pair: bench.vectors[bench.folds[0], pair] for pair in bench.pairs}
    costed = {way: [vectors[way] for vectors in first.values()][:COSTED] for way in _COSTED}
    return FamilySteering(
        block=block,
        strength=bench.strength,
        pairs=bench.pairs,
        matrix=np.reshape([values.mean() for values in every.values()], (len(bench.family.classes), -1)),
        outcomes={
            "success": success(bench, classify(bench, between_pairs(bench))),
            "generated": success(bench, classify(bench, continuations(bench), generated=True)),
            "log_odds": log_odds(bench, first),
            "any_class": success(bench, composed, lambda predicted, _: predicted != NEUTRAL),
            "right_class": success(bench, composed),
            "transfer": success(bench, classify(bench, transfers(bench))),
        },
        perplexity={way: setup.evaluator.perplexity_ratio(*vectors) for way, vectors in costed.items()},
        generations=generations(bench),
    )


def between_all(bench: Bench) -> list[Trial]:
    """Sentences of every class to every other by the difference of the two; to their own unsteered."""
    trials = []
    for fold in bench.folds:
        for source in bench.family.classes:
            own = bench.sentences(fold.steered, source)
            for target in bench.family.classes:
                vector = bench.strength.value * (fold.means[target] - fold.means[source])
                moved = vector if source != target else None
                trials.append(Trial(f"{source} to {target}", (source, target), fold, moved, own))
    return trials


def between_pairs(bench: Bench) -> list[Trial]:
    """Every method and control between the pairs; prompting prepends a sentence of the target."""
    trials = []
    for (fold, pair), vectors in bench.vectors.items():
        own = bench.sentences(fold.steered, pair[0])
        trials += [Trial(way, pair, fold, vector, own) for way, vector in (vectors | {UNSTEERED: None}).items()]
        trials.append(Trial("prompting", pair, fold, None, own, bench.sentences(fold.fitted, pair[1])[: len(own)]))
    return trials


def continuations(bench: Bench) -> list[Trial]:
    """Neutral openings after a sentence of the source, or for prompting one of the target."""
    trials = []
    for (fold, pair), vectors in bench.vectors.items():
        for way in _GENERATED:
            shown = bench.sentences(fold.fitted, pair[way == "prompting"])[:: len(fold.openings)]
            prepended = [shown[index % len(shown)] for index in range(len(fold.openings))]
            trials.append(Trial(way, pair, fold, vectors.get(way), fold.openings, prepended))
    return trials


def compositions(bench: Bench) -> list[Trial]:
    """Parent + child: from neutral prompts to the family's mean, and from there to a class of it."""
    trials, strength = [], bench.strength.value
    for fold in bench.folds:
        means = [fold.means[name] for name in bench.family.classes]
        family = sum(means[1:], means[0]) / len(means)
        parent = strength * (family - fold.means[NEUTRAL])
        for index, name in enumerate(bench.family.classes):
            child = strength * (means[index] - family)
            parts = dict(zip(PARTS, (parent, child, parent + child), strict=True))
            parts["random direction"] = parts[SUM].random(bench.setup.seed + index)
            every = (parts | {UNSTEERED: None}).items()
            trials += [Trial(part, (NEUTRAL, name), fold, vector, fold.neutral) for part, vector in every]
    return trials


def transfers(bench: Bench) -> list[Trial]:
    """Sentences of one domain by vectors fitted in it or in another, and by shuffled labels of the other."""
    trials, domains = [], list(bench.family.behaviour.domains)
    owners = np.array([prompt.domain for prompt in bench.family.prompts])
    for fold in bench.folds:
        for index, domain in enumerate(domains):
            own, other = (fold.fitted & (owners == each) for each in (domain, domains[(index + 1) % len(domains)]))
            fits = (bench.means(own), bench.means(other), bench.shuffled_means(other, index))
            for source, target in bench.pairs:
                norm = bench.strength.value * (fold.means[target] - fold.means[source]).norm()
                sentences = bench.sentences(fold.steered & (owners == domain), source)
                for way, means in zip(DOMAINS, fits, strict=True):
                    vector = (means[target] - means[source]).with_norm(norm)
                    trials.append(Trial(way, (source, target), fold, vector, sentences))
    return trials


def classify(bench: Bench, trials: Sequence[Trial], *, generated: bool = False) -> Classified:
    """What the probe after the final norm takes each prompt for while it is steered after the block.

    Or what the probe at the block takes each text `generated` so for, in the model without vectors.
    """
    evaluator, site = bench.setup.evaluator, bench.site if generated else FINAL
    texts = _continued(bench, trials) if generated else [text for trial in trials for text in trial.inputs]
    vectors = None if generated else [trial.vector for trial in trials for _ in trial.prompts]
    how: dict[str, Any] = {"vectors": vectors, "positions": "all", "batch_size": _BATCH}
    read = read_activations(evaluator.model, evaluator.tokenizer, texts, [site], **how)
    parts = torch.split(read[site], [len(trial.prompts) for trial in trials])
    probes = [trial.fold.probes[site] for trial in trials]
    predicted = [np.array(p.classes)[p.predict(part.numpy())] for p, part in zip(probes, parts, strict=True)]
    return list(zip(trials, predicted, strict=True))


def _continued(bench: Bench, trials: Sequence[Trial]) -> list[str]:
    """All prompts in order with what the model generates after them, greedily, without what is prepended."""
    evaluator = bench.setup.evaluator
    jobs = [(text, own, t.vector) for t in trials for text, own in zip(t.inputs, t.prompts, strict=True)]
    texts = [""] * len(jobs)
    # Prompts of like length leave little padding.
    order = sorted(range(len(jobs)), key=lambda index: len(jobs[index][0]))
    for start in progress_bar(range(0, len(order), _BATCH), f"writing {bench.family.name}"):
        batch = order[start : start + _BATCH]
        inputs, openings, vectors = zip(*(jobs[index] for index in batch), strict=True)
        options: dict[str, Any] = {"max_new_tokens": MAX_NEW_TOKENS, "frequency_penalty": FREQUENCY_PENALTY}
        with steer_each(evaluator.model, vectors, positions="all"):
            answers = generate(evaluator.model, evaluator.tokenizer, inputs, **options)
        for index, opening, (answer,) in zip(batch, openings, answers, strict=True):
            # Up to the last full stop, as the sentences that the probe knows end; all of it where there is none.
            whole = re.match(r".*[.!?]", opening + answer.text, re.DOTALL)
            texts[index] = whole.group() if whole else opening + answer.text
    return texts


def success(
    bench: Bench, classified: Classified, wanted: Callable[[NDArray[np.str_], str], Any] = operator.eq
) -> Outcomes:
    """Condition → 1.0 for each prompt whose class is wanted, by default the target, else 0.0; pair after pair."""
    index = [NEUTRAL, *bench.family.classes].index
    outcomes: dict[str, list[Values]] = {}
    for trial, predicted in sorted(classified, key=lambda item: tuple(map(index, item[0].pair))):
        outcomes.setdefault(trial.condition, []).append(np.asarray(wanted(predicted, trial.pair[1]), dtype=np.float64))
    return {way: np.concatenate(values) for way, values in outcomes.items()}


def log_odds(bench: Bench, vectors: Mapping[Pair, Mapping[str, SteeringVector]]) -> Outcomes:
    """Change of log P(words of the target) − log P(words of the source) after a beginning for a word of manner."""
    setup = bench.setup
    concepts = {name: class_concept(bench.family.behaviour, name) for name in bench.family.classes}
    words = concept_tokens(setup.words, list(concepts.values()))
    beginnings = NextToken(setup.evaluator.model, setup.evaluator.tokenizer, setup.neutral.beginnings)

    def odds(vector: SteeringVector | None, source: str, target: str) -> Values:
        probability = beginnings.effect(vector, words).probability
        return np.asarray(np.log(probability[concepts[target]]) - np.log(probability[concepts[source]]))

    changes: dict[str, list[Values]] = {}
    for pair, by_condition in vectors.items():
        before = odds(None, *pair)
        for way, vector in by_condition.items():
            changes.setdefault(way, []).append(odds(vector, *pair) - before)
    return {way: np.concatenate(values) for way, values in changes.items()}


def generations(bench: Bench) -> dict[str, dict[str, str]]:
    """Opening → `UNSTEERED` or class → a longer text, sampled, under family mean + class offset."""
    means, strength = bench.folds[0].means, bench.strength.value
    vectors: dict[str, SteeringVector | None] = {UNSTEERED: None}
    vectors |= {name: strength * (means[name] - means[NEUTRAL]) for name in bench.family.classes}
    openings = [opening for fold in bench.folds for opening in fold.openings][::2]
    return bench.setup.evaluator.generations(openings, vectors, max_new_tokens=_SHOWN_TOKENS, seed=bench.setup.seed)
