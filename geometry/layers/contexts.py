"""Contexts: beginnings of sentences that a phrase is read at the end of. Knows no model and no tokenizer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from geometry.arguments import checked
from geometry.concepts.data_file import DataFile, packaged_names
from geometry.display import short_repr
from geometry.errors import HierarchyError, SteeringError, shown

GAP = "{}"


@checked
@dataclass(frozen=True)
class Contexts:
    """Texts with a gap for the phrase, or texts of each phrase's own.

    >>> Contexts("mine", ("She told me about the {}",)).passages(["polar bear"])
    [[Passage(text='She told me about the polar bear', start=22, end=32)]]

    Attributes:
        name: what results call them.
        templates: each with one gap, "{}"; what stands after it is not read, as a model reads from left to right.

    Raises SteeringError: no templates, or one without a gap or with several.
    """

    name: str
    templates: tuple[str, ...]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not self.templates:
            raise SteeringError(f"contexts {self.name!r}: there are none; give texts with a gap, 'I saw a {{}}'")
        for template in self.templates:
            if template.count(GAP) != 1:
                raise SteeringError(f"context {shown(template)}: write the place of the phrase as {GAP}, once")
        if len(set(self.templates)) < len(self.templates):
            raise SteeringError(f"contexts {self.name!r}: the same one stands there twice")

    def __len__(self) -> int:
        return len(self.templates)

    @property
    def labels(self) -> tuple[str, ...]:
        """What to call each context: its text."""
        return self.templates

    def first(self, count: int) -> "Contexts":
        """The first so many of them."""
        return Contexts(self.name, self.templates[:count])

    def passages(self, phrases: Sequence[str]) -> "list[list[Passage]]":
        """For each context every phrase within it."""
        return [[Passage.of(template, phrase) for phrase in phrases] for template in self.templates]


@dataclass(frozen=True)
class Passage:
    """A text, and where in it a phrase stands, by characters."""

    text: str
    start: int
    end: int

    @classmethod
    def of(cls, template: str, phrase: str) -> "Passage":
        """The template with its gap filled."""
        start = template.index(GAP)
        return cls(template.replace(GAP, phrase), start, start + len(phrase))

    @classmethod
    def found(cls, text: str, phrase: str) -> "Passage":
        """The first place in a text where the phrase stands as words of its own.

        Raises SteeringError: nowhere.
        """
        start = text.find(phrase)
        while start >= 0:
            end = start + len(phrase)
            if not (text[:start][-1:].isalnum() or text[end:][:1].isalnum()):
                return cls(text, start, end)
            start = text.find(phrase, start + 1)
        raise SteeringError(f"the phrase {shown(phrase)} is not in its context {shown(text)} as words of its own")


@dataclass(frozen=True)
class OwnContexts:
    """Texts of each phrase's own, as many of each: sentences from a corpus, in which it is looked up by characters.

    >>> OwnContexts({"bat": ["A bat flew", "He swung the bat"]}).passages(["bat"])
    [[Passage(text='A bat flew', start=2, end=5)], [Passage(text='He swung the bat', start=13, end=16)]]

    Raises SteeringError: another number of texts for one phrase than for others, or none; later, a phrase that has no
        texts, or does not stand in one of them.
    """

    texts: Mapping[str, Sequence[str]]
    name: str = "own texts"

    __repr__ = short_repr

    def __post_init__(self) -> None:
        counts = {phrase: 0 if isinstance(texts, str) else len(texts) for phrase, texts in self.texts.items()}
        if len(set(counts.values())) != 1 or 0 in counts.values():
            raise SteeringError(
                f"contexts must be a list of texts for each phrase, of one length; there are {shown(dict(counts))}"
            )

    def __len__(self) -> int:
        return len(next(iter(self.texts.values())))

    @property
    def labels(self) -> tuple[str, ...]:
        """What to call each context: its number."""
        return tuple(f"text {number}" for number in range(1, len(self) + 1))

    def first(self, count: int) -> "OwnContexts":
        """The first so many texts of each phrase."""
        return OwnContexts({phrase: texts[:count] for phrase, texts in self.texts.items()}, self.name)

    def passages(self, phrases: Sequence[str]) -> list[list[Passage]]:
        """For each context every phrase within it."""
        if unknown := [phrase for phrase in phrases if phrase not in self.texts]:
            raise SteeringError(f"the phrase {shown(unknown[0])} has no contexts among those given")
        return [
            [Passage.found(self.texts[phrase][number], phrase) for phrase in phrases] for number in range(len(self))
        ]


ContextsLike = str | Path | Sequence[str] | Mapping[str, Sequence[str]] | Contexts | OwnContexts


@checked
def load_contexts(source: ContextsLike = "neutral", *, count: int | None = None) -> Contexts | OwnContexts:
    """Contexts by the name of a packaged set, from a YAML or JSON file, or from texts with a gap.

    >>> load_contexts("neutral", count=4).templates[0].endswith("{}")
    True
    >>> load_contexts(["I saw a {}", "The word is {}"]).labels
    ('I saw a {}', 'The word is {}')

    Parameters:
        source: a packaged name, a path, templates, or a mapping of each phrase to texts that hold it.
        count: only the first so many.

    Raises SteeringError: no such file, malformed, fewer than `count`, or what `Contexts` refuses.
    """
    found: Contexts | OwnContexts
    if isinstance(source, Contexts | OwnContexts):
        found = source
    elif isinstance(source, Mapping):
        found = OwnContexts({phrase: tuple(texts) for phrase, texts in source.items()})
    elif not isinstance(source, str | Path):
        found = Contexts("own", tuple(source))
    elif isinstance(source, str) and GAP in source:
        found = Contexts("own", (source,))
    else:
        found = _of_file(source)
    if count is not None and not 1 <= count <= len(found):
        raise SteeringError(f"contexts {found.name!r}: there are {len(found)}, {count} are asked for")
    return found if count is None else found.first(count)


def _of_file(source: str | Path) -> Contexts:
    try:
        file = DataFile(source, "contexts", "contexts")
        return Contexts(file.name, tuple(file.texts("contexts", "templates")))
    except HierarchyError as error:
        raise SteeringError(str(error)) from error


def packaged_contexts() -> tuple[str, ...]:
    """Names of the sets that come with the package."""
    return packaged_names("contexts")
