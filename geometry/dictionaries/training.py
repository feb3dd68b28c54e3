"""train_dictionary: a TopK autoencoder on cached activations, the same bits each time, and on from where it stopped."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from geometry.arguments import checked
from geometry.dictionaries.feature_dictionary import FeatureDictionary
from geometry.dictionaries.quality import Quality, measure
from geometry.dictionaries.topk_step import TopKState, take_step
from geometry.dictionaries.training_file import fingerprint, read_checkpoint, write_checkpoint
from geometry.display import short_repr
from geometry.errors import EstimationError
from geometry.progress import progress_bar
from geometry.randomness import generator
from geometry.steering.vector import Site, SiteLike

_SAMPLE = 10_000  # rows that say where activations lie and how long they are
_MOST_HELD_OUT = 10_000
_WARM_UP, _DECAY = 0.05, 0.2  # of the steps


@dataclass(frozen=True, eq=False)
class Training:
    """A dictionary and how it came about.

    Attributes:
        dictionary: in units of the activations, decoder rows of norm 1.
        unexplained: of each step the share of its batch's variance that was not explained, shape (steps,).
        held_out: explained variance and L0 on rows that were not trained on.
        dead_share: of features that were active for no row of the last epoch.
        settings: of the training, for the record.
    """

    dictionary: FeatureDictionary
    unexplained: NDArray[np.float32]
    held_out: Quality
    dead_share: float
    settings: dict[str, Any]

    __repr__ = short_repr


@checked(activations=object)
def train_dictionary(
    activations: ArrayLike | torch.Tensor | str | Path,
    n_features: int,
    k: int,
    *,
    epochs: int = 3,
    batch: int = 512,
    learning_rate: float | None = None,
    auxiliary: float = 1 / 32,
    dead_after: int = 20_000,
    held_out: float = 0.02,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    every: int = 200,
    site: SiteLike | None = None,
    model: str = "",
    progress: bool | None = None,
) -> Training:
    """A sparse autoencoder of the activations' own, small and by the book: TopK, tied at first, Adam.

    Example::

        rows = geo.read_activations(model, tokenizer, texts, sites=["output.15"])["output.15"]
        training = train_dictionary(rows, 2304, 32, site="output.15", checkpoint="sae.safetensors")
        training.held_out.explained_variance, training.dead_share
        save_dictionary(training.dictionary, "sae")

    Decoder rows have norm 1 throughout; the encoder begins as their transpose. Dead features are given a loss of their
    own: to give back what the living ones leave (AuxK). The learning rate rises over the first 5% of the steps and
    falls to 0 over the last 20%. The same seed, settings and machine give the same bits, interrupted or not.

    Parameters:
        activations: shape (n, d), float16 to float64: a tensor, an array, also one mapped into memory, or a `.npy`
            file, which is mapped.
        n_features, k: f, and how many of them are active in a row.
        epochs: times that every row is seen, in another order each.
        batch: rows a step.
        learning_rate: default, 2e-4 √(16384 / f) as of Gao et al., but at least 1e-3, since small runs have few steps.
        auxiliary: weight of the loss of dead features; 0 leaves them dead.
        dead_after: rows for which a feature was not active until it counts as dead.
        held_out: share of the rows that are not trained on, at most 10,000 rows.
        checkpoint: a file that is replaced `every` so many steps and at the end; if it is there already, training goes
            on from it.
        site, model: where the rows were read, for the dictionary.

    Raises EstimationError: too few rows, rows with NaN or infinity or all at one point, numbers out of range, a
        checkpoint of another training.
    Source: Gao et al., arXiv 2406.04093.
    """
    rows = _rows(activations)
    settings: dict[str, Any] = {
        "n_features": n_features,
        "k": k,
        "epochs": epochs,
        "batch": batch,
        "auxiliary": auxiliary,
    }
    settings |= {"dead_after": dead_after, "held_out": held_out, "seed": seed, "shape": list(rows.shape)}
    default = max(1e-3, 2e-4 * math.sqrt(16384 / max(n_features, 1)))
    settings["learning_rate"] = default if learning_rate is None else learning_rate
    _check(rows, settings, every)
    place = None if site is None else Site.parse(site)
    left_out, trained = _divided(len(rows), held_out, seed)
    sample = _taken(rows, np.sort(generator(seed, "sample").permutation(trained)[:_SAMPLE]))
    mean = sample.double().mean(dim=0).float()
    length = float((sample - mean).norm(dim=1).double().mean())
    if not length > 0:
        raise EstimationError("the activations all lie at one point; there is nothing to learn")
    scale = math.sqrt(rows.shape[1]) / length
    settings["rows"] = fingerprint(sample)
    torch_generator = torch.Generator().manual_seed(int(generator(seed, "beginning").integers(2**62)))
    state = TopKState.beginning(rows.shape[1], n_features, mean * scale, torch_generator)
    steps = n_steps(len(rows), epochs, batch, held_out)
    unexplained = torch.zeros(steps)
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None and (found := read_checkpoint(path, settings)) is not None:
        tensors, step = found
        unexplained = tensors.pop("unexplained")
        state = TopKState.of({name: tensor for name, tensor in tensors.items() if "." not in name})
        state.restore(tensors, step)
    started = state.step
    bar: Any
    with progress_bar(None, "training", progress=progress, total=steps, initial=started) as bar:
        for indices in _batches(trained, epochs, batch, seed, started):
            rate = settings["learning_rate"] * _share_of_rate(state.step, steps)
            x = _taken(rows, indices) * scale
            share = take_step(state, x, k, rate=rate, dead_after=dead_after, auxiliary=auxiliary)
            unexplained[state.step - 1] = share
            bar.update()
            if path is not None and (state.step % every == 0 or state.step == steps):
                write_checkpoint(path, settings, state.step, state.tensors() | {"unexplained": unexplained})
    if not bool(unexplained.isfinite().all()):
        raise EstimationError("training diverged; give a smaller learning_rate")
    dictionary = _finished(state, scale, k, place, model)
    quality = measure(dictionary, _taken(rows, left_out))
    dead = float((state.quiet >= len(trained)).double().mean())
    return Training(dictionary, unexplained.numpy(), quality, dead, settings)


def _rows(activations: Any) -> Any:
    """The activations as something with rows to take; EstimationError for what is none."""
    if isinstance(activations, str | Path):
        try:
            activations = np.load(activations, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise EstimationError(f"{activations}: not a readable .npy file: {error}") from error
    rows = activations if isinstance(activations, torch.Tensor | np.ndarray) else np.asarray(activations)
    floating = rows.is_floating_point() if isinstance(rows, torch.Tensor) else getattr(rows.dtype, "kind", "") == "f"
    if getattr(rows, "ndim", 0) != 2 or not floating:
        raise EstimationError("activations are floating-point numbers of shape (n, d), a row for each token or phrase")
    return rows


def _check(rows: Any, settings: dict[str, Any], every: int) -> None:
    counts = [settings[name] for name in ("n_features", "k", "epochs", "batch", "dead_after")]
    if min(*counts, every) < 1:
        raise EstimationError("n_features, k, epochs, batch, dead_after and every are at least 1")
    if settings["k"] > settings["n_features"]:
        raise EstimationError(f"k is at most the number of features, {settings['n_features']}, not {settings['k']}")
    if not 0 < settings["held_out"] < 1 or settings["auxiliary"] < 0 or not 0 < settings["learning_rate"] < math.inf:
        raise EstimationError("held_out lies between 0 and 1, auxiliary is not negative, learning_rate is positive")
    if len(rows) < 20 or not rows.shape[1]:
        raise EstimationError(f"at least 20 activations are needed to learn from, not {tuple(rows.shape)}")


def n_steps(n: int, epochs: int, batch: int, held_out: float) -> int:
    """How many steps n rows take."""
    return epochs * math.ceil((n - _left_out(n, held_out)) / batch)


def _left_out(n: int, share: float) -> int:
    return min(max(2, round(share * n)), _MOST_HELD_OUT, n // 2)


def _divided(n: int, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the rows that are left out and of the others, each ascending."""
    order = generator(seed, "held out").permutation(n)
    count = _left_out(n, share)
    return np.sort(order[:count]), np.sort(order[count:])


def _batches(
    trained: NDArray[np.int64], epochs: int, batch: int, seed: int, skipped: int
) -> Iterator[NDArray[np.int64]]:
    """The rows of each step from number `skipped` on; ascending within a step, as files are read so."""
    a_epoch = math.ceil(len(trained) / batch)
    for epoch in range(skipped // a_epoch, epochs):
        order = generator(seed, "order", epoch).permutation(trained)
        for number in range(skipped - epoch * a_epoch if epoch == skipped // a_epoch else 0, a_epoch):
            yield np.sort(order[number * batch : (number + 1) * batch])


def _taken(rows: Any, indices: NDArray[np.int64]) -> Tensor:
    chosen = rows[torch.from_numpy(indices)] if isinstance(rows, torch.Tensor) else torch.from_numpy(rows[indices])
    taken: Tensor = chosen.detach().to("cpu", torch.float32)
    if not bool(taken.isfinite().all()):
        raise EstimationError("the activations hold NaN or infinity")
    return taken


def _share_of_rate(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / max(1.0, _WARM_UP * steps), (steps - step) / max(1.0, _DECAY * steps))


def _finished(state: TopKState, scale: float, k: int, site: Site | None, model: str) -> FeatureDictionary:
    """In units of the activations; decoder rows keep their norm of 1, and features are so much smaller."""
    parts: dict[str, Any] = {name: tensor.detach().clone() for name, tensor in state.parameters.items()}
    parts["encoder_bias"] /= scale
    parts["decoder_bias"] /= scale
    return FeatureDictionary(
        **parts, activation="topk", k=k, subtract_decoder_bias=True, site=site, model=model, source="trained here"
    )
