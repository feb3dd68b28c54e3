"""text_dictionary: a sparse autoencoder of a model's own, from texts to features, kept, resumed after a stop."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from geometry.arguments import checked
from geometry.cache import Entry, Key
from geometry.concepts.glosses import load_glosses
from geometry.dictionaries.feature_dictionary import FeatureDictionary
from geometry.dictionaries.quality import Quality
from geometry.dictionaries.token_activations import NOBODY, read_tokens, token_rows
from geometry.dictionaries.training import Training, n_steps, train_dictionary
from geometry.errors import EstimationError
from geometry.models import cache_folder
from geometry.steering.activation_cache import activations_file
from geometry.steering.architecture import Architecture
from geometry.steering.prompts import Tokenizer
from geometry.steering.vector import Site, SiteLike

KIND = "dictionaries"
EVERY = 200  # steps between two checkpoints
_BATCH, _HELD_OUT = 512, 0.02
_TENSORS = ("encoder", "decoder", "encoder_bias", "decoder_bias")
GLOSSES = "trained on WordNet's glosses and examples: dictionary style"


@checked
def text_dictionary(
    model: nn.Module,
    tokenizer: Tokenizer,
    site: SiteLike | None = None,
    *,
    texts: Sequence[str] | None = None,
    n_tokens: int = 300_000,
    n_features: int = 2304,
    k: int = 32,
    epochs: int = 3,
    seed: int = 0,
    name: str = "",
    cache: bool = True,
    kept_only: bool = False,
    progress: bool | None = None,
) -> Training:
    """Read a model on texts and train a TopK autoencoder there; what was read and trained is kept for the next time.

    Example::

        training = text_dictionary(model, tokenizer, name="smollm2-135m")
        training.held_out.explained_variance, training.dead_share
        save_dictionary(training.dictionary, "sae")

    Killed at any moment it goes on from the last 16,384 tokens read or the last 200 steps, to the same bits. With
    defaults SmolLM2-135M takes about seven minutes of one core, of which reading is six.

    Parameters:
        site: default, the output of the middle block.
        texts: default, WordNet's glosses with their examples in an order of `seed`: what is found is of that style.
        n_tokens: of `read_tokens`.
        n_features, k, epochs: of `train_dictionary`.
        name: of the model, for the dictionary; default, as its configuration has it.
        cache: False keeps nothing. A model that is steered, offloaded, sharded or quantised is read anew each time.
        kept_only: nothing is trained: a dictionary that is not kept is refused.

    Raises SteeringError: as of `read_tokens`. EstimationError: as of `train_dictionary`; with `kept_only`, no
        dictionary of these settings.
    """
    architecture = Architecture.of(model)
    place = architecture.middle if site is None else Site.parse(site)
    chosen = load_glosses(seed=seed) if texts is None else texts
    if min(n_tokens, n_features, k, epochs) < 1 or k > n_features:
        raise EstimationError(
            "n_tokens, n_features, k and epochs are at least 1, and k is at most n_features; not"
            f" {n_tokens}, {n_features}, {k}, {epochs}"
        )
    settings: dict[str, Any] = {"n_features": n_features, "k": k, "epochs": epochs, "seed": seed}
    settings |= {"batch": _BATCH, "held_out": _HELD_OUT}
    named = name or _name(architecture)
    notes = (GLOSSES,) if texts is None else ()
    entry, unfinished = _files(model, tokenizer, chosen, place, n_tokens, settings) if cache else (None, None)
    steps = n_steps(n_tokens, epochs, _BATCH, _HELD_OUT)
    layout = {name: (shape, np.float32) for name, shape in _shapes(architecture.width, n_features, steps).items()}
    kept = None if entry is None else entry.read(layout)
    if kept is None and kept_only:
        raise EstimationError(
            "no dictionary of these settings is kept; concept-geometry run dictionaries MODEL trains it"
        )
    if kept is None:
        read = read_tokens(model, tokenizer, chosen, place, n_tokens=n_tokens, cache=cache, progress=progress)
        kept = _arrays(_trained(read.rows, unfinished, settings | {"every": EVERY, "progress": progress}), steps)
        if entry is not None:
            entry.write(kept)
        if unfinished is not None:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
    return _restored(kept, settings | {"n_tokens": n_tokens}, place, named, notes)


def _files(
    model: nn.Module, tokenizer: Tokenizer, texts: Sequence[str], site: Site, n_tokens: int, settings: dict[str, Any]
) -> tuple[Entry | None, Path | None]:
    """Where the finished training is kept, and the unfinished one; None where neither is."""
    base = activations_file(None, model, NOBODY, [site], "tokens")
    if base is None:
        return None, None
    rows = token_rows(model, tokenizer, texts, n_tokens=n_tokens)
    key = Key(KIND)
    key.add(base.path.name, rows.ids, rows.skipped, settings)
    key.add_code(*(f"geometry.dictionaries.{name}" for name in ("token_activations", "training", "topk_step")))
    entry = Entry.within(cache_folder(), key)
    key.add("unfinished")
    unfinished = Entry.within(cache_folder(), key).path
    with suppress(OSError):
        unfinished.parent.mkdir(parents=True, exist_ok=True)
    return entry, unfinished if os.access(unfinished.parent, os.W_OK) else None


def _trained(rows: torch.Tensor, checkpoint: Path | None, settings: dict[str, Any]) -> Training:
    there = checkpoint is not None and checkpoint.exists()
    try:
        return train_dictionary(rows, checkpoint=checkpoint, **settings)
    except EstimationError:
        if checkpoint is None or not there:
            raise
    # It is of this training by its name, and so damaged: what can be computed again is never in the way.
    checkpoint.unlink(missing_ok=True)
    return train_dictionary(rows, checkpoint=checkpoint, **settings)


def _shapes(width: int, n_features: int, steps: int) -> dict[str, tuple[int, ...]]:
    weights = {"encoder": (width, n_features), "decoder": (n_features, width)}
    biases = {"encoder_bias": (n_features,), "decoder_bias": (width,)}
    return {**weights, **biases, "rates": (n_features,), "numbers": (9,), "unexplained": (steps,)}


def _arrays(training: Training, steps: int) -> dict[str, NDArray[Any]]:
    """All of it as arrays, in the order of `_shapes`; of massive tokens there were no steps."""
    quality = training.held_out
    numbers = [quality.n, quality.explained_variance, *quality.explained_variance_interval, quality.l0]
    numbers += [*quality.l0_interval, training.dead_share, len(training.unexplained)]
    weights = {name: getattr(training.dictionary, name).numpy() for name in _TENSORS}
    unexplained = np.zeros(steps)
    unexplained[: len(training.unexplained)] = training.unexplained
    rest = {"rates": quality.rates, "numbers": np.array(numbers), "unexplained": unexplained}
    return {name: np.asarray(array, dtype=np.float32) for name, array in (weights | rest).items()}


def _restored(
    kept: dict[str, NDArray[Any]], settings: dict[str, Any], site: Site, model: str, notes: tuple[str, ...]
) -> Training:
    n, explained, explained_low, explained_high, l0, l0_low, l0_high, dead, steps = kept["numbers"].tolist()
    weights = {name: torch.from_numpy(kept[name]) for name in _TENSORS}
    dictionary = FeatureDictionary(
        weights["encoder"], weights["decoder"], weights["encoder_bias"], weights["decoder_bias"], activation="topk",
        k=settings["k"], subtract_decoder_bias=True, site=site, model=model, source="trained here", notes=notes,
    )  # fmt: skip
    rates = kept["rates"].astype(np.float64)
    quality = Quality(int(n), explained, (explained_low, explained_high), l0, (l0_low, l0_high), rates)
    return Training(dictionary, kept["unexplained"][: int(steps)], quality, dead, settings)


def _name(architecture: Architecture) -> str:
    """The model's own; of a file on this machine it is none."""
    config: Any = architecture.model.config
    source = str(getattr(config, "_name_or_path", "") or "")
    return "" if Path(source).is_absolute() or Path(source).exists() else source
