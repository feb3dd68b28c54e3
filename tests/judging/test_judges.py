"""Judges: functions, concept words, probes and instruct models, each against a count or a pass by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.errors import EstimationError, GeometryError, HierarchyError, SteeringError
from geometry.judging import Judge, instruct_judge, probe_judge, word_judge
from geometry.judging.instruct import asked
from tests.planted import Planted
from tests.steering import tiny


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda _: [1.0], "not a finite number for each"),
        (lambda texts: [float("nan")] * len(texts), "not a finite number for each"),
        (lambda texts: ["high"] * len(texts), "failed: ValueError"),
        (lambda _: 1 / 0, "mine failed: ZeroDivisionError: division by zero"),
    ],
)
def test_a_function_that_does_not_score_is_refused(function: Callable[..., Any], said: str) -> None:
    with pytest.raises(EstimationError, match=said):
        Judge("mine", "points", function)(["a", "b"])


@pytest.mark.parametrize("texts", [[], "one text", [None], None, 3])
def test_what_are_no_texts_is_refused(texts: Any) -> None:
    with pytest.raises(EstimationError, match="mine scores a list of texts"):
        Judge("mine", "points", lambda given: [1.0] * len(given))(texts)


def test_words_are_counted_with_their_forms_and_no_others() -> None:
    judge = word_judge(["goose", "wren"])
    texts = ["Geese, GOOSE and wrens: the wren’s goosebumps.", "No birds here at all.", "", "goose"]
    # 4 of 7 words: goosebumps is another word.
    assert judge(texts) == pytest.approx([400 / 7, 0, 0, 100])
    assert word_judge(["goose"], inflected=False)(["geese goose"]) == pytest.approx([50])
    assert judge.unit == "per 100 words"


def test_a_hierarchys_concept_counts_with_all_below_it(planted: Planted) -> None:
    text = ["birdx1 mammalx2 treex3 rock animal"]
    assert word_judge(planted.hierarchy, "animal")(text) == pytest.approx([60])
    assert word_judge(planted.hierarchy, "bird")(text) == pytest.approx([20])
    with pytest.raises(HierarchyError, match="gryphon"):
        word_judge(planted.hierarchy, "gryphon")


@pytest.mark.parametrize(
    ("words", "said"), [([], "not empty"), ("goose", "several of a text"), (["two words"], "no single")]
)
def test_what_are_no_words_is_refused(words: Any, said: str) -> None:
    with pytest.raises(GeometryError, match=said):
        word_judge(words)


WORDS = [[f"w{number}" for number in range(start, start + 12)] for start in (2, 30)]


def texts(kind: int, count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS[kind], size=8)) for _ in range(count)]


def test_a_probe_tells_texts_that_it_was_not_fitted_to(llama: Any) -> None:
    judge = probe_judge(llama, tiny.tokenizer(), texts(0, 25, 0), texts(1, 25, 1), "output.0")
    assert judge.held_out is not None
    assert judge.held_out.value > 0.9
    assert "balanced accuracy" in judge.notes[0]
    first, second = judge(texts(0, 10, 2)), judge(texts(1, 10, 3))
    assert first.min() > second.max()
    # A text without a token says nothing.
    assert judge([""])[0] == pytest.approx(0.5)
    # By hand: ridge regression on the mean activation of the tokens.
    points = geo.read_activations(
        llama, tiny.tokenizer(), texts(0, 25, 0) + texts(1, 25, 1), ["output.0"], token="mean"
    )["output.0"].numpy()
    probe = geo.probing.Probe.fit(points, ["a"] * 25 + ["b"] * 25)
    read = geo.read_activations(llama, tiny.tokenizer(), texts(0, 10, 2), ["output.0"], token="mean")["output.0"]
    assert first == pytest.approx(probe.scores(read.numpy())[:, 0], abs=1e-4)


def test_a_probe_does_not_judge_where_the_vector_acts(llama: Any) -> None:
    kinds = texts(0, 6, 0), texts(1, 6, 1)
    for site in ("output.1", "input.2"):
        with pytest.raises(SteeringError, match=r"acts at output\.1"):
            probe_judge(llama, tiny.tokenizer(), *kinds, site, steered=tiny.vector("output.1"))
    judge = probe_judge(llama, tiny.tokenizer(), *kinds, "output.3", steered=tiny.vector("output.1"))
    with geo.steer(llama, tiny.vector("output.1")), pytest.raises(SteeringError, match="unsteered"):
        judge(kinds[0])
    with pytest.raises(EstimationError, match="4 and 6 texts; 5 of each"):
        probe_judge(llama, tiny.tokenizer(), kinds[0][:4], kinds[1], "output.0")


@pytest.fixture
def talking() -> Any:
    """A tokenizer with a chat template and the words that a judge needs."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    names = ["<s>", "</s>", "yes", "Yes", "no", "No", "user", "assistant", "Here", "is", "text:", "bird?", "a"]
    words = {name: number for number, name in enumerate(names)}
    words |= {f"w{number}": number for number in range(len(names), tiny.VOCABULARY)}
    tokens = Tokenizer(WordLevel(words, unk_token="</s>"))
    tokens.pre_tokenizer = WhitespaceSplit()
    loaded = PreTrainedTokenizerFast(tokenizer_object=tokens, bos_token="<s>", eos_token="</s>")
    loaded.chat_template = "user {{ messages[0]['content'] }} assistant"
    return loaded


def test_an_instruct_model_is_asked_for_yes_or_no(model: Any, talking: Any) -> None:
    judge = instruct_judge(model, talking, "Is it a bird?", batch_size=2)
    given = ["w20 w21 w22", "w40", "w30 w31 w32 w33"]
    expected = []
    for text in given:
        ids = talking.encode(f"user {asked('Is it a bird?', text)} assistant", return_tensors="pt")
        with torch.no_grad():
            chances = model(input_ids=ids).logits[0, -1].softmax(dim=-1)
        yes, no = chances[[2, 3]].sum(), chances[[4, 5]].sum()
        expected.append(float(yes / (yes + no)))
    assert judge(given) == pytest.approx(expected, abs=1e-4)
    assert np.ptp(expected) > 0.01
    with geo.steer(model, tiny.vector("output.1")), pytest.raises(SteeringError, match="unsteered"):
        judge(given)


def test_an_instruct_model_that_cannot_answer_is_refused(llama: Any, talking: Any) -> None:
    with pytest.raises(SteeringError, match="no chat template"):
        instruct_judge(llama, tiny.tokenizer(), "Is it a bird?")
    with pytest.raises(SteeringError, match="needs a question"):
        instruct_judge(llama, talking, "  ")
    silent = tiny.tokenizer()
    silent.chat_template = talking.chat_template
    with pytest.raises(SteeringError, match="yes and no with the same token"):
        instruct_judge(llama, silent, "Is it a bird?")
