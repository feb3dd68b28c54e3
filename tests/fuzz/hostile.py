"""Files that somebody changed by accident or on purpose, and what has to hold of whatever reads them."""

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import geometry as geo

_SECONDS, _GIGABYTES = 10, 2
_NESTED: list[Any] = []
for _ in range(200):
    _NESTED = [_NESTED]
_VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 3, 2**31, 2**32, 2**63, 2**64, -(2**63), 10**40, 0.5, 1e308, float("nan"),
    float("inf"), "", " ", "x", "None", "\0", "\x1b[31m", "\ud800", "é" * 300, "a" * 100_000, "../../x", "1:1",
    [], {}, [[]], [{}], {"": {}}, [None],
    [0, 0], [0, -1], [2**62, 8], [2**40] * 8, ["x", "x"], {"x": 1}, _NESTED, list(range(3000)),
]  # fmt: skip
_NUMBERS = [
    b"\0",
    b"\xff",
    b"\0" * 8,
    b"\xff" * 8,
    b"\xff" * 7 + b"\x7f",
    (2**40).to_bytes(8, "little"),
    b"\n",
    b"{",
    b'"',
]


def quick(test: Callable[[st.DataObject], None], examples: int) -> Any:
    """A test of so many inputs, the same each time."""
    return _runs(examples, derandomize=True)(given(st.data())(test))


def at_length(test: Callable[[st.DataObject], None], examples: int = 1000) -> Any:
    """The same of other and more inputs, among the long tests."""
    return pytest.mark.long(_runs(examples, derandomize=False)(given(st.data())(test)))


def _runs(examples: int, *, derandomize: bool) -> settings:
    return settings(
        max_examples=examples,
        deadline=1000 * _SECONDS,
        suppress_health_check=list(HealthCheck),
        derandomize=derandomize,
        database=None,
    )


def survives(read: Callable[[], object]) -> None:
    """Reading succeeds or is refused in one line, within bounded memory; Hypothesis bounds the time."""
    try:
        with bounded_memory():
            read()
    except geo.GeometryError as refusal:
        message = str(refusal)
        assert message
        assert len(message) < 3000
        assert message.isprintable()


@contextmanager
def bounded_memory() -> Iterator[None]:
    """No more than two gigabytes beyond what the process has: a MemoryError instead of a machine that stands still."""
    limits, statm = resource.getrlimit(resource.RLIMIT_AS), Path("/proc/self/statm")
    if statm.exists():
        used = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (_GIGABYTES << 30), limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """A document of mappings, lists and texts with one to three entries replaced, lost, doubled, moved or renamed."""
    document = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 3))):
        holder, key = _place(draw, document)
        if holder is None:
            return deepcopy(draw(st.sampled_from(_VALUES)))
        how = draw(st.sampled_from(["replace", "replace", "lose", "move", "rename", "add"]))
        if how == "replace":
            holder[key] = deepcopy(draw(st.sampled_from(_VALUES)))
        elif how == "lose":
            del holder[key]
        elif how == "move":
            other, at = _place(draw, document)
            holder[key] = json.loads(json.dumps(other[at] if other is not None else document))
        elif isinstance(holder, dict):
            value = holder[key]
            if how == "rename":
                del holder[key]
            holder[draw(st.sampled_from([str(value)[:50] for value in _VALUES]))] = value
        else:
            holder.append(deepcopy(draw(st.sampled_from(_VALUES))))
    return document


def _place(draw: st.DrawFn, document: Any) -> tuple[Any, Any]:
    """A mapping or a list in the document, and one of its keys; None for the document itself."""
    holder, key, value = None, None, document
    while isinstance(value, dict | list) and value and draw(st.integers(0, 4)):
        keys = sorted(value) if isinstance(value, dict) else range(min(len(value), 50))
        holder, key = value, draw(st.sampled_from(keys))
        value = holder[key]
    return holder, key


@st.composite
def broken(draw: st.DrawFn, content: bytes, near: int = 1 << 12) -> bytes:
    """Bytes with one to four places overwritten, cut out or filled in, most of them near the beginning."""
    content = content[: draw(st.integers(0, len(content)))] if draw(st.integers(0, 9)) == 0 else content
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, min(len(content), near)))
        new = draw(st.one_of(st.sampled_from(_NUMBERS), st.binary(min_size=1, max_size=9)))
        kept = draw(st.sampled_from([len(new), len(new), 0, 1, 100]))
        content = content[:at] + new + content[at + kept :]
    return content
