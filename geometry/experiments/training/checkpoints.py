"""Which checkpoints of a training there are, and at which step each was made. Reads no model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from geometry.errors import EstimationError, shown

_RANGE = re.compile(r"(\d{1,15})(?::(\d{1,15})(?::(\d{1,15}))?)?", re.ASCII)
_NAMED = re.compile(r"(?<![a-z])(?:step|checkpoint|ckpt|iter)[-_=]?(\d{1,15})(?!\d)", re.IGNORECASE | re.ASCII)
_ALONE = re.compile(r"\d{1,15}", re.ASCII)
_MOST = 100_000
_GAP = "{}"


@dataclass(frozen=True)
class Checkpoint:
    """A model as it was at a step of its training.

    >>> checkpoints_of(["lab/tiny"], ["0", "10:30:10"])[-1]
    Checkpoint(model='lab/tiny@step30', step=30)
    """

    model: str
    step: int


def steps_of(texts: Sequence[str]) -> list[int]:
    """Numbers and ranges "first:last:by", the last included, as ascending steps, each once.

    >>> steps_of(["0", "1", "1000:3000:1000"])
    [0, 1, 1000, 2000, 3000]

    EstimationError: what is neither, or a range that is empty or does not move.
    """
    steps: set[int] = set()
    for text in texts:
        if (found := _RANGE.fullmatch(text)) is None:
            raise EstimationError(f"steps: {shown(text)} is no step; give numbers, or ranges such as 1000:143000:1000")
        first, last, by = (None if part is None else int(part) for part in found.groups())
        first, last, by = first or 0, first or 0 if last is None else last, 1 if by is None else by
        if last < first or by < 1:
            raise EstimationError(f"steps: {shown(text)} is an empty range; write FIRST:LAST:BY, as 1000:143000:1000")
        if len(steps) + (last - first) // by >= _MOST:
            raise EstimationError(f"steps: {shown(text)} makes more than {_MOST:,} steps; take a wider one, BY")
        steps |= set(range(first, last + 1, by))
    return sorted(steps)


def checkpoints_of(models: Sequence[str], steps: Sequence[str] = (), revision: str = "step{}") -> list[Checkpoint]:
    """The checkpoints by ascending step.

    Parameters:
        models: hub ids with revisions, or folders, whose names say the steps; names that do not are taken in the order
            given. One that is named twice counts once. With `steps` one hub id without a revision.
        steps: as of `steps_of`.
        revision: what the revision of a step is called, "{}" standing for its number.

    EstimationError: fewer than two, two of one step, some names that say a step and some that do not, or `steps` of
        what is no hub id.
    """
    models = list(dict.fromkeys(models))
    if steps:
        models = _revisions(models, steps, revision)
    if len(models) < 2:
        given = f"{models[0]} alone is" if models else "there are"
        what = "no training; the study of layers is of one model" if models else "no checkpoints"
        raise EstimationError(f"{given} {what}; name two or more, as lab/model@step0 lab/model@step1000, or --steps")
    found = {model: _step(model) for model in models}
    if all(step is None for step in found.values()):
        return [Checkpoint(model, number) for number, model in enumerate(models, start=1)]
    if without := [model for model, step in found.items() if step is None]:
        raise EstimationError(
            f"{without[0]}: its name says no step, others' do; call it as step1000, checkpoint-1000 or 1000"
        )
    ordered = sorted((Checkpoint(model, step or 0) for model, step in found.items()), key=lambda each: each.step)
    for first, second in pairwise(ordered):
        if first.step == second.step:
            raise EstimationError(f"{first.model} and {second.model} are both of step {first.step}; name one of them")
    return ordered


def named_steps(models: Sequence[str]) -> bool:
    """Whether names say the steps, and not the order given."""
    return any(_step(model) is not None for model in models)


def _revisions(models: Sequence[str], steps: Sequence[str], revision: str) -> list[str]:
    if len(models) != 1:
        raise EstimationError(f"steps are revisions of one hub id, and {len(models)} models are named")
    (model,) = models
    if revision.count(_GAP) != 1:
        raise EstimationError(f"revision {shown(revision)}: write the place of the step as {_GAP}, once")
    if "@" in model or "/" not in model or Path(model).expanduser().exists():
        raise EstimationError(
            f"{model}: steps are revisions of a hub id, owner/name; of folders name each, as runs/checkpoint-*"
        )
    return [f"{model}@{revision.replace(_GAP, str(step))}" for step in steps_of(steps)]


def _step(model: str) -> int | None:
    """The step that the revision says, or the last part of a path; of a file called "model", its folder."""
    name = model.rpartition("@")[2] if "@" in model and not Path(model).expanduser().exists() else Path(model).name
    stem = re.sub(r"\.(safetensors|gguf)$", "", name, flags=re.IGNORECASE)
    if stem != name and _said(stem) is None:
        stem = Path(model).parent.name
    return _said(stem)


def _said(name: str) -> int | None:
    if found := _NAMED.search(name):
        return int(found[1])
    return int(name) if _ALONE.fullmatch(name) else None
