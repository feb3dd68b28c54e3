"""A task's vector and a concept's together: is the task still done, and do answers turn to the concept?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from geometry.concepts import Concept, ConceptHierarchy, short_name
from geometry.concepts.words import lemma
from geometry.display import short_repr
from geometry.errors import HierarchyError, SteeringError
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.tasks.setup import Bench
from geometry.intervals import interval_of, said_mean, summarise
from geometry.layers import EqualKL, load_contexts, mean_difference, read_phrases
from geometry.steering import Site, SteeringVector, load_prompts, probability

Array = NDArray[np.float64]
NATS = 0.5
_N_RANDOM, _WORDS, _OTHERS, _PROMPTS = 5, 24, 64, 12
WAYS = ("task", "concept", "task + concept", "task + random")


@dataclass(frozen=True, eq=False)
class Together:
    """One task and one concept on n held-out questions.

    Attributes:
        correct: way → answered or not, shape (n,).
        log_odds: way → change of the log-odds of the concept's held-out words against no vector, shape (n,).
        held_out: how many tokens judge.
        coefficient: of the concept's mean difference, at 0.5 nats of KL divergence on neutral prompts.
    """

    task: str
    concept: str
    correct: Mapping[str, Array]
    log_odds: Mapping[str, Array]
    held_out: int
    coefficient: float

    __repr__ = short_repr

    @property
    def turn(self) -> Array:
        """What the concept's vector adds to the log-odds under the task's."""
        return self.log_odds["task + concept"] - self.log_odds["task"]

    @property
    def random_turn(self) -> Array:
        """What random vectors of its norm add."""
        return self.log_odds["task + random"] - self.log_odds["task"]

    @property
    def interaction(self) -> Array:
        """What both together do beyond the sum of what each does; 0 if they are additive."""
        return self.turn - self.log_odds["concept"]


@dataclass(frozen=True, eq=False)
class ConceptPart(Part):
    """Attributes: pairs: of able tasks and concepts. missing: concepts that the hierarchy lacks."""

    pairs: tuple[Together, ...]
    missing: tuple[str, ...]

    __repr__ = short_repr

    @property
    def tasks(self) -> list[str]:
        """Those asked."""
        return list(dict.fromkeys(pair.task for pair in self.pairs))

    def of(self, task: str, what: str, way: str) -> Array:
        """Question by question, averaged over concepts, shape (n,)."""
        return np.asarray(np.mean([getattr(pair, what)[way] for pair in self.pairs if pair.task == task], axis=0))

    def over_questions(self, name: str) -> Array:
        """ "turn", "random_turn" or "interaction" of every task's questions, averaged over concepts."""
        return np.concatenate([self.on_task(task, name) for task in self.tasks])

    def on_task(self, task: str, name: str) -> Array:
        """The same of one task's questions, shape (n,)."""
        return np.asarray(np.mean([getattr(pair, name) for pair in self.pairs if pair.task == task], axis=0))

    def kept(self) -> tuple[Array, Array, Array]:
        """Accuracy under task, task + concept and task + random, question by question."""
        ways = [np.concatenate([self.of(task, "correct", way) for task in self.tasks]) for way in WAYS]
        return ways[0], ways[2], ways[3]

    def summary(self) -> list[str]:
        """Both measures."""
        turn, random, beyond = (self.over_questions(name) for name in ("turn", "random_turn", "interaction"))
        alone, both, control = self.kept()
        ends = [interval_of(values) for values in (turn, random, beyond, both)]
        concepts = ", ".join(short_name(name) for name in dict.fromkeys(pair.concept for pair in self.pairs))
        lines = [
            f"Vectors of {concepts} at {NATS:g} nats, added to those of {len(self.tasks)} tasks, raise the log-odds of"
            f" the concept's held-out words by {turn.mean():+.2f} [{ends[0][0]:+.2f}, {ends[0][1]:+.2f}] (random"
            f" vectors of the same norm {random.mean():+.2f} [{ends[1][0]:+.2f}, {ends[1][1]:+.2f}]),"
            f" {beyond.mean():+.2f} [{ends[2][0]:+.2f}, {ends[2][1]:+.2f}] beyond what they do without the task's"
            " vector.",
            f"Of the answers {both.mean():.0%} [{ends[3][0]:.0%}, {ends[3][1]:.0%}] are still right, {alone.mean():.0%}"
            f" under the task's vector alone, {control.mean():.0%} with random ones.",
        ]
        if self.missing:
            lines.append(f"Not among this vocabulary's concepts: {', '.join(self.missing)}.")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Task → concept → accuracies, log-odds and interaction."""
        return {
            "nats": NATS,
            "missing": list(self.missing),
            "turn": summarise(self.over_questions("turn")),
            "random_turn": summarise(self.over_questions("random_turn")),
            "interaction": summarise(self.over_questions("interaction")),
            "pairs": [
                {
                    "task": pair.task,
                    "concept": pair.concept,
                    "held_out_tokens": pair.held_out,
                    "coefficient": pair.coefficient,
                    "accuracy": {way: summarise(values) for way, values in pair.correct.items()},
                    "log_odds": {way: summarise(values) for way, values in pair.log_odds.items()},
                    "turn": summarise(pair.turn),
                    "interaction": summarise(pair.interaction),
                }
                for pair in self.pairs
            ],
        }

    def figures(self) -> list[FigureSpec]:
        """Accuracy and log-odds, task by task."""
        from geometry.experiments.tasks.figures import with_concepts

        return [with_concepts(self)]

    def tables(self) -> list[TableSpec]:
        """Every pair."""
        rows = [
            [f"{pair.task} + {short_name(pair.concept)}", *(f"{pair.correct[way].mean():.0%}" for way in WAYS),
             *(said_mean(values, "+.2f")
               for values in (pair.log_odds["concept"], pair.turn, pair.random_turn, pair.interaction))]
            for pair in self.pairs
        ]  # fmt: skip
        head = ["task + concept", *WAYS, "log-odds, concept alone", "added to the task", "random", "interaction"]
        caption = (
            "Accuracy under each, and change of log-odds of the concept's held-out words (95% intervals over"
            f" questions). At {NATS:g} nats on neutral prompts, {_N_RANDOM} random ones of their norm."
        )
        return [TableSpec("A task's vector and a concept's", head, rows, caption)]

    def arrays(self) -> dict[str, ArrayLike]:
        """Log-odds and answers of every pair."""
        named = {f"{pair.task}/{pair.concept}": pair for pair in self.pairs}
        odds: dict[str, ArrayLike] = {
            f"{name}/log_odds/{way}": values for name, pair in named.items() for way, values in pair.log_odds.items()
        }
        return odds | {
            f"{name}/correct/{way}": values for name, pair in named.items() for way, values in pair.correct.items()
        }


def with_concepts(bench: Bench, hierarchy: ConceptHierarchy) -> ConceptPart:
    """Concept vectors at every able task's site, from half of the concept's lemmas; the other half judges.

    Raises HierarchyError: none of the study's concepts in the hierarchy. SteeringError: no task the model can do.
    """
    names = [name for name in bench.study.concepts if name in hierarchy]
    if not names:
        raise HierarchyError(f"the hierarchy has none of {', '.join(bench.study.concepts)}")
    if not bench.able:
        raise SteeringError("there is no task that the model can do")
    rng = np.random.default_rng(bench.study.seed)
    halves = {name: split_words(hierarchy[name], rng) for name in names}
    sites = list(dict.fromkeys(bench.vector(task).sites[0] for task in bench.able))
    made = {name: words[:_WORDS] for name, (words, _) in halves.items()}
    members = {word for name in names for word in hierarchy[name].words}
    others = [word for word in hierarchy.words if word not in members]
    background = [others[i] for i in rng.permutation(len(others))[:_OTHERS]]
    vectors = _concept_vectors(bench, made, background, sites)
    pairs = []
    for task in bench.able:
        questions, vector = bench.questions(task), bench.vector(task)
        before = questions.unsteered
        for name in names:
            own, coefficient = vectors[name, vector.sites[0]]
            drawn = [vector + own.random(bench.study.seed + draw) for draw in range(_N_RANDOM)]
            laws = [*questions.laws([vector, own, vector + own, *drawn])]
            tokens = np.array(sorted(halves[name][1]), dtype=np.int64)
            odds = [_log_odds(law, tokens) - _log_odds(before, tokens) for law in laws]
            right = [questions.answers(law).correct for law in laws]
            pairs.append(Together(task, name, _by_way(right), _by_way(odds), len(tokens), coefficient))
    return ConceptPart(tuple(pairs), tuple(name for name in bench.study.concepts if name not in names))


def _by_way(rows: list[Array]) -> dict[str, Array]:
    return {**dict(zip(WAYS[:3], rows[:3], strict=True)), WAYS[3]: np.asarray(np.mean(rows[3:], axis=0))}


def split_words(concept: Concept, rng: np.random.Generator) -> tuple[list[str], set[int]]:
    """Words of half of a concept's lemmas, one spelling each, and the tokens of the other half."""
    tokens: dict[str, dict[str, int]] = {}
    for word, token in zip(concept.words, concept.tokens, strict=True):
        tokens.setdefault(lemma(word), {})[word] = int(token)
    lemmas = [*tokens]
    order = [lemmas[i] for i in rng.permutation(len(lemmas))]
    made, held_out = order[: len(order) // 2], order[len(order) // 2 :]
    return [min(tokens[each], key=len) for each in made], {
        token for each in held_out for token in tokens[each].values()
    }


def _concept_vectors(
    bench: Bench, words: Mapping[str, list[str]], background: list[str], sites: list[Site]
) -> dict[tuple[str, Site], tuple[SteeringVector, float]]:
    """Mean differences to all other words, at the same KL divergence on neutral prompts, and coefficients."""
    phrases = tuple(dict.fromkeys([*(word for each in words.values() for word in each), *background]))
    contexts = load_contexts(load_contexts("neutral").templates[:2])  # type: ignore[union-attr]
    activations = read_phrases(bench.model, bench.tokenizer, phrases, contexts=contexts, sites=sites, cache=True)
    read = ConceptHierarchy(
        "read", tuple(Concept.from_words(name, each, activations.vocabulary) for name, each in words.items()), {}
    )
    made = {(name, site): mean_difference(activations, read, name, site) for name in words for site in sites}
    prompts = load_prompts("neutral").beginnings[:_PROMPTS]
    found = {}
    for at in EqualKL(bench.model, bench.tokenizer, prompts, NATS).find([*made.values()]):
        if not at.reached:
            raise SteeringError(f"{[*made][at.index][0]}: {NATS:g} nats are not reached; {at.why_not}")
        key = [*made][at.index]
        found[key] = (at.coefficient * made[key], at.coefficient)
    return found


def _log_odds(law: torch.Tensor, tokens: NDArray[np.int64]) -> Array:
    chance = np.clip(probability(law, tokens), 1e-12, 1 - 1e-12)
    return np.asarray(np.log(chance) - np.log1p(-chance))
