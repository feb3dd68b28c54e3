"""What pairs have in common: components of their differences, beside differences between texts of one side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from geometry.anatomy import Components, components
from geometry.anatomy.lens import Lens, Scored, said_words
from geometry.concepts import load_opposites
from geometry.display import short_repr
from geometry.experiments.anatomy.setup import Bench
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.experiments.study import Step
from geometry.steering import read_activations

if TYPE_CHECKING:
    from geometry.experiments.anatomy.study import AnatomyStudy

Array = NDArray[np.float64]
_MOST = 6


@dataclass(frozen=True, eq=False, kw_only=True)
class SetOfPairs:
    """The components of one set.

    Attributes:
        name: of the set.
        singular, principal: about 0 and about the mean.
        one_side: about 0, of as many differences between texts of one side.
        words: of each singular direction read, those at either end with their z-scores.
    """

    name: str
    singular: Components
    principal: Components
    one_side: Components
    words: tuple[tuple[Scored, Scored], ...]

    __repr__ = short_repr


@dataclass(frozen=True, eq=False, kw_only=True)
class ComponentsPart(Part):
    """Several sets of pairs.

    Attributes:
        sets: their components. most: components looked for in each. seed: of all draws.
    """

    sets: Sequence[SetOfPairs]
    most: int
    seed: int

    __repr__ = short_repr

    @property
    def means(self) -> dict[str, NDArray[np.float64]]:
        """What there is of a common direction, and its controls, shape (sets,)."""
        return {
            "mean share": np.array([each.singular.mean_share for each in self.sets]),
            "sides exchanged": np.array([each.singular.null_mean_share for each in self.sets]),
            "one side": np.array([each.one_side.mean_share for each in self.sets]),
        }

    def summary(self) -> list[str]:
        """How much the mean direction is, how many stand out, how well halves agree."""
        common = sum(each.singular.mean_p <= 0.05 for each in self.sets)
        said = [
            f"In {common} of {len(self.sets)} sets the pairs share a direction (p ≤ .05 against exchanged sides); their"
            f" mean holds {self.means['mean share'].mean():.0%} of the squared norm on average (exchanged sides"
            f" {self.means['sides exchanged'].mean():.0%}, texts of one side {self.means['one side'].mean():.0%})."
        ]
        for each in self.sets:
            low, high = each.singular.mean_interval
            said.append(
                f"{each.name}, {len(each.singular.scores)} pairs: mean {each.singular.mean_share:.0%} [{low:.0%},"
                f" {high:.0%}]; components that stand out: {self.count(each.singular)} about 0,"
                f" {self.count(each.principal)} about the mean, {self.count(each.one_side)} of texts of one side;"
                f" halves agree on the first by cosine {each.singular.stability[0]:.2f} (random signs below"
                f" {each.singular.null_stability[0]:.2f})."
            )
        return said

    def count(self, found: Components) -> str:
        """How many stand out, "or more" where all that were looked for do."""
        return f"{found.count}{' or more' if found.count == len(found.directions) == self.most else ''}"

    def to_dict(self) -> dict[str, Any]:
        """All numbers."""
        return {"seed": self.seed} | {
            each.name: {
                "pairs": len(each.singular.scores),
                **each.singular.mean_to_dict(),
                "singular": each.singular.to_dict(),
                "principal": each.principal.to_dict(),
                "one_side": each.one_side.to_dict(),
            }
            for each in self.sets
        }

    def figures(self) -> list[FigureSpec]:
        """A row a set, and a panel a set."""
        from geometry.experiments.anatomy.component_figures import by_set, shares

        return [by_set(self), shares(self)]

    def tables(self) -> list[TableSpec]:
        """A row a set, with the words of its first two singular directions."""
        rows = [
            [
                each.name,
                str(len(each.singular.scores)),
                self.count(each.singular),
                self.count(each.principal),
                self.count(each.one_side),
                *(f"{said_words(up[:2])} / {said_words(down[:2])}" for up, down in each.words[:1]),
            ]
            for each in self.sets
        ]
        head = ["", "pairs", "stand out, about 0", "about the mean", "texts of one side", "first direction's words"]
        return [TableSpec("Components of pairs", head, rows)]

    def arrays(self) -> dict[str, ArrayLike]:
        """Shares and stabilities."""
        return {
            f"{each.name}/{kind}/{what}": getattr(found, what)
            for each in self.sets
            for kind, found in (("singular", each.singular), ("principal", each.principal), ("one_side", each.one_side))
            for what in ("shares", "null_shares", "stability", "null_stability")
        }


def measure_components(bench: Bench, step: Step) -> ComponentsPart:
    """Of the packaged contrasts of sentences, and of the pairs of words that vectors are made from."""
    study = bench.study
    step("taking pairs apart")
    sets: dict[str, tuple[Array, Array]] = {}
    for contrast in load_opposites().values():
        texts = [text for pair in contrast.pairs for text in pair]
        rows = read_activations(bench.model, bench.tokenizer, texts, [bench.site])[bench.site].double().numpy()
        sets[contrast.name] = rows[0::2], rows[1::2]
    sets |= {each.name: (each.rows, each.others) for each in bench.subjects if not each.concept}
    vector = bench.subjects[0].vector
    lens = Lens.of(vector, bench.space, bench.directions, bench.model)
    return ComponentsPart(
        sets=[_set(name, *sides, lens, study) for name, sides in list(sets.items())[: study.n_sets]],
        most=_MOST,
        seed=study.seed,
    )


def _set(name: str, first: Array, second: Array, lens: Lens, study: "AnatomyStudy") -> SetOfPairs:
    differences = first - second
    # Disjoint, so that each text counts once; of both sides, so that there are about as many as pairs.
    aside = np.concatenate([side[0 : len(side) - 1 : 2] - side[1::2] for side in (first, second)])
    found = [
        components(rows, centred=centred, most=_MOST, n_random=study.n_random, seed=study.seed)
        for rows, centred in ((differences, False), (differences, True), (aside, False))
    ]
    unified = lens.unified(torch.from_numpy(found[0].directions[:2]))
    unit = unified / torch.linalg.vector_norm(unified, dim=1, keepdim=True).clamp(min=1e-12)
    rows, z = lens.scores(unit)
    words = tuple(lens.words(rows, z[:, number], 4) for number in range(len(unit)))
    return SetOfPairs(name=name, singular=found[0], principal=found[1], one_side=found[2], words=words)
