"""JSON of other programs, in which no name stands twice."""

import json
from collections import Counter
from typing import Any

from geometry.errors import SteeringError, shown


def strict_json(text: str | bytes) -> Any:
    """What the text holds. SteeringError: a name stands twice in an object; ValueError, RecursionError: no JSON."""
    return json.loads(text, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise SteeringError(f"the name {shown(name)} stands twice")
    return content


def is_number(value: object) -> bool:
    """Whether JSON has a number there, which True and False are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
