"""Load a whole model and its tokenizer as plain Hugging Face objects, from wherever its weights are.

Imports locating and hub; steering takes the model it returns, or any other of the same kind.
"""

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
import torch

from geometry.arguments import checked
from geometry.errors import ArgumentError, ModelError, shown
from geometry.models.checkpoint import ADAPTER, INDEX, SINGLE
from geometry.models.hub import HubId, with_revision
from geometry.models.llama2c_file import as_gguf, is_llama2c
from geometry.models.locating import local_path, require_language_model, suggestion
from geometry.models.placement import checked_device
from geometry.progress import hidden_bars

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


# Options by which transformers puts the weights where they are to be, and some that change nothing of what is read.
_PLACING = {"device_map", "max_memory", "distributed_config", "quantization_config", "tp_plan", "device_mesh"}
_OPTIONS = {*_PLACING, "offload_folder", "offload_buffers", "offload_state_dict", "attn_implementation", "token"}
# What stands in the names of classes whose code is not in transformers.
_LANGUAGE_MODEL = re.compile("LMHead|Causal|Conditional")
# What stands beside a weight that is scaled, packed or adapted.
_BESIDE_WEIGHTS = re.compile(
    r"[.](weight[._]\w|q?(weight|scales?|zeros)$|scb$|w_q$|meta$|codes$|codebooks$|g_idx$|lora_|hada_|base_layer[.]"
    r"|modules_to_save[.])",
    re.IGNORECASE,
)


@checked
def load_model(
    model: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    revision: str | None = None,
    **options: Any,
) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """The causal language model and the tokenizer of a fetched name, a hub id, a folder or a `.gguf` file.

    >>> import geometry as geo
    >>> model, tokenizer = geo.load_model("smollm2-135m")
    >>> model.config.num_hidden_layers, tokenizer.decode(tokenizer.encode(" bird"))
    (30, ' bird')

    The model is named as of `Unembedding.load`; of safetensors name the folder. Weights are read from safetensors or
    from GGUF, dequantised to `dtype`; nothing is unpickled and no code from the model's repository is run. The model is
    in evaluation mode. A model of images or sound (LLaVA, Gemma 3, Qwen2-Audio) is loaded whole, and steered in the
    language model inside. A hub id may name a branch, tag or commit, "owner/name@revision", as may `revision`.

    Further options go to `from_pretrained` of transformers: `device_map`, `max_memory` and `offload_folder`
    (accelerate), a `quantization_config`, a `distributed_config` for tensor parallelism or FSDP2,
    `attn_implementation`. Where they place the weights, these stay, and `device` is not used::

        model, tokenizer = geo.load_model("owner/large-model", dtype=torch.bfloat16, device_map="auto")

    ModelError: unknown or unfetched model, missing, corrupt or pickled weights, or such as are packed or scaled in a
    way that transformers does not heed; an architecture that is not known, an encoder-decoder; an adapter, which is to
    be merged into its model first; a classifier or reward model; word vectors, which have no model behind them.
    EstimationError: no such device. ArgumentError: another option.
    """
    if unknown := sorted(options.keys() - _OPTIONS):
        known = ", ".join(sorted(_OPTIONS))
        raise ArgumentError(f"load_model: no option {unknown[0]!r}; of transformers there are {known}")
    device = checked_device(device)
    require_language_model(model)
    model = with_revision(model, revision)
    # Imported here: it takes seconds, and work on unembeddings does without.
    with hidden_bars():  # a kernel without widgets says so
        from transformers import AutoTokenizer

    with _source(model) as (source, where):
        common: dict[str, Any] = {**where, "trust_remote_code": False}
        try:
            with _quiet(), _parsed_once():
                factory = _factory(model, source, common)
                loaded, report = factory.from_pretrained(
                    source,
                    dtype=dtype,
                    use_safetensors=True,
                    output_loading_info=True,
                    # Refused below, by name; transformers names them in a report that it prints.
                    ignore_mismatched_sizes=True,
                    **common,
                    **options,
                )
                tokenizer = AutoTokenizer.from_pretrained(source, **common)
                loaded = (loaded if _PLACING & options.keys() else loaded.to(device)).eval()
        except ModelError:
            raise
        except Exception as error:  # every file, format, architecture and device fails in its own way
            hint = f"; {hint}" if (hint := suggestion(model)) else ""
            raise ModelError(f"{model}: cannot be loaded as a causal language model: {error}{hint}") from error
    _require_all_used(model, report, loaded)
    if "gguf_file" in where:
        # Weights are plain tensors now; these two only keep the model from being saved.
        del loaded.config.quantization_config
        loaded.hf_quantizer = None
        # A rewritten file lay in a folder of a moment, by whose name nothing that is kept would be found again.
        if (path := local_path(model)) is not None:
            loaded.config._name_or_path = str(path.parent)
    return loaded, tokenizer


def _require_all_used(model: str | Path, report: dict[str, Any], loaded: Any) -> None:
    """ModelError for weights that are missing, of another shape, or packed or scaled in a way that was not heeded."""
    # The first two would have been left at random values.
    if missing := sorted(report["missing_keys"]):
        raise ModelError(f"{model}: {len(missing)} tensors are missing from the weights, first {missing[0]}")
    if other := sorted(report["mismatched_keys"]):
        name, stored, wanted = other[0]
        raise ModelError(
            f"{model}: {len(other)} tensors do not fit the configuration, first {name} of shape {tuple(stored)}, where"
            f" {tuple(wanted)} is needed"
        )
    names = list(loaded.state_dict())
    # Of a bare backbone the stored names are without the name that its place has.
    weights = {*names, *(name.removeprefix(f"{loaded.base_model_prefix}.") for name in names)}
    unused = sorted(filter(_BESIDE_WEIGHTS.search, report["unexpected_keys"]))
    if beside := [name for name in unused if _beside(name, weights)]:
        raise ModelError(
            f"{model}: {len(beside)} tensors belong to weights that were read without them, first {shown(beside[0])};"
            " merge the adapter first (merge_and_unload), or name an unquantised copy"
        )


def _beside(name: str, weights: set[str]) -> bool:
    """Whether the module of a stored tensor, or one that it is within, has a weight in the model."""
    modules = name.split(".")
    return any(f"{'.'.join(modules[:count])}.weight" in weights for count in range(1, len(modules)))


def _factory(model: str | Path, source: str, options: dict[str, Any]) -> Any:
    """The class of transformers that finds the class of this model: for text alone, or with images or sound."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(source, **options)
    if getattr(config, "is_encoder_decoder", False):
        # Of some the decoder alone would be loaded, which is another model.
        raise ModelError(f"{model}: a {config.model_type} encoder-decoder; a decoder-only language model is needed")
    named = getattr(config, "architectures", None) or []
    for name in [named] if isinstance(named, str) else named:
        known: Any = getattr(transformers, str(name), None)
        # Of a tied model the bare backbone holds all there is.
        bare = known is not None and "For" not in str(name)
        if not (known.can_generate() if known is not None else _LANGUAGE_MODEL.search(str(name))) and not bare:
            raise ModelError(f"{model}: a {name} predicts no tokens; a causal language model is needed")
    factories: tuple[Any, ...] = (
        transformers.AutoModelForCausalLM,
        transformers.AutoModelForImageTextToText,
        transformers.AutoModelForMultimodalLM,
    )
    for factory in factories:
        if type(config) in factory._model_mapping:
            return factory
    raise ModelError(f"{model}: transformers knows no causal language model of type {config.model_type}")


@contextmanager
def _source(model: str | Path) -> Iterator[tuple[str, dict[str, str]]]:
    """What transformers is to be given: a folder or a hub id, and the file in it where it is GGUF."""
    path = local_path(model)
    if path is not None and is_llama2c(path):
        with as_gguf(path) as rewritten:
            yield str(rewritten.parent), {"gguf_file": rewritten.name}
    elif path is not None and path.suffix.lower() == ".gguf" and path.is_file():
        yield str(path.parent), {"gguf_file": path.name}
    else:
        hub_id = HubId.parse(str(model))
        named = (hub_id.repository, {"revision": hub_id.revision})
        yield named if path is None else (_checkpoint_folder(path), {})


def _checkpoint_folder(path: Path) -> str:
    folder = path if path.is_dir() else path.parent
    if path.is_file() and path.name not in (SINGLE, INDEX) and "-of-" not in path.name:
        raise ModelError(f"{path}: of a whole model name the folder, whose weights are called {SINGLE}")
    if (folder / ADAPTER).exists():
        raise ModelError(
            f"{folder}: holds an adapter ({ADAPTER}); merge it into its model first (merge_and_unload) and save that"
            " to a folder of its own"
        )
    if not (folder / "config.json").exists():
        raise ModelError(f"{folder}: config.json is missing; a whole model needs it beside its weights")
    return str(folder)


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars where nobody watches, and no advice on what the caller did not choose."""
    from transformers.utils import logging as their_logging

    logging: Any = their_logging
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with hidden_bars():
            yield
    finally:
        logging.set_verbosity(verbosity)


class _Plain:
    """For a reader, to hold its file as a plain array: of a memory map every number looked at makes another map."""

    @property
    def data(self) -> Any:
        return self._data

    @data.setter
    def data(self, mapped: Any) -> None:
        self._data = mapped.view(np.ndarray)


@contextmanager
def _parsed_once() -> Iterator[None]:
    """Keep what is read of a GGUF file: transformers parses it three times, and lists its names for every module."""
    originals = {name: getattr(gguf, name) for name in ("GGUFReader", "get_tensor_name_map")}
    plain: Any = type("PlainReader", (_Plain, gguf.GGUFReader), {})
    for name, instead in (("GGUFReader", plain), ("get_tensor_name_map", gguf.get_tensor_name_map)):
        setattr(gguf, name, functools.cache(instead))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(gguf, name, original)
