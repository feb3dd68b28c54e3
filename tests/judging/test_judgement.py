"""Tables of judges: means, paired differences and agreement against NumPy and scipy, bad input refused."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from geometry.errors import EstimationError
from geometry.judging import Judge, judge_texts

LENGTH = Judge("length", "words", lambda texts: [len(text.split()) for text in texts])
LETTERS = Judge("letters", "letters", lambda texts: [len(text) for text in texts], ("counts spaces too",))
CONSTANT = Judge("constant", "points", lambda texts: [1.0] * len(texts))
RNG = np.random.default_rng(0)
TEXTS = {
    name: [" ".join("abcdefghij"[: size + 1] for size in RNG.integers(0, 9, size=count)) for count in counts]
    for name, counts in {"unsteered": range(1, 13), "steered": range(3, 15), "random": range(1, 13)}.items()
}


def test_means_and_paired_differences_are_those_of_the_scores() -> None:
    judged = judge_texts([LENGTH, LETTERS], TEXTS)
    lengths = {name: np.array([len(text.split()) for text in texts]) for name, texts in TEXTS.items()}
    assert judged.mean("length", "steered")["mean"] == lengths["steered"].mean()
    difference = judged.difference("length", "steered")
    # Two words more after every prompt, so that the paired interval has no width.
    assert (difference["mean"], difference["interval"], difference["n"]) == (2.0, [2.0, 2.0], 12)
    low, high = judged.mean("length", "steered")["interval"]
    assert low < lengths["steered"].mean() < high
    assert judged.difference("letters", "unsteered")["interval"] == [0.0, 0.0]
    assert [row[:2] for row in judged.rows()][:3] == [("length", name) for name in TEXTS]
    assert judged.notes == ("letters: counts spaces too",)


def test_agreement_is_spearmans_over_all_texts() -> None:
    judged = judge_texts([LENGTH, LETTERS, CONSTANT], TEXTS)
    every = [text for texts in TEXTS.values() for text in texts]
    expected = spearmanr([len(text.split()) for text in every], [len(text) for text in every]).statistic
    found = judged.agreement("length", "letters")
    assert found["spearman"] == pytest.approx(expected)
    assert found["interval"][0] < expected <= found["interval"][1]
    assert judged.agreement("length", "constant")["spearman"] is None
    assert len(judged.to_dict()["agreement"]) == 3
    assert "letters" in judged._repr_html_()


@pytest.mark.parametrize(
    ("judges", "texts", "said"),
    [
        ([], TEXTS, "at least one"),
        ([LENGTH, LENGTH], TEXTS, "different names"),
        ([LENGTH], {"steered": ["a"]}, "no condition 'unsteered'"),
        ([LENGTH], {}, "among none"),
        ([LENGTH], {"unsteered": ["a"], "steered": ["a", "b"]}, "text of every prompt"),
        ([LENGTH], {"unsteered": []}, "text of every prompt"),
        ([LENGTH], {"unsteered": "a text"}, "text of every prompt"),
    ],
)
def test_what_cannot_be_compared_is_refused(judges: Any, texts: Any, said: str) -> None:
    with pytest.raises(EstimationError, match=said):
        judge_texts(judges, texts)


def test_what_was_not_judged_is_refused() -> None:
    judged = judge_texts([LENGTH], TEXTS)
    with pytest.raises(EstimationError, match="nothing was judged as 'stirred'; there are unsteered, steered, random"):
        judged.mean("length", "stirred")
    with pytest.raises(EstimationError, match="nothing was judged as 'letters'"):
        judged.agreement("length", "letters")
