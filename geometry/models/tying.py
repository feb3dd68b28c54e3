"""Which tensor of a checkpoint is the unembedding, and whether it is the input embedding: on evidence, or refused.

An absent head is not a tied one: it may be packed, renamed, wrapped by an adapter or in a file that is not there.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geometry.errors import ModelError, shown
from geometry.models.checkpoint import Side
from geometry.models.tensor_names import Tensors, companions, find_embedding, find_head, head_like, listed

_TEXT_CONFIGS = ("text_config", "llm_config", "language_config", "lm_config", "thinker_config")
_DEEPEST = 3
_LANGUAGE_MODEL = re.compile("LMHead|Causal|Conditional")
_OTHER_TASK = re.compile(
    "Classification|Classifier|QuestionAnswering|MultipleChoice|Reward|MaskedLM|Embedding|Scor(e|er|ing)|Rerank|Regress"
)
_ADAPTER = re.compile(r"(^|[._])(lora_|base_layer|modules_to_save|original_module|base_model\.model)")
# A layer before the head's matrix, as masked language models have it.
_BEFORE_HEAD = re.compile(r"[._](dense|transform|layer_?norm|norm|ln)\.", re.IGNORECASE)


@dataclass(frozen=True)
class Choice:
    """The tensor to read; `other` is that of the other side, and where both hold the same numbers they are tied."""

    name: str
    other: str | None
    tied: bool


def choose(tensors: Tensors, config: dict[str, Any], side: Side, path: Path, missing: str = "") -> Choice:
    """The tensor of that side.

    >>> choose({"lm_head.weight": None, "wte.weight": None}, {}, "output", Path("x"))
    Choice(name='lm_head.weight', other='wte.weight', tied=False)

    Parameters:
        tensors: every name in view, with its shape where that is known.
        missing: what of the model is not in view, for the message; empty if nothing is.

    ModelError: no such tensor, one that is quantised, packed or wrapped, or a head that is neither stored nor
    known to be tied.
    """
    _require_language_model(config, path)
    head, embedding = find_head(tensors, path), find_embedding(tensors, path)
    if head is None:
        choice = Choice(_tied_embedding(tensors, embedding, config, path, missing), None, tied=True)
    elif embedding is None:
        # Tying works both ways: a stored head alone serves as embedding too.
        tied = config.get("tie_word_embeddings") is True and not missing
        if side == "input" and not tied:
            raise ModelError(f"{path}: no input embedding among its tensors: {listed(tensors)}")
        choice = Choice(head, None, tied)
    elif not _of_one_part(head, embedding):
        raise ModelError(
            f"{path}: {head} and {embedding} are of different parts, so that it cannot be told which are the language"
            " model's; save the language model alone"
        )
    else:
        choice = Choice(head, embedding, tied=False) if side == "output" else Choice(embedding, head, tied=False)
    beside = companions(choice.name, tensors)
    if choice.name == embedding:
        # A norm of what was looked up is no part of the matrix.
        beside = [name for name in beside if "norm" not in name.lower()]
    if beside:
        raise ModelError(
            f"{path}: {choice.name} is not plain numbers alone, as {listed(beside)} belong to it; {_remedy(beside)}"
        )
    return choice


def declared_tied(config: dict[str, Any]) -> bool | None:
    """Whether the configuration ties the two matrices, as transformers understands it; None if it does not say.

    >>> declared_tied({"tie_word_embeddings": True}), declared_tied({})
    (True, None)
    """
    stated = config.get("tie_word_embeddings")
    nested = [part.get("tie_word_embeddings") for part in text_configs(config)]
    if stated is True or (stated is False and True not in nested):
        return bool(stated)
    model_type = config.get("model_type")
    if isinstance(model_type, str) and (default := _by_transformers(model_type, config)) is not None:
        return default
    return True if stated is None and True in nested else None


def text_configs(config: dict[str, Any], depth: int = _DEEPEST) -> list[dict[str, Any]]:
    """The configurations of language models within a configuration."""
    parts = [part for name in _TEXT_CONFIGS if depth and isinstance(part := config.get(name), dict)]
    return parts + [inner for part in parts for inner in text_configs(part, depth - 1)]


def _by_transformers(model_type: str, config: dict[str, Any]) -> bool | None:
    # Imported here: it takes half a second, and most configurations say it themselves.
    from transformers import CONFIG_MAPPING

    try:
        known: Any = CONFIG_MAPPING[model_type]
        tied = getattr(known.from_dict(_what_matters(config)), "tie_word_embeddings", None)
    except Exception:  # every class checks its own way
        return None
    return tied if isinstance(tied, bool) else None


def _has_plain_head(model_type: object) -> bool:
    """Whether the language model of that kind in transformers has a head that is one matrix, unlike BERT's."""
    from transformers import CONFIG_MAPPING
    from transformers.models.auto import modeling_auto

    if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
        return False
    kind: Any = CONFIG_MAPPING[model_type]
    mappings: list[Any] = [
        modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING,
        modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    ]
    known = next((mapping[kind] for mapping in mappings if kind in mapping), None)
    return find_head(getattr(known, "_tied_weights_keys", None) or (), model_type) is not None


def _what_matters(config: dict[str, Any], depth: int = _DEEPEST) -> dict[str, Any]:
    """Kinds and ties alone: of other numbers a class may make lists, as long as they say."""
    kept = {name: config[name] for name in ("model_type", "tie_word_embeddings") if name in config}
    parts = {name: part for name, part in config.items() if depth and isinstance(part, dict)}
    return kept | {name: _what_matters(part, depth - 1) for name, part in parts.items()}


def _require_language_model(config: dict[str, Any], path: Path) -> None:
    if other := [name for name in _architectures(config) if _OTHER_TASK.search(name)]:
        raise ModelError(f"{path}: a {other[0]} has no unembedding of its own; a causal language model is needed")


def _tied_embedding(tensors: Tensors, embedding: str | None, config: dict[str, Any], path: Path, missing: str) -> str:
    """The input embedding if all evidence says that it is the unembedding too, for want of a head."""
    found = f"its tensors: {listed(tensors)}"
    if other := head_like(tensors, embedding):
        raise ModelError(
            f"{path}: no plain unembedding (lm_head.weight or alike), but {listed(other)}; {_remedy(other)}"
        )
    if embedding is None:
        raise ModelError(
            f"{path}: no unembedding (lm_head.weight or alike) and no input embedding among {found}; a causal language"
            " model is needed"
        )
    if missing:
        raise ModelError(
            f"{path}: holds {embedding} but no unembedding (lm_head.weight or alike), and {missing}; it cannot be"
            " told whether the two are tied"
        )
    architectures = _architectures(config)
    if architectures and not any(_LANGUAGE_MODEL.search(name) for name in architectures):
        raise ModelError(f"{path}: no unembedding: a {architectures[0]} has none; a causal language model is needed")
    # Encoders tie theirs too, by way of a head that is more than a matrix.
    unsaid = not architectures and config.get("tie_word_embeddings") is not True and declared_tied(config)
    if unsaid and not _has_plain_head(config.get("model_type")):
        raise ModelError(
            f"{path}: no unembedding: its config.json names no architecture, and of the type"
            f" {shown(config.get('model_type'))} none with a plain one is known; a causal language model is needed"
        )
    if (tied := declared_tied(config)) is not True:
        said = "says that they are not tied" if tied is False else "does not say that they are tied"
        raise ModelError(
            f"{path}: holds {embedding} but no unembedding (lm_head.weight or alike), and the configuration {said};"
            f" {found}; a complete causal language model is needed, with tie_word_embeddings in its config.json"
        )
    return embedding


def _of_one_part(head: str, embedding: str) -> bool:
    """Whether the module that has the head has the embedding too, itself or deeper within."""
    owner = head.removesuffix(".weight").rpartition(".")[0]
    return not owner or embedding.startswith(f"{owner}.")


def _architectures(config: dict[str, Any]) -> list[str]:
    """Those of the model and of the language models within it."""
    parts = [config, *text_configs(config)]
    return [
        str(name) for part in parts if isinstance(part.get("architectures"), list) for name in part["architectures"]
    ]


def _remedy(names: list[str]) -> str:
    if any(_ADAPTER.search(name) for name in names):
        return "merge the adapter into the model first (merge_and_unload) and save that"
    if any(_BEFORE_HEAD.search(name) for name in names):
        return "what stands between the final norm and the unembedding is not read; name another model"
    if any(re.search("score|classif|reward|value|cls|v_head|qa_outputs", name) for name in names):
        return "a causal language model is needed, not a classifier or reward model"
    return "name a copy of the model whose unembedding is a plain, unquantised tensor (bf16, fp16 or fp32)"
