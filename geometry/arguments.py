"""Arguments of public functions, held against their annotations: another type is refused by the argument's name."""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import wraps
from inspect import Parameter, signature
from itertools import islice
from numbers import Integral, Number, Real
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, overload

from geometry.errors import ArgumentError, EstimationError, shown

_LOOKED_AT = 1000  # items of a collection: a wrong one is mostly the first
_BELOW = {"seed": 63, "n_permutations": 31, "n_twins": 31}  # bits of what counts or is counted on
_SAID = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    NoneType: "None",
    Mapping: "a mapping",
}
_SEVERAL = (Sequence, Collection, Iterable, tuple, list, set, frozenset)

Checked = TypeVar("Checked", bound=Callable[..., Any])


@overload
def checked(function: Checked) -> Checked: ...


@overload
def checked(**wider: Any) -> Callable[[Checked], Checked]: ...


def checked(function: Checked | None = None, **wider: Any) -> Checked | Callable[[Checked], Checked]:
    """A function or a class that refuses arguments of other types than it is annotated with, before all else.

    >>> @checked
    ... def draw(count: int, way: Literal["up", "down"] = "up"):
    ...     return count
    >>> draw(3)
    3
    >>> draw("3")
    Traceback (most recent call last):
        ...
    geometry.errors.ArgumentError: draw: count must be a whole number, not '3'
    >>> draw(3, way="x")
    Traceback (most recent call last):
        ...
    geometry.errors.ArgumentError: draw: way must be one of 'up', 'down', not 'x'

    A whole number is no bool and a text no collection of texts; where several or an array are asked for, all that can
    be iterated over will do. Items are looked at too, the first thousand. Fields of a class that are given as more than
    they are kept as have a `wider` annotation: `@checked(parts=Mapping)`.
    """
    if function is None:
        return lambda given: _of(given, wider)
    return _of(function, wider)


def _of(function: Checked, wider: dict[str, Any]) -> Checked:
    if isinstance(function, type):
        function.__init__ = _checked(function.__init__, function.__name__, wider)  # type: ignore[misc]
        return function
    return _checked(function, function.__name__, wider)  # type: ignore[return-value]


def _checked(function: Callable[..., Any], name: str, wider: dict[str, Any]) -> Callable[..., Any]:
    parameters = signature(function)
    hints: dict[str, Any] = {}

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            given = parameters.bind(*arguments, **named).arguments
        except TypeError as error:
            raise ArgumentError(f"{name}: {error}") from error
        if not hints:  # at the first call, when all modules are there
            hints.update({key: _hint(parameter, function) for key, parameter in parameters.parameters.items()} | wider)
        for key, value in given.items():
            if not _fits(hints[key], value):
                raise ArgumentError(f"{name}: {key} must be {_said(hints[key])}, not {shown(value)}")
            if isinstance(value, int | Integral) and (below := _BELOW.get(key)) and not 0 <= int(value) < 2**below:
                raise EstimationError(f"{name}: {key} must be 0 or more and below 2^{below}, not {shown(value)}")
        return function(*arguments, **named)

    return call


def _hint(parameter: Parameter, function: Callable[..., Any]) -> Any:
    annotation = parameter.annotation
    if annotation is Parameter.empty or parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
        return Any
    if isinstance(annotation, str):
        try:
            # Ours alone, never a user's; names that only the type checker imports are of transformers.
            return eval(annotation, getattr(function, "__globals__", {}), vars(sys.modules.get("transformers", sys)))  # noqa: S307
        except (NameError, AttributeError, TypeError):
            return Any
    return annotation


def _fits(hint: Any, value: Any) -> bool:
    origin, options = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if any("numpy" in getattr(option, "__module__", "") for option in options):  # an ArrayLike
            ours = any(_fits(option, value) for option in options if _is_ours(option))
            return ours or (value is None and NoneType in options) or _is_array(value)
        return any(_fits(option, value) for option in options)
    if origin is Literal:
        return any(type(value) is type(option) and value == option for option in options)
    if origin is None:
        return _is_of(hint, value)
    if origin is Callable:
        return callable(value)
    if origin in (Mapping, dict):
        items = islice(value.items(), _LOOKED_AT) if isinstance(value, Mapping) else ()
        return isinstance(value, Mapping) and all(_fits(options[0], k) and _fits(options[1], v) for k, v in items)
    if origin in _SEVERAL:
        return _are_of(origin, options, value)
    return not isinstance(origin, type) or isinstance(value, origin)


def _is_array(value: Any) -> bool:
    if value is None or isinstance(value, str | bytes | Mapping) or callable(value):
        return False
    if not isinstance(value, list | tuple):
        known = hasattr(value, "__array__") or isinstance(value, Number | Iterable)
        return known and getattr(getattr(value, "dtype", None), "kind", "") != "O"
    import numpy as np  # which the options of commands do without

    try:
        return np.asarray(value).dtype != object
    except ValueError:  # rows of different lengths
        return False
    except (TypeError, RuntimeError):  # tensors elsewhere
        return True


def _is_ours(hint: Any) -> bool:
    return isinstance(hint, type) and hint.__module__.startswith(__name__.partition(".")[0])


def _is_of(hint: Any, value: Any) -> bool:
    if hint is None or hint is NoneType:
        return value is None
    if not isinstance(hint, type):
        return True  # Any, a type variable, a name that only the type checker knows
    if hint is bool:
        return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")  # NumPy has its own
    if hint in (int, float):
        return isinstance(value, Integral if hint is int else Real) and not isinstance(value, bool)
    try:
        return isinstance(value, hint)
    except TypeError:  # a protocol that cannot be asked
        return True


def _are_of(origin: Any, options: tuple[Any, ...], value: Any) -> bool:
    if isinstance(value, str | bytes | Mapping) or not hasattr(type(value), "__iter__"):
        return isinstance(value, Mapping) and origin in (Collection, Iterable)
    if hasattr(value, "dtype"):  # an array, which holds nothing of ours
        return getattr(value, "ndim", 1) > 0 and not (options and _is_ours(options[0]))
    if not isinstance(value, Collection):
        return True  # an iterator, which looking at would use up
    if origin is tuple and options and options[-1] is not Ellipsis:
        return len(value) == len(options) and all(map(_fits, options, value))
    return not options or all(_fits(options[0], item) for item in islice(value, _LOOKED_AT))


def _said(hint: Any) -> str:
    origin, options = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if any("numpy" in getattr(option, "__module__", "") for option in options):
            ours = [_said(option) for option in options if _is_ours(option)]
            return " or ".join([*ours, "an array", *["None"] * (NoneType in options)])
        return " or ".join(dict.fromkeys(map(_said, options)))
    if origin is Literal:
        return f"one of {', '.join(map(repr, options))}"
    if origin is Callable:
        return "a function"
    if origin in (Mapping, dict):
        return f"a mapping of {_said(options[0])} to {_said(options[1])}"
    if origin is tuple and options and options[-1] is not Ellipsis:
        return f"({', '.join(map(_said, options))})"
    if origin in _SEVERAL:
        return f"several of {_said(options[0])}" if options else "a collection"
    hint = origin or hint
    return _SAID.get(hint) or str(getattr(hint, "__name__", hint))
