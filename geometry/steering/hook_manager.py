"""HookManager: all the vectors at work in one model, in their order, through one hook a site.

What is steered in a call is worked out once, before the first block runs, so bad input is refused there and
blocks only add. Imported by injection alone.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.steering.architecture import Architecture, unwrapped
from geometry.steering.padding import check_padding
from geometry.steering.positions import Positions, Selection, every_token, select
from geometry.steering.residual_stream import Attached, ResidualStream
from geometry.steering.vector import Site

Mode = Literal["add", "ablate"]
_OF_THE_PROMPT = ("prompt", "first", "middle", "last")
_IN_PIECES = (
    "only positions 'all' can be steered when a prompt is run in pieces, by assisted generation or on a cache from"
    " before steering began; run the whole prompt at once while steering is at work"
)


@dataclass(eq=False)
class Part:
    """One part of a vector at its site, for some prompts of a batch (None: all), each in `copies` rows of it.
    `bos` is the vector's.

    `plan` says where in the running call it acts; None: nowhere.
    """

    site: Site
    tensor: torch.Tensor
    positions: Positions
    mode: Mode
    centred: bool
    prompts: torch.Tensor | None = None
    copies: int = 1
    bos: bool | None = None
    plan: Selection | Literal["everywhere", "unknown"] | None = None
    ready: dict[tuple[torch.device, torch.dtype], torch.Tensor] = field(default_factory=dict)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if self.mode == "ablate":
            # In float64, as squares leave the range of float32; a zero row has no direction and takes nothing away.
            length = torch.linalg.vector_norm(self.tensor.double(), dim=-1, keepdim=True)
            self.tensor = torch.where(length > 0, self.tensor / length, 0.0).float()
        self.plan = self.outside

    @cached_property
    def place(self) -> Site:
        """Where it acts, whatever its unit: absolute and relative parts share a hook. Asked for at every block."""
        return replace(self.site, relative=False)

    @property
    def rows(self) -> int | None:
        """For how many positions it has a row; None: one for all."""
        return len(self.tensor) if self.tensor.ndim == 2 else None

    @property
    def everywhere(self) -> bool:
        """Whether every token is steered."""
        return isinstance(self.positions, str) and self.positions == "all"

    @property
    def of_prompt(self) -> bool:
        """Whether no generated token is steered."""
        return not isinstance(self.positions, str) or self.positions in _OF_THE_PROMPT

    @property
    def outside(self) -> Literal["everywhere", "unknown"]:
        """The plan while the whole model is not being called."""
        return "everywhere" if self.everywhere and self.prompts is None else "unknown"

    def changed(self, residual: torch.Tensor) -> torch.Tensor:
        """The residual stream with this part's change, shape (batch, positions, d)."""
        plan = self.plan
        if plan is None:
            return residual
        if plan == "unknown":
            raise SteeringError("a part of the model was called by itself; steering needs the call of the whole model")
        if isinstance(plan, str):
            return self._applied(residual, None)
        steered = residual.clone()
        batch, position, row = (index.to(residual.device) for index in (plan.batch, plan.position, plan.row))
        steered[batch, position] = self._applied(residual[batch, position], row)
        return steered

    def _applied(self, residual: torch.Tensor, row: torch.Tensor | None) -> torch.Tensor:
        exact = self.mode == "add" and not self.site.relative
        vector = self._on(residual.device, residual.dtype if exact else torch.float32)
        if self.rows and row is not None:
            vector = vector[row]
        if exact:
            return torch.add(residual, vector)
        wide = residual.float()
        if self.mode == "ablate":
            return (wide - (wide * vector).sum(dim=-1, keepdim=True) * vector).to(residual.dtype)
        read = wide - wide.mean(dim=-1, keepdim=True) if self.centred else wide
        added = torch.linalg.vector_norm(read, dim=-1, keepdim=True) * vector
        return torch.add(residual, added.to(residual.dtype))

    def _on(self, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        if (device, dtype) not in self.ready:
            self.ready[device, dtype] = self.tensor.to(device, dtype)
        return self.ready[device, dtype]


@dataclass(eq=False)
class _Prompt:
    """A prompt that was run: its token ids (or embeddings), the parts at work then, and how far the text has come."""

    tokens: torch.Tensor
    parts: tuple[Part, ...]
    run: int

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
        self._detach(kept={part.place for part in self._parts})
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
        for site in {part.place: None for part in self._parts if part.plan is not None}:
            if site not in self._hooks:
                self._hooks[site] = self._stream.attach(site, self._change_at(site), first=True)

    def _detach(self, kept: set[Site]) -> None:
        for site in [site for site in self._hooks if site not in kept]:
            self._hooks.pop(site).remove()

    def _change_at(self, site: Site) -> Any:
        def change(residual: torch.Tensor) -> torch.Tensor:
            for part in self._parts:
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
            if part.everywhere:
                part.plan = every_token(part.prompts, tokens, self._copies or part.copies)
            elif known is None or part not in known.parts or not followed:
                raise SteeringError(_IN_PIECES)
            else:
                part.plan = None if part.of_prompt else every_token(part.prompts, tokens, self._copies or part.copies)
        self._running = known
        if known is not None:
            known.run = _length(past) + int(tokens.shape[1])

    def _start(self, past: Any, tokens: torch.Tensor, call: Mapping[str, Any]) -> None:
        """A call on the whole text: a prompt, or without a cache a prompt and what was generated so far."""
        strict = any(not part.everywhere for part in self._parts)
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
        # Only now, as a call that was refused has begun nothing.
        prompt.run = int(tokens.shape[1])
        self._running, self._uncached = prompt, prompt if uncached else None
        if past is not None and _can_be_weak(past):
            self._prompts[past] = prompt

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
        self._detach(kept={part.place for part in self._parts if not part.of_prompt})
        self._stream.end(finished=rest[-1] is not None, norm=steered)


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
            " (a static cache brings another)"
        )
    return torch.ones(shape, dtype=torch.bool, device=tokens.device)
