"""The benchmark compares both sides in one run and agrees with the textbook."""

import pytest

from analysis import benchmark
from geometry.experiments.benchmark import Benchmark, Comparison, run_benchmark
from geometry.models import CATALOGUE, cached_path


def check(result: Benchmark, concepts: int, reading: int) -> None:
    assert 0 < result.difference < 1e-6
    measured = [comparison.measured for comparison in result.comparisons]
    for part, count in (
        ("reading unembedding", reading),
        ("concept vectors of", 1),
        (f"4 x {concepts}", 1),
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


@pytest.mark.skipif(
    not cached_path(CATALOGUE["stories15m"]).exists(), reason="needs npm; run: concept-geometry fetch stories15m"
)
def test_vectors_are_the_textbooks_and_every_comparison_has_both_sides() -> None:
    check(run_benchmark("stories15m", every=60, rounds=1), concepts=178, reading=0)


@pytest.mark.long
def test_a_gguf_file_is_read_in_part_and_in_whole() -> None:
    result = run_benchmark("smollm2-135m", every=100, rounds=1)
    check(result, concepts=403, reading=2)
    assert all(comparison.ratio > 1 for comparison in result.comparisons[:2])


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
