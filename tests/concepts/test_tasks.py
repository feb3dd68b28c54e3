"""Tasks of in-context learning: the packaged ones, prompts, shuffled answers, refusals."""

from pathlib import Path

import numpy as np
import pytest

from geometry.concepts import load_task, packaged_tasks
from geometry.concepts.tasks import HEADING, check_task
from geometry.errors import HierarchyError


def test_packaged_tasks_have_forty_questions_each() -> None:
    assert packaged_tasks() == ("antonym", "capital", "next-in-series", "past-tense", "plural")
    for name in packaged_tasks():
        task = load_task(name)
        assert len(task.pairs) >= 40
        assert task.name == name


def test_a_prompt_is_a_heading_demonstrations_and_a_question() -> None:
    task = load_task("antonym")
    assert task.prompt([("hot", "cold"), ("big", "small")], "up") == f"{HEADING}\nhot: cold\nbig: small\nup:"
    assert task.prompt([], "up") == f"{HEADING}\nup:"


def test_shuffled_answers_are_the_same_and_none_is_right() -> None:
    task = load_task("capital")
    shown = task.pairs[:9]
    for seed in range(5):
        shuffled = task.shuffled(shown, np.random.default_rng(seed))
        assert [asked for asked, _ in shuffled] == [asked for asked, _ in shown]
        assert sorted(answer for _, answer in shuffled) == sorted(answer for _, answer in shown)
        assert not set(shuffled) & set(shown)


def test_refusals(tmp_path: Path) -> None:
    path = tmp_path / "few.yaml"
    for text, says in [
        ("task: {says: few, pairs: [[a, b]]}", "at least 10 pairs"),
        (f"task: {{pairs: {[['a', 'b']] * 12}}}", "twice"),
        (f"task: {{pairs: {[[f'a{n}', 'b'] for n in range(12)]}}}", "all have the answer 'b'"),
        ("task: {says: none, pairs: 3}", "at least 10 pairs"),
        ("other: 1", "entry 'task'"),
    ]:
        path.write_text(text)
        with pytest.raises(HierarchyError, match=says):
            load_task(path)
    with pytest.raises(HierarchyError, match="nothing"):
        load_task("nothing")
    for count in (1, 42):
        with pytest.raises(HierarchyError, match="demonstrations may be 2 to"):
            check_task(load_task("plural"), count)
