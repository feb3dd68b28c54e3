"""Activations that were read before: kept in files by the hash of everything that decides them.

Owns the key and the files; reading itself is in activations.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from geometry.errors import OutputError
from geometry.models import cache_folder
from geometry.output import replacing
from geometry.steering.activations import Token, read_activations
from geometry.steering.prompts import encode
from geometry.steering.vector import Site

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["cached_activations"]

_FORMAT = "concept-geometry activations 1"


def cached_activations(
    model: nn.Module,
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[str],
    sites: Sequence[Site | str],
    *,
    token: Token = -1,
    bos: bool | None = None,
    batch: int = 16,
    folder: str | Path | None = None,
) -> dict[Site, torch.Tensor]:
    """What `read_activations` gives, bit for bit, from a file where it was asked for the same before.

    The same are the weights, the tokens of the prompts, the sites, the token, the batch and the device: a change of
    any makes another file. A model with hooks (a steered one) is read anew and nothing is kept, for the hash cannot
    see what hooks do. A damaged file is replaced; where none can be written the activations are returned all the
    same.

    Parameters
    ----------
    folder : where the files lie; default, `activations` in the folder of fetched models. They may be deleted.

    Raises
    ------
    SteeringError
        What `read_activations` refuses.
    """
    wanted = [Site.parse(site) for site in ([sites] if isinstance(sites, str | Site) else sites)]
    read = partial(read_activations, model, tokenizer, prompts, wanted, token=token, bos=bos, batch=batch)
    if any(module._forward_hooks or module._forward_pre_hooks for module in model.modules()):
        return read()
    path = Path(folder) if folder is not None else cache_folder() / "activations"
    path /= f"{_key(model, tokenizer, prompts, wanted, token, bos, batch)}.safetensors"
    with suppress(OSError, SafetensorError, KeyError), safe_open(path, framework="pt") as file:
        if (file.metadata() or {}).get("format") == _FORMAT:
            return {site: file.get_tensor(str(site)) for site in wanted}
    found = read()
    with suppress(OSError, OutputError, SafetensorError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as unfinished:
            tensors = {str(site): rows.contiguous() for site, rows in found.items()}
            safetensors.torch.save_file(tensors, unfinished, metadata={"format": _FORMAT})
    return found


def _key(
    model: nn.Module,
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[str],
    sites: Sequence[Site],
    token: Token,
    bos: bool | None,
    batch: int,
) -> str:
    """SHA-256 over all that decides the activations, rounding included."""
    digest = hashlib.sha256()

    def add(*parts: object) -> None:
        digest.update(repr(parts).encode())

    add(_FORMAT, torch.__version__, type(model).__qualname__, model.training)
    # What the weights do not say: kinds of attention, of norms and of activation functions.
    config = getattr(model, "config", None)
    add(
        config.to_json_string(use_diff=False) if config is not None else "", getattr(config, "_attn_implementation", "")
    )
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        add(name, tensor.dtype, tuple(tensor.shape), tensor.device.type)
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    whole = encode(tokenizer, prompts, bos=bos)
    add(whole.ids.tolist(), whole.mask.tolist(), [str(site) for site in sites], token, batch)
    return digest.hexdigest()
