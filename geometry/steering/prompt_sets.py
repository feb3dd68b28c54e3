"""Sets of prompts and texts from the project's data files or a user's own."""

from dataclasses import dataclass
from pathlib import Path

from geometry.concepts.data_file import DataFile
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
        No such file, malformed, or without beginnings or texts; with line and field.
    """
    try:
        file = DataFile(source, "prompts", "prompts")
        file.mapping("prompts", known=("beginnings", "texts"))
        beginnings, texts = (tuple(file.texts("prompts", kind)) for kind in ("beginnings", "texts"))
    except HierarchyError as error:
        raise SteeringError(str(error)) from error
    return PromptSet(file.name, beginnings, texts)
