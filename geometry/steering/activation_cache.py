"""Activations kept in files under the hash of everything that decides them. Reading itself is in activations."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from geometry.errors import OutputError
from geometry.models import cache_folder
from geometry.output import replacing
from geometry.steering.prompts import Batch
from geometry.steering.vector import Site

_FORMAT = "concept-geometry activations 1"


def activations_file(
    folder: str | Path | None, model: nn.Module, batch: Batch, sites: Sequence[Site], *options: object
) -> Path | None:
    """The file of the activations of all prompts at the sites; of other weights, tokens or options another file.

    None for a model whose weights cannot all be seen here: offloaded, sharded or quantised.

    `folder` None is `activations` beside the fetched models; `options` are what else decides, rounding included.
    """
    tensors = dict([*model.named_parameters(), *model.named_buffers()])
    if not _all_in_view(model, tensors):
        return None
    digest = hashlib.sha256()

    def add(*parts: object) -> None:
        digest.update(repr(parts).encode())

    add(_FORMAT, torch.__version__, type(model).__qualname__, model.training)
    # What the weights do not say: kinds of attention, of norms and of activation functions.
    config = getattr(model, "config", None)
    text = "" if config is None else config.to_json_string(use_diff=False)
    add(text, getattr(config, "_attn_implementation", ""))
    for name, tensor in tensors.items():
        add(name, tensor.dtype, tuple(tensor.shape), tensor.device.type)
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    add(batch.input_ids.tolist(), batch.attention_mask.tolist(), [str(site) for site in sites], *options)
    return (Path(folder) if folder else cache_folder() / "activations") / f"{digest.hexdigest()}.safetensors"


def _all_in_view(model: nn.Module, tensors: Mapping[str, torch.Tensor]) -> bool:
    # Shards and many quantised weights are tensors of a class of their own, with more to them than their numbers.
    plain = all(type(t) in (torch.Tensor, nn.Parameter) and t.device.type != "meta" for t in tensors.values())
    packed = getattr(model, "hf_quantizer", None) is not None
    # Packed ones are kept beside the parameters, where nothing but the state shows them.
    return plain and not packed and all(isinstance(value, torch.Tensor) for value in model.state_dict().values())


def kept_activations(path: Path, sites: Sequence[Site], shape: tuple[int, int]) -> dict[Site, torch.Tensor] | None:
    """What the file holds, float32 of `shape` (n, d) at each site; None if there is none, or a damaged one."""
    with suppress(OSError, SafetensorError, KeyError), safe_open(path, framework="pt") as file:
        if (file.metadata() or {}).get("format") == _FORMAT:
            kept = {site: file.get_tensor(str(site)) for site in sites}
            whole = all(rows.shape == shape and rows.dtype == torch.float32 for rows in kept.values())
            return kept if whole and all(bool(rows.isfinite().all()) for rows in kept.values()) else None
    return None


def keep_activations(path: Path, activations: Mapping[Site, torch.Tensor]) -> None:
    """Write the file; where none can be written, do without."""
    with suppress(OSError, OutputError, SafetensorError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as unfinished:
            tensors = {str(site): rows.contiguous() for site, rows in activations.items()}
            safetensors.torch.save_file(tensors, unfinished, metadata={"format": _FORMAT})
