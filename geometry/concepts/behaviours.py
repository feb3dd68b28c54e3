"""Families of behaviour: classes of prompts, each under several templates and domains, with words that name them.

Owns what the files in data/behaviours/ mean and refuses those from which no template or domain could be held out.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geometry.concepts.data_file import line_of, packaged_names, read_mapping
from geometry.errors import HierarchyError


_FOLDER = "behaviours"
_KEYS = {"name", "content", "source", "licence", "ordered", "kind", "templates", "domains", "groups", "classes"}
_CLASS_KEYS = {"words", "prompts"}
_FEWEST = 2  # of classes, templates and domains: one of the latter two is held out

Place = tuple[str | int, ...]


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


@dataclass(frozen=True)
class Behaviour:
    """A family of classes of one behaviour.

    Attributes
    ----------
    kind : of behaviour, the level above the family ("temperament"); "" where the file names none.
    ordered : whether the classes are levels, from the first to the last.
    templates, domains : name → what is meant; every class has prompts under each pair of both.
    groups : branch → its classes, where some of the classes are thought to be nearer to each other; may be empty.
    content : what a reader should know before opening the file.
    """

    name: str
    kind: str
    ordered: bool
    templates: Mapping[str, str]
    domains: Mapping[str, str]
    classes: tuple[BehaviourClass, ...]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    content: str = ""

    def texts(
        self, *, templates: Collection[str] | None = None, domains: Collection[str] | None = None
    ) -> dict[str, tuple[str, ...]]:
        """Class → its prompts under some templates and domains; default all.

        Raises
        ------
        HierarchyError
            A template or domain that the family lacks.

        Examples
        --------
        >>> family = load_behaviour("aggression")
        >>> seen = family.texts(templates=set(family.templates) - {"speech"})
        >>> {name: len(texts) for name, texts in seen.items()}
        {'peaceful': 24, 'firm': 24, 'irritated': 24, 'hostile': 24, 'violent': 24}
        """
        kept = {}
        for what, wanted, known in (("template", templates, self.templates), ("domain", domains, self.domains)):
            kept[what] = set(known if wanted is None else wanted)
            if unknown := sorted(kept[what] - set(known)):
                raise HierarchyError(f"{self.name} has no {what} {unknown[0]!r}; it has {', '.join(known)}")
        return {
            one.name: tuple(
                prompt.text
                for prompt in one.prompts
                if prompt.template in kept["template"] and prompt.domain in kept["domain"]
            )
            for one in self.classes
        }


def packaged_behaviours() -> tuple[str, ...]:
    """Names of the families that come with the package."""
    return packaged_names(_FOLDER)


def load_behaviour(source: str | Path) -> Behaviour:
    """Read a packaged family ("aggression") or a YAML or JSON file like data/behaviours/aggression.yaml.

    `classes` holds class → `words` and `prompts`; prompts are domain → template → list of sentences. The classes
    of a family whose `ordered` is true are levels in the order in which they stand. `groups`, if there, holds
    group → list of classes, each class once.

    Raises
    ------
    HierarchyError
        No such file, malformed, fewer than two classes, templates or domains, a class without prompts under one of
        them, a sentence or a class word that stands twice; with line and field.
    """
    label, document = read_mapping(source, _FOLDER, "classes")
    return _Reader(source, label).family(document)


@dataclass(frozen=True)
class _Reader:
    """Checks a document from the top, and says where it stops."""

    source: str | Path
    label: str

    def refuse(self, place: Place, problem: str) -> HierarchyError:
        line = line_of(self.source, _FOLDER, place)
        where = "" if line is None else f", line {line}"
        field = ".".join(map(str, place))
        return HierarchyError(f"{self.label}{where}: {field + ': ' if field else ''}{problem}")

    def family(self, document: Mapping[str, Any]) -> Behaviour:
        self.known((), document, _KEYS)
        templates, domains = (self.described(field, document) for field in ("templates", "domains"))
        ordered = document.get("ordered", False)
        if not isinstance(ordered, bool):
            raise self.refuse(("ordered",), f"true or false, not {ordered!r}")
        entries = document["classes"]
        if len(entries) < _FEWEST:
            raise self.refuse(("classes",), f"a family has at least {_FEWEST} classes, not {len(entries)}")
        name = self.text(("name",), document.get("name", self.label))
        classes = []
        for class_name, entry in entries.items():
            if class_name == name:
                raise self.refuse(("classes", class_name), "a class cannot be called like its family")
            classes.append(self.one_class(class_name, entry, templates, domains))
        family = Behaviour(
            name,
            self.text(("kind",), document["kind"]) if "kind" in document else "",
            ordered,
            templates,
            domains,
            tuple(classes),
            self.groups(document, [one.name for one in classes]) if "groups" in document else {},
            self.text(("content",), document["content"]) if "content" in document else "",
        )
        self.twice(family)
        return family

    def groups(self, document: Mapping[str, Any], names: Collection[str]) -> dict[str, tuple[str, ...]]:
        entry = document["groups"]
        if not isinstance(entry, dict):
            raise self.refuse(("groups",), "expected a mapping of groups to lists of classes")
        found = {self.text(("groups",), group): tuple(self.texts(("groups", group), entry[group])) for group in entry}
        listed = [name for some in found.values() for name in some]
        for group, some in found.items():
            if unknown := [name for name in some if name not in names]:
                raise self.refuse(("groups", group), f"no class {unknown[0]!r}; there are {', '.join(names)}")
            if repeated := [name for name in some if listed.count(name) > 1]:
                raise self.refuse(("groups", group), f"{repeated[0]!r} stands in a group more than once")
        if missing := [name for name in names if name not in listed]:
            raise self.refuse(("groups",), f"{missing[0]!r} is in no group")
        return found

    def one_class(
        self, name: Any, entry: Any, templates: Mapping[str, str], domains: Mapping[str, str]
    ) -> BehaviourClass:
        place: Place = ("classes", self.text(("classes",), name))
        self.known(place, entry, _CLASS_KEYS)
        words = self.texts((*place, "words"), entry.get("words"))
        if spaced := [word for word in words if len(word.split()) > 1]:
            raise self.refuse((*place, "words"), f"{spaced[0]!r} is not a single word")
        prompts = []
        by_domain = self.cells((*place, "prompts"), entry.get("prompts"), domains)
        for domain, by_template in by_domain.items():
            here = (*place, "prompts", domain)
            for template, sentences in self.cells(here, by_template, templates).items():
                for text in self.texts((*here, template), sentences):
                    prompts.append(Prompt(text, template, domain))
        return BehaviourClass(str(name), tuple(words), tuple(prompts))

    def known(self, place: Place, mapping: Any, keys: Collection[str]) -> None:
        if not isinstance(mapping, dict):
            raise self.refuse(place, f"expected a mapping with {', '.join(sorted(keys))}")
        if unknown := [key for key in mapping if key not in keys]:
            raise self.refuse((*place, unknown[0]), f"unknown; known here: {', '.join(sorted(keys))}")

    def described(self, field: str, document: Mapping[str, Any]) -> dict[str, str]:
        entries = document.get(field)
        if not isinstance(entries, dict) or len(entries) < _FEWEST:
            raise self.refuse(
                (field,) if field in document else (),
                f"{field} must be a mapping of at least {_FEWEST} names to what they mean, so that one can be held out",
            )
        return {self.text((field,), name): self.text((field, name), meant) for name, meant in entries.items()}

    def cells(self, place: Place, entry: Any, wanted: Mapping[str, str]) -> Mapping[str, Any]:
        """A mapping with an entry for every name wanted, in their order."""
        self.known(place, entry, tuple(wanted))
        if missing := [name for name in wanted if name not in entry]:
            raise self.refuse(place, f"nothing under {missing[0]!r}; every class needs every template in every domain")
        return {name: entry[name] for name in wanted}

    def texts(self, place: Place, entry: Any) -> list[str]:
        if not isinstance(entry, list) or not entry:
            raise self.refuse(place, "must be a list, and not empty")
        return [self.text((*place, index), item) for index, item in enumerate(entry)]

    def text(self, place: Place, entry: Any) -> str:
        # `no` and `on` are booleans in YAML, and so a likely accident.
        if not isinstance(entry, str) or not entry.strip():
            raise self.refuse(place, f"must be a text (quote what YAML reads otherwise), not {entry!r}")
        return " ".join(entry.split())

    def twice(self, family: Behaviour) -> None:
        """Refuse a sentence that would be both in and out of a training part, and a word that names two classes."""
        for what in ("words", "prompts"):
            owner: dict[str, str] = {}
            for one in family.classes:
                for item in getattr(one, what):
                    text = item if isinstance(item, str) else item.text
                    if text in owner:
                        raise self.refuse(("classes", one.name, what), f"{text!r} stands in {owner[text]} already")
                    owner[text] = one.name
