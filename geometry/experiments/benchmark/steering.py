"""Steered generation against unsteered, and against a plain hook that adds a tensor."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from geometry.experiments.benchmark.common import STEERING, Comparison, Work, cpu_seconds, in_turn
from geometry.steering import Architecture, Site, SteeringVector, generate, load_prompts, steer, steer_each

_TOKENS, _PROMPTS, _VECTORS = 16, 48, 6
ALONE, TOGETHER = 1, 8  # prompts in a batch
_PROMISED = {ALONE: 1.05, TOGETHER: 1.02}  # times an unsteered generation at most, at one block
UNSTEERED, _HOOK = "unsteered", "a bare hook"


@contextmanager
def bare_hooks(model: Any, blocks: Sequence[int], tensor: torch.Tensor) -> Iterator[None]:
    """Add a tensor to the outputs of blocks by forward hooks that do nothing else."""

    def hook(_: Any, __: Any, output: Any) -> Any:
        return (output[0] + tensor, *output[1:]) if isinstance(output, tuple) else output + tensor

    handles = [Architecture.of(model).blocks[block].register_forward_hook(hook) for block in blocks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def compare_steering(
    model: Any,
    tokenizer: Any,
    rounds: int,
    *,
    batches: Sequence[int] = (ALONE, TOGETHER),
    tokens: int = _TOKENS,
    promised: bool = True,
    clock: Callable[[Work], float] = cpu_seconds,
    unit: str = "CPU ms a token",
) -> list[Comparison]:
    """With vectors of zeros at one block and at all of them, in batches of several sizes."""
    prompts, blocks = load_prompts("neutral").beginnings, len(Architecture.of(model).blocks)
    weight = model.get_output_embeddings().weight
    zero = torch.zeros(model.config.get_text_config().hidden_size)
    middle, everywhere = Site("output", blocks // 2), [Site("output", block) for block in range(blocks)]
    one, every = SteeringVector({middle: zero}), SteeringVector(dict.fromkeys(everywhere, zero))
    relative = SteeringVector({replace(middle, relative=True): zero})
    added, comparisons = zero.to(weight), []
    for batch in batches:
        ways: dict[str, Callable[[], AbstractContextManager[Any]]] = {
            UNSTEERED: nullcontext,
            "one block": partial(steer, model, one, positions="all"),
            f"{_HOOK}, one block": partial(bare_hooks, model, [blocks // 2], added),
            "all blocks": partial(steer, model, every, positions="all"),
            f"{_HOOK}, all blocks": partial(bare_hooks, model, range(blocks), added),
        }
        if batch == TOGETHER:
            ways["one block, relative"] = partial(steer, model, relative, positions="all")
            ways["all blocks, prompt alone"] = partial(steer, model, every, positions="prompt")
        own = [prompts[index % len(prompts)] for index in range(batch)]
        length = max(len(one.token_ids) for (one,) in generate(model, tokenizer, own, max_new_tokens=tokens))

        def run(way: Callable[[], AbstractContextManager[Any]], own: Sequence[str] = own) -> None:
            with way():
                generate(model, tokenizer, own, max_new_tokens=tokens)

        times = in_turn([partial(run, way) for way in ways.values()], rounds, clock)
        took = {name: [1e3 * each / length for each in side] for name, side in zip(ways, times, strict=True)}
        for name in [name for name in ways if name != UNSTEERED and _HOOK not in name]:
            least = 1 / _PROMISED[batch] if promised and name == "one block" and batch in _PROMISED else None
            said = f"steered at {name}, batch of {batch}"
            comparisons.append(Comparison(STEERING, said, UNSTEERED, took[name], took[UNSTEERED], unit, least))
            if bare := took.get(f"{_HOOK}, {name}"):
                comparisons.append(Comparison(STEERING, said, _HOOK, took[name], bare, unit))
    return comparisons


def compare_batches(model: Any, tokenizer: Any) -> Comparison:
    """Every prompt under a vector of its own in one batch, against a batch a vector."""
    prompts, blocks = load_prompts("neutral").beginnings[:_PROMPTS], len(Architecture.of(model).blocks)
    width = model.config.get_text_config().hidden_size
    rows = torch.randn((_VECTORS, width), generator=torch.Generator().manual_seed(0))
    vectors = [SteeringVector({Site("output", blocks // 2): row}).relative(0.1) for row in rows]
    run = partial(generate, model, tokenizer, max_new_tokens=_TOKENS // 2)

    def together() -> None:
        with steer_each(model, [vectors[index % _VECTORS] for index in range(len(prompts))], positions="all"):
            run(prompts)

    def one_by_one() -> None:
        for index, vector in enumerate(vectors):
            with steer(model, vector, positions="all"):
                run(prompts[index::_VECTORS])

    said = f"{len(prompts)} prompts under {_VECTORS} vectors in one batch"
    ours, other = in_turn([together, one_by_one], 1)
    return Comparison(STEERING, said, "a batch a vector", ours, other)
