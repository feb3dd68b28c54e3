"""HookManager: all the vectors at work in one model, in their order, through one hook a site.

What is steered in a call is worked out once, before the first block runs, so bad input is refused there and
blocks only add. Conditions are read where their sites are passed. Imported by injection alone.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from geometry.errors import SteeringError
from geometry.steering.architecture import Architecture, unwrapped
from geometry.steering.gate import Decisions, Gate
from geometry.steering.padding import check_padding
from geometry.steering.part import Part
from geometry.steering.positions import every_token, of_prompts, select
from geometry.steering.residual_stream import Attached, ResidualStream
from geometry.steering.vector import Site

_IN_PIECES = (
    "only positions 'all' can be steered when a prompt is run in pieces, by assisted generation or on a cache from"
    " before steering began; run the whole prompt at once while steering is at work"
)


@dataclass(eq=False)
class _Prompt:
    """A prompt that was run: its token ids (or embeddings), the parts at work then, how far the text has come, and what
    conditions on prompts have decided."""

    tokens: torch.Tensor
    parts: tuple[Part, ...]
    run: int
    decisions: Decisions = field(default_factory=dict)

    @property
    def length(self) -> int:
        return int(self.tokens.shape[1])


class HookManager:
    """Every vector at work in a model. One for each model, from the first vector to the last."""

    def __init__(self, architecture: Architecture) -> None:
        self._architecture = architecture
        self._parts: list[Part] = []
        self._stream = ResidualStream(architecture)
        self._hooks: dict[Site, Attached] = {}
        self._calls: list[RemovableHandle] = []
        self._prompts: WeakKeyDictionary[Any, _Prompt] = WeakKeyDictionary()
        self._running: _Prompt | None = None
        self._uncached: _Prompt | None = None
        self._called: tuple[nn.Module, torch.Tensor] | None = None
        self._copies: int | None = None

    @staticmethod
    def at_work(model: nn.Module) -> "HookManager | None":
        """The one whose vectors are at work in a model, known by its hook there; None if there is none."""
        owners = (getattr(hook, "__self__", None) for hook in unwrapped(model)._forward_pre_hooks.values())
        return next((owner for owner in owners if isinstance(owner, HookManager)), None)

    @classmethod
    def of(cls, architecture: Architecture) -> "HookManager":
        """The one at work in a model, or a new one."""
        return cls.at_work(architecture.model) or cls(architecture)

    def add(self, parts: list[Part]) -> None:
        """Put parts to work after those that are."""
        if not self._calls:
            for entry in self._architecture.entries:
                self._calls.append(entry.register_forward_pre_hook(self._begin, with_kwargs=True))
                self._calls.append(entry.register_forward_hook(self._end, always_call=True))
        self._parts += parts
        self._attach()

    def remove(self, parts: list[Part]) -> None:
        """Take parts out; with the last of them go all hooks."""
        self._parts = [part for part in self._parts if part not in parts]
        self._detach(kept=_places(self._parts))
        if not self._parts:
            for hook in self._calls:
                hook.remove()
            self._calls = []

    @contextmanager
    def generating(self, copies: int) -> Iterator[None]:
        """The caller has said how many generations of each prompt a batch holds."""
        self._copies = copies
        try:
            yield
        finally:
            self._copies = None

    def bos(self, asked: bool | None) -> bool | None:
        """Whether prompts are to begin with a beginning-of-text token, given what was asked for.

        Raises SteeringError: the vectors at work count their positions otherwise, or otherwise from each other.
        """
        counted = {part.bos for part in self._parts} - {None}
        if len(counted | {asked} - {None}) > 1:
            raise SteeringError(
                "the rows of a vector at work count from a beginning-of-text token, and prompts begin without one, or"
                " the other way round; leave bos out, and steer by vectors that begin alike"
            )
        return next(iter(counted), asked)

    def check_begun(self, begun: bool) -> None:
        """SteeringError where prompts bring a beginning-of-text token and rows at work count without one."""
        if begun and any(part.bos is False and part.rows for part in self._parts):
            raise SteeringError(
                "a prompt begins with the beginning-of-text token itself, and the rows of a vector at work count"
                " without one; leave it out of the prompt, or make the vector with bos=True"
            )

    def one_by_one(self) -> bool:
        """Whether all parts are for every prompt alike, so that a batch may be run in pieces."""
        return all(part.prompts is None and not isinstance(part.positions, torch.Tensor) for part in self._parts)

    def _attach(self) -> None:
        for site in _places(part for part in self._parts if part.plan is not None):
            if site not in self._hooks:
                self._hooks[site] = self._stream.attach(site, self._change_at(site), first=True)

    def _detach(self, kept: Container[Site]) -> None:
        for site in [site for site in self._hooks if site not in kept]:
            self._hooks.pop(site).remove()

    def _change_at(self, site: Site) -> Any:
        def change(residual: torch.Tensor) -> torch.Tensor:
            for part in self._parts:
                if part.gate is not None and part.gate.place == site:
                    part.gate.read(residual)
                if part.place == site:
                    residual = part.changed(residual)
            return residual

        return change

    def _begin(self, entry: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._stream.undisturbed:
            return
        call = self._architecture.arguments(entry, args, kwargs)
        tokens = call["input_ids"] if call.get("input_ids") is not None else call.get("inputs_embeds")
        if tokens is None or tokens.ndim < 2 or not tokens.numel():
            raise SteeringError("the model was called without tokens; a prompt needs at least one")
        if self._called is not None and self._called[0] is not entry and self._called[1] is tokens:
            # A wrapper has handed its call on.
            return
        self._called = (entry, tokens)
        past = call.get("past_key_values")
        if call.get("cache_params") is not None or _length(past):
            self._go_on(past, tokens)
        else:
            self._start(past, tokens, call)
        self._attach()
        self._stream.begin()

    def _go_on(self, past: Any, tokens: torch.Tensor) -> None:
        """A call that finds its past in a cache: generated tokens, if that past is a prompt steered before."""
        known = self._prompts.get(past) if _can_be_weak(past) else None
        # A cache that was cut back holds another text than the one that was followed.
        followed = known is not None and tokens.shape[1] == 1 and known.run == _length(past)
        for part in self._parts:
            if part.in_pieces:
                part.plan = every_token(part.prompts, tokens, self._copies or part.copies)
            elif known is None or part not in known.parts or not followed:
                raise SteeringError(_IN_PIECES)
            else:
                part.plan = None if part.of_prompt else every_token(part.prompts, tokens, self._copies or part.copies)
        every = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        self._begin_gates(every, None, known.decisions if known is not None else {})
        self._running = known
        if known is not None:
            known.run = _length(past) + int(tokens.shape[1])

    def _start(self, past: Any, tokens: torch.Tensor, call: Mapping[str, Any]) -> None:
        """A call on the whole text: a prompt, or without a cache a prompt and what was generated so far."""
        strict = any(not part.in_pieces for part in self._parts)
        kept = call.get("logits_to_keep")
        # Assisted generation runs guesses together with the prompt, and alone asks for their logits as well.
        if strict and past is not None and isinstance(kept, int) and kept > 1:
            raise SteeringError(_IN_PIECES)
        prompt = _Prompt(tokens, tuple(self._parts), int(tokens.shape[1]))
        uncached, before = call.get("use_cache") is False, self._uncached
        if uncached and before is not None and _goes_on(tokens, before) and set(self._parts) <= set(before.parts):
            prompt = before
        real = _real_tokens(tokens, call.get("attention_mask"), strict=strict)
        unpadded = bool(real.all())
        for part in self._parts:
            if part.everywhere and unpadded:
                part.plan = every_token(part.prompts, tokens, self._copies or part.copies)
            else:
                copies = self._copies or part.copies
                part.plan = select(part.positions, part.rows, real, prompt.length, part.prompts, copies)
        if not unpadded:
            check_padding(self._architecture, call=self._architecture.model.forward)
        self._begin_gates(real, prompt.length, prompt.decisions)
        # Only now, as a call that was refused has begun nothing.
        prompt.run = int(tokens.shape[1])
        self._running, self._uncached = prompt, prompt if uncached else None
        if past is not None and _can_be_weak(past):
            self._prompts[past] = prompt

    def _begin_gates(self, real: torch.Tensor, prompt: int | None, decisions: Decisions) -> None:
        """Every condition is read once a call, on real tokens of the prompts that its vector is for."""
        for gate, part in self._gates().items():
            counted = real
            if part.prompts is not None:
                counted = real & of_prompts(part.prompts, real, self._copies or part.copies)
            gate.begin(counted, prompt, decisions)

    def _gates(self) -> dict[Gate, Part]:
        """The conditions at work, with a part of each."""
        return {part.gate: part for part in self._parts if part.gate is not None}

    def _end(self, entry: nn.Module, *rest: Any) -> None:
        if self._stream.undisturbed or (self._called is not None and self._called[0] is not entry):
            return
        self._called = None
        past = getattr(rest[-1], "past_key_values", None)
        if self._running is not None and past is not None and _can_be_weak(past):
            self._prompts[past] = self._running
        self._running = None
        steered = any(part.site.block is None and part.plan is not None for part in self._parts)
        for part in self._parts:
            part.plan = part.outside
        for gate in self._gates():
            gate.end()
        self._detach(kept=_places(part for part in self._parts if not part.of_prompt))
        self._stream.end(finished=rest[-1] is not None, norm=steered)


def _places(parts: Iterable[Part]) -> dict[Site, None]:
    """Where parts act and their conditions are read."""
    return {site: None for part in parts for site in part.places}


def _can_be_weak(past: Any) -> bool:
    return past is not None and not isinstance(past, tuple | list)


def _length(past: Any) -> int:
    if past is None:
        return 0
    if hasattr(past, "get_seq_length"):
        return int(past.get_seq_length())
    try:
        return int(past[0][0].shape[-2])
    except (TypeError, IndexError, AttributeError, KeyError):
        return 0


def _goes_on(tokens: torch.Tensor, prompt: _Prompt) -> bool:
    """Whether a text is a prompt's and one token longer than before. Beams may have changed places since."""
    start = tokens[:, : prompt.length]
    alike = start.shape == prompt.tokens.shape and bool((start == prompt.tokens).all())
    return alike and tokens.shape[1] == prompt.run + 1


def _real_tokens(tokens: torch.Tensor, mask: Any, *, strict: bool) -> torch.Tensor:
    """True for tokens, False for padding, shape (batch, tokens)."""
    shape = tokens.shape[:2]
    if isinstance(mask, torch.Tensor) and mask.shape == shape:
        return mask.bool()
    if mask is not None and strict:
        raise SteeringError(
            f"the attention mask must have the shape {tuple(shape)} of the tokens for positions other than 'all'"
            " and conditions on prompts (a static cache brings another)"
        )
    return torch.ones(shape, dtype=torch.bool, device=tokens.device)
