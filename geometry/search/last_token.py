"""Texts whose last token alone is run again and again; what stands before it runs once and is kept."""

import copy
from collections.abc import Sequence
from typing import Any

import torch

from geometry.layers.key_values import keys_and_values
from geometry.steering.architecture import Architecture
from geometry.steering.measure import encoded_texts
from geometry.steering.prompts import Tokenizer


class LastToken:
    """The last token of n texts, in as many copies as are asked for.

    Attributes:
        count: n.
        alone: whether it is run alone; not where texts are one token long, or the model keeps of its past something
            else than keys and values, which is run anew.

    Raises SteeringError: what `encode` refuses, or padding in a model that does not heed it.
    """

    def __init__(self, architecture: Architecture, tokenizer: Tokenizer, texts: Sequence[str]) -> None:
        batch = encoded_texts(architecture, tokenizer, texts)
        self._arguments = architecture.accepted(batch.arguments)
        self.count = len(batch.input_ids)
        ids = batch.input_ids
        past: Any = None
        if ids.shape[1] > 1 and keys_and_values(architecture, ids[:, :1]) is not None:
            before = {name: part[:, :-1] for name, part in self._arguments.items()}
            with torch.no_grad():
                past = architecture.model(**before, use_cache=True).past_key_values
        self.alone = past is not None
        self._past = past
        self._repeated: tuple[int, Any] = (1, past)

    def arguments(self, copies: int) -> dict[str, Any]:
        """How to call the model: the texts one after the other, each so many times."""
        every = {name: ids.repeat_interleave(copies, dim=0) for name, ids in self._arguments.items()}
        if not self.alone:
            return every
        if self._repeated[0] != copies:
            past: Any = copy.deepcopy(self._past)
            past.batch_repeat_interleave(copies)
            self._repeated = copies, past
        # The mask is of the kept tokens too; and a cache grows in place.
        last: dict[str, Any] = {name: ids if name == "attention_mask" else ids[:, -1:] for name, ids in every.items()}
        return last | {"past_key_values": copy.deepcopy(self._repeated[1]), "use_cache": True}
