"""What the study of dictionaries gives: its parts, one after the other."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geometry.display import short_repr
from geometry.experiments.parts import PartsResult

if TYPE_CHECKING:
    from geometry.experiments.dictionaries.study import DictionariesStudy


@dataclass(frozen=True, eq=False, kw_only=True)
class DictionariesResult(PartsResult):
    """Parts "quality", "concepts", "steering" and "decomposition".

    Attributes:
        dictionary: the autoencoder in a line.
        notes: what it says of itself, such as what it was trained on.
    """

    study: "DictionariesStudy"
    dictionary: str
    notes: tuple[str, ...]

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """The numbers of all parts, and the CPU seconds that each took."""
        return {"dictionary": self.dictionary, "notes": list(self.notes), **super().to_dict()}
