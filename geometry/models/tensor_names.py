"""What checkpoints call the two token matrices, and what in them looks like a head of another name or form."""

import re
from collections.abc import Iterable, Mapping

from geometry.errors import ModelError, shown

# Tensor name → shape, or None where only the name is known.
Tensors = Mapping[str, tuple[int, ...] | None]

# Names without the prefix that a wrapping model adds; the later ones count only where none of the earlier is there.
HEADS = (
    "lm_head", "embed_out", "output_projection", "output_layer", "ff_out", "lm_loss", "proj_out", "unembed",
)  # fmt: skip
VAGUE_HEADS = ("head", "output")
EMBEDDINGS = (
    "embed_tokens", "wte", "embed_in", "word_embeddings", "word_embedding", "tok_embeddings", "tokens_embed",
)  # fmt: skip
VAGUE_EMBEDDINGS = ("embeddings", "embedding", "embed", "input_embedding", "emb", "transformer.w", "w")

# Parts of a model that have token matrices or heads of their own, which are not the language model's.
_OTHER_PARTS = re.compile(
    r".*(vision|visual|image|audio|speech|vqmodel|projector|connector|encoder|talker|codec|2wav|medusa|eagle).*"
    r"|mtp.*|nextn.*|draft.*|hc_head|depth_decoder|qformer|resampler|perceiver|gen(eration)?_.*",
    re.IGNORECASE,
)
# Modules that turn hidden states into logits, scores or classes.
_HEAD_LIKE = re.compile(
    r"(\w+_)?heads?|embed_out|output|outputs|output_(layer|projection|proj|embeddings?)|(\w+_)?proj_out|ff_out|lm_loss"
    r"|linear|un_?embed(ding|dings)?|(\w+_)?logits(_\w+)?|scores?|scorer|(\w+_)?classifier|cls|pred_layer"
    r"|(\w+_)?predictions|qa_outputs|to_logits|vocab_proj\w*",
    re.IGNORECASE,
)
# What any of these has in its name: most tensors of a large model have not.
_HINT = re.compile(r"head|out|proj|loss|linear|embed|logits|scor|classif|cls|pred", re.IGNORECASE)
_EMBEDDING_LIKE = re.compile(r"embed|wte|wpe|position|token_type", re.IGNORECASE)
_MOST_LISTED = 8


def find_head(names: Iterable[str], path: object) -> str | None:
    """The stored unembedding by its name, None if there is none; ModelError where several could be it."""
    return _find(names, (HEADS, VAGUE_HEADS), "an unembedding", path)


def find_embedding(names: Iterable[str], path: object) -> str | None:
    """The stored input embedding by its name, None if there is none; ModelError where several could be it."""
    return _find(names, (EMBEDDINGS, VAGUE_EMBEDDINGS), "an input embedding", path)


def companions(name: str, names: Iterable[str]) -> list[str]:
    """What else is stored in the module of a weight: scales of a quantised one, an adapter, layers before it."""
    module = name.removesuffix("weight")
    return sorted(other for other in names if other.startswith(module) and other not in (name, f"{module}bias"))


def head_like(tensors: Tensors, embedding: str | None) -> list[str]:
    """What may be the head in another form or by another name, or that of another task."""
    shape = tensors.get(embedding) if embedding is not None else None
    return sorted(name for name in tensors if name != embedding and _is_head_like(name, tensors[name], shape))


def listed(names: Iterable[str]) -> str:
    """The tensors outside the layers, or the first of all, for a message."""
    names = sorted(names)
    outside = [name for name in names if not _layered(name)] or names
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(shown(name)[1:-1] for name in outside[:_MOST_LISTED]) + more if names else "none"


def _is_head_like(name: str, shape: tuple[int, ...] | None, embedding: tuple[int, ...] | None) -> bool:
    # Of what has no telling name, the shape tells; layers hold matrices of many shapes.
    fits = shape is not None and embedding is not None and shape in (embedding, embedding[::-1])
    if not fits and not _HINT.search(name):
        return False
    modules = name.split(".")
    # A bias may stand beside a weight that is tied.
    if name.endswith("bias") or any(_OTHER_PARTS.fullmatch(module) for module in modules):
        return False
    first_number = next((place for place, module in enumerate(modules) if module.isdecimal()), len(modules))
    if any(_HEAD_LIKE.fullmatch(module) for module in modules[:first_number]):
        return True
    if first_number < len(modules):
        return fits and any(_HEAD_LIKE.fullmatch(module) for module in modules[first_number:-1])
    return fits and not _EMBEDDING_LIKE.search(name)


def _layered(name: str) -> bool:
    return any(module.isdecimal() for module in name.split("."))


def _find(names: Iterable[str], tiers: tuple[tuple[str, ...], ...], kind: str, path: object) -> str | None:
    own = [
        name
        for name in names
        if name.endswith(".weight")
        and not _layered(name)
        and not any(_OTHER_PARTS.fullmatch(module) for module in name.split("."))
    ]
    for tier in tiers:
        found = [name for name in own if any(f".{name}".endswith(f".{ending}.weight") for ending in tier)]
        if len(found) > 1:
            raise ModelError(
                f"{path}: {len(found)} tensors could be {kind} ({listed(found)}); save the language model alone, with"
                " one of each"
            )
        if found:
            return found[0]
    return None
