"""A data file with its usual entries, or one that holds what it is about at once: "animal: {bird: [crow]}"."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from geometry.concepts.data_file import DataFile
from geometry.errors import HierarchyError

_SAID = ("name", "content", "source", "licence")


class NaturalFile(DataFile):
    """A data file whose `entry` may be left out: then all but the texts that describe it stand for that entry.

    Attributes:
        content: what stands without the entry, by its names; None of a file that has it. Lists and mappings alone.
    """

    def __init__(self, source: str | Path, folder: str, entry: str, *optional: str) -> None:
        self.content: dict[str, Any] | None = None
        try:
            super().__init__(source, folder, entry, *optional)
        except HierarchyError:
            document = getattr(self, "_document", None)
            if not isinstance(document, dict) or entry in document:
                raise
            told: Collection[str] = [
                key for key in (*_SAID, *optional) if not isinstance(document.get(key), dict | list)
            ]
            content = {key: value for key, value in document.items() if key not in told}
            if not any(isinstance(value, dict | list) for value in content.values()):
                raise
            self.content = content
            self.name = self.text("name", default=Path(self.label).stem) if "name" in told else Path(self.label).stem
