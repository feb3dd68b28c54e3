"""The result of the study of behaviours: its numbers, and what follows from them in sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from geometry.concepts import Behaviour
from geometry.display import short_repr
from geometry.evidence import PairContrast, ShapeComparison
from geometry.experiments.behaviours.classes import Routes
from geometry.experiments.behaviours.steering import CONTROLS, METHODS, SUM, UNSTEERED, FamilySteering
from geometry.experiments.evaluator import sampling_note
from geometry.experiments.result import FigureSpec, StudyResult, TableSpec
from geometry.intervals import interval_of
from geometry.probing import HeldOutSweep
from geometry.results import Results, TestResult

if TYPE_CHECKING:
    from geometry.experiments.behaviours.study import BehavioursStudy


@dataclass(frozen=True, eq=False, kw_only=True)
class FamilyResult:
    """One family of behaviour.

    Attributes:
        words: class → its words that are single tokens.
        block: after which probes are most accurate, and after which classes are compared and steered.
        probes: "template" and "domain" → held-out classification after each block.
        routes, shape: None of too few classes.
        contrasts: every two classes → agreement of the differences of their prompts in one context.
        contrast_pairs: packaged contrast → cosine of its direction with what sets each class apart.
    """

    family: Behaviour
    words: Mapping[str, Sequence[str]]
    block: int
    probes: Mapping[str, HeldOutSweep]
    routes: Routes | None
    shape: ShapeComparison | None
    contrasts: Mapping[tuple[str, str], PairContrast]
    contrast_pairs: Mapping[str, TestResult]
    steering: FamilySteering

    __repr__ = short_repr

    @property
    def classes(self) -> list[str]:
        """Their names in order."""
        return list(self.words)

    @property
    def shapes_beyond(self) -> list[str]:
        """Shapes that predict left-out classes better than 95% of permuted orders do."""
        tests = self.shape.tests.items() if self.shape else ()
        return [shape for shape, test in tests if test.value > 0 and test.p_value <= 0.05]

    def to_dict(self) -> dict[str, Any]:
        """An entry of results.families."""
        sizes = {item.name: len(item.prompts) for item in self.family.classes}
        return {
            "classes": {name: {"prompts": sizes[name], "words": list(words)} for name, words in self.words.items()},
            "kind": self.family.kind,
            "ordered": self.family.ordered,
            "layers": {kind: _sweep(sweep) for kind, sweep in self.probes.items()},
            "routes": self.routes and self.routes.to_dict(),
            "shape": self.shape and self.shape.to_dict(),
            "contrasts": {f"{one} - {two}": test.to_dict() for (one, two), test in self.contrasts.items()},
            "contrast_pairs": {
                way: dict(zip(test.labels, test.values.tolist(), strict=True))
                for way, test in self.contrast_pairs.items()
            },
            "steering": self.steering.to_dict(),
        }


def _sweep(sweep: HeldOutSweep) -> dict[str, Any]:
    best = int(sweep.accuracy.argmax())
    numbers = {"accuracy": sweep.accuracy.tolist(), "threshold": sweep.threshold, "first": sweep.first, "best": best}
    return numbers | {"at_best": sweep.results[best].to_dict()}


@dataclass(frozen=True, eq=False, kw_only=True)
class BehavioursResult(StudyResult):
    """The numbers of a `BehavioursStudy`.

    Attributes:
        families: name → what was measured of it.
        levels: claims about behaviour → kind → family → class, by words and by prompts.
    """

    study: "BehavioursStudy"
    families: Mapping[str, FamilyResult]
    levels: Results

    __repr__ = short_repr

    def summary(self) -> list[str]:
        """The titles of the figures, and where the difference of two classes is no better than one axis."""
        main, *others = (f"{spec.title}." for spec in self.figures())
        worse = []
        for measure, said in (("success", "sentences"), ("generated", "generated texts")):
            over = {name: item.steering.over_contrast_pair(measure) for name, item in self.families.items()}
            names = [name for name, values in over.items() if not interval_of(values)[0] > 0]
            worse += [f"in {said} of {', '.join(names) if len(names) < len(over) else 'any family'}"] if names else []
        how = f"no more successful {', or '.join(worse)}" if worse else "more successful in every family"
        return [main, f"Beside the contrast-pair direction of the family, class differences are {how}.", *others]

    def to_dict(self) -> dict[str, Any]:
        """Every family by name, and the claims about levels."""
        families = {name: item.to_dict() for name, item in self.families.items()}
        return {"families": families, "levels": self.levels.to_dict()}

    def arrays(self) -> dict[str, ArrayLike]:
        """What the figures are drawn from, by family."""
        arrays: dict[str, ArrayLike] = {}
        for name, item in self.families.items():
            arrays |= {f"{name}/{kind}": sweep.accuracy for kind, sweep in item.probes.items()}
            arrays |= {f"{name}/routes": item.routes.matching.cosines} if item.routes else {}
            arrays[f"{name}/matrix"] = item.steering.matrix
            for measure, by in item.steering.outcomes.items():
                arrays |= {f"{name}/{measure}/{condition}": values for condition, values in by.items()}
        return arrays

    def figures(self) -> list[FigureSpec]:
        """Steering first."""
        from geometry.experiments.behaviours.figures import figures

        return figures(self.families, self.levels)

    def tables(self) -> list[TableSpec]:
        """What was found of each family, and steering success rates by condition."""
        head = ("family", "block", "template", "domain", "shuffled, 95%", "words – prompts", "consistent", "shape")
        rows = [
            (
                name,
                str(item.block),
                *(f"{sweep.accuracy.max():.2f}" for sweep in item.probes.values()),
                f"{max(sweep.threshold for sweep in item.probes.values()):.2f}",
                f"{item.routes.matching.value:.2f}" if item.routes else "not measurable",
                f"{sum(test.p_value <= 0.05 for test in item.contrasts.values())} of {len(item.contrasts)}",
                " and ".join(item.shapes_beyond) or "none" if item.shape else "not measurable",
            )
            for name, item in self.families.items()
        ]
        caption = "Probe accuracy on held-out prompts, cosine of words with prompts, context-consistent contrasts."
        tables = [TableSpec("Families of behaviour", head, rows, caption)]
        for measure, title in (("success", "sentences"), ("generated", "generated texts")):
            rates = [item.steering.outcomes[measure] for item in self.families.values()]
            ways = [way for way in (*METHODS, *CONTROLS) if all(way in by for by in rates)]
            cells = [(way, *(f"{by[way].mean():.2f}" for by in rates)) for way in ways]
            tables.append(TableSpec(f"Steering success rate, {title}", ("condition", *self.families), cells))
        return tables

    def pages(self) -> dict[str, tuple[str, str]]:
        """Texts at each class of each family, side by side."""
        from geometry.plots.pages import TextTable, texts_page

        tables = []
        for name, item in self.families.items():
            columns = [(UNSTEERED, "", True), *((label, SUM, False) for label in item.classes)]
            texts = item.steering.generations.items()
            rows = [(opening, [by[label] for label, *_ in columns]) for opening, by in texts]
            title = f"{name}: after block {item.block}, {item.steering.strength.value:g} ×"
            tables.append(TextTable(title, columns, rows, item.family.content))
        detail = (
            f"{sampling_note(self.study.seed)} Steered at every token by the class's mean less that of neutral prompts,"
            " which is family mean + class offset. Class words are marked."
        )
        marked = {word for item in self.families.values() for words in item.words.values() for word in words}
        title = "Generations at each class of behaviour"
        return {"generations.html": (title, texts_page(title, detail, tables, marked=marked))}
