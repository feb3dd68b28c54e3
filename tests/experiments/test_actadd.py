"""The study of activation addition on a small random GPT-2: its numbers against sums by hand, and what it refuses."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geometry.cli import main
from geometry.errors import GeometryError
from geometry.experiments import ActAddStudy
from geometry.experiments.actadd import measure
from geometry.experiments.actadd.generations import word_counts
from geometry.experiments.actadd.result import ActAddResult
from geometry.experiments.actadd.setup import prepare
from geometry.experiments.actadd.texts import Texts
from geometry.experiments.actadd.topics import load_texts, load_topic
from geometry.experiments.session import Session
from geometry.experiments.study import Step
from geometry.models.placement import Placement
from geometry.steering import load_prompts
from tests.experiments.actadd_models import BLOCK, COEFFICIENT, DEPTH, SMALL, needs_gpt2, random_gpt2
from tests.steering.by_hand import logits_by_hand, stream_by_hand


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_gpt2(tmp_path_factory.mktemp("gpt2") / "random-gpt2")


@pytest.fixture(scope="module")
def session() -> Session:
    """So that the model is read once."""
    return Session()


@pytest.fixture(scope="module")
def result(folder: Path, session: Session) -> ActAddResult:
    found = ActAddStudy(model=str(folder), **SMALL).run(Step(session=session))
    assert isinstance(found, ActAddResult)
    return found


@pytest.fixture(scope="module")
def model(folder: Path, session: Session) -> Any:
    return session.language_model(str(folder), Placement())


def rows_by_hand(model: Any, tokenizer: Any, promoted: str) -> torch.Tensor:
    """The post's own way: the beginning-of-text token before both, nothing filled up by a space."""
    ids = [[tokenizer.bos_token_id, *tokenizer.encode(text)] for text in (promoted, " ")]
    assert [len(row) for row in ids] == [2, 2]
    first, second = (stream_by_hand(model, row, BLOCK) for row in ids)
    assert torch.allclose(first[0], second[0], atol=1e-5)
    return first - second


@needs_gpt2
def test_contributions_are_those_by_hand(result: ActAddResult, model: Any) -> None:
    net, tokenizer = model
    rows = COEFFICIENT * rows_by_hand(net, tokenizer, " weddings")
    ids = [tokenizer.bos_token_id, *tokenizer.encode("I'm excited because I'm going to a")]
    before, after = (
        logits_by_hand(net, ids, BLOCK, added)[-1].double().log_softmax(dim=0).tolist() for added in (None, rows)
    )
    terms = {token: math.exp(p) * (p - q) for token, (p, q) in enumerate(zip(after, before, strict=True))}
    ordered = sorted(terms, key=lambda token: terms[token])
    expected = [*ordered[:-11:-1], *ordered[9::-1]]
    assert [shift.text for shift in result.shifts] == [tokenizer.decode([token]) for token in expected]
    assert [shift.contribution for shift in result.shifts] == pytest.approx([terms[t] for t in expected], rel=1e-2)
    assert result.next_tokens["vector"].kl_here == pytest.approx(sum(terms.values()), rel=1e-3)
    assert result.shifts[0].before == pytest.approx(math.exp(before[expected[0]]), rel=1e-3)
    assert result.shifts[0].after == pytest.approx(math.exp(after[expected[0]]), rel=1e-3)


@needs_gpt2
@pytest.mark.parametrize("topic", ["weddings", "shipping"])
def test_perplexity_ratios_are_those_by_hand(result: ActAddResult, model: Any, topic: str) -> None:
    net, tokenizer = model
    rows, rises = COEFFICIENT * rows_by_hand(net, tokenizer, " weddings"), []
    for text in load_prompts(topic).texts[:5]:
        ids = [tokenizer.bos_token_id, *tokenizer.encode(text)[:8]]
        before, after = (logits_by_hand(net, ids, BLOCK, added).log_softmax(dim=1) for added in (None, rows))
        # What is predicted from the two steered tokens is left out.
        rises += [float(before[place, ids[place + 1]] - after[place, ids[place + 1]]) for place in range(2, 8)]
    ratio = result.ratio("vector", topic)
    assert ratio.value == pytest.approx(math.exp(np.mean(rises)), rel=1e-3)
    assert result.by_block[BLOCK]["vector"][topic] is ratio
    assert result.by_coefficient[COEFFICIENT]["vector"][topic] is ratio


@needs_gpt2
def test_spaces_before_texts_are_steered_in_place_of_them(folder: Path, session: Session, model: Any) -> None:
    net, tokenizer = model
    bench = prepare(ActAddStudy(model=str(folder), spaced=True, **SMALL), Step(session=session))
    texts, conditions = Texts(bench), bench.conditions()
    rows = COEFFICIENT * rows_by_hand(net, tokenizer, " weddings")
    rises: dict[str, list[float]] = {"vector": [], "prompting": []}
    for text in load_prompts("shipping").texts[:5]:
        own, (space,) = tokenizer.encode(text)[:8], tokenizer.encode(" ")
        ids = [tokenizer.bos_token_id, space, *own]
        prompted = [tokenizer.bos_token_id, *tokenizer.encode(" weddings"), *own]
        before = logits_by_hand(net, ids).log_softmax(dim=1)
        laws = {"vector": logits_by_hand(net, ids, BLOCK, rows), "prompting": logits_by_hand(net, prompted)}
        for name, logits in laws.items():
            after = logits.log_softmax(dim=1)
            rises[name] += [
                float(before[place, ids[place + 1]] - after[place, ids[place + 1]]) for place in range(2, 9)
            ]
    steered = texts.ratios(conditions["vector"], ["shipping"])["shipping"]
    assert steered.value == pytest.approx(math.exp(np.mean(rises["vector"])), rel=1e-3)
    prompting = texts.prompted(" weddings", ["shipping"])["shipping"]
    assert prompting.value == pytest.approx(math.exp(np.mean(rises["prompting"])), rel=1e-3)


@needs_gpt2
def test_vectors_stand_beside_it_at_its_norm(result: ActAddResult, model: Any) -> None:
    net, tokenizer = model
    rows = rows_by_hand(net, tokenizer, " weddings")
    assert result.norms.vector[BLOCK] == pytest.approx(torch.linalg.vector_norm(rows, dim=1).numpy(), abs=1e-3)
    ids = [tokenizer.bos_token_id, *tokenizer.encode(load_prompts("weddings").texts[0])]
    stream = torch.linalg.vector_norm(stream_by_hand(net, ids[:8], BLOCK), dim=1)
    assert result.norms.residual[0, BLOCK] == pytest.approx(stream.numpy(), rel=1e-3)
    assert result.norms.ratio.shape == (DEPTH, 8)


@needs_gpt2
def test_every_condition_has_its_numbers_with_intervals(result: ActAddResult) -> None:
    numbers = result.to_dict()
    names = set(result.labels)
    assert set(numbers["word_counts"]) == names
    assert set(numbers["kl"]) == names - {"middle", "last", "stronger"} - {
        name for name in names if name.startswith("first ")
    }
    assert set(numbers["perplexity_ratio"]) == set(numbers["kl"]) - {"unsteered"}
    assert set(numbers["perplexity_ratio"]["random"]) == {"weddings", "shipping", "encyclopedia"}
    for found in (*numbers["kl"].values(), *(found["weddings"] for found in numbers["word_counts"].values())):
        assert found["n"] == 5
        assert found["interval"][0] <= found["mean"] <= found["interval"][1]
    assert numbers["kl"]["unsteered"]["mean"] == 0
    assert all(len(texts) == 5 for texts in numbers["generations"].values())
    assert list(numbers["perplexity_ratio_by_block"]) == ["2"]
    assert list(numbers["perplexity_ratio_by_coefficient"]) == ["1", "3"]
    texts = result.shown[0]
    assert [value is None for _, value, _ in numbers["tokens"][texts.name][:3]] == [True, True, False]


@needs_gpt2
def test_sentences_and_tables_agree_with_the_numbers(result: ActAddResult) -> None:
    ratio, said = result.ratio("vector", "weddings"), " ".join(result.summary())
    low, high = ratio.interval
    assert f"{ratio.value:.3f} [{low:.3f}, {high:.3f}]" in said
    assert ("lowers the perplexity of texts on weddings" in said.split(". ")[0]) == (high < 1)
    tables = {table.title: table for table in result.tables()}
    assert len(tables) == len(result.tables())
    for table in tables.values():
        assert all(len(row) == len(table.head) for row in table.rows)
    assert f"{result.shifts[0].contribution:+.4f}" in tables["Tokens after the prompt"].rows[0][1]


def test_the_command_of_the_posts_setting_repeats_it() -> None:
    study = ActAddStudy(model="openai-community/gpt2-xl", block=16, most_tokens=0)
    assert study.command == "concept-geometry run actadd openai-community/gpt2-xl --block 16 --most-tokens 0"
    assert (study.coefficient, study.suppressed, study.prompt) == (1.0, "", "I'm excited because I'm going to a")
    assert load_topic(study.topic).promoted == " weddings"
    assert (study.chosen_block(48), study.swept(48)[-1]) == (16, 43)


def test_words_are_counted_whole_and_in_whatever_case() -> None:
    texts = ["The Bride's bridesmaids wed.", "unwedded wed-wed", ""]
    assert word_counts(texts, ("bride", "wed", "bridesmaids")).tolist() == [3, 2, 0]


def test_texts_come_from_a_file_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "essay.txt"
    path.write_text("One  line.\n\nAnother.\nA third.\nA fourth.\nA fifth.\n", encoding="utf-8")
    assert load_texts(str(path)) == ("essay", ("One line.", "Another.", "A third.", "A fourth.", "A fifth."))
    topic = load_topic(str(path), " essays", ("Essay", "essay"))
    assert (topic.promoted, topic.words) == (" essays", ("essay",))
    with pytest.raises(GeometryError, match="essay: no packaged topic, so that --promoted must be given"):
        load_topic(str(path))
    path.write_text("One line.\n", encoding="utf-8")
    with pytest.raises(GeometryError, match="essay: 1 texts; an interval over texts takes 5"):
        load_texts(str(path))


@pytest.mark.parametrize("topic", ["weddings", "shipping", "birds", "aggression", "calm"])
def test_every_packaged_topic_has_a_vector_and_words_that_its_texts_hold(topic: str) -> None:
    found = load_topic(topic)
    assert found.promoted.startswith(" ")
    on, off = (word_counts(list(texts), found.words).mean() for texts in (found.texts, load_texts("encyclopedia")[1]))
    assert on > 0.2
    assert on > 2 * off


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"promoted": " a", "suppressed": " a"}, "promoted and suppressed are both ' a'"),
        ({"words": ("",)}, "words must be single words, not ''"),
        ({"words": ("a b",)}, "words must be single words"),
        ({"coefficient": 0.0}, "coefficient must be a number other than 0"),
        ({"huge": math.inf}, "huge must be a number"),
        ({"coefficients": ("-1",)}, "coefficients must be numbers above 0, not '-1'"),
        ({"coefficients": ("much",)}, "coefficients must be numbers above 0"),
        ({"topic": " "}, "topic must name a set of texts"),
        ({"topic": "shipping"}, "must be different sets"),
        ({"prompt": ""}, "prompt must be the beginning of a text"),
        ({"n_texts": 4}, "n_texts must be a whole number of at least 5"),
        ({"block": -2}, "block must be a whole number of at least -1"),
    ],
)
def test_wrong_options_are_refused_at_once(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(GeometryError, match=complaint):
        ActAddStudy(**options)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"topic": "nothing-of-that-name"}, "nothing-of-that-name"),
        ({"topic": "encyclopedia", "beside": ("calm",)}, "no packaged topic, so that --promoted must be given"),
        ({"topic": "encyclopedia", "beside": ("calm",), "promoted": " facts"}, "--words must be given"),
        ({"suppressed": " weddings"}, "promoted and suppressed are both ' weddings'"),
        ({"words": ("cargo",)}, "words: cargo count for weddings and shipping alike"),
        ({"text": " "}, "text .* is empty"),
    ],
)
def test_what_can_be_known_is_said_before_the_model_is_read(options: dict[str, Any], complaint: str) -> None:
    def read(text: str) -> None:
        raise AssertionError(f"{text}: the model was about to be read")

    with pytest.raises(GeometryError, match=complaint):
        ActAddStudy(**{"model": "no-such-model", **options}).run(Step(read))


@needs_gpt2
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"block": DEPTH}, f"block {DEPTH}: the model has {DEPTH} blocks, 0 to {DEPTH - 1}"),
        ({"promoted": " one two three four five six seven eight nine"}, "weddings: .* has 9 tokens to look at"),
        ({"prompt": "I", "promoted": " one two three"}, "prompts: 'I' has 2 tokens to look at"),
        ({"text": "many words " * 40}, "64 positions|positions"),
        ({"words": ("xylophonist",)}, "words of weddings: none of them"),
    ],
)
def test_what_the_model_tells_is_said_before_work_starts(
    folder: Path, session: Session, options: dict[str, Any], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "measure_next_token", lambda *_: pytest.fail("work has started"))
    with pytest.raises(GeometryError, match=complaint):
        ActAddStudy(model=str(folder), **{**SMALL, **options}).run(Step(session=session))


def test_the_console_says_it_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "actadd", "--promoted", " a", "--suppressed", " a"]) == 2
    assert capsys.readouterr().err == "error: promoted and suppressed are both ' a'; their difference is nothing\n"
