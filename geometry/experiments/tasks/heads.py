"""The heads that vectors are made of: what each does alone, and which several tasks share, beside random heads."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from geometry.anatomy.function_vectors import Head, TaskVectors, random_heads
from geometry.anatomy.task_questions import Answers
from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.tasks.setup import Bench
from geometry.intervals import interval_of, summarise
from geometry.steering import Site, SteeringVector

Array = NDArray[np.float64]
_DRAWS = 10_000


@dataclass(frozen=True, eq=False)
class HeadsPart(Part):
    """Heads of able tasks.

    Attributes:
        count: heads of the whole model.
        alone: task → head → rise of the answers' log-probability (nats) on n held-out questions under it
            alone, shape (n,).
        random_alone: task → the same of random heads, averaged over as many.
        chance_shared: how many heads several tasks share if each task's are drawn at random, as many from every block
            as they are, shape (draws,).
        by_shared, by_random: task → accuracy under the sum of the heads that it shares with another, and of as many
            random ones, where and as strong as the vector of heads.
    """

    count: int
    alone: Mapping[str, Mapping[Head, Array]]
    random_alone: Mapping[str, Array]
    chance_shared: Array
    by_shared: Mapping[str, Answers]
    by_random: Mapping[str, Answers]

    __repr__ = short_repr

    @property
    def shared(self) -> dict[Head, int]:
        """Heads of several tasks → of how many, most first."""
        return shared_heads([list(heads) for heads in self.alone.values()])

    @property
    def p_shared(self) -> float:
        """How often as many are shared at random."""
        return float((1 + (self.chance_shared >= len(self.shared)).sum()) / (1 + len(self.chance_shared)))

    @property
    def n_each(self) -> int:
        """Heads of a task."""
        return max(map(len, self.alone.values()))

    def summary(self) -> list[str]:
        """What the strongest does alone, and what is shared."""
        lines = []
        for task, heads in self.alone.items():
            best = max(heads, key=lambda head: heads[head].mean())
            low, high = interval_of(heads[best])
            lines.append(
                f"{task}: of its {len(heads)} heads block {best[0]}, head {best[1]} alone raises the answers'"
                f" log-probability most, by {heads[best].mean():.2f} nats [{low:.2f}, {high:.2f}]; random heads by"
                f" {self.random_alone[task].mean():.2f}."
            )
        if len(self.alone) > 1:
            most = ", ".join(f"{block}.{head} ({times})" for (block, head), times in [*self.shared.items()][:5])
            lines.append(
                f"{len(self.shared)} heads are among the {self.n_each} of two tasks or more{': ' if most else ''}"
                f"{most}; drawn at random, as many from every block, {self.chance_shared.mean():.1f}"
                f" would be (p = {self.p_shared:.2g})."
            )
        if self.by_shared:
            own, random = (np.mean([a.accuracy for a in by.values()]) for by in (self.by_shared, self.by_random))
            lines.append(f"The shared heads alone answer {own:.0%}, as many random ones {random:.0%}.")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Heads with what they do alone, shared ones, and both controls."""
        return {
            "heads_of_the_model": self.count,
            "alone": {
                task: {f"{block}.{head}": summarise(rise) for (block, head), rise in heads.items()}
                for task, heads in self.alone.items()
            },
            "random_alone": {task: summarise(rise) for task, rise in self.random_alone.items()},
            "shared": {f"{block}.{head}": times for (block, head), times in self.shared.items()},
            "shared_at_random": float(self.chance_shared.mean()),
            "p_shared": self.p_shared,
            "accuracy_of_shared": {task: summarise(got.correct) for task, got in self.by_shared.items()},
            "accuracy_of_random": {task: summarise(got.correct) for task, got in self.by_random.items()},
        }

    def figures(self) -> list[FigureSpec]:
        """Heads by task."""
        from geometry.experiments.tasks.figures import heads

        return [heads(self)]

    def tables(self) -> list[TableSpec]:
        """Every head alone."""
        rows = []
        for task, heads in self.alone.items():
            for (block, head), rise in heads.items():
                low, high = interval_of(rise)
                rows.append([f"{task} {block}.{head}", f"{rise.mean():.2f} [{low:.2f}, {high:.2f}]",
                             f"{self.random_alone[task].mean():.2f}"])  # fmt: skip
        caption = "Written block.head. 95% intervals over held-out questions; random: as many other heads, averaged."
        return [
            TableSpec("What each head does alone", ["head", "rise of log-probability (nats)", "random"], rows, caption)
        ]

    def arrays(self) -> dict[str, ArrayLike]:
        """Rises by head, and how many are shared at random."""
        stacked: dict[str, ArrayLike] = {task: np.stack([*heads.values()]) for task, heads in self.alone.items()}
        return stacked | {"shared_at_random": self.chance_shared}


def shared_heads(sets: list[list[Head]]) -> dict[Head, int]:
    """Heads that stand in several sets → in how many, most first."""
    times = Counter(head for heads in sets for head in heads)
    return {head: n for head, n in sorted(times.items(), key=lambda each: (-each[1], each[0])) if n > 1}


def shared_at_random(sets: list[list[Head]], count: int, seed: int, draws: int = _DRAWS) -> Array:
    """How many heads stand in several sets if each has random ones of the same blocks, of `count` a block; (draws,)."""
    rng = np.random.default_rng(seed)
    blocks = sorted({block for heads in sets for block, _ in heads})
    times = np.zeros((draws, len(blocks), count), dtype=np.int64)
    for heads in sets:
        for row, block in enumerate(blocks):
            if size := sum(own == block for own, _ in heads):
                times[:, row] += rng.random((draws, count)).argsort(axis=1) < size
    return np.asarray((times > 1).sum(axis=(1, 2)), dtype=np.float64)


def by_head(bench: Bench) -> HeadsPart:
    """Heads of able tasks; SteeringError where none could be told apart."""
    found = {name: each for name, each in bench.able.items() if each.head_shifts is not None}
    if not found:
        notes = [note for each in bench.found.values() for note in each.notes]
        raise SteeringError(notes[0] if notes else "there is no task that the model can do")
    shared = set(shared_heads([list(each.heads) for each in found.values()]))
    alone, random_alone, by_shared, by_random = {}, {}, {}, {}
    for name, each in found.items():
        questions, rng = bench.questions(name), np.random.default_rng(bench.study.seed)
        before = questions.answers().log_probability
        drawn = random_heads(_shift(each), each.heads, rng)
        rises = [got.log_probability - before for got in questions.ask([_vector(each, [head]) for head in each.heads])]
        alone[name] = dict(zip(each.heads, rises, strict=True))
        got = questions.ask([_vector(each, [head]) for head in drawn[0]])
        random_alone[name] = np.mean([answers.log_probability - before for answers in got], axis=0)
        if own := [head for head in each.heads if head in shared]:
            strength, site = _strength(each), each.vectors["heads"].sites[0]
            sets = [own, *(heads[: len(own)] for heads in drawn)]
            one, *others = questions.ask([strength * _vector(each, heads).at(site) for heads in sets])
            by_shared[name], by_random[name] = one, Answers.mean(others)
    blocks, count = _shift(next(iter(found.values()))).shape[:2]
    chance = shared_at_random([list(each.heads) for each in found.values()], count, bench.study.seed)
    return HeadsPart(blocks * count, alone, random_alone, chance, by_shared, by_random)


def _shift(found: TaskVectors) -> torch.Tensor:
    if found.head_shifts is None:
        raise SteeringError(f"{found.task.name}: heads were not read")
    return found.head_shifts


def _vector(found: TaskVectors, heads: Sequence[Head]) -> SteeringVector:
    """Their sum, at the output of the first one's block."""
    rows = torch.stack([_shift(found)[block, head] for block, head in heads])
    return SteeringVector({Site("output", heads[0][0]): rows.sum(dim=0)}, f"heads of {found.task.name}")


def _strength(found: TaskVectors) -> float:
    """What the vector of heads is of their sum."""
    return found.vectors["heads"].norm() / _vector(found, found.heads).norm()
