"""Competence: does the model still know what kind a thing is, "A robin is a kind of", once that kind is erased?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from geometry.concepts import short_name
from geometry.display import short_repr
from geometry.errors import EstimationError
from geometry.experiments.erasure.methods import fitted, randomly
from geometry.experiments.erasure.removal import cell
from geometry.experiments.erasure.setup import Bench, Indices, Target
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.study import Step
from geometry.intervals import mean_of, summarise
from geometry.randomness import generator
from geometry.selectivity import RELATIONS
from geometry.steering import Eraser, next_token_laws

Array = NDArray[np.float64]
_POOL, _SHOWN, _JUDGED = 40, 8, 8  # concepts that are tried; words of each that choose among these, that judge
_FEWEST = 3


@dataclass(frozen=True, eq=False, kw_only=True)
class KindsPart(Part):
    """Forced choice among the names of m concepts, none above another.

    Attributes:
        names: of the concepts, chosen for what the unsteered model knows of words that do not judge.
        before: accuracy on each concept's held-out words, shape (m,); chance is 1/m.
        after: the same with the concept of the row erased, shape (m, m). random: with a random direction instead.
        odds: change of the log-odds of the right name among all, in nats, the same way; random_odds: at random.
        kin: whether the concept of the column is a sibling or cousin of that of the row, shape (m, m).
        words: how many words judge each concept.
    """

    names: Sequence[str]
    before: Array
    after: Array
    random: Array
    odds: Array
    random_odds: Array
    kin: NDArray[np.bool_]
    words: Sequence[int]

    __repr__ = short_repr

    @property
    def own(self) -> Array:
        """Change of a concept's own accuracy, shape (m,)."""
        return np.asarray(np.diag(self.after) - self.before)

    def others(self, kin: bool | None = None) -> Array:
        """Change of the accuracy of the others (of its kin, or of all but these), a mean for each that is erased."""
        mask = ~np.eye(len(self.names), dtype=bool)
        mask &= True if kin is None else self.kin == kin
        changes = np.where(mask, self.after - self.before, np.nan)
        return np.array([mean_of(row) for row in changes])

    @staticmethod
    def aside(changes: Array) -> Array:
        """Of each that is erased, the mean over the others."""
        return np.array([mean_of(row) for row in np.where(np.eye(len(changes)) > 0, np.nan, changes)])

    def summary(self) -> list[str]:
        """On its own words, on others'."""
        own, others, random = (
            summarise(self.own),
            summarise(self.others()),
            summarise(np.diag(self.random) - self.before),
        )
        kin = self.others(True)
        aside = f", of siblings and cousins {cell(summarise(kin), '+.0%')}" if np.isfinite(kin).any() else ""
        return [
            f"Asked what kind a thing is, the model picks the right one of {len(self.names)} names for"
            f" {self.before.mean():.0%} of held-out words (chance {1 / len(self.names):.0%}). With the right concept"
            f" erased this changes by {cell(own, '+.0%')}, with another one by {cell(others, '+.0%')}{aside}, with a"
            f" random direction by {cell(random, '+.0%')}.",
            f"The log-odds of the right name among these change by {cell(summarise(np.diag(self.odds)), '+.2f')} nats"
            f" with its concept erased, by {cell(summarise(self.aside(self.odds)), '+.2f')} with another, at random by"
            f" {cell(summarise(np.diag(self.random_odds)), '+.2f')}.",
        ]

    def to_dict(self) -> dict[str, Any]:
        """Accuracies and their changes, with intervals over concepts."""
        return {
            "names": list(self.names),
            "words": list(self.words),
            "chance": 1 / len(self.names),
            "before": summarise(self.before),
            "own": summarise(self.own),
            "others": summarise(self.others()),
            "kin": summarise(self.others(True)),
            "random": summarise(np.diag(self.random) - self.before),
            "log_odds": {
                "own": summarise(np.diag(self.odds)),
                "others": summarise(self.aside(self.odds)),
                "random": summarise(np.diag(self.random_odds)),
            },
        }

    def figures(self) -> list[FigureSpec]:
        """Erased × asked."""
        from geometry.experiments.erasure import figures

        return [figures.kinds(self)]

    def tables(self) -> list[TableSpec]:
        """A row a concept."""
        rows = [
            [name, f"{before:.0%}", f"{after:.0%}", f"{random:.0%}", f"{other:.0%}", str(count)]
            for name, before, after, random, other, count in zip(
                self.names, self.before, np.diag(self.after), np.diag(self.random),
                (self.before + self._by_others()).tolist(), self.words, strict=True,
            )
        ]  # fmt: skip
        return [
            TableSpec(
                f"Right answers among {len(self.names)} names",
                ["kind", "before", "it erased", "random", "another erased", "words"],
                rows,
                "Words that neither the eraser was fitted to, nor the concepts chosen by.",
            )
        ]

    def _by_others(self) -> Array:
        mask = ~np.eye(len(self.names), dtype=bool)
        return np.array([mean_of(column) for column in np.where(mask, self.after - self.before, np.nan).T])

    def arrays(self) -> dict[str, ArrayLike]:
        """Matrices."""
        return {
            "before": self.before,
            "after": self.after,
            "random": self.random,
            "log_odds": self.odds,
            "random_log_odds": self.random_odds,
        }


def asked_kinds(bench: Bench, step: Step) -> KindsPart:
    """Choose the concepts that the model knows best, then erase each and ask about all."""
    study = bench.study
    pool = _pool(bench, step)
    ids = [token for _, token in pool]
    rng = generator(study.seed, "words that are asked about")
    trial = [_drawn(rng, bench, target, bench.fitted, _SHOWN) for target, _ in pool]
    step(f"asking what kind {sum(map(len, trial))} words are, of {len(pool)} concepts")
    scores = _asked(bench, np.concatenate(trial), ids, None)
    usual = scores.mean(axis=0)
    of = np.repeat(np.arange(len(pool)), list(map(len, trial)))
    right = _right(bench, np.concatenate(trial), scores - usual, [target for target, _ in pool])
    known = np.array([right[of == place].mean() for place in range(len(pool))])
    best = np.sort(np.argsort(-known, kind="stable")[: study.n_kinds])
    if len(best) < _FEWEST:
        raise EstimationError(f"{len(best)} concepts have a name of one token and enough words; {_FEWEST} are needed")
    chosen, tokens, base = [pool[i][0] for i in best], [ids[i] for i in best], usual[best]
    held = np.concatenate([bench.first, bench.second])
    judged = [_drawn(rng, bench, target, held, _JUDGED) for target in chosen]
    rows, truth = np.concatenate(judged), np.repeat(np.arange(len(chosen)), list(map(len, judged)))

    def answered(eraser: Eraser | None) -> tuple[Array, Array]:
        """Accuracy, and log-odds of the right name, of every concept."""
        found = _asked(bench, rows, tokens, eraser) - base
        own = found[np.arange(len(rows)), truth]
        rest = np.where(np.arange(len(chosen)) == truth[:, None], -np.inf, found)
        each = _right(bench, rows, found, chosen), own - np.logaddexp.reduce(rest, axis=1)
        both = [np.array([values[truth == place].mean() for place in range(len(chosen))]) for values in each]
        return both[0], both[1]

    before = answered(None)
    after, random = [], []
    for number, target in enumerate(chosen):
        step(f"asking without {target.label} ({number + 1} of {len(chosen)})")
        eraser = fitted(bench, target)
        after.append(answered(eraser))
        random.append(answered(randomly(bench, target, eraser)))
    columns = [target.columns[0] for target in chosen]
    kin = np.isin(
        bench.relations.codes[np.ix_(columns, columns)], [RELATIONS.index("sibling"), RELATIONS.index("cousin")]
    )
    return KindsPart(
        names=[short_name(target.name) for target in chosen], before=before[0],
        after=np.array([right for right, _ in after]), random=np.array([right for right, _ in random]),
        odds=np.array([odds - before[1] for _, odds in after]),
        random_odds=np.array([odds - before[1] for _, odds in random]), kin=kin, words=list(map(len, judged)),
    )  # fmt: skip


def _pool(bench: Bench, step: Step) -> list[tuple[Target, int]]:
    """Concepts whose name is one token, the deepest first, none above another, and that token."""
    vocabulary = step.session.unembedding(bench.study.model, bench.study.placement).vocabulary
    hierarchy, found = bench.hierarchy, []
    taken: set[str] = set()
    names: set[str] = set()
    for place in np.argsort(-hierarchy.depths, kind="stable"):
        name = hierarchy.names[place]
        token = vocabulary.word_id(short_name(name))
        related = hierarchy.descendants(name) & taken or any(name in hierarchy.descendants(other) for other in taken)
        target = Target(name, np.array([place]))
        short = min(len(_others(bench, target, rows)) for rows in (bench.fitted, bench.first)) < _SHOWN
        if token is None or short_name(name) in names or related or short:
            continue
        taken.add(name)
        names.add(short_name(name))
        found.append((target, token))
    return found[:_POOL]


def _drawn(rng: np.random.Generator, bench: Bench, target: Target, rows: Indices, most: int) -> Indices:
    own = _others(bench, target, rows)
    return np.sort(rng.choice(own, min(most, len(own)), replace=False))


def _others(bench: Bench, target: Target, rows: Indices) -> Indices:
    """A concept's words but those that hold its name, among some."""
    name = short_name(target.name).lower()
    own = rows[bench.members[rows, target.columns[0]]]
    return np.array([row for row in own if name not in bench.words[row].lower()], dtype=np.int64)


def _right(bench: Bench, rows: Indices, scores: Array, targets: Sequence[Target]) -> NDArray[np.bool_]:
    """Whether the name with the highest score is of a concept that holds the word."""
    columns = np.array([target.columns[0] for target in targets])
    return np.asarray(bench.members[rows, columns[scores.argmax(axis=1)]])


def _asked(bench: Bench, rows: Indices, tokens: Sequence[int], eraser: Eraser | None) -> Array:
    """log P of each name after "A … is a kind of", shape (n, m)."""
    prompts = [_question(bench.words[row]) for row in rows]
    laws = next_token_laws(bench.model, bench.tokenizer, prompts, eraser, positions="all" if eraser else None)
    return np.asarray(laws[:, torch.tensor(tokens)].double().numpy())


def _question(word: str) -> str:
    return f"{'An' if word[0].lower() in 'aeiou' else 'A'} {word} is a kind of"
