"""Gate: a condition at work in a model: read where its site is passed, before the vector it belongs to acts.

What a vector changes lies at its site and after it, so the state that is read at that site or before is the one without
the vector, at every token, also of what is generated under it. Imported by part and hook_manager.
"""

from collections.abc import MutableMapping
from typing import Literal

import torch

from geometry.errors import SteeringError
from geometry.steering.architecture import Architecture
from geometry.steering.positions import Selection
from geometry.steering.projection_test import ProjectionTest
from geometry.steering.vector import Site

Decisions = MutableMapping["Gate", torch.Tensor]


class Gate:
    """A condition at work.

    Attributes:
        test: the condition.
        decisions: of the last prompts, on the CPU: bool, shape (batch, tokens) of a condition on tokens, (batch,) of
            one on prompts; None before the first.
        acted: how many tokens a part of the vector was added at.
    """

    def __init__(self, test: ProjectionTest, architecture: Architecture) -> None:
        self.test = test
        self.decisions: torch.Tensor | None = None
        self.acted = 0
        self._architecture = architecture
        # Kept where the model computes, so that no call waits for a number.
        self._counts: dict[torch.device, torch.Tensor] = {}
        self._fires: torch.Tensor | None = None
        self._said = False
        self._call: tuple[torch.Tensor, torch.Tensor, Decisions] | None = None

    @property
    def place(self) -> Site:
        """Where it is read."""
        return self.test.site

    @property
    def of_prompt(self) -> bool:
        """Whether it is decided once a prompt."""
        return self.test.scope == "prompt"

    @property
    def counted(self) -> tuple[int, int]:
        """How often it has held, and been asked: tokens, or prompts with each of their generations."""
        fired, asked = sum((count.cpu() for count in self._counts.values()), torch.zeros(2, dtype=torch.int64)).tolist()
        return int(fired), int(asked)

    def never_held(self) -> str:
        """What to say of a condition that was asked and never held, once; "" of any other."""
        fired, asked = self.counted
        if fired or not asked or self._said:
            return ""
        self._said = True
        what = "prompts" if self.of_prompt else "tokens"
        return (
            f"{self.test.name} never held (0 of {asked} {what}), so the vector did nothing; lower the threshold, or try"
            " texts that it is meant for"
        )

    def begin(self, counted: torch.Tensor, columns: int | None, decisions: Decisions) -> None:
        """A call of the whole model begins.

        Parameters:
            counted: bool, shape (batch, tokens): real tokens of the prompts that the vector is for.
            columns: how many of the columns are the prompt's; None of a call that goes on after it.
            decisions: what was decided of the prompt that this call goes on with.

        Raises SteeringError: a call that goes on with a prompt of which nothing was decided, or with another batch.
        """
        self._fires, self._call = None, None
        decided = decisions.get(self) if self.of_prompt else None
        if decided is not None and len(decided) != len(counted):
            raise SteeringError(
                f"{self.test.name} was decided for a batch of {len(decided)} prompts, which goes on with {len(counted)}"
            )
        if decided is not None:
            self._fires = decided[:, None]
        elif columns is None and self.of_prompt:
            raise SteeringError(
                f"{self.test.name} is decided on a whole prompt, and this call goes on with one that it has not seen;"
                " run the whole prompt at once while steering is at work"
            )
        else:
            of_prompt = counted if columns is None else counted & _before(counted, columns)
            self._call = counted, of_prompt, decisions

    def end(self) -> None:
        """It ends."""
        self._fires, self._call = None, None

    def read(self, residual: torch.Tensor) -> None:
        """Decide, with the residual stream at the condition's site, shape (batch, tokens, d); once a call."""
        if self._call is None:
            return
        counted, of_prompt, decisions = self._call
        counted, of_prompt = counted.to(residual.device), of_prompt.to(residual.device)
        states = residual.detach()
        if self.test.lens:
            with torch.no_grad():
                # Past the hooks of vectors at work.
                states = self._architecture.norm.forward(states)
        scores = self.test.scores(states)
        if bool((scores.isnan() & counted).any()):
            raise SteeringError(f"{self.test.name}: the residual stream at {self.place} is not finite")
        if self.of_prompt:
            asked = counted.any(dim=1)
            holds = self.test.holds(self.test.pooled(scores, of_prompt)) & asked
            decisions[self] = holds
            self._fires = holds[:, None]
        else:
            asked, holds = counted, self.test.holds(scores) & counted
            self._fires = holds
        self.decisions = holds.cpu()
        count = torch.stack([holds.sum(), asked.sum()])
        self._counts[residual.device] = self._counts.get(residual.device, torch.zeros_like(count)) + count
        self._call = None

    def narrowed(self, plan: Selection | Literal["everywhere"], residual: torch.Tensor) -> Selection:
        """The part of a plan where the condition holds."""
        if self._fires is None:
            raise SteeringError(f"{self.test.name}: the call did not pass {self.place} before the vector acts")
        fires = self._fires.to(residual.device).expand(residual.shape[:2])
        if isinstance(plan, str):
            batch, position = fires.nonzero(as_tuple=True)
            selection = Selection(batch, position, torch.zeros_like(batch))
        else:
            kept = fires[plan.batch.to(fires.device), plan.position.to(fires.device)].to(plan.batch.device)
            selection = Selection(plan.batch[kept], plan.position[kept], plan.row[kept])
        self.acted += len(selection.batch)
        return selection


def _before(counted: torch.Tensor, columns: int) -> torch.Tensor:
    return torch.arange(counted.shape[1], device=counted.device) < columns
