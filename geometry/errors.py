"""The one family of exceptions: every refusal names the input, what is wrong, and what to do."""


class GeometryError(Exception):
    """Base of every error this package raises on bad input. Its message is one plain line."""

    def __init__(self, message: str) -> None:
        # Messages quote other libraries, whose own may run over several lines.
        super().__init__(" ".join(message.split()))


class ModelError(GeometryError):
    """A model, a weight file or a vocabulary cannot be found, read or trusted."""


class HierarchyError(GeometryError):
    """A concept hierarchy is malformed: a cycle, an empty or a duplicate concept, an unknown name."""


class EstimationError(GeometryError):
    """An estimator or a test was given too little, non-finite or mismatched data."""


class OutputError(GeometryError):
    """Results cannot be written where they were asked for."""


class SteeringError(GeometryError):
    """A steering vector, its model, its position or its prompt does not fit, or a vector file is unreadable."""
