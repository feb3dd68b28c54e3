"""Whether pruned vectors steer better than whole ones: numbers, sentences, tables."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geometry.display import short_repr
from geometry.experiments.anatomy.candidates import BASES, HOW, SHARED
from geometry.experiments.anatomy.neutral_texts import by_set, crossed
from geometry.experiments.anatomy.verdicts import (
    BETTER,
    EVERY,
    GROUPS,
    MEASURES,
    OF_CONCEPTS,
    OF_LAWS,
    OF_PAIRS,
    OPEN,
    RANDOM,
    SAID,
    SAME,
    TRADE,
    UNKNOWN,
    WHOLE,
    WORSE,
    Measure,
    number,
)  # fmt: skip
from geometry.experiments.parts import Part
from geometry.experiments.result import FigureSpec, TableSpec
from geometry.intervals import summarise

if TYPE_CHECKING:
    from geometry.experiments.anatomy.candidates import Candidates
    from geometry.experiments.anatomy.pruning import Steered
    from geometry.experiments.anatomy.setup import Subject

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class PruningPart(Part):
    """v vectors, N values of KL divergence; all on the reporting prompts, by the words that judge.

    Attributes:
        subjects, concepts: their names, and whether each is a concept's.
        counts: how many parts were kept.
        nats: the KL divergences.
        curve: basis → measure → shape (counts, v), at the first of them; nan where there are not so many parts.
        results: kind ("whole", "random", a basis at its chosen k, "random " + basis) → measure → shape (N, v).
        texts: kind → rise of the loss of each of t neutral texts at the first KL divergence, nats a token, shape
            (v, t); of random vectors not.
        sets: name → how many of these texts are of it, in their order.
        chosen: basis → what was chosen for each vector, None where nothing could be.
        similarity: basis → cosine of the chosen vector with the whole one, shape (v,).
        n_prompts: to choose on and to report.
        left_out: basis → why it is missing.
        tolerance: to which part of it the KL divergence is met; less than that is no difference.
    """

    subjects: tuple[str, ...]
    concepts: tuple[bool, ...]
    counts: tuple[int, ...]
    nats: tuple[float, ...]
    curve: Mapping[str, Mapping[str, Array]]
    results: Mapping[str, Mapping[str, Array]]
    texts: Mapping[str, Array]
    sets: Mapping[str, int]
    chosen: Mapping[str, tuple[Any, ...]]
    similarity: Mapping[str, Array]
    n_prompts: tuple[int, int]
    left_out: Mapping[str, str]
    seed: int
    tolerance: float

    __repr__ = short_repr

    @classmethod
    def of(
        cls,
        subjects: Sequence["Subject"],
        candidates: Mapping[str, "Candidates"],
        curve: Mapping[tuple[str, str, Any], "Steered"],
        results: Mapping[tuple[str, str, float], "Steered"],
        texts: Mapping[tuple[str, str], Array],
        sets: Mapping[str, int],
        chosen: Mapping[tuple[str, str], Any],
        counts: Sequence[int],
        nats: Sequence[float],
        n_prompts: tuple[int, int],
        left_out: dict[str, str],
        seed: int,
        tolerance: float,
    ) -> "PruningPart":
        """From single measurements."""
        names = [subject.name for subject in subjects]
        bases = [basis for basis in BASES if any(basis in candidates[name].pruned for name in names)]
        kinds = [WHOLE, RANDOM, *bases, *(f"random {basis}" for basis in bases)]

        def read(found: Mapping[Any, Any], key: Any, measure: str) -> float:
            return float(getattr(found[key], measure)) if key in found else np.nan

        def cosine(name: str, basis: str, whole: Any) -> float:
            k = chosen.get((name, basis))
            return float("nan") if k is None else float(candidates[name].pruned[basis][k].cosine(whole))

        return cls(
            subjects=tuple(names),
            concepts=tuple(subject.concept for subject in subjects),
            counts=tuple(counts),
            nats=tuple(nats),
            curve={
                basis: {
                    m: np.array([[read(curve, (name, basis, k), m) for name in names] for k in _keys(basis, counts)])
                    for m in OF_LAWS
                }
                for basis in bases
            },
            results={
                kind: {
                    m: np.array([[read(results, (name, kind, value), m) for name in names] for value in nats])
                    for m in OF_LAWS
                }
                for kind in kinds
            },
            texts={
                kind: np.stack([texts.get((name, kind), np.full(sum(sets.values()), np.nan)) for name in names])
                for kind in kinds
                if any((name, kind) in texts for name in names)
            },
            sets=dict(sets),
            chosen={basis: tuple(chosen.get((name, basis)) for name in names) for basis in bases},
            similarity={
                basis: np.array([cosine(subject.name, basis, subject.vector) for subject in subjects])
                for basis in bases
            },
            n_prompts=n_prompts,
            left_out=left_out,
            seed=seed,
            tolerance=tolerance,
        )  # fmt: skip

    @property
    def bases(self) -> tuple[str, ...]:
        """Those that were measured."""
        return tuple(self.curve)

    def group(self, name: str) -> NDArray[np.bool_]:
        """Which vectors are in one of `GROUPS`, shape (v,)."""
        concepts = np.array(self.concepts)
        return {EVERY: np.ones_like(concepts), OF_CONCEPTS: concepts, OF_PAIRS: ~concepts}[name]

    def difference(
        self, basis: str, measure: Measure, nats: int = 0, against: str = WHOLE, group: str = EVERY
    ) -> dict[str, Any]:
        """The pruned vectors' effect or cost less that of others, the mean over vectors with its 95% interval.

        Of the loss of texts the interval is over texts as well.
        """
        if measure == "text":
            known = nats == 0 and basis in self.texts and against in self.texts
            return crossed((self.texts[basis] - self.texts[against])[self.group(group)] if known else np.empty((0, 0)))
        less = self.results[basis][measure][nats] - self.results[against][measure][nats]
        return summarise(less[self.group(group)])

    def of_each(self, kind: str, measure: Measure) -> Array:
        """Of every vector at the first KL divergence, of texts the mean, shape (v,); nan where it was not measured."""
        if measure != "text":
            return self.results[kind][measure][0]
        nothing = np.full(len(self.subjects), np.nan)
        return self.texts[kind].mean(axis=1) if kind in self.texts else nothing

    def along(self, basis: str, measure: Measure) -> list[dict[str, Any]]:
        """The same against the whole vector for every k, at the first KL divergence."""
        return [summarise(row - self.results[WHOLE][measure][0]) for row in self.curve[basis][measure]]

    def resolution(self, measure: Measure, nats: int = 0) -> float:
        """What the tolerance of the KL divergence can make of a measure."""
        if measure == "cost":
            return self.tolerance * self.nats[nats]
        whole = self.of_each(WHOLE, measure) if measure == "text" else self.results[WHOLE][measure][nats]
        return self.tolerance * abs(summarise(whole)["mean"] or 0.0)

    def verdict(self, basis: str, nats: int = 0, group: str = EVERY) -> str:
        """Whether pruning is a Pareto improvement.

        Better: a measure is, by its interval and beyond the tolerance, and no other one is worse on average.
        Inconclusive: one is better, and another one worse on average, within its interval.
        """
        signs, lean = [], []
        for measure in MEASURES:
            found = self.difference(basis, measure, nats, group=group)
            low, high = found["interval"] or (np.nan, np.nan)
            if not np.isfinite([low, high]).all():
                if measure == "text":
                    continue
                return UNKNOWN
            good, least = 1 if measure == "effect" else -1, self.resolution(measure, nats)
            signs.append(good * (1 if low > least else -1 if high < -least else 0))
            lean.append(good * found["mean"] < -least)
        if 1 in signs:
            return TRADE if -1 in signs else OPEN if any(lean) else BETTER
        return WORSE if -1 in signs else SAME

    def summary(self) -> list[str]:
        """What pruning does, basis by basis."""
        whole, drawn = (summarise(self.results[kind]["effect"][0]) for kind in (WHOLE, RANDOM))
        said = [
            f"At {self.nats[0]:g} nats on {self.n_prompts[1]} prompts, {len(self.subjects)} whole vectors raise the"
            f" log-odds of words that none was made from by {number(whole)}, random ones of the same norm by"
            f" {number(drawn)}."
        ]
        for basis in self.bases:
            for at, value in enumerate(self.nats):
                effect, cost = self.difference(basis, "effect", at), self.difference(basis, "cost", at)
                control = self.difference(basis, "effect", at, f"random {basis}")
                what, text = said_basis(basis), self.difference(basis, "text", at)
                beside = self.difference(f"random {basis}", "text", at)
                loss = f", loss of neutral text {number(text)} (random parts {number(beside)})" if text["n"] else ""
                said.append(
                    f"{what[:1].upper()}{what[1:]}, at {value:g} nats: effect {number(effect)} nats of log-odds against"
                    f" the whole vector, off-target KL {number(cost)}{loss}: {self.said_verdict(basis, at)}; effect"
                    f" against random parts {number(control)} (n = {effect['n']})."
                )
            for group in GROUPS[1:]:
                effect = self.difference(basis, "effect", group=group)
                if effect["n"] and self.verdict(basis, group=group) != self.verdict(basis):
                    cost = self.difference(basis, "cost", group=group)
                    said.append(
                        f"Of the vectors {group} alone, {said_basis(basis)} at {self.nats[0]:g} nats: effect"
                        f" {number(effect)}, off-target KL {number(cost)}: {self.said_verdict(basis, group=group)}"
                        f" (n = {effect['n']})."
                    )
        if WHOLE in self.texts:
            found = crossed(self.texts[WHOLE])
            said.append(
                f"At {self.nats[0]:g} nats whole vectors raise the loss of {found['texts']} neutral texts by"
                f" {number(found)} nats a token; intervals of losses are over vectors and texts."
            )
        return said + [f"Not measured, {basis}: {why}." for basis, why in self.left_out.items()]

    def said_verdict(self, basis: str, nats: int = 0, group: str = EVERY) -> str:
        """The verdict as a clause."""
        return SAID[self.verdict(basis, nats, group)]

    def to_dict(self) -> dict[str, Any]:
        """Differences, choices, texts."""
        return {
            "subjects": list(self.subjects),
            "nats": list(self.nats),
            "prompts": {"choosing": self.n_prompts[0], "reporting": self.n_prompts[1]},
            "seed": self.seed,
            "left_out": dict(self.left_out),
            "results": {
                kind: {m: [summarise(row) for row in by[m]] for m in OF_LAWS} for kind, by in self.results.items()
            },
            "texts": {
                "sets": dict(self.sets),
                **{
                    kind: {"all": crossed(rows), **by_set(rows, self.sets.items())} for kind, rows in self.texts.items()
                },
            },
            "bases": {
                basis: {
                    "chosen": dict(zip(self.subjects, map(str, self.chosen[basis]), strict=True)),
                    "similarity": summarise(self.similarity[basis]),
                    "along": {m: self.along(basis, m) for m in OF_LAWS},
                    **{
                        f"{value:g} nats": {
                            "verdict": {group: self.verdict(basis, at, group) for group in GROUPS},
                            "less_whole": {m: self.difference(basis, m, at) for m in MEASURES},
                            "less_whole_by_group": {
                                group: {m: self.difference(basis, m, at, group=group) for m in MEASURES}
                                for group in GROUPS[1:]
                            },
                            "random_parts_less_whole": {m: self.difference(f"random {basis}", m, at) for m in MEASURES},
                            "less_random_parts": {
                                m: self.difference(basis, m, at, f"random {basis}") for m in MEASURES
                            },
                        }
                        for at, value in enumerate(self.nats)
                    },
                }
                for basis in self.bases
            },
        }

    def figures(self) -> list[FigureSpec]:
        """What is chosen against the whole vector, and what becomes of it as k grows."""
        from geometry.experiments.anatomy.pruning_figures import against_whole, by_count

        return [against_whole(self), by_count(self)]

    def tables(self) -> list[TableSpec]:
        """Differences of the chosen vectors, of concepts and pairs apart, and the k chosen."""
        rows = [
            [
                f"{basis}, {group}, {value:g} nats",
                str(self.difference(basis, "effect", at, group=group)["n"]),
                *(number(self.difference(basis, measure, at, group=group)) for measure in MEASURES),
                number(self.difference(basis, "effect", at, f"random {basis}", group)),
                self.verdict(basis, at, group),
            ]
            for basis in self.bases
            for group in GROUPS
            for at, value in enumerate(self.nats)
            if self.difference(basis, "effect", at, group=group)["n"]
        ]
        counts = [
            [basis, *(f"{k}: {n}" for k, n in sorted(Counter(k for k in self.chosen[basis] if k is not None).items()))]
            for basis in self.bases
        ]
        wide = max((len(row) for row in counts), default=1)
        counts = [row + [""] * (wide - len(row)) for row in counts]
        head = ["", "n", "effect", "off-target KL", "loss of text", "effect, less random parts", "verdict"]
        caption = (
            "Pruned less whole vectors at equal KL divergence, nats; mean with its 95% interval over vectors, of the"
            " loss over texts as well. Better: one measure is, beyond its interval and the tolerance, and none is worse"
            " on average."
        )
        return [
            TableSpec("Pruned vectors against whole ones", head, rows, caption),
            TableSpec("How many parts were chosen", ["", *[""] * (wide - 1)], counts, "k: number of vectors."),
        ]

    def arrays(self) -> dict[str, ArrayLike]:
        """Effects and costs of all vectors."""
        kept: dict[str, ArrayLike] = {
            f"{kind}/{measure}": values for kind, by in self.results.items() for measure, values in by.items()
        }
        kept |= {f"{kind}/texts": values for kind, values in self.texts.items()}
        return kept | {f"curve/{b}/{m}": values for b, by in self.curve.items() for m, values in by.items()}


def _keys(basis: str, counts: Sequence[int]) -> Sequence[Any]:
    return HOW if basis == SHARED else counts


def said_basis(basis: str) -> str:
    """What was done."""
    return basis if basis == SHARED else f"the strongest {basis} kept"
