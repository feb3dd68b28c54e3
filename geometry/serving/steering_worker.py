"""Steering vectors in inference servers that run blocks of their own: vLLM and SGLang.

This file stands alone: it needs torch and safetensors, which both servers bring, and nothing else of this package,
whose requirements would not go with theirs. Put its folder on PYTHONPATH. Vectors come from files that
`geo.save_vector(vector, "bird.safetensors")` wrote, so that nothing is unpickled.

vLLM, on every worker of the engine::

    llm = LLM(model, worker_extension_cls="steering_worker.SteeringWorker", enforce_eager=True)
    llm.collective_rpc("add_steering_vector", args=("bird.safetensors", 2.0))
    llm.generate(prompts)
    llm.collective_rpc("remove_steering_vectors")

SGLang, one entry a site in `--forward-hooks`::

    {"name": "bird", "target_modules": ["model.layers.15"], "hook_factory": "steering_worker:hook_factory",
     "config": {"vector": "bird.safetensors", "site": "output.15", "coefficient": 2.0}}

A server mixes the tokens of many requests in one flat batch, so that a vector is added at every token of all of them.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from torch import nn

FORMAT = "concept-geometry steering vector 1"
_BLOCKS = ("layers", "h", "blocks")
_NORMS = ("norm", "ln_f", "final_layernorm", "final_layer_norm", "norm_f")
_EMBEDDINGS = ("embed_tokens", "wte", "embed_in")
Hook = Callable[[nn.Module, Any, Any], Any]


class Part(NamedTuple):
    """What is added to the output of a module: in units of the norm there (`relative`), without its mean (`centred`).

    `split` where a second tensor in the output is part of the residual stream, as after a block.
    """

    module: nn.Module
    vector: torch.Tensor
    relative: bool = False
    centred: bool = False
    split: bool = True


def read_vector(path: str) -> dict[str, torch.Tensor]:
    """Site → tensor of shape (d,), from a file of `geo.save_vector`. ValueError: another file, or rows by position."""
    with safe_open(path, framework="pt") as file:
        if (file.metadata() or {}).get("format") != FORMAT:
            raise ValueError(f"{path}: not a steering vector; write one with geo.save_vector(vector, '….safetensors')")
        parts = {site: file.get_tensor(site) for site in file.keys() if not site.startswith("unembedding.")}  # noqa: SIM118
    if rows := [site for site, part in parts.items() if part.ndim != 1]:
        raise ValueError(f"{path}: has a row for each of several tokens at {rows[0]}; a server steers all tokens alike")
    return parts


def added(output: Any, part: Part) -> Any:
    """A module's output with the part's vector added to the residual stream in it.

    The stream is a tensor, or the sum of the first two of a tuple (hidden, residual), as in vLLM's and SGLang's own
    blocks; the first takes the vector.
    """
    several = isinstance(output, tuple | list)
    hidden = output[0] if several else output
    vector = part.vector.to(hidden.device)
    if part.relative:
        both = part.split and several and len(output) > 1 and getattr(output[1], "shape", None) == hidden.shape
        stream = (hidden + output[1] if both else hidden).float()
        stream = stream - stream.mean(dim=-1, keepdim=True) if part.centred else stream
        vector = torch.linalg.vector_norm(stream, dim=-1, keepdim=True) * vector.float()
    steered = hidden + vector.to(hidden.dtype)
    return (steered, *output[1:]) if several else steered


def parts_of(model: nn.Module, vector: Mapping[str, torch.Tensor], coefficient: float = 1.0) -> list[Part]:
    """Where each part of a vector goes in this rank's model; ValueError: a site or a width that the model lacks."""
    blocks, stem = _blocks(model)
    norm = _named(stem, _NORMS)
    width = len(getattr(norm, "weight", ()))  # of another rank of a pipeline there is none
    parts = []
    for site, part in vector.items():
        place, *rest = site.split(".")
        block = int(rest[0]) if place in ("input", "output") else len(blocks)
        block -= place in ("input", "before_norm")  # whose stream the block before it puts out
        if block >= len(blocks) and place != "after_norm":
            raise ValueError(f"{site}: this model has {len(blocks)} blocks, counted from 0")
        if width not in (0, len(part)):
            raise ValueError(f"{site}: the vector is {len(part)} wide, the model {width}")
        module = norm if place == "after_norm" else _named(stem, _EMBEDDINGS) if block < 0 else blocks[block]
        of_blocks = place != "after_norm" and block >= 0
        parts.append(
            Part(module, coefficient * part, rest[-1:] == ["relative"], isinstance(norm, nn.LayerNorm), of_blocks)
        )
    return parts


def hook_of(part: Part) -> Hook:
    """The forward hook that adds a part."""

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        return added(output, part)

    return hook


def hook_factory(config: Mapping[str, Any]) -> Hook:
    """For SGLang's `--forward-hooks`: {"vector": file, "site": "output.15", "coefficient": 2.0, "centred": false}."""
    parts = read_vector(config["vector"])
    site = config.get("site") or next(iter(parts))
    if site not in parts:
        raise ValueError(f"{config['vector']}: no part at {site}; there is {', '.join(parts)}")
    vector = float(config.get("coefficient", 1.0)) * parts[site]
    relative, centred = site.endswith(".relative"), bool(config.get("centred", False))
    return hook_of(Part(nn.Identity(), vector, relative, centred, not site.startswith("after_norm")))


class SteeringWorker:
    """For vLLM's `worker_extension_cls`: its methods join those of every worker, for `collective_rpc`."""

    model_runner: Any

    def add_steering_vector(self, path: str, coefficient: float = 1.0) -> list[str]:
        """Add a vector at all tokens from now on, beside others that are at work; returns its sites."""
        vector = read_vector(path)
        handles = self.__dict__.setdefault("_steering_handles", [])
        for part in parts_of(self.model_runner.model, vector, coefficient):
            handles.append(part.module.register_forward_hook(hook_of(part)))
        return list(vector)

    def remove_steering_vectors(self) -> int:
        """Take all vectors out again; returns how many parts there were."""
        handles = self.__dict__.pop("_steering_handles", [])
        for handle in handles:
            handle.remove()
        return len(handles)


def _blocks(model: nn.Module) -> tuple[nn.ModuleList, nn.Module]:
    """The blocks, and the module that holds them with the embedding and the final norm."""
    found: Iterator[tuple[nn.ModuleList, nn.Module]] = (
        (child, module)
        for module in model.modules()
        for name, child in module.named_children()
        if name in _BLOCKS and isinstance(child, nn.ModuleList)
    )
    if (first := next(found, None)) is None:
        raise ValueError(f"{type(model).__name__} has no list of blocks called {', '.join(_BLOCKS)}")
    return first


def _named(stem: nn.Module, names: tuple[str, ...]) -> nn.Module:
    for name in names:
        if isinstance(module := getattr(stem, name, None), nn.Module):
            return module
    raise ValueError(f"{type(stem).__name__} has none of {', '.join(names)}")
