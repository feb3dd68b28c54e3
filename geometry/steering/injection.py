"""Inject a steering vector while a model runs: `steer`, a context manager and a removable handle."""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import get_args

import torch
from torch import nn

from geometry.arguments import checked
from geometry.errors import SteeringError
from geometry.steering.architecture import Architecture
from geometry.steering.belonging import check_belongs, check_source
from geometry.steering.eraser import Eraser
from geometry.steering.final_norm import removes_mean
from geometry.steering.gate import Gate
from geometry.steering.hook_manager import HookManager
from geometry.steering.part import Mode, Part
from geometry.steering.positions import Positions, checked_positions, checked_prompts
from geometry.steering.projection_test import ProjectionTest
from geometry.steering.vector import SteeringVector, depth


@checked
def steer(
    model: nn.Module,
    vector: SteeringVector | Eraser,
    *,
    positions: Positions | None = None,
    prompts: Sequence[bool] | torch.Tensor | None = None,
    mode: Mode | None = None,
    num_return_sequences: int = 1,
    when: ProjectionTest | None = None,
) -> "SteeringHandle":
    """Steer every call of `model` until the returned handle is removed or its `with` block ends.

    >>> import torch
    >>> from transformers import GPT2Config, GPT2LMHeadModel
    >>> model = GPT2LMHeadModel(GPT2Config(n_layer=2, n_embd=8, n_head=2, vocab_size=16, eos_token_id=0)).eval()
    >>> ids, vector = torch.tensor([[1, 2, 3]]), SteeringVector({"output.0": torch.ones(8)})
    >>> unsteered = model(ids).logits
    >>> with steer(model, 2 * vector, positions="last"):
    ...     steered = model(ids).logits
    >>> [bool(torch.equal(steered[:, i], unsteered[:, i])) for i in range(3)], torch.equal(model(ids).logits, unsteered)
    ([True, True, False], True)

    Parameters:
        model: a decoder-only Hugging Face model, as it is; nothing in it is replaced.
        vector: what to add, at all of its sites. Coefficients are the vector's own algebra: `4 * vector`. Or an
            `Eraser`, which takes concepts out.
        positions: "all", "prompt", "generated", the "first", "middle" or "last" of the prompt, indices into the prompt
            (negative from its end), or a bool mask of shape (prompts, tokens) that follows `input_ids`. Padding
            (`attention_mask` 0) is neither counted nor steered. A part of shape (d,) takes one position at "first",
            "middle" and "last", one of shape (p, d) takes p, and that many indices. Default: "last", for parts with
            rows "first", to ablate or erase "all". ("front" and "back" are the words of the post on ActAdd for "first"
            and "last".)
        prompts: which prompts of the batch, a bool for each, with all of their generations; default: all. The others
            are left bit for bit as they are. See `steer_each`.
        mode: "add", the default for a vector, or "ablate" to project its direction out of the residual stream; of an
            `Eraser` "erase".
        num_return_sequences: how many rows of a batch are generations (or beams) of each prompt, for `prompts` and
            masks of positions when the model's own `generate` is called; `geo.generate` tells it by itself.
        when: a `geo.steering.Condition`: act only at the tokens, or in the prompts, where the hidden state projects on
            a direction beyond a threshold. It is read where the first part acts or before, without this vector and with
            those that were put to work earlier; all else is left bit for bit as it is.

    Returns SteeringHandle: at work at once; call its `remove()` or use it in `with`. Several may be at work together,
        in the order in which they were made. Of a condition it counts how often it `fired`, and warns if it never did.
    Raises SteeringError: an unknown architecture, a compiled model, a vector for another model or width, or from an
        unembedding that is not this model's, a block that the model lacks, numbers too large for its dtype, a vector to
        erase or an eraser to add, unsuitable positions, a condition for another model or one that is read later than
        the vector acts; and when the model is called, before its first block runs, a prompt too short for the
        positions, another number of prompts, or padding in a model that does not heed it; at its site, a residual
        stream of another shape, or one that a call passes twice.

    A relative site scales with the residual norm (see `Site`). Hooks of steering come before those of others, which
    therefore see the steered residual stream. A call that finds nothing in its KV-cache is the prompt, and the cache it
    leaves goes on with it, one token at a time; anything else (a prompt in chunks, assisted generation, a cache of
    other origin) is refused but for "all" positions. Only a last chunk of a single token passes for a generated
    one. Without a cache, a call with `use_cache=False` that repeats the prompt and is one token longer than the
    last call goes on with it. Vectors that concern the prompt alone leave no hook behind in the blocks once
    the prompt has run.
    """
    architecture = Architecture.of(model)
    if isinstance(num_return_sequences, bool) or not isinstance(num_return_sequences, int) or num_return_sequences < 1:
        raise SteeringError(f"num_return_sequences is a number of 1 at least, not {num_return_sequences!r}")
    mode = _mode(vector, mode)
    if vector.width != architecture.width:
        raise SteeringError(f"{vector.provenance} is {vector.width} wide, {type(model).__name__} {architecture.width}")
    vector.check_family(architecture.family)
    if architecture.compiled:
        raise SteeringError(
            f"{type(model).__name__} is compiled and would not heed a vector; steer it before compiling"
        )
    if isinstance(vector, SteeringVector):
        check_source(model, vector)
    gate = None if when is None else _gate(model, architecture, vector, when)
    selected = checked_prompts(prompts)
    parts = []
    dtype = torch.float32 if mode == "erase" else architecture.dtype
    for site, tensor in vector.parts.items():
        architecture.check(site)
        if not bool(tensor.to(dtype).isfinite().all()):
            raise SteeringError(f"{vector.provenance} at {site} is too large for {dtype}; load the model in bfloat16")
        rows = len(tensor) if tensor.ndim == 2 and mode != "erase" else None
        centred = site.relative and removes_mean(architecture)
        parts.append(
            Part(
                site,
                tensor,
                # What is taken out is to be out everywhere.
                checked_positions("all" if positions is None and mode != "add" else positions, rows),
                mode,
                centred,
                selected,
                num_return_sequences,
                vector.bos,
                gate,
                vector.reach if isinstance(vector, Eraser) else math.inf,
            )
        )
    if not architecture.caches and not all(part.in_pieces for part in parts):
        raise SteeringError(
            f"{type(model).__name__} keeps no KV-cache; only positions 'all' can be steered in it, and on no condition"
            " that is decided once a prompt"
        )
    return SteeringHandle(architecture, parts)


def _mode(vector: SteeringVector | Eraser, mode: Mode | None) -> Mode:
    """What is done with it; SteeringError for a vector to erase or an eraser to add."""
    if mode is not None and mode not in get_args(Mode):
        raise SteeringError(f"unknown mode {mode!r}; choose from {', '.join(get_args(Mode))}")
    if isinstance(vector, Eraser):
        if mode not in (None, "erase"):
            raise SteeringError(f"{vector.provenance} erases; leave out mode={mode!r}")
        return "erase"
    if mode == "erase":
        raise SteeringError(
            f"{vector.provenance} is a vector, which can be added or ablated; fit an Eraser to erase a concept"
        )
    return mode or "add"


def _gate(model: nn.Module, architecture: Architecture, vector: SteeringVector | Eraser, when: ProjectionTest) -> Gate:
    """The condition, if it suits the model and is read in time."""
    when.check(architecture)
    if when.sample is not None:
        check_belongs(model, when.sample)
    first = vector.sites[0]
    if depth(when.site) > depth(replace(first, relative=False)):
        raise SteeringError(
            f"{when.name} is read at {when.site}, after the vector acts at {first}, where it cannot be known yet; read"
            f" it at {replace(first, relative=False)} or before, or let the vector act later"
        )
    return Gate(when, architecture)


@checked
@contextmanager
def steer_each(
    model: nn.Module,
    vectors: Sequence[SteeringVector | Eraser | None],
    *,
    positions: Positions | None = None,
    num_return_sequences: int = 1,
    when: ProjectionTest | None = None,
) -> Iterator[None]:
    """Steer every prompt of a batch by a vector of its own, or by none: many vectors in the time of one batch.

    >>> import torch
    >>> from transformers import GPT2Config, GPT2LMHeadModel
    >>> model = GPT2LMHeadModel(GPT2Config(n_layer=2, n_embd=8, n_head=2, vocab_size=16, eos_token_id=0)).eval()
    >>> ids, vector = torch.tensor([[1, 2], [1, 2]]), SteeringVector({"output.0": torch.ones(8)})
    >>> with steer_each(model, [vector, None]):
    ...     steered, unsteered = model(ids).logits
    >>> torch.equal(steered, unsteered), torch.equal(unsteered, model(ids).logits[1])
    (False, True)

    Parameters:
        vectors: one (or an `Eraser`) for each prompt, in their order; None leaves a prompt as it is. Prompts with the
            same vector (the same object) share a hook.
        positions, when: of all of them; see `steer`.
        num_return_sequences: generations of each prompt in a batch; see `steer`.

    Raises SteeringError: no vectors, or what `steer` refuses; when the model is called, another number of prompts.
    """
    if not vectors:
        raise SteeringError("there are no vectors, one is needed for each prompt")
    distinct = {id(vector): vector for vector in vectors if vector is not None}
    with ExitStack() as at_work:
        for vector in distinct.values():
            chosen = [other is vector for other in vectors]
            at_work.enter_context(
                steer(
                    model,
                    vector,
                    positions=positions,
                    prompts=chosen,
                    num_return_sequences=num_return_sequences,
                    when=when,
                )
            )
        yield


class SteeringHandle:
    """Handle of a vector at work in a model; made by `steer`."""

    def __init__(self, architecture: Architecture, parts: list[Part]) -> None:
        self._parts = parts
        self._gate = parts[0].gate
        self._hook_manager = HookManager.of(architecture)
        self._hook_manager.add(parts)

    def __enter__(self) -> "SteeringHandle":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._take_out()
        if kind is None:
            self._say()

    @property
    def fired(self) -> int:
        """How often the condition has held: tokens, or prompts (with each of their generations).

        Raises SteeringError: a vector without a condition.
        """
        return self._condition.counted[0]

    @property
    def asked(self) -> int:
        """How often it was asked."""
        return self._condition.counted[1]

    @property
    def acted(self) -> int:
        """At how many tokens a part of the vector was added: where the condition held and its positions are."""
        return self._condition.acted

    @property
    def decisions(self) -> torch.Tensor | None:
        """Whether it held, of the last call that asked it: bool on the CPU, shape (batch, tokens) or, of a condition on
        prompts, (batch,); None before the first."""
        return self._condition.decisions

    @property
    def _condition(self) -> Gate:
        if self._gate is None:
            raise SteeringError("the vector is at work without a condition; give one as steer(..., when=condition)")
        return self._gate

    def remove(self) -> None:
        """Take the vector out again; without others at work the model is then as it was.

        Warns (UserWarning) of a condition that was asked and never held: the vector has then done nothing.
        """
        self._take_out()
        self._say()

    def _take_out(self) -> None:
        self._hook_manager.remove(self._parts)

    def _say(self) -> None:
        if self._gate is not None and (note := self._gate.never_held()):
            warnings.warn(note, stacklevel=3)
