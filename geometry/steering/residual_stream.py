"""Hooks on the residual stream of a model, for steering and reading alike. Imports architecture.

A site means one thing in a call: a block or a norm that a call runs again is refused there, and so is a stream of
another shape. A norm that also runs before the blocks is heeded after them alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from geometry.errors import SteeringError
from geometry.steering.architecture import Architecture, evaluating
from geometry.steering.vector import Site

# The blocks of models that are being measured, by calls that are nobody's.
_UNDISTURBED: WeakSet[nn.ModuleList] = WeakSet()
Change = Callable[[torch.Tensor], torch.Tensor | None]


class ResidualStream:
    """The residual stream of an architecture, and how far the running call of the whole model has come."""

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self._running = False
        self._past_blocks = self._past_norm = False
        self._passed: set[object] = set()

    @property
    def undisturbed(self) -> bool:
        """Whether the model is being measured: the running call is to be let pass."""
        return self.architecture.blocks in _UNDISTURBED

    def begin(self) -> None:
        """A call of the whole model begins."""
        if self.undisturbed:
            return
        self._running, self._past_blocks, self._past_norm = True, False, False
        self._passed.clear()

    def end(self, *, finished: bool, norm: bool = False) -> None:
        """It ends; SteeringError where its blocks ran, and no final norm after them that `norm` waited for."""
        if self.undisturbed:
            return
        missed = finished and norm and self._running and self._past_blocks and not self._past_norm
        self._running = self._past_blocks = False
        if missed:
            raise SteeringError(
                f"{type(self.architecture.model).__name__}: its final norm does not run after its last block;"
                " only its blocks can be steered or read"
            )

    @contextmanager
    def watched(self, *, norm: bool) -> Iterator[None]:
        """Follow the calls of the whole model; `norm`: each is to pass the final norm."""
        hooks = []
        for entry in self.architecture.entries:
            hooks.append(entry.register_forward_pre_hook(lambda *_: self.begin()))
            hooks.append(
                entry.register_forward_hook(
                    lambda *seen: self.end(finished=seen[-1] is not None, norm=norm), always_call=True
                )
            )
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def attach(self, site: Site, change: Change, *, first: bool = False) -> "Attached":
        """Call `change` with the residual stream at a site, shape (batch, positions, d); what it returns goes on.

        None leaves the residual stream as it is. With `first`, before hooks that were attached earlier.
        """
        self.architecture.check(site)
        if site.block is not None:
            return Attached([self._hook(self.architecture.module_at(site), site, change, first)])
        # Before the norm's own, which asks whether the blocks are done.
        done = self.architecture.blocks[-1].register_forward_hook(self._block_done)
        return Attached([done, self._hook(self.architecture.norm, site, change, first)])

    def _block_done(self, *_: Any) -> None:
        self._past_blocks |= not self.undisturbed

    def _hook(self, module: nn.Module, site: Site, change: Change, first: bool) -> RemovableHandle:
        key = object()

        def changed(residual: torch.Tensor) -> torch.Tensor | None:
            return change(residual) if self._heeds(key, site, residual) else None

        if site.place not in ("input", "before_norm"):

            def after(_: nn.Module, __: Any, output: Any) -> Any:
                # Blocks return a tensor since transformers 5, before that a tuple that begins with it.
                residual = output[0] if isinstance(output, tuple) else output
                if (new := changed(residual)) is None:
                    return None
                return (new, *output[1:]) if isinstance(output, tuple) else new

            return module.register_forward_hook(after, prepend=first)

        def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if args:
                new = changed(args[0])
                return None if new is None else ((new, *args[1:]), kwargs)
            name = next((name for name in ("hidden_states", "x", "input") if name in kwargs), None)
            if name is None:
                raise SteeringError(f"{site}: its module is called without a residual stream, with {', '.join(kwargs)}")
            new = changed(kwargs[name])
            return None if new is None else (args, {**kwargs, name: new})

        return module.register_forward_pre_hook(before, with_kwargs=True, prepend=first)

    def _heeds(self, key: object, site: Site, residual: Any) -> bool:
        """Whether the site is passed now; SteeringError for a second time in a call, and for another stream."""
        kind = type(self.architecture.model).__name__
        if self.undisturbed:
            return False
        if site.block is None and self._running and not self._past_blocks:
            return False
        if self._running and key in self._passed:
            raise SteeringError(f"{kind}: passes {site} more than once in a call; such a model cannot be steered there")
        shape = tuple(getattr(residual, "shape", ()))
        if len(shape) != 3 or shape[-1] != self.architecture.width:
            raise SteeringError(
                f"{kind}: the residual stream at {site} has shape {shape}, not (batch, positions,"
                f" {self.architecture.width}); a model of several streams can be steered and read after its final"
                " norm alone"
            )
        self._past_norm |= site.block is None
        self._passed.add(key)
        return True


@contextmanager
def undisturbed(architecture: Architecture) -> Iterator[None]:
    """All that steers or reads the model lets its calls pass meanwhile, and dropout drops nothing."""
    _UNDISTURBED.add(architecture.blocks)
    try:
        with evaluating(architecture.model):
            yield
    finally:
        _UNDISTURBED.discard(architecture.blocks)


class Attached:
    """Hooks of one site, taken off together."""

    def __init__(self, hooks: list[RemovableHandle]) -> None:
        self._hooks = hooks

    def __enter__(self) -> "Attached":
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Take them off."""
        for hook in self._hooks:
            hook.remove()
