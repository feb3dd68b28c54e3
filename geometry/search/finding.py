"""Search for vectors without telling what they are to bring: those that change later activations most."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from geometry.arguments import checked
from geometry.errors import SteeringError
from geometry.progress import progress_bar
from geometry.randomness import generator
from geometry.search.found import FoundVectors
from geometry.search.measures import Measure, moved
from geometry.search.passage import Passage, check_sites, differentiable
from geometry.search.sphere import Ascent, SubspaceIteration, orthonormal
from geometry.steering import Site, SiteLike, SteeringVector, kl_divergence, load_prompts, next_token_laws
from geometry.steering.architecture import Architecture
from geometry.steering.hook_manager import HookManager
from geometry.steering.prompts import LanguageModel, Tokenizer

Array = NDArray[np.float64]
Method = Literal["ascent", "jacobian"]
Objective = Callable[[torch.Tensor], torch.Tensor]
_STEPS = {"ascent": 100, "jacobian": 20}
_SMALL = 0.01  # × residual norm: where a change is as good as linear
_NEUTRAL, _N_NEUTRAL = "encyclopedia", 4


@checked
def find_vectors(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    *,
    site: SiteLike,
    read_site: SiteLike,
    n_vectors: int = 8,
    n_steps: int | None = None,
    norm: float = 0.25,
    neutral: Sequence[str] | None = None,
    penalty: float = 0.5,
    measure: Measure = "change",
    method: Method = "ascent",
    n_random: int = 64,
    seed: int = 0,
    progress: bool | None = None,
) -> FoundVectors:
    """Find orthogonal vectors of one norm that change the residual stream at a later block most.

    Example::

        prompts = ["She opened the box and found a", "On the table there was a"]
        found = geo.search.find_vectors(model, tokenizer, prompts, site="output.7", read_site="output.22")
        print(found)
        with geo.steer(model, found[0]):
            geo.generate(model, tokenizer, prompts)

    Of `n_random` random vectors those with the largest objective are where the search starts. The objective is the mean
    over prompts of the measure, less `penalty` times its mean over neutral texts; all vectors climb it together, by
    Adam on the sphere of their norm, and are made orthogonal after every step. A vector is added at the last token of a
    text, as `geo.steer` does it, and read there.

    Parameters:
        prompts: n texts that vectors are searched on, four will do; others tell whether what is found holds beyond.
        site: where vectors are added, the input or output of a block.
        read_site: at least a block later.
        n_steps: of the search; 0 gives the filtered random vectors. Default 100, of "jacobian" 20.
        norm: × residual norm at the site. Twice as much may bring ten times the change, of another direction: compare
            several.
        neutral: texts that are to stay as they are; default, four packaged beginnings in the style of an encyclopedia;
            an empty list leaves them out.
        penalty: of the measure on neutral texts. "jacobian" takes no account of it.
        measure: "change", ‖Δ‖ / ‖h‖ at the read site; or "direction", the distance of the steered and the unsteered
            stream as unit vectors, at most 2 however large the change.
        method: "ascent"; or "jacobian", the leading right singular vectors of the Jacobian from site to read site, by
            power iteration: the linear rival, of the sign that brings the larger objective.
        n_random: random vectors, of which the search starts and beside which its result stands.

    Returns FoundVectors.
    Raises SteeringError: no prompts, an empty one, a site that the model lacks, no block between both sites, more
        vectors than dimensions or than random ones, a norm or a penalty that is none, a vector at work in the model,
        weights that allow no gradients.
    Source: after Mack and Turner, "Mechanistically Eliciting Latent Behaviors in Language Models" (2024), whose
        (Σ_t ‖Δ_t‖^p)^(1/q) over target tokens t is ‖Δ‖ for one token and p = q; there a vector is added at every token,
        and vectors are found one after the other.
    """
    architecture = Architecture.of(model)
    place, read = Site.parse(site), Site.parse(read_site)
    check_sites(architecture, place, read)
    texts = load_prompts(_NEUTRAL).beginnings[:_N_NEUTRAL] if neutral is None else tuple(neutral)
    steps = _STEPS[method] if n_steps is None else n_steps
    _check(architecture, prompts, n_vectors, steps, norm, penalty, n_random)
    if HookManager.at_work(model):
        raise SteeringError("vectors are searched in the model as it is; remove those at work in it first")
    with differentiable(model):
        passage = Passage(model, tokenizer, [*prompts, *texts], place, read)
        drawn = generator(seed, "search").standard_normal((n_random, architecture.width))
        bank = torch.from_numpy(drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).to(passage.unsteered.device)

        def measured(directions: torch.Tensor) -> torch.Tensor:
            return moved(passage.steered(norm * directions.to(passage.dtype)), passage.unsteered, measure)

        def objective(change: torch.Tensor) -> torch.Tensor:
            own, other = change[:, : len(prompts)].mean(dim=1), change[:, len(prompts) :]
            return own - penalty * other.mean(dim=1) if len(texts) else own

        with torch.no_grad():
            random = measured(bank)
        start = bank[torch.argsort(-objective(random), stable=True)[:n_vectors]]
        if method == "ascent":
            directions, history = _climb(start, steps, lambda rows: objective(measured(rows)), progress)
        else:
            linear = partial(_energy, passage, len(prompts))
            directions, history = _linear(start, steps, lambda rows: objective(measured(rows)), linear, progress)
        with torch.no_grad():
            # What steering keeps of them.
            unit = directions.float().double()
            change = measured(unit)
        order = torch.argsort(-objective(change), stable=True)
    if not bool(change.isfinite().all()):
        raise SteeringError(f"the residual stream at {read} is not finite under vectors of {norm:g} × residual norm")
    relative = replace(place, relative=True)
    vectors = tuple(
        SteeringVector(
            {relative: norm * directions[index].cpu()},
            f"vector {rank + 1} of {n_vectors} searched at {place} for its change at {read} ({method}, seed {seed})",
            architecture.family,
        )
        for rank, index in enumerate(order.tolist())
    )
    own, other = np.split(change[order].double().cpu().numpy(), [len(prompts)], axis=1)
    random_own, random_other = np.split(random.double().cpu().numpy(), [len(prompts)], axis=1)
    return FoundVectors(
        vectors, method if steps else "filtered random", place, read, norm, measure, penalty, history, own, other,
        _kl(model, tokenizer, vectors, texts), random_own, random_other, tuple(prompts), texts, seed,
    )  # fmt: skip


def _climb(start: torch.Tensor, steps: int, objective: Objective, progress: bool | None) -> tuple[torch.Tensor, Array]:
    """Directions up the objective, and its values, shape (steps + 1, k)."""
    ascent, history = Ascent(start, max(steps, 1)), []
    shown_as: Any = {"total": steps, "desc": "searching vectors", "progress": progress}
    with progress_bar(**shown_as) as bar:
        for _ in range(steps):
            rows = ascent.directions.clone().requires_grad_()
            values = objective(rows)
            history.append(values.detach())
            (gradient,) = torch.autograd.grad(values.sum(), rows)
            _check_finite(gradient)
            ascent.step(gradient)
            bar.update()
    with torch.no_grad():
        history.append(objective(ascent.directions))
    return ascent.directions, torch.stack(history).double().cpu().numpy()


def _linear(
    start: torch.Tensor, steps: int, objective: Objective, energy: Objective, progress: bool | None
) -> tuple[torch.Tensor, Array]:
    """Eigenvectors of the Hessian of a quadratic form, and their objective."""
    iteration, history = SubspaceIteration(start), []
    shown_as: Any = {"total": steps, "desc": "iterating singular vectors", "progress": progress}
    with progress_bar(**shown_as) as bar:
        for _ in range(steps):
            rows = iteration.directions.clone().requires_grad_()
            with torch.no_grad():
                history.append(objective(rows))
            (products,) = torch.autograd.grad(energy(rows), rows)
            _check_finite(products)
            iteration.step(products)
            bar.update()
    with torch.no_grad():
        up, down = (objective(sign * iteration.directions) for sign in (1.0, -1.0))
    history.append(torch.maximum(up, down))
    signs = torch.where(up >= down, 1.0, -1.0).to(iteration.directions)
    return orthonormal(signs[:, None] * iteration.directions), torch.stack(history).double().cpu().numpy()


def _energy(passage: Passage, n_prompts: int, rows: torch.Tensor) -> torch.Tensor:
    """½ Σ ‖J w‖² over prompts, of relative changes: its gradient is JᵀJ w."""
    lengths = torch.linalg.vector_norm(passage.unsteered, dim=1, keepdim=True)
    change = (passage.steered(_SMALL * rows.to(passage.dtype)) - passage.unsteered) / lengths / _SMALL
    return change[:, :n_prompts].square().sum() / 2


def _check_finite(gradient: torch.Tensor) -> None:
    if not bool(gradient.isfinite().all()):
        raise SteeringError("the change at the read site has no finite gradient; load the model in float32")


def _check(
    architecture: Architecture, prompts: Sequence[str], n_vectors: int, steps: int, norm: float, penalty: float,
    n_random: int,
) -> None:  # fmt: skip
    if not prompts:
        raise SteeringError("there are no prompts to search on; give beginnings of sentences such as 'I saw a'")
    if not 1 <= n_vectors <= architecture.width:
        raise SteeringError(
            f"n_vectors: from 1 to the {architecture.width} dimensions of the residual stream, not {n_vectors}"
        )
    if n_random < n_vectors:
        raise SteeringError(
            f"n_random: the {n_vectors} vectors start from as many random ones at least, not {n_random}"
        )
    if steps < 0:
        raise SteeringError(f"n_steps: at least 0, not {steps}")
    if not (norm > 0 and math.isfinite(norm)):
        raise SteeringError(f"norm: a positive multiple of the residual norm, not {norm}")
    if not (penalty >= 0 and math.isfinite(penalty)):
        raise SteeringError(f"penalty: a number of at least 0, not {penalty}")


def _kl(model: LanguageModel, tokenizer: Tokenizer, vectors: Sequence[SteeringVector], texts: Sequence[str]) -> Array:
    """KL(steered ‖ unsteered) in nats after every text, shape (k, m)."""
    if not texts:
        return np.empty((len(vectors), 0))
    every = [None, *vectors]
    laws = next_token_laws(
        model, tokenizer, [text for _ in every for text in texts], [each for each in every for _ in texts],
        positions="last",
    )  # fmt: skip
    unsteered, *steered = torch.split(laws, len(texts))
    return np.stack([kl_divergence(law, unsteered) for law in steered])
