"""Activations kept in files under the hash of everything that decides them. Reading itself is in activations."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from geometry.cache import Entry, Key, limit
from geometry.models import cache_folder
from geometry.steering.prompts import Batch
from geometry.steering.vector import Site


def activations_file(
    folder: str | Path | None, model: nn.Module, batch: Batch, sites: Sequence[Site], *options: object
) -> Entry | None:
    """The file of the activations of all prompts at the sites; of other weights, tokens or options another file.

    None for a model whose weights cannot all be seen here, offloaded, sharded or quantised, or that has hooks, whose
    doing no hash can see; and where nothing is to be kept.

    `folder` None is `activations` beside the fetched models; `options` are what else decides, rounding included.

    OutputError: the limit of the cache is no number.
    """
    tensors = dict([*model.named_parameters(), *model.named_buffers()])
    hooked = any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    if hooked or not _all_in_view(model, tensors) or not (folder or limit()):
        return None
    key = Key("activations")
    key.add(torch.__version__, type(model).__qualname__, model.training)
    # What the weights do not say: kinds of attention, of norms and of activation functions.
    config = getattr(model, "config", None)
    text = "" if config is None else config.to_json_string(use_diff=False)
    key.add(text, getattr(config, "_attn_implementation", ""))
    key.add_code(*sorted({type(module).__module__ for module in model.modules()}))
    for name, tensor in tensors.items():
        key.add(name, tensor.device.type)
        key.add_tensor(tensor)
    key.add(batch.input_ids.tolist(), batch.attention_mask.tolist(), [str(site) for site in sites], *options)
    return Entry.beside(Path(folder), key) if folder else Entry.within(cache_folder(), key)


def _all_in_view(model: nn.Module, tensors: Mapping[str, torch.Tensor]) -> bool:
    # Shards and many quantised weights are tensors of a class of their own, with more to them than their numbers.
    plain = all(type(t) in (torch.Tensor, nn.Parameter) and t.device.type != "meta" for t in tensors.values())
    packed = getattr(model, "hf_quantizer", None) is not None
    # Packed ones are kept beside the parameters, where nothing but the state shows them.
    return plain and not packed and all(isinstance(value, torch.Tensor) for value in model.state_dict().values())


def kept_activations(entry: Entry, sites: Sequence[Site], shape: tuple[int, int]) -> dict[Site, torch.Tensor] | None:
    """What the file holds, float32 of `shape` (n, d) at each site; None if there is none, or a damaged one."""
    kept = entry.read({str(site): (shape, np.float32) for site in sites})
    return None if kept is None else {site: torch.from_numpy(kept[str(site)]) for site in sites}


def keep_activations(entry: Entry, activations: Mapping[Site, torch.Tensor]) -> None:
    """Write the file; where none can be written, do without."""
    entry.write({str(site): rows.numpy() for site, rows in activations.items()})
