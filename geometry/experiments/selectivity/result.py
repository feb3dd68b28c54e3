"""What the selectivity study gives: its parts, one after the other."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geometry.display import short_repr
from geometry.experiments.parts import PartsResult

if TYPE_CHECKING:
    from geometry.experiments.selectivity.study import SelectivityStudy


@dataclass(frozen=True, eq=False, kw_only=True)
class SelectivityResult(PartsResult):
    """Effects along the tree, and what else was asked; parts: "tree", "dual", "generation", …

    Attributes:
        targets: concepts that were steered to.
        prompts: after which.
    """

    study: "SelectivityStudy"
    targets: tuple[str, ...]
    prompts: tuple[str, ...]

    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """The numbers of all parts, and the CPU seconds that each took."""
        return {"targets": list(self.targets), "prompts": list(self.prompts), **super().to_dict()}
