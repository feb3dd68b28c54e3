"""The study of tasks: its parts on a tiny model and on numbers made by hand, refusals, and the real model."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import geometry as geo
from geometry.anatomy.function_vectors import function_vectors
from geometry.anatomy.task_questions import Answers
from geometry.concepts.tasks import load_task, packaged_tasks
from geometry.errors import GeometryError
from geometry.experiments import TasksStudy, session
from geometry.experiments.parts import Part
from geometry.experiments.tasks import measure
from geometry.experiments.tasks.accuracy import AccuracyPart, asked_in_sentences
from geometry.experiments.tasks.concepts import ConceptPart, Together, split_words, with_concepts
from geometry.experiments.tasks.depth import DepthPart, by_block
from geometry.experiments.tasks.heads import HeadsPart, by_head, shared_at_random, shared_heads
from geometry.experiments.tasks.setup import Bench
from geometry.experiments.tasks.transfer import TransferPart, transferred
from tests.anatomy.test_function_vectors import Spaced
from tests.steering import tiny

FROM, TO = {"first": 3, "second": 30}, 24


def tiny_bench() -> Bench:
    """Two tasks of made-up words for a model of random weights, which is taken to be able."""
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    found = {}
    for name, start in FROM.items():
        pairs = tuple((f"w{i}", f"w{i + 1}") for i in range(start, start + TO))
        task = Spaced(name, name, pairs, ("w60 {} w61", "w2 w3 {} w4"), ("w60 w2 {} w9",))
        vectors = function_vectors(model, tokenizer, task, n_demonstrations=2, n_prompts=4)
        right = Answers(np.ones(12), np.ones(12))
        found[name] = replace(vectors, answers={**vectors.answers, "demonstrations": right})
    return Bench(TasksStudy(every=2, n_sentences=2), model, tokenizer, found)


@pytest.fixture(scope="module")
def bench() -> Bench:
    with torch.random.fork_rng():
        return tiny_bench()


def checked_part(part: Part) -> str:
    """What every part promises: sentences, numbers without nan where there are any, figures with a title."""
    said = " ".join(part.summary())
    json.dumps(part.to_dict(), allow_nan=True)
    for spec in part.figures():
        assert len(spec.title) < 420
        assert "nan" not in spec.title
    for table in part.tables():
        assert all(len(row) == len(table.head) for row in table.rows)
    assert said
    return said


def test_sentences_are_those_of_the_task_with_its_questions(bench: Bench) -> None:
    told = asked_in_sentences(bench, "first", "telling")
    assert told is not None
    assert told.sentence.tolist() == [0] * 8 + [1] * 8
    assert told.texts == ("w60 {} w61", "w2 w3 {} w4")
    neutral = asked_in_sentences(bench, "first", "neutral")
    assert neutral is not None
    assert len(neutral.sentence) == 8
    # By hand: the first sentence with the first held-out question, unsteered and steered.
    asked, answer = bench.found["first"].held_out[0]
    ids = torch.tensor([bench.tokenizer(f"w60 {asked} w61", add_special_tokens=False)["input_ids"]])
    token = bench.tokenizer.convert_tokens_to_ids(answer)
    with torch.no_grad():
        law = bench.model(input_ids=ids).logits[0, -1].softmax(dim=-1)
        with geo.steer(bench.model, bench.vector("first"), positions="last"):
            steered = bench.model(input_ids=ids).logits[0, -1].softmax(dim=-1)
    assert told.answers["zero-shot"].probability[0] == pytest.approx(float(law[token]), rel=1e-4)
    assert told.answers["residual"].probability[0] == pytest.approx(float(steered[token]), rel=1e-4)
    part = AccuracyPart(bench.found, {"telling": {"first": told}, "neutral": {"first": neutral}})
    assert "in 2 sentences of another format that tell the task" in checked_part(part)
    assert part.in_sentences("telling", "residual") == told.answers["residual"].accuracy


def test_accuracy_by_block_is_that_of_each_block_s_own_vector(bench: Bench) -> None:
    part = by_block(bench)
    assert [str(site) for site in part.sites] == ["output.1", "output.3"]
    vector = bench.found["second"].residual(part.sites[0])
    got = bench.questions("second").ask([vector])[0]
    assert part.correct["second"]["residual"][0].tolist() == got.correct.tolist()
    checked_part(part)


def test_a_lead_over_shuffled_labels_is_told() -> None:
    sites = tuple(geo.Site("output", block) for block in (1, 3, 5))
    ways = {
        "residual": np.repeat([[0.2], [0.8], [0.9]], 4, axis=1),
        "shuffled labels": np.repeat([[0.2], [0.1], [0.9]], 4, axis=1),
        "random": np.zeros((3, 4)),
    }
    part = DepthPart(sites, {"some": ways}, {"some": 0.0}, 6)
    assert part.leads("some") == 1
    assert "most after block 3 (80% against 10%)" in checked_part(part)


def test_transfer_is_each_vector_on_each_task(bench: Bench) -> None:
    part = transferred(bench)
    got = bench.questions("first").ask([bench.vector("second")])[0]
    assert part.accuracy[0, 1] == got.accuracy
    first, second = (bench.found[name].shifts["demonstrations"][part.site].double().mean(dim=0) for name in part.tasks)
    assert part.cosines[0, 1] == pytest.approx(float(first @ second / first.norm() / second.norm()))
    assert part.bounds[0, 0, 1] <= part.bounds[1, 0, 1]
    assert "of its held-out questions" in checked_part(part)
    one, ends = np.ones((1, 1)), np.ones((2, 1, 1))
    alone = TransferPart(("a",), one, np.zeros(1), part.site, one, one, ends, ends, 0.1)
    assert "takes two tasks" in checked_part(alone)
    assert not alone.figures()


def test_shared_heads_are_counted_beside_random_ones_of_the_same_blocks() -> None:
    sets = [[(0, 1), (2, 3)], [(0, 1), (1, 1)], [(0, 1), (2, 3)]]
    assert shared_heads(sets) == {(0, 1): 3, (2, 3): 2}
    # One head of two in each of two sets: they meet half the time.
    assert shared_at_random([[(0, 0)], [(0, 1)]], 2, 0, 4000).mean() == pytest.approx(0.5, abs=0.03)
    assert shared_at_random([[(0, 0)], [(1, 0)]], 4, 0, 50).max() == 0


def test_heads_alone_are_asked_one_by_one(bench: Bench) -> None:
    part = by_head(bench)
    found = bench.found["first"]
    head = found.heads[3]
    assert found.head_shifts is not None
    vector = geo.SteeringVector({geo.Site("output", head[0]): found.head_shifts[head]})
    questions = bench.questions("first")
    rise = questions.ask([vector])[0].log_probability - questions.answers().log_probability
    assert part.alone["first"][head] == pytest.approx(rise, abs=1e-5)
    assert part.count == 16
    assert "alone raises" in checked_part(part)
    assert HeadsPart(16, {"a": part.alone["first"]}, part.random_alone, np.zeros(9), {}, {}).shared == {}


def test_both_vectors_together_are_told_from_their_sum() -> None:
    ones = np.ones(4)
    odds = {"task": -ones, "concept": 0.5 * ones, "task + concept": ones, "task + random": -0.9 * ones}
    right = {"task": ones, "concept": 0 * ones, "task + concept": np.array([1.0, 1, 1, 0]), "task + random": ones}
    pair = Together("plural", "animal.n.01", right, odds, 12, 0.3)
    assert pair.turn.tolist() == [2.0] * 4
    assert pair.interaction.tolist() == [1.5] * 4
    assert pair.random_turn == pytest.approx([0.1] * 4)
    said = checked_part(ConceptPart((pair,), ("gryphon.n.01",)))
    assert "+2.00" in said
    assert "75%" in said
    assert "gryphon.n.01" in said


def test_a_concept_s_words_are_halved_by_lemma() -> None:
    vocabulary = geo.Vocabulary([f" {word}" for word in ("cat", "cats", "dog", "dogs", "Dog", "fish", "wolf")])
    concept = geo.concepts.Concept.from_words(
        "animal", ["cat", "cats", "dog", "dogs", "Dog", "fish", "wolf"], vocabulary
    )
    words, tokens = split_words(concept, np.random.default_rng(0))
    assert len(words) == 2
    lemmas = {vocabulary.text(token).strip().lower().rstrip("s") for token in tokens}
    assert not lemmas & {word.lower().rstrip("s") for word in words}


def test_concepts_that_are_not_there_are_refused(bench: Bench) -> None:
    vocabulary = geo.Vocabulary([" cat", " dog", " fish"])
    words = geo.ConceptHierarchy(
        "pets", tuple(geo.concepts.Concept.from_words(name, [name], vocabulary) for name in ("cat", "dog")), {}
    )
    with pytest.raises(GeometryError, match="has none of animal"):
        with_concepts(bench, words)


def test_packaged_tasks_are_whole() -> None:
    for name in packaged_tasks():
        task = load_task(name)
        assert len(task.pairs) >= 40
        assert len(task.sentences) + len(task.neutral) >= 10
        assert not {asked for asked, _ in task.pairs} & {""}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("task: {says: x, pairs: []}", "at least 10 pairs"),
        ("task: {says: x, pairs: [[a, b]]}", "at least 10 pairs"),
        (
            f"task: {{says: x, pairs: [{', '.join(f'[a{k}, b{k}]' for k in range(10))}, ['', '']]}}",
            "two different texts",
        ),
        (
            f"task: {{says: x, pairs: [{', '.join(f'[a{k}, b{k}]' for k in range(10))}]}}",
            "demonstrations may be 2 to 5",
        ),
        (f"task: {{says: x, pairs: [{', '.join(f'[a{k}, b{k}]' for k in range(20))}], neutral: [no]}}", "neutral"),
    ],
)
def test_bad_tasks_are_refused_before_the_model_is_loaded(
    content: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "load_model", lambda *_, **__: pytest.fail("the model was loaded"))
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(GeometryError, match=said) as refused:
        TasksStudy(tasks=(str(tmp_path / "mine.yaml"),)).run()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tasks": ("alchemy",)}, "no such file or packaged name"),
        ({"tasks": ()}, "at least one"),
        ({"tasks": ("plural", "plural")}, "named twice"),
        ({"n_demonstrations": 60}, "demonstrations may be"),
        ({"n_prompts": 1}, "n_prompts must be"),
        ({"concepts": ("animal.n.01", "nope")}, "'nope' is no synset of WordNet"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "load_model", lambda *_, **__: pytest.fail("the model was loaded"))
    with pytest.raises(GeometryError, match=said):
        TasksStudy(**options).run()


def test_of_a_model_that_does_no_task_it_is_said_what_is_left_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, smollm2: geo.Unembedding
) -> None:
    found = bench.found["first"]
    wrong = replace(found, answers={**found.answers, "demonstrations": Answers(np.zeros(12), np.zeros(12))})
    monkeypatch.setattr(session, "load_model", lambda *_, **__: (bench.model, bench.tokenizer))
    monkeypatch.setattr(geo.Unembedding, "load", lambda *_, **__: smollm2)
    monkeypatch.setattr(measure, "function_vectors", lambda *_, **__: wrong)
    result = TasksStudy(tasks=("plural",)).run()
    assert set(result.parts) == {"accuracy"}
    assert "Not measured: depth, transfer, heads and concepts, the model does none of the tasks" in str(result)


@pytest.mark.long
def test_on_the_real_model_vectors_answer_their_own_task_alone(smollm2_model: Any, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "load_model", lambda *_, **__: smollm2_model)
        result = TasksStudy(tasks=("antonym", "plural"), every=6, n_sentences=2, concepts=("animal.n.01",)).run()
    found = result.parts["accuracy"].found  # type: ignore[attr-defined]
    assert found["plural"].answers["residual"].accuracy > 0.8
    assert found["plural"].answers["random"].accuracy < 0.1
    assert result.parts["transfer"].accuracy[[0, 1], [1, 0]].max() < 0.2  # type: ignore[attr-defined]
    folder = result.write(tmp_path / "tasks")
    document = json.loads((folder / "results.json").read_text())
    assert {spec["name"] for spec in document["figures"]} == {"accuracy", "depth", "transfer", "heads", "concepts"}
    assert "NaN" not in (folder / "results.json").read_text()
