"""A second device, made up on the CPU: its tensors mix with no others and give no array, as those of a GPU.

It keeps to the rules of CUDA that code written on a CPU breaks: what is on another device must be brought along, but
for scalars; a tensor may be indexed by indices on the CPU, not the other way round; arrays need `.cpu()`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

DEVICE = torch.device("cuda:0")
_JOINED = {"stack", "cat", "concatenate", "einsum"}
_TOLD = {"tolist", "item", "__bool__", "__float__", "__int__", "__index__", "__len__", "__repr__", "dim", "size"}


class Elsewhere(torch.Tensor):
    """A tensor of that device."""

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        if func == torch.Tensor.device.__get__:  # type: ignore[attr-defined]
            return DEVICE
        if name in ("numpy", "__array__") and not kwargs.get("force"):
            raise TypeError("can't convert a tensor of another device to numpy; use Tensor.cpu() first")
        if name in ("cpu", "numpy", "__array__"):
            return _call(func, args, kwargs)
        if name == "to":
            return _moved(args, kwargs)
        if name in _TOLD:
            return _call(func, args, kwargs)
        _check(name, args, kwargs)
        return _wrapped(_call(func, args, kwargs))


class _Factories(TorchFunctionMode):
    """Makes tensors on that device where it is named."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
        if name == "to" and any(_is_there(each) for each in (*args[1:], kwargs.get("device"))):
            return _moved(args, kwargs)
        if name != "to" and _is_there(kwargs.get("device")):
            del kwargs["device"]
            return _wrapped(func(*args, **kwargs))
        return func(*args, **kwargs)


@contextmanager
def elsewhere() -> Iterator[torch.device]:
    """Inside, the device is there."""
    with _Factories():
        yield DEVICE


def _is_there(place: Any) -> bool:
    return isinstance(place, Elsewhere) or (isinstance(place, str | torch.device) and str(place).startswith("cuda"))


def _moved(args: Any, kwargs: dict[str, Any]) -> Any:
    """`Tensor.to`, of which here only the precision is real."""
    tensor, *where = args
    there, options = isinstance(tensor, Elsewhere), dict(kwargs)
    if "device" in options:
        there = _is_there(options.pop("device"))
    rest: list[Any] = []
    for each in where:
        if isinstance(each, torch.Tensor):
            there = isinstance(each, Elsewhere)
            rest.append(each.dtype)
        elif isinstance(each, str | torch.device):
            there = _is_there(each)
        else:
            rest.append(each)
    moved = _call(torch.Tensor.to, (tensor, *rest), options) if rest or options else _plain(tensor)
    return _wrapped(moved) if there else moved


def _check(name: str, args: Any, kwargs: dict[str, Any]) -> None:
    if name == "__getitem__" and isinstance(args[0], Elsewhere):
        return
    if name == "__setitem__":
        return
    given = list(_tensors((args, kwargs)))
    if any(not isinstance(each, Elsewhere) and (name in _JOINED or each.ndim > 0) for each in given):
        raise RuntimeError(f"{name}: expected all tensors to be on the same device")


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)


def _plain(value: Any) -> Any:
    if isinstance(value, Elsewhere):
        with torch._C.DisableTorchFunctionSubclass():
            return value.as_subclass(torch.Tensor)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value)) if not hasattr(value, "_fields") else value
    return value


def _wrapped(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        with torch._C.DisableTorchFunctionSubclass():
            return value.as_subclass(Elsewhere)
    if isinstance(value, tuple) and type(value).__module__.startswith("torch.return_types"):
        return type(value)(map(_wrapped, value))
    if isinstance(value, list | tuple):
        return type(value)(map(_wrapped, value))
    return value


def _call(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    with torch._C.DisableTorchFunctionSubclass():
        return func(*_plain(args), **_plain(kwargs))
