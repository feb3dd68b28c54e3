"""The benchmark compares both sides in one run and agrees with the textbook."""

import pytest

from analysis import benchmark
from geometry.experiments.benchmark import Benchmark, Comparison, run_benchmark


@pytest.fixture(scope="module")
def result() -> Benchmark:
    return run_benchmark("smollm2-135m", every=100, rounds=1)


def test_vectors_are_the_textbooks(result: Benchmark) -> None:
    assert 0 < result.difference < 1e-6


def test_every_comparison_has_both_sides_and_a_ratio(result: Benchmark) -> None:
    measured = [comparison.measured for comparison in result.comparisons]
    for part, count in (
        ("reading unembedding", 2),
        ("concept vectors of", 1),
        ("4 x 403", 1),
        ("fits of one permutation", 1),
        ("on two directions", 1),
        ("steered generation", 4),
        ("48 prompts under 6 vectors", 1),
    ):
        assert sum(part in text for text in measured) >= count, part
    assert all(comparison.ratio > 0 for comparison in result.comparisons)
    lines = str(result).splitlines()
    assert len(lines) == len(measured) + 4
    assert lines[-1].startswith("largest relative difference of the concept vectors")


def test_a_ratio_says_how_many_times_as_much_the_other_way_takes() -> None:
    comparison = Comparison("work", [2.0, 1.0, 3.0], [6.0, 4.0, 5.0])
    assert comparison.ratio == 4
    assert comparison.row() == ["work", "1 s", "4 s", "4", "2.5"]


def test_bad_arguments_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["no-such-model-anywhere"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(SystemExit) as stop:
        benchmark.main(["--rounds", "0"])
    assert stop.value.code == 2
