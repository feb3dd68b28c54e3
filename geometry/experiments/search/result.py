"""What the search study gives: its parts, one after the other."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geometry.display import short_repr
from geometry.experiments.parts import PartsResult
from geometry.experiments.search.texts import TextsPart

if TYPE_CHECKING:
    from geometry.experiments.search.study import SearchStudy


@dataclass(frozen=True, eq=False, kw_only=True)
class SearchResult(PartsResult):
    """Parts: "held out", "norms", "concepts", "stability", "texts"."""

    study: "SearchStudy"

    __repr__ = short_repr

    def pages(self) -> dict[str, tuple[str, str]]:
        """Generations, side by side."""
        part = self.parts.get("texts")
        return {"generations.html": ("Generations", part.page())} if isinstance(part, TextsPart) else {}
