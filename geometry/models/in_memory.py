"""The unembedding of a model that is already loaded: found in it, told apart from packed ones, never copied."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import nn

from geometry.errors import ArgumentError, ModelError, shown
from geometry.models.hub import commit_of
from geometry.models.locating import display_name
from geometry.models.tensor_names import head_like, listed
from geometry.models.vocabulary import Vocabulary

# What holds the model in wrappers of PEFT, torch.compile, DataParallel, trl and nnsight.
_INSIDE = ("get_base_model", "_orig_mod", "module", "pretrained_model", "_model", "_module")
_DEEPEST = 8
_COMMIT = re.compile(r"[0-9a-f]{40}")


def find_unembedding(model: object) -> tuple[nn.Module, torch.Tensor, bool]:
    """The model within its wrappers, the weight of its head, and whether that is the input embedding's too.

    ArgumentError: nothing like a Hugging Face model. ModelError: it has no head, one behind further layers, or one
    whose numbers are not plain or not here.
    """
    inner: Any = unwrapped(model)
    this = type(inner).__name__
    try:
        head, embedding = inner.get_output_embeddings(), inner.get_input_embeddings()
    except (AttributeError, NotImplementedError) as error:
        raise ModelError(f"{this}: has no token embeddings ({error}); a causal language model is needed") from error
    can_generate = getattr(inner, "can_generate", None)
    if head is None or (callable(can_generate) and not can_generate()):
        raise ModelError(f"{this}: predicts no tokens, so it has no unembedding; a causal language model is needed")
    weight = _plain_weight(head, this)
    _check_last(inner, head, embedding, this)
    other = getattr(embedding, "weight", None)
    # The embedding of an adapter is more than its weight.
    alone = isinstance(other, torch.Tensor) and not list(embedding.children())
    return inner, weight, alone and _same_memory(other, weight)


def unwrapped(model: object) -> nn.Module:
    """The Hugging Face model within whatever wraps it; ArgumentError where there is none."""
    *_, inner = layers(model)
    if is_whole(inner):
        return inner
    raise ArgumentError(
        f"Unembedding.from_model: model must be a Hugging Face model, wrapped or not, and not {shown(model)}; of a name"
        " or a file Unembedding.load reads it, of a matrix geo.Unembedding(matrix, vocabulary)"
    )


def layers(model: object) -> Iterator[Any]:
    """A model, what it wraps, what that wraps, … down to the Hugging Face model, if there is one."""
    inner: Any = model
    for _ in range(_DEEPEST):
        yield inner
        if is_whole(inner):
            return
        found = (getattr(inner, name, None) for name in _INSIDE)
        inside = next((value for value in found if value is not None), None)
        inner = inside() if callable(inside) and not isinstance(inside, nn.Module) else inside
        if inner is None:
            return


def is_whole(model: object) -> TypeGuard[nn.Module]:
    """Whether it is a Hugging Face model itself."""
    # Wrappers hand on what they do not know, so that asking them for a method tells nothing.
    return isinstance(model, nn.Module) and callable(getattr(type(model), "get_output_embeddings", None))


def vocabulary_of(tokenizer: object, rows: int) -> Vocabulary:
    """The vocabulary of a tokenizer or a processor, of which tokens added beyond so many rows are not textual."""
    if isinstance(tokenizer, Vocabulary):
        return tokenizer
    known: Any = getattr(tokenizer, "tokenizer", None) or tokenizer
    ids = known.get_vocab() if callable(getattr(known, "get_vocab", None)) else None
    added = getattr(known, "added_tokens_decoder", None)
    if added is None and callable(getattr(known, "get_added_tokens_decoder", None)):
        added = known.get_added_tokens_decoder()
    if not isinstance(ids, dict) or not isinstance(added, dict):
        raise ArgumentError(
            "Unembedding.from_model: tokenizer must be the model's, a Hugging Face tokenizer or a geo.Vocabulary, not"
            f" {shown(tokenizer)}"
        )
    return Vocabulary(ids, [index for index, token in added.items() if token.special or index >= rows])


def provenance(model: nn.Module) -> tuple[str, str, str]:
    """(name, family, commit) as far as the configuration tells: a hub id or a folder, else the class."""
    config: Any = getattr(model, "config", None)
    source = str(getattr(config, "name_or_path", "") or "")
    commit = getattr(config, "_commit_hash", None)
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        commit = commit_of(Path(source)) if source else ""
    folder = Path(source)
    # A folder of single files, of which the model was one, does not tell which.
    telling = source and (not folder.is_dir() or (folder / "config.json").is_file())
    name = display_name(source) if telling else type(model).__name__
    return name, str(getattr(config, "model_type", "unknown")).removesuffix("_text"), commit


def _plain_weight(head: Any, this: str) -> torch.Tensor:
    """The head's matrix, if that is all there is to it."""
    kind, weight = type(head).__name__, getattr(head, "weight", None)
    beside = [name for name, _ in (*head.named_children(), *head.named_parameters(), *head.named_buffers())]
    if beside := sorted({name.split(".")[0] for name in beside} - {"weight", "bias"}):
        adapter = any(name.startswith(("lora_", "base_layer", "modules_to_save", "original_module")) for name in beside)
        remedy = (
            "merge the adapter first (merge_and_unload)"
            if adapter
            else "load the model without quantising or packing it"
        )
        raise ModelError(
            f"{this}: its head, a {kind}, is not plain numbers alone, as {', '.join(beside[:4])} belong to it; {remedy}"
        )
    if not isinstance(weight, torch.Tensor):
        raise ModelError(f"{this}: its head, a {kind}, has no weight; it needs a matrix of vocabulary x width")
    if weight.is_meta:
        raise ModelError(
            f"{this}: the numbers of its head are not here but offloaded or not loaded (a meta tensor); load the model"
            " without offloading, or read the head alone with Unembedding.load"
        )
    plain = type(weight) in (torch.Tensor, nn.Parameter) and type(weight.data) is torch.Tensor
    if not plain or not weight.is_floating_point() or weight.layout is not torch.strided or weight.element_size() < 2:
        raise ModelError(
            f"{this}: its head holds a {type(weight).__name__} of {weight.dtype}, which is quantised, packed or spread"
            " over processes; load the model in bf16, fp16 or fp32, or read the head alone with Unembedding.load"
        )
    return weight


def _check_last(model: nn.Module, head: nn.Module, embedding: object, this: str) -> None:
    """ModelError where layers of the head's own stand before its matrix, as in BERT: λ is what they put out."""
    # Of a tied model both names are one parameter.
    named = {name: tuple(parameter.shape) for name, parameter in model.named_parameters(remove_duplicate=False)}
    modules = model.named_modules(remove_duplicate=False)
    known = {name for name, module in modules if module is head or module is embedding}
    if others := [name for name in head_like(named, None) if name.rpartition(".")[0] not in known]:
        raise ModelError(
            f"{this}: its head is more than a matrix, as {listed(others)} belong to it, so that it has no plain"
            " unembedding; a causal language model like GPT-2, Llama or Gemma is needed"
        )


def _same_memory(one: Any, other: torch.Tensor) -> bool:
    if one.shape != other.shape or one.device != other.device or one.is_meta:
        return False
    return one.data_ptr() == other.data_ptr() and one.stride() == other.stride()
