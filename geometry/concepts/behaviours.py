"""Families of behaviour: classes of prompts, each under several templates and domains, with words that name them.

Owns what the files in data/behaviours/ mean and refuses those from which no template or domain could be held out; a
family of sentences alone has neither.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from geometry.arguments import checked
from geometry.concepts.data_file import DataFile, packaged_names
from geometry.concepts.natural_file import NaturalFile
from geometry.concepts.relations import Refusal, refusal
from geometry.display import short_repr
from geometry.errors import HierarchyError, shown

_FOLDER = "behaviours"
_FEWEST = 2  # of classes, templates and domains: one of the latter two is held out


@dataclass(frozen=True)
class Prompt:
    """A sentence, what it is (template) and where it happens (domain)."""

    text: str
    template: str
    domain: str


@dataclass(frozen=True)
class BehaviourClass:
    """One class: the words that name it, and sentences that show it."""

    name: str
    words: tuple[str, ...]
    prompts: tuple[Prompt, ...]

    __repr__ = short_repr


@dataclass(frozen=True)
class Behaviour:
    """A family of classes of one behaviour.

    Attributes:
        kind: of behaviour, the level above the family ("temperament"); "" where the file names none.
        ordered: whether the classes are levels, from the first to the last.
        templates, domains: name → what is meant; every class has prompts under each pair of both. Of a family of
            sentences alone one each, called "".
        groups: branch → its classes, where some of the classes are thought to be nearer to each other; may be empty.
    """

    name: str
    kind: str
    ordered: bool
    templates: Mapping[str, str]
    domains: Mapping[str, str]
    classes: tuple[BehaviourClass, ...]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    content: str = ""

    __repr__ = short_repr

    def texts(
        self, *, templates: Collection[str] | None = None, domains: Collection[str] | None = None
    ) -> dict[str, tuple[str, ...]]:
        """Class → its prompts under some templates and domains, default all; HierarchyError for those it lacks."""
        kept = {}
        for what, asked, known in (("template", templates, self.templates), ("domain", domains, self.domains)):
            kept[what] = set(known if asked is None else asked)
            if unknown := sorted(kept[what] - set(known)):
                raise HierarchyError(f"{self.name} has no {what} {shown(unknown[0])}; it has {', '.join(known)}")
        cells = set(product(kept["template"], kept["domain"]))
        return {
            item.name: tuple(prompt.text for prompt in item.prompts if (prompt.template, prompt.domain) in cells)
            for item in self.classes
        }


def packaged_behaviours() -> tuple[str, ...]:
    """Names of the families that come with the package."""
    return packaged_names(_FOLDER)


@checked
def load_behaviour(
    source: str | Path | Mapping[str, Any], *, name: str | None = None, ordered: bool | None = None
) -> Behaviour:
    """A family of behaviour: a packaged one, classes of sentences, or a file like data/behaviours/aggression.yaml.

    >>> import geometry as geo
    >>> family = geo.load_behaviour("aggression")
    >>> [item.name for item in family.classes], family.ordered
    (['peaceful', 'firm', 'irritated', 'hostile', 'violent'], True)
    >>> mood = geo.load_behaviour({"calm": ["All is well."], "angry": ["Get out!", "I loathe you."]}, name="mood")
    >>> mood.texts()
    {'calm': ('All is well.',), 'angry': ('Get out!', 'I loathe you.')}

    Parameters:
        source: a packaged name (`geo.concepts.packaged_behaviours()`), a mapping of class to its sentences, or the path
            of a file, which holds such a mapping or what follows.
        name: what results call it; default the file's, else "classes".
        ordered: whether the classes are levels, in the order in which they stand; default what the file says, else no.

    In a file, `classes` holds class → `words` and `prompts`; prompts are domain → template → list of sentences. The
    classes of a family whose `ordered` is true are levels in the order in which they stand. `groups`, if there, holds
    group → list of classes, each once. Templates and domains are for holding some out (`concept-geometry run
    behaviours` does): a family of sentences alone has none, and the class's name, if it is one word, for its words.

    HierarchyError: no such file, malformed, fewer than two classes, templates or domains, a class without prompts under
    one of them, a sentence or a class word that stands twice; with line and field.
    """
    family = _of_sentences(source, refusal("classes")) if isinstance(source, Mapping) else _of_file(source)
    changes: dict[str, Any] = {"name": name, "ordered": ordered}
    return replace(family, **{key: value for key, value in changes.items() if value is not None})


def _of_file(source: str | Path) -> Behaviour:
    file = NaturalFile(source, _FOLDER, "classes", "ordered", "kind", "templates", "domains", "groups")
    if file.content is not None:
        kind = file.text("kind", default="")
        return replace(_of_sentences(file.content, file.refuse), name=file.name, kind=kind, ordered=_ordered(file))
    templates, domains = (_described(file, entry) for entry in ("templates", "domains"))
    ordered = _ordered(file)
    names = tuple(file.mapping("classes"))
    if len(names) < _FEWEST:
        raise file.refuse(("classes",), f"a family has at least {_FEWEST} classes, not {len(names)}")
    if file.name in names:
        raise file.refuse(("classes", file.name), "a class cannot be called like its family")
    classes = tuple(_class(file, name, templates, domains) for name in names)
    for what in ("words", "prompts"):
        _refuse_repeated(file, classes, what)
    groups = file.partition("groups", names=names) if file.get("groups", default=()) != () else {}
    kind, content = (file.text(entry, default="") for entry in ("kind", "content"))
    return Behaviour(file.name, kind, ordered, templates, domains, classes, groups, content)


def _of_sentences(document: Mapping[str, Any], refuse: Refusal) -> Behaviour:
    """Classes of sentences alone, which have one template and one domain without a name."""
    if len(document) < _FEWEST:
        raise refuse((), f"a family has at least {_FEWEST} classes, not {len(document)}")
    owner: dict[str, str] = {}
    classes = []
    for name, sentences in document.items():
        if not isinstance(name, str) or not name.strip():
            raise refuse((name,), f"{shown(name)} must be a name (quote what YAML reads otherwise)")
        if isinstance(sentences, str | Mapping) or not isinstance(sentences, Collection) or not sentences:
            raise refuse((name,), f"must be a list of sentences, and not empty, not {shown(sentences)}")
        prompts = []
        for index, text in enumerate(sentences):
            if not isinstance(text, str) or not text.strip():
                raise refuse((name, index), f"must be a text (quote what YAML reads otherwise), not {shown(text)}")
            prompts.append(Prompt(" ".join(text.split()), "", ""))
            if (said := prompts[-1].text) in owner:
                raise refuse((name, index), f"{shown(said)} stands in {owner[said]} already")
            owner[said] = name
        words = () if " " in name.strip() else (name.strip(),)
        classes.append(BehaviourClass(name, words, tuple(prompts)))
    return Behaviour("classes", "", False, {"": "sentences"}, {"": "any"}, tuple(classes))


def _ordered(file: DataFile) -> bool:
    ordered = file.get("ordered", default=False)
    if not isinstance(ordered, bool):
        raise file.refuse(("ordered",), f"true or false, not {shown(ordered)}")
    return ordered


def _described(file: DataFile, entry: str) -> dict[str, str]:
    """Names of templates or domains → what they mean."""
    names = file.get(entry)
    if not isinstance(names, dict) or len(names) < _FEWEST:
        problem = f"must be a mapping of at least {_FEWEST} names to what they mean, so that one can be held out"
        raise file.refuse((entry,), problem)
    return {name: file.text(entry, name) for name in file.mapping(entry)}


def _class(file: DataFile, name: str, templates: Collection[str], domains: Collection[str]) -> BehaviourClass:
    keys = "classes", name
    file.mapping(*keys, known=("words", "prompts"))
    words = file.texts(*keys, "words")
    if spaced := [word for word in words if " " in word]:
        raise file.refuse((*keys, "words"), f"{shown(spaced[0])} is not a single word")
    _check_complete(file, (*keys, "prompts"), domains)
    for domain in domains:
        _check_complete(file, (*keys, "prompts", domain), templates)
    prompts = tuple(
        Prompt(text, template, domain)
        for domain, template in product(domains, templates)
        for text in file.texts(*keys, "prompts", domain, template)
    )
    return BehaviourClass(name, tuple(words), prompts)


def _check_complete(file: DataFile, keys: tuple[str, ...], names: Collection[str]) -> None:
    entries = file.mapping(*keys, known=names)
    if missing := [name for name in names if name not in entries]:
        problem = f"nothing under {shown(missing[0])}; every class needs every template in every domain"
        raise file.refuse(keys, problem)


def _refuse_repeated(file: DataFile, classes: Collection[BehaviourClass], what: str) -> None:
    """Refuse a sentence that would be both in and out of a training part, and a word that names two classes."""
    owner: dict[str, str] = {}
    for item in classes:
        for text in item.words if what == "words" else [prompt.text for prompt in item.prompts]:
            if text in owner:
                raise file.refuse(("classes", item.name, what), f"{shown(text)} stands in {owner[text]} already")
            owner[text] = item.name
