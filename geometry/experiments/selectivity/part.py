"""A part of the study: numbers that know their sentences, figures and tables."""

from abc import ABC, abstractmethod
from typing import Any

from numpy.typing import ArrayLike

from geometry.experiments.result import FigureSpec, TableSpec


class Part(ABC):
    """What one question of the study came to; a further part is one more subclass and one more line in `measure`."""

    @abstractmethod
    def summary(self) -> list[str]:
        """What was found, a sentence each."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The numbers."""

    @abstractmethod
    def figures(self) -> list[FigureSpec]:
        """Its figures, the main one first."""

    def tables(self) -> list[TableSpec]:
        """Its tables."""
        return []

    def arrays(self) -> dict[str, ArrayLike]:
        """What its figures are drawn from."""
        return {}
