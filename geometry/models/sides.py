"""Which of a model's two token matrices is meant. Imports nothing."""

from typing import Literal

__all__ = ["Side"]

Side = Literal["output", "input"]
