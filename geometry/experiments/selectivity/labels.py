"""How figures and sentences call the relations of concepts to the one that is steered to."""

from geometry.selectivity.relations import Relation

LABELS: dict[Relation, str] = {
    "self": "the target itself",
    "child": "below it",
    "parent": "above it (rest of)",
    "sibling": "siblings",
    "cousin": "cousins",
    "unrelated": "unrelated",
}
# Of a single concept, and of concepts with all their words.
ONE: dict[Relation, str] = LABELS | {"self": "itself", "parent": "above it", "sibling": "sibling", "cousin": "cousin"}
ALL: dict[Relation, str] = LABELS | {"self": "itself", "parent": "above it", "unrelated": "unrelated concepts"}
