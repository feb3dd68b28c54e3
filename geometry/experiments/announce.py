"""What a hierarchy is too small for, said before a model is read."""

from collections.abc import Callable, Iterable, Mapping

from geometry.concepts import ConceptHierarchy
from geometry.errors import EstimationError
from geometry.evidence import require_measurable, unmeasurable, without_model
from geometry.experiments.study import Step

# From a hierarchy to what cannot be measured on it → what it takes.
Unmeasurable = Callable[[ConceptHierarchy], Mapping[str, str]]

_WORDNET = "wordnet"
FEWEST_MAPPED = 3  # so many have two neighbours each


def announce(sources: Iterable[str], step: Step, besides: Unmeasurable = lambda _: {}) -> None:
    """A note for each claim, and each measure `besides`, that is not measurable on a hierarchy, whatever the model.

    Of the hierarchy alone: a model that splits words leaves less, and then the result says so. WordNet's hierarchies
    are a model's own, and large.

    Raises GeometryError: a hierarchy that cannot be read, or on which no claim can be measured.
    """
    for source in dict.fromkeys(sources):
        if source.startswith(_WORDNET):
            continue
        hierarchy = without_model(source)
        require_measurable(hierarchy)
        for name, reason in {**unmeasurable(hierarchy), **besides(hierarchy)}.items():
            step(f"note: {name} is not measurable on {hierarchy.name}: {reason}")


def require_mappable(source: str, concept: str) -> None:
    """Refuse a hierarchy that has too few concepts to map, or nothing below the concept that was named for Mapper.

    Raises EstimationError: so, with what it takes. HierarchyError: it cannot be read, or lacks the concept.
    """
    if source.startswith(_WORDNET):
        return
    hierarchy = without_model(source)
    if concept and not hierarchy.children[hierarchy.names[hierarchy.index(concept)]]:
        above = ", ".join(name for name, children in hierarchy.children.items() if children)
        advice = f"--concept takes one that has: {above}" if above else "none has; without --concept there is no Mapper"
        raise EstimationError(f"{hierarchy.name}: {concept!r} has no children to tell its words apart by; {advice}")
    if (k := len(hierarchy)) < FEWEST_MAPPED:
        raise EstimationError(f"{hierarchy.name}: a map needs at least {FEWEST_MAPPED} concepts, has {k}")
