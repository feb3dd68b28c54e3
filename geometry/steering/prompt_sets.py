"""Sets of prompts and texts from the project's data files or a user's own."""

from dataclasses import dataclass
from pathlib import Path

from geometry.concepts.data_file import read_mapping, refuse_unknown
from geometry.errors import HierarchyError, SteeringError

__all__ = ["PromptSet", "load_prompts"]


@dataclass(frozen=True)
class PromptSet:
    """Beginnings of sentences, whose next token is looked at, and whole texts, whose perplexity is."""

    name: str
    beginnings: tuple[str, ...]
    texts: tuple[str, ...]


def load_prompts(source: str | Path) -> PromptSet:
    """Read a packaged set ("neutral") or a YAML or JSON file of the same form.

    Raises
    ------
    SteeringError
        No such file, malformed, or without beginnings or texts.
    """
    try:
        label, document = read_mapping(source, "prompts", "prompts")
        refuse_unknown(label, document, {"name", "source", "licence", "prompts"})
        refuse_unknown(f"{label}: prompts", document["prompts"], {"beginnings", "texts"})
    except HierarchyError as error:
        raise SteeringError(str(error)) from error
    texts = {}
    for kind in ("beginnings", "texts"):
        listed = document["prompts"].get(kind)
        if not isinstance(listed, list) or not listed or not all(isinstance(t, str) and t.strip() for t in listed):
            raise SteeringError(f"{label}: {kind!r} must be a list of texts, and not empty")
        texts[kind] = tuple(" ".join(text.split()) for text in listed)
    return PromptSet(str(document.get("name", label)), texts["beginnings"], texts["texts"])
