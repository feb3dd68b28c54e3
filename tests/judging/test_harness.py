"""Continuations under a vector: as by a pass of one's own; through lm-evaluation-harness too, where it is installed."""

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

import geometry as geo
from geometry.errors import SteeringError
from geometry.judging import harness_model
from geometry.judging.continuations import Continuations
from tests.steering import tiny
from tests.steering.test_condition import condition, scores_of

PAIRS = [([5, 9, 12, 7], [3, 4]), ([8, 2], [6]), ([30, 31, 32, 33, 34, 35], [36, 37, 38]), ([8, 2, 9], [11, 50])]
VECTOR = tiny.vector("output.1", size=4)
needs_lm_eval = pytest.mark.skipif(importlib.util.find_spec("lm_eval") is None, reason="needs lm-eval")


def by_hand(
    model: Any, context: list[int], continuation: list[int], places: list[int], vector: Any = VECTOR
) -> tuple[float, bool]:
    """Row by row without padding, the vector added by a hook of our own."""
    rows = vector["output.1"].reshape(-1, tiny.WIDTH)

    def add(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        result = output.clone()
        for index, place in enumerate(places):
            result[0, place] += rows[min(index, len(rows) - 1)]
        return result

    hook = tiny.blocks(model)[1].register_forward_hook(add)
    with torch.no_grad():
        chances = model(input_ids=torch.tensor([context + continuation])).logits[0].double().log_softmax(dim=-1)
    hook.remove()
    at = [len(context) - 1 + index for index in range(len(continuation))]
    total = sum(float(chances[place, token]) for place, token in zip(at, continuation, strict=True))
    return total, all(int(chances[place].argmax()) == token for place, token in zip(at, continuation, strict=True))


PLACES = {
    "all": lambda c, n: list(range(c + n)),
    "prompt": lambda c, _: list(range(c)),
    "generated": lambda c, n: list(range(c, c + n)),
    "last": lambda c, _: [c - 1],
    "first": lambda _, __: [0],
    "indices": lambda c, _: [0, c - 1],
}


@pytest.mark.parametrize("positions", PLACES)
def test_positions_count_in_the_context_alone(model: Any, positions: str) -> None:
    asked: Any = [0, -1] if positions == "indices" else positions
    found = Continuations(model, tiny.tokenizer(), VECTOR, asked, batch_size=3).log_likelihoods(PAIRS)
    for (context, continuation), (value, greedy) in zip(PAIRS, found, strict=True):
        expected = by_hand(model, context, continuation, PLACES[positions](len(context), len(continuation)))
        assert value == pytest.approx(expected[0], abs=2e-4)
        assert greedy == expected[1]
    unsteered = Continuations(model, tiny.tokenizer(), None).log_likelihoods(PAIRS)
    assert max(abs(one[0] - other[0]) for one, other in zip(found, unsteered, strict=True)) > 0.05


def test_rows_of_a_vector_go_to_the_contexts_tokens(llama: Any) -> None:
    rows = tiny.vector("output.1", rows=2)
    found = Continuations(llama, tiny.tokenizer(), rows, "last").log_likelihoods(PAIRS)
    for (context, continuation), (value, _) in zip(PAIRS, found, strict=True):
        places = [len(context) - 2, len(context) - 1]
        assert value == pytest.approx(by_hand(llama, context, continuation, places, rows)[0], abs=1e-5)
    with pytest.raises(SteeringError, match="in the order of the text"):
        Continuations(llama, tiny.tokenizer(), rows, [-1, 0]).log_likelihoods(PAIRS)


def test_a_condition_on_prompts_is_decided_on_the_context(llama: Any) -> None:
    scores = [float(scores_of(llama, "output.0", torch.tensor([context])).max()) for context, _ in PAIRS]
    threshold = sum(sorted(scores)[1:3]) / 2
    when = condition("output.0", threshold, scope="prompt")
    found = Continuations(llama, tiny.tokenizer(), VECTOR, "all", when).log_likelihoods(PAIRS)
    for (context, continuation), score, (value, _) in zip(PAIRS, scores, found, strict=True):
        places = list(range(len(context + continuation))) if score > threshold else []
        assert value == pytest.approx(by_hand(llama, context, continuation, places)[0], abs=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"positions": torch.ones(1, 2, dtype=torch.bool)}, "no mask of positions"),
        ({"batch_size": 0}, "at least one text"),
        ({"vector": None, "when": condition("output.0", 0.0)}, "there is none"),
        ({"vector": geo.SteeringVector({"output.1": torch.ones(8)})}, "is 8 wide"),
        ({"vector": geo.SteeringVector({"output.9": torch.ones(16)})}, "no block 9"),
    ],
)
def test_what_does_not_suit_is_refused_before_any_text(llama: Any, options: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"vector": VECTOR, "positions": None, **options}
    with pytest.raises(SteeringError, match=said):
        Continuations(llama, tiny.tokenizer(), **given)


def test_an_empty_context_is_refused(llama: Any) -> None:
    with pytest.raises(SteeringError, match="need a token each"):
        Continuations(llama, tiny.tokenizer(), VECTOR).log_likelihoods([([], [3])])


@pytest.mark.skipif(importlib.util.find_spec("lm_eval") is not None, reason="lm-eval is installed")
def test_without_the_harness_it_is_said_how_to_get_it(llama: Any) -> None:
    with pytest.raises(SteeringError, match="pip install lm-eval"):
        harness_model(llama, tiny.tokenizer(), VECTOR)


@needs_lm_eval
def test_the_harness_evaluates_the_steered_model(llama: Any, tmp_path: Path) -> None:
    import lm_eval
    from lm_eval.tasks import TaskManager

    documents = [
        {"question": tiny.text(tiny.tokens(5, seed=seed)), "choices": ["w3 w4", "w5", "w6 w7"], "answer": seed % 3}
        for seed in range(8)
    ]
    (tmp_path / "documents.json").write_text("\n".join(map(json.dumps, documents)))
    (tmp_path / "made_up.yaml").write_text(
        f"""task: made_up
dataset_path: json
dataset_kwargs: {{data_files: {{test: {tmp_path}/documents.json}}}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: answer
metric_list: [{{metric: acc}}]
"""
    )
    tasks = TaskManager(include_path=str(tmp_path), include_defaults=False)
    scored = {}
    for name, vector in {"unsteered": None, "steered": VECTOR}.items():
        lm = harness_model(llama, tiny.tokenizer(), vector, positions="all")
        results = lm_eval.simple_evaluate(
            lm, tasks=["made_up"], task_manager=tasks, bootstrap_iters=0, log_samples=True
        )
        scored[name] = results["samples"]["made_up"]
    for name, samples in scored.items():
        right = []
        for sample in samples:
            context = tiny.tokenizer().encode(sample["doc"]["question"])
            values = []
            for choice in sample["doc"]["choices"]:
                continuation = tiny.tokenizer().encode(choice)
                places = list(range(len(context + continuation))) if name == "steered" else []
                values.append(by_hand(llama, context, continuation, places)[0])
            found = [
                float(each[0][0]) if isinstance(each[0], tuple | list) else float(each[0]) for each in sample["resps"]
            ]
            assert found == pytest.approx(values, abs=1e-5)
            right.append(values.index(max(values)) == sample["doc"]["answer"])
        assert [sample["acc"] for sample in samples] == right
    assert scored["steered"] != scored["unsteered"]


@needs_lm_eval
def test_the_harness_gets_whole_texts_and_generations(llama: Any) -> None:
    from lm_eval.api.instance import Instance

    lm = harness_model(llama, tiny.tokenizer(), VECTOR, positions="all")
    document = tiny.text(tiny.tokens(9))
    ids = [0, *tiny.tokenizer().encode(document)]
    (value,) = lm.loglikelihood_rolling([Instance("loglikelihood_rolling", {}, (document,), 0)])
    assert value == pytest.approx(by_hand(llama, ids[:1], ids[1:], list(range(len(ids))))[0], abs=1e-5)
    with geo.steer(llama, VECTOR, positions="all"):
        ((expected,),) = geo.generate(llama, tiny.tokenizer(), [document], max_new_tokens=6)
    stop = expected.text.split()[3]
    request = Instance("generate_until", {}, (document, {"until": [stop], "max_gen_toks": 6, "do_sample": False}), 0)
    assert lm.generate_until([request]) == [expected.text.split(stop)[0]]
    refused = Instance("generate_until", {}, (document, {"until": [], "num_beams": 4}), 0)
    with pytest.raises(SteeringError, match="num_beams"):
        lm.generate_until([refused])
    assert math.isfinite(value)
