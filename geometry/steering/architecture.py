"""Architecture: where the blocks, the final norm and the head of a Hugging Face model are, found by structure.

The one place that knows how models are built. Blocks are never replaced; everything is reached through hooks, which
residual_stream attaches.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from geometry.display import short_repr
from geometry.errors import SteeringError
from geometry.models.in_memory import is_whole, layers
from geometry.steering.vector import READ_ONLY, Site

_PARTS = {"attention": ("attention", "attn"), "mlp": ("mlp", "feedforward", "moe")}
# Which of several norms ran last; found by running the model, once.
_LAST_NORMS: WeakKeyDictionary[nn.Module, str | None] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Architecture:
    """The parts of a causal language model between which a residual stream runs.

    Attributes:
        model: the language model; of one wrapped by PEFT or `torch.compile`, the model inside.
        entries: what may be called as the whole model: itself, and a wrapper around it.
        blocks, norm: the transformer blocks of `model`, in order, and the final norm after the last.
        head: the unembedding, after the final norm; None for a model without one.
        width: d, of the residual stream.
    """

    model: nn.Module
    entries: tuple[nn.Module, ...]
    blocks: nn.ModuleList
    norm: nn.Module
    head: nn.Module | None
    width: int

    __repr__ = short_repr

    @classmethod
    def of(cls, model: nn.Module) -> "Architecture":
        """Find the architecture of GPT-2, Llama, Gemma, Qwen, Mistral, GPT-NeoX, OPT and their relatives.

        Blocks are the one list of modules that stands beside the input embedding and is as long as the
        configuration says; the final norm is the norm beside them, of several the one that runs last.

        Raises SteeringError: not such a model: no embedding, no list of blocks, no final norm; a model of which other
            processes hold blocks (pipeline parallel).
        """
        kind = type(model).__name__
        if not isinstance(model, nn.Module) or not hasattr(model, "get_input_embeddings"):
            raise SteeringError(f"a Hugging Face model is needed, not {kind}")
        inner = unwrapped(model)
        checked: Any = inner
        try:
            embedding = checked.get_input_embeddings()
            config = checked.config.get_text_config()
            head = checked.get_output_embeddings()
        except (AttributeError, NotImplementedError) as error:
            raise SteeringError(f"{kind}: has no input embedding or text configuration ({error})") from error
        if getattr(checked.config, "is_encoder_decoder", False):
            raise SteeringError(f"{kind}: an encoder-decoder; steering knows decoder-only models")
        depth = getattr(config, "num_hidden_layers", None)
        for owner in inner.modules():
            children = dict(owner.named_children())
            lists = [child for child in children.values() if isinstance(child, nn.ModuleList) and len(child) == depth]
            # On every rank alike: one that went on would wait for ever for the others.
            beside = embedding in children.values()
            elsewhere = beside and any(isinstance(block, nn.Identity) for found in lists for block in found)
            if elsewhere or hasattr(owner, "_pp_stage") or hasattr(owner, "pippy_stage"):
                raise SteeringError(
                    f"{kind}: pipeline parallel, other processes hold some of its blocks; steering needs all of them"
                    " in this one (tensor parallel, FSDP and offloading work)"
                )
            norms = {
                name: child
                for name, child in children.items()
                if "norm" in type(child).__name__.lower() and _norm_size(child) in (None, config.hidden_size)
            }
            if not beside or len(lists) != 1 or not norms:
                continue
            if (name := _last_norm(inner, lists[0], norms)) is not None:
                entries = (inner,) if inner is model else (model, inner)
                return cls(inner, entries, lists[0], norms[name], head, config.hidden_size)
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
        modules = (self.norm, self.model)
        return next(p.dtype for module in modules for p in module.parameters() if p.is_floating_point())

    @property
    def device(self) -> torch.device:
        """Where input ids go: of a model whose weights are loaded piece by piece, where it computes."""
        return device_of(self.model)

    def check(self, site: Site) -> None:
        """SteeringError unless the model has that site."""
        if site.block is not None and site.block >= len(self.blocks):
            last = len(self.blocks) - 1
            raise SteeringError(f"{site}: {type(self.model).__name__} has blocks 0 to {last}, no block {site.block}")

    def module_at(self, site: Site) -> nn.Module:
        """The module at whose input or output a site in a block lies.

        Raises SteeringError: a block without one attention or one MLP that could be told by its class.
        """
        block = self.blocks[site.block or 0]
        if site.place not in READ_ONLY:
            return block
        kinds = _PARTS[site.place]
        # Of a mixture of experts "Moe" may be in the name of every class.
        others = ("norm",) if site.place == "attention" else ("norm", *_PARTS["attention"])
        named = {child: type(child).__name__.lower() for child in block.children()}
        found = [child for child, name in named.items() if any(kind in name for kind in kinds)]
        found = [child for child in found if not any(kind in named[child] for kind in others)]
        if len(found) != 1:
            parts = ", ".join(type(child).__name__ for child in block.children())
            raise SteeringError(f"{site}: {type(self.model).__name__} has no one such part in a block, but {parts}")
        return found[0]

    def check_tokens(self, ids: torch.Tensor, more: int = 0) -> None:
        """SteeringError for token ids (prompts, tokens), or as many positions and `more`, that the model lacks."""
        model: Any = self.model
        kind, embedding = type(model).__name__, model.get_input_embeddings()
        if (last := int(ids.max())) >= (rows := int(getattr(embedding, "num_embeddings", last + 1))):
            raise SteeringError(
                f"a prompt has the token {last}, {kind} an embedding of {rows} rows; take the model's own tokenizer"
            )
        longest, count = getattr(model.config.get_text_config(), "max_position_embeddings", None), ids.shape[1] + more
        if not isinstance(longest, int) or count <= longest:
            return
        # Others compute their positions, however many. Some keep rows for offsets of two.
        learned = (m.num_embeddings for m in model.modules() if isinstance(m, nn.Embedding) and m is not embedding)
        if any(longest <= size <= longest + 2 for size in learned):
            raise SteeringError(f"{kind}: has {longest} positions, {count} are asked for; use fewer tokens")

    def arguments(self, entry: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call of one of the entries by name."""
        signature = _signature(entry)
        bound = signature.bind_partial(*args, **kwargs).arguments
        rest = (name for name, value in signature.parameters.items() if value.kind is inspect.Parameter.VAR_KEYWORD)
        return {**bound.pop(next(rest, ""), {}), **bound}

    def accepted(self, arguments: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What the model takes of the arguments of a call: not all take position ids."""
        parameters = _signature(self.model).parameters
        if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
            return arguments
        return {name: value for name, value in arguments.items() if name in parameters}

    @property
    def middle(self) -> Site:
        """The output of the middle block, where a vector that is no concept's is added unless told otherwise."""
        return Site("output", len(self.blocks) // 2)

    @property
    def caches(self) -> bool:
        """Whether the model keeps its past as keys and values, whose length tells a prompt from what follows."""
        return "past_key_values" in inspect.signature(type(self.model).forward).parameters

    @property
    def compiled(self) -> bool:
        """Whether calls go to a compiled copy, which heeds no hook that was made later."""
        compiled = (vars(self.model).get(name) for name in ("_compiled_call_impl", "_compiled_call"))
        wrapped = any("_orig_mod" in entry._modules for entry in self.entries)
        return wrapped or any(copy is not None for copy in compiled)


def unwrapped(model: nn.Module) -> nn.Module:
    """The Hugging Face model within whatever wraps it, as of `Unembedding.from_model`; any other as it is.

    Raises SteeringError: a wrapper that puts virtual tokens before every prompt, where no position would be right.
    """
    for layer in layers(model):
        if is_whole(layer):
            return layer
        if getattr(getattr(layer, "active_peft_config", None), "is_prompt_learning", False):
            raise SteeringError(
                f"{type(layer).__name__}: a tuned prompt puts tokens of its own before every prompt; steering needs a"
                " model whose positions are those of its tokens"
            )
    return model


def device_of(model: nn.Module) -> torch.device:
    """Where input ids go: of a model whose weights are loaded piece by piece, where it computes.

    Raises SteeringError: a model on the meta device, whose weights are nowhere.
    """
    whole: Any = model
    if whole.device.type != "meta":
        return torch.device(whole.device)
    devices = (getattr(getattr(module, "_hf_hook", None), "execution_device", None) for module in model.modules())
    if (device := next((device for device in devices if device is not None), None)) is None:
        raise SteeringError(f"{type(model).__name__}: is on the meta device, without weights; load them first")
    return torch.device(device)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model without dropout meanwhile, so that what is read, measured or generated is the same each time."""
    training = [module for module in model.modules() if module.training]
    # Not by eval(), which some modules merge or move weights in.
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def plain_ids(model: nn.Module, count: int) -> torch.Tensor:
    """Token ids that stand for no image, sound or padding, as far as the configuration tells; shape (1, count)."""
    whole: Any = model
    config = whole.config
    special: set[int] = set()
    for settings in (config, config.get_text_config()):
        for name, value in vars(settings).items():
            if name.endswith(("_id", "_ids", "_index")):
                special |= {int(index) for index in (value if isinstance(value, list) else [value]) if _whole(index)}
    rows = int(config.get_text_config().vocab_size)
    ids = [index for index in range(min(rows, count + len(special))) if index not in special] or [0]
    return torch.tensor([[ids[place % len(ids)] for place in range(count)]])


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _signature(module: nn.Module) -> inspect.Signature:
    signature = inspect.signature(module.forward)
    if not {"input_ids", "inputs_embeds"} & set(signature.parameters):
        # Put in its place by what wraps calls and tells nothing of their arguments.
        signature = inspect.signature(type(module).forward)
    # Tracers put a plain function in the place of the method.
    parameters = [value for name, value in signature.parameters.items() if name != "self"]
    return signature.replace(parameters=parameters)


def _last_norm(model: nn.Module, blocks: nn.ModuleList, norms: dict[str, nn.Module]) -> str | None:
    """The name of the norm that runs after the last block; None if none does."""
    if len(norms) == 1 and "embed" not in next(iter(norms)):
        return next(iter(norms))
    if model not in _LAST_NORMS:
        _LAST_NORMS[model] = _ran_last(model, blocks, norms)
    return _LAST_NORMS[model]


def _ran_last(model: nn.Module, blocks: nn.ModuleList, norms: dict[str, nn.Module]) -> str | None:
    order: list[str | None] = []
    hooks = [blocks[-1].register_forward_hook(lambda *_: order.append(None))]
    hooks += [norm.register_forward_hook(partial(_append, order, name)) for name, norm in norms.items()]
    try:
        with evaluating(model), torch.no_grad(), torch.random.fork_rng(devices=[]):
            model(input_ids=plain_ids(model, 2).to(device_of(model)))
    except Exception:  # whatever a model does without its images; what steers it checks the order again
        return next((name for name in reversed(norms) if "embed" not in name), None)
    finally:
        for hook in hooks:
            hook.remove()
    after = order[len(order) - order[::-1].index(None) :] if None in order else []
    return after[-1] if after else None


def _append(order: list[str | None], name: str, *_: object) -> None:
    order.append(name)


def _norm_size(norm: nn.Module) -> int | None:
    weights = [parameter for parameter in norm.parameters() if parameter.ndim == 1]
    return weights[0].numel() if weights else None
