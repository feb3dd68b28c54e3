"""Families of behaviour as a hierarchy, behaviour → kind → family → class, of the classes' words or of their prompts.

The two routes have the same concepts, so that the same questions can be asked of both.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from geometry.concepts.behaviours import Behaviour
from geometry.concepts.handmade import hierarchy_from_words
from geometry.concepts.hierarchy import Concept, ConceptHierarchy
from geometry.concepts.words import capitalised
from geometry.errors import HierarchyError
from geometry.models import Vocabulary

_ROOT = "behaviour"


def class_concept(family: Behaviour, name: str) -> str:
    """What a class is called among those of other families: "aggression: firm"."""
    return f"{family.name}: {name}"


def behaviour_words(families: Sequence[Behaviour], vocabulary: Vocabulary) -> ConceptHierarchy:
    """The word route: each class with those of its words that are single tokens, as written and capitalised.

    A kind stands above its families where it has several, and "behaviour" above what would else be several roots.

    HierarchyError: no families, two of one name, or a class none of whose words is in the vocabulary.
    """
    parents = _parents(families)
    words: dict[str, list[str]] = {parent: [] for listed in parents.values() for parent in listed}
    for family in families:
        for item in family.classes:
            words[class_concept(family, item.name)] = [*item.words, *map(capitalised, item.words)]
    hierarchy = hierarchy_from_words("words", words, parents, vocabulary, forms="none")
    asked = {word for family in families for item in family.classes for word in item.words}
    return replace(hierarchy, concepts=tuple(_without_capitals(concept, asked) for concept in hierarchy))


def behaviour_prompts(families: Sequence[Behaviour]) -> ConceptHierarchy:
    """The prompt route: the same concepts, each with its prompts in place of tokens.

    "Tokens" number the prompts, family after family and class after class. All prompts of a template are one
    lemma, so that a split by lemmas holds out whole templates, the same ones of every class; without templates each
    prompt is one. Errors as above.
    """
    parents = _parents(families)
    members: dict[str, dict[int, str]] = {}
    templates: dict[str, list[str]] = {}
    count = 0
    for family in families:
        for item in family.classes:
            above = [class_concept(family, item.name)]
            for concept in above:
                above += parents.get(concept, ())
            for prompt in item.prompts:
                # Numbered, as two families may hold one sentence.
                word = f"{prompt.template} {count}"
                templates.setdefault(prompt.template or word, []).append(word)
                for concept in above:
                    members.setdefault(concept, {})[count] = word
                count += 1
    concepts = tuple(Concept(name, tuple(words.values()), tuple(words)) for name, words in members.items())
    variants = {words[0]: tuple(words[1:]) for words in templates.values()}
    return ConceptHierarchy("prompts", concepts, parents, variants, recipe="prompts of classes of behaviour")


def _without_capitals(concept: Concept, asked: Collection[str]) -> Concept:
    """The concept with those of its words as lost alone that are there in neither case."""
    lost = tuple(word for word in concept.lost if word in asked and capitalised(word) not in concept.words)
    return replace(concept, lost=lost)


def _parents(families: Sequence[Behaviour]) -> dict[str, tuple[str, ...]]:
    """Child → parents, without a level that would hold one thing alone."""
    names = [family.name for family in families]
    if not names:
        raise HierarchyError("there are no families of behaviour")
    if repeated := [name for name in names if names.count(name) > 1]:
        raise HierarchyError(f"two families are called {repeated[0]!r}; name each once")
    kinds = [family.kind for family in families]
    shared = {kind for kind in kinds if kind and kinds.count(kind) > 1}
    if clash := sorted({_ROOT, *shared} & set(names)):
        raise HierarchyError(f"{clash[0]!r} names a family and what stands above families; rename one")
    parents: dict[str, tuple[str, ...]] = {
        class_concept(family, item.name): (family.name,) for family in families for item in family.classes
    }
    tops = list(dict.fromkeys(kind if kind in shared else name for name, kind in zip(names, kinds, strict=True)))
    parents |= {family.name: (family.kind,) for family in families if family.kind in shared}
    return parents | (dict.fromkeys(tops, (_ROOT,)) if len(tops) > 1 else {})
