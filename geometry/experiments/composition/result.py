"""What the study of composition gives: its parts, one after the other."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from geometry.display import short_repr
from geometry.experiments.parts import PartsResult

if TYPE_CHECKING:
    from geometry.experiments.composition.study import CompositionStudy


@dataclass(frozen=True, eq=False, kw_only=True)
class CompositionResult(PartsResult):
    """Parts: "series", "maps", "steps", "relations"."""

    study: "CompositionStudy"

    __repr__ = short_repr
