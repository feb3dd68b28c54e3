"""What the study of erasure gives: its parts, one after the other."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geometry.display import short_repr
from geometry.experiments.parts import PartsResult

if TYPE_CHECKING:
    from geometry.experiments.erasure.study import ErasureStudy


@dataclass(frozen=True, eq=False, kw_only=True)
class ErasureResult(PartsResult):
    """Parts: "removal", "tree", "behaviour", "kinds".

    Attributes:
        site: where concepts were erased.
        erased: what.
    """

    study: "ErasureStudy"
    site: str
    erased: tuple[str, ...]

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """The numbers of all parts, and the CPU seconds that each took."""
        return {"site": self.site, "erased": list(self.erased), **super().to_dict()}
