"""Architecture: where the blocks, the final norm and the head of a Hugging Face model are, found by structure.

The one place that knows how models are built. Blocks are never replaced; everything is reached through hooks.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from geometry.errors import SteeringError
from geometry.steering.vector import Site

Change = Callable[[torch.Tensor], torch.Tensor | None]


@dataclass(frozen=True, eq=False)
class Architecture:
    """The parts of a causal language model between which a residual stream runs.

    Attributes:
        blocks, norm: the transformer blocks of `model`, in order, and the final norm after the last.
        head: the unembedding, after the final norm; None for a model without one.
        width: d, of the residual stream.
    """

    model: nn.Module
    blocks: nn.ModuleList
    norm: nn.Module
    head: nn.Module | None
    width: int

    @classmethod
    def of(cls, model: nn.Module) -> "Architecture":
        """Find the architecture of GPT-2, Llama, Gemma, Qwen, Mistral, GPT-NeoX, OPT and their relatives.

        Blocks are the one list of modules that stands beside the input embedding and is as long as the
        configuration says; the final norm is the norm declared beside them, last of all.

        Raises SteeringError: not such a model: no embedding, no list of blocks, no final norm.
        """
        kind = type(model).__name__
        if not isinstance(model, nn.Module) or not hasattr(model, "get_input_embeddings"):
            raise SteeringError(f"a Hugging Face model is needed, not {kind}")
        checked: Any = model
        try:
            embedding = checked.get_input_embeddings()
            config = checked.config.get_text_config()
        except (AttributeError, NotImplementedError) as error:
            raise SteeringError(f"{kind}: has no input embedding or text configuration ({error})") from error
        if getattr(checked.config, "is_encoder_decoder", False):
            raise SteeringError(f"{kind}: an encoder-decoder; steering knows decoder-only models")
        depth = getattr(config, "num_hidden_layers", None)
        for owner in model.modules():
            children = dict(owner.named_children())
            lists = [child for child in children.values() if isinstance(child, nn.ModuleList) and len(child) == depth]
            norms = [
                child
                for name, child in children.items()
                if "norm" in type(child).__name__.lower()
                and "embed" not in name
                and _norm_size(child) in (None, config.hidden_size)
            ]
            if embedding not in children.values() or len(lists) != 1 or not norms:
                continue
            return cls(model, lists[0], norms[-1], checked.get_output_embeddings(), config.hidden_size)
        raise SteeringError(
            f"{kind}: found no list of {depth} blocks with a final norm beside the input embedding;"
            " steering knows decoder-only models built like GPT-2, Llama, Gemma or Qwen"
        )

    @property
    def family(self) -> str:
        """The architecture as vectors call it: "gpt2", "llama", "gemma3"."""
        config: Any = self.model.config
        return str(config.model_type).removesuffix("_text")

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the residual stream, where the final norm tells it."""
        parameters = [p for p in (*self.norm.parameters(), *self.model.parameters()) if p.is_floating_point()]
        return parameters[0].dtype

    @property
    def device(self) -> torch.device:
        """Where input ids go: of a model whose weights are loaded piece by piece, where it computes."""
        model: Any = self.model
        if model.device.type != "meta":
            return torch.device(model.device)
        devices = (getattr(getattr(module, "_hf_hook", None), "execution_device", None) for module in model.modules())
        return torch.device(next((device for device in devices if device is not None), "cpu"))

    def check(self, site: Site) -> None:
        """SteeringError unless the model has that site."""
        if site.block is not None and site.block >= len(self.blocks):
            last = len(self.blocks) - 1
            raise SteeringError(f"{site}: {type(self.model).__name__} has blocks 0 to {last}, no block {site.block}")

    def attach(self, site: Site, change: Change, *, first: bool = False) -> RemovableHandle:
        """Call `change` with the residual stream at a site, shape (batch, positions, d); what it returns goes on.

        None leaves the residual stream as it is. With `first`, before hooks that were attached earlier.
        """
        self.check(site)
        module = self.norm if site.block is None else self.blocks[site.block]
        if site.place in ("output", "after_norm"):

            def after(_: nn.Module, __: Any, output: Any) -> Any:
                # Blocks return a tensor since transformers 5, before that a tuple that begins with it.
                residual = output[0] if isinstance(output, tuple) else output
                if (changed := change(residual)) is None:
                    return None
                return (changed, *output[1:]) if isinstance(output, tuple) else changed

            return module.register_forward_hook(after, prepend=first)

        def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if args:
                changed = change(args[0])
                return None if changed is None else ((changed, *args[1:]), kwargs)
            name = next((name for name in ("hidden_states", "x", "input") if name in kwargs), None)
            if name is None:
                raise SteeringError(f"{site}: its module is called without a residual stream, with {', '.join(kwargs)}")
            changed = change(kwargs[name])
            return None if changed is None else (args, {**kwargs, name: changed})

        return module.register_forward_pre_hook(before, with_kwargs=True, prepend=first)

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call of the model by name."""
        bound = inspect.signature(self.model.forward).bind_partial(*args, **kwargs).arguments
        return {**bound.pop("kwargs", {}), **bound}

    @property
    def caches(self) -> bool:
        """Whether the model keeps its past as keys and values, whose length tells a prompt from what follows."""
        return "past_key_values" in inspect.signature(self.model.forward).parameters

    @property
    def compiled(self) -> bool:
        """Whether calls go to a compiled copy, which heeds no hook that was made later."""
        compiled = (vars(self.model).get(name) for name in ("_compiled_call_impl", "_compiled_call", "_orig_mod"))
        return any(copy is not None for copy in compiled) or "_orig_mod" in self.model._modules


def _norm_size(norm: nn.Module) -> int | None:
    weights = [parameter for parameter in norm.parameters() if parameter.ndim == 1]
    return weights[0].numel() if weights else None
