"""Both sides of every comparison give the same numbers, every promised ratio has its row, and the picture is drawn."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import geometry as geo
from analysis import benchmark
from geometry.directions import TokenCloud
from geometry.experiments.benchmark.common import SUBJECTS, Comparison
from geometry.experiments.benchmark.head import compare_analysis, compare_head, in_a_process, promised
from geometry.experiments.benchmark.permutations import (
    STATISTICS,
    compare_permutations,
    fits_from_rows,
    fits_through_indices,
    from_rows,
    through_indices,
)
from geometry.experiments.benchmark.startup import compare_start
from geometry.experiments.benchmark.steering import bare_hooks, compare_batches, compare_steering
from geometry.experiments.benchmark.synthetic import Head, widened
from geometry.experiments.benchmark.training import beginning, by_active, by_torch, compare_training
from geometry.experiments.benchmark.vectors import compare_vectors
from geometry.models import CATALOGUE, cached_path
from tests.elsewhere import elsewhere
from tests.steering import tiny

HEAD = Head(600, 16)


@pytest.fixture(scope="module")
def space() -> geo.CausalSpace:
    return geo.CausalSpace.fit(HEAD.unembedding())


@pytest.fixture(scope="module")
def tree(space: geo.CausalSpace) -> geo.ConceptHierarchy:
    return HEAD.hierarchy(space.unembedding.vocabulary)


def measured(comparisons: list[Comparison]) -> list[str]:
    assert all(comparison.ratio > 0 for comparison in comparisons)
    assert {comparison.subject for comparison in comparisons} <= set(SUBJECTS)
    return [comparison.measured for comparison in comparisons if comparison.promised is not None]


@pytest.mark.parametrize("width", [16, 40])
def test_a_permutation_through_indices_is_that_of_fits_to_its_rows(
    space: geo.CausalSpace, tree: geo.ConceptHierarchy, width: int
) -> None:
    cloud = TokenCloud.of(space, tree)
    if width > space.width:
        cloud = cloud.moved(widened(cloud.points, width))
    through = through_indices(space, cloud, 2)
    direct = from_rows(space, cloud, number=1)
    assert set(direct) == {statistic.name for statistic in STATISTICS}
    for name, values in direct.items():
        np.testing.assert_allclose(through[name].nulls["permuted"].values[1], values, atol=1e-8, err_msg=name)
    assert sum(bool(np.isfinite(values).any()) for values in direct.values()) >= 8


def test_permutations_are_compared_at_two_widths_and_with_each_other(
    space: geo.CausalSpace, tree: geo.ConceptHierarchy
) -> None:
    rows = compare_permutations(space, tree, 24, 1, promised=(3.5, 6.0, 0.25))
    assert [row.promised for row in rows] == [None, None, 3.5, 6.0, 0.25]
    assert measured(rows) == [
        "one permutation with its statistics, d = 16",
        "one permutation with its statistics, d = 24",
        "one permutation, d = 24",
    ]
    assert len(compare_permutations(space, tree, 16, 1, promised=(None, None, None))) == 2


def test_fits_through_indices_are_those_from_rows(space: geo.CausalSpace, tree: geo.ConceptHierarchy) -> None:
    cloud = TokenCloud.of(space, tree)
    permuted = geo.NULLS["permuted"].draw(space, cloud, np.random.default_rng(0))
    through, direct = fits_through_indices(permuted), fits_from_rows(cloud.moved(permuted.points))
    assert len(through) == len(direct) == 4
    for one, other in zip(through, direct, strict=True):
        torch.testing.assert_close(one.vectors, other.vectors, rtol=0, atol=1e-8, equal_nan=True)


def test_vectors_are_the_textbooks_at_every_width(space: geo.CausalSpace, tree: geo.ConceptHierarchy) -> None:
    rows = compare_vectors(space, tree, 3, [24, 48])
    assert all(0 < row.difference < 1e-6 for row in rows if row.instead == "the textbook")
    said = [row.measured for row in rows]
    assert [text.split("d = ")[1] for text in said if "1 concept vector of" in text] == ["24", "48"]
    assert any(text.startswith("4 × 13 vectors") for text in said)
    assert any(text.startswith("scores of 600 tokens") for text in said)
    assert measured(rows) == []


def test_an_analysis_and_its_memory_are_those_of_a_process(space: geo.CausalSpace, tree: geo.ConceptHierarchy) -> None:
    own = compare_analysis(space.unembedding, tree, 1)
    rows = compare_head(HEAD, 1)
    assert [row.unit for row in rows] == ["CPU s", "CPU s", "GB"]
    assert "13 concept vectors, 600 × 16" in own.measured
    assert rows[0].measured == own.measured
    assert 0 < min(rows[2].ours) < 2
    assert measured([own, *rows]) == []
    with pytest.raises(geo.GeometryError, match=r"^nothing of here: ImportError: cannot import name 'nothing'"):
        in_a_process("geometry.version:nothing", "here")


def test_what_is_promised_of_heads_is_said_as_ratios() -> None:
    time, memory = promised(Head(256_000, 2_048))
    assert time == 0.5
    matrix, squares = 256_000 * 2_048 * 4, 8 * 2_048**2 * 8
    assert memory == pytest.approx(matrix / (0.6 * matrix + squares))
    assert promised(HEAD) == (None, None)


def test_starting_is_compared_with_torch() -> None:
    rows = compare_start(1)
    assert [row.measured for row in rows] == ["import geometry", "concept-geometry --help"]
    assert measured(rows) == []


def test_both_ways_of_training_take_the_same_steps() -> None:
    x = torch.randn(64, 12, generator=torch.Generator().manual_seed(3))
    ours, other = beginning(x, 40), beginning(x, 40)
    by_active(ours, x, 4)
    by_torch(other, x, 4)
    for name, tensor in ours.parameters.items():
        torch.testing.assert_close(tensor.detach(), other.parameters[name].detach(), rtol=1e-4, atol=1e-5)
        assert not torch.equal(tensor.detach(), beginning(x, 40).parameters[name].detach())
    (row,) = compare_training(12, 40, 1, k=4, batch=64, promised=2.0)
    assert row.measured == "5 steps of a sparse autoencoder, 40 × 12, 4 active"
    assert row.subject in SUBJECTS
    assert measured([row]) == [row.measured]


def test_a_bare_hook_adds_what_steering_adds() -> None:
    model, ids = tiny.build("llama"), torch.tensor([[2, 3, 4]])
    added = torch.linspace(-1, 1, tiny.WIDTH)
    vector = geo.SteeringVector({f"output.{block}": added for block in (1, 3)})
    with geo.steer(model, vector, positions="all"):
        steered = model(ids).logits
    with bare_hooks(model, [1, 3], added):
        assert torch.equal(model(ids).logits, steered)
    assert not torch.allclose(model(ids).logits, steered)


def test_steering_is_compared_alone_and_together_at_one_block_and_at_all() -> None:
    model, tokenizer = tiny.build("llama"), tiny.tokenizer()
    rows = compare_steering(model, tokenizer, 1, tokens=2)
    assert [row.promised for row in rows if row.promised] == [1 / 1.05, 1 / 1.02]
    assert measured(rows) == ["steered at one block, batch of 1", "steered at one block, batch of 8"]
    for batch in (1, 8):
        for where in ("one block", "all blocks"):
            own = [row.instead for row in rows if row.measured == f"steered at {where}, batch of {batch}"]
            assert own == ["unsteered", "a bare hook"]
    assert compare_batches(model, tokenizer).measured == "48 prompts under 6 vectors in one batch"


def test_results_say_which_promises_are_kept_and_draw_every_ratio(tmp_path: Path) -> None:
    kept = Comparison("permutations", "one permutation", "from rows", [2.0, 1.0, 3.0], [6.0, 4.0, 5.0], promised=3.5)
    broken = Comparison("concept vectors", "vectors", "textbook", [2.0], [1.0], "GB", 0.6)
    assert (kept.ratio, kept.ratio_of_medians, kept.kept, broken.kept) == (4, 2.5, True, False)
    assert kept.row() == ["one permutation (instead: from rows)", "1 CPU s", "4 CPU s", "4", "2.5", "3.5"]
    study = geo.experiments.BenchmarkStudy(rounds=3)
    result = geo.experiments.Benchmark(study=study, comparisons=[kept, broken], machine={"threads": 2})
    assert result.summary()[:2] == [
        "Of 2 promised ratios 1 are kept.",
        "Not kept: vectors (instead: textbook): 0.5, promised 0.6.",
    ]
    result.write(tmp_path)
    content = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert content["command"] == "python -m analysis.benchmark smollm2-135m --rounds 3"
    assert [row["measured"] for row in content["results"]["comparisons"]] == ["vectors", "one permutation"]
    picture = (tmp_path / "ratios.svg").read_text(encoding="utf-8")
    for text in ("one permutation", "against from rows", "against textbook", "promised at least", "the same"):
        assert text in picture, text


def test_bad_arguments_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def script(*arguments: str) -> int:
        return geo.cli.script(geo.experiments.BenchmarkStudy, benchmark.main, benchmark.__doc__, arguments)

    assert script("no-such-model-anywhere", "--parts", "analysis") == 2
    assert script("--parts", "nothing") == 2
    said = capsys.readouterr().err
    assert "parts must be among start, " in said
    with pytest.raises(SystemExit, match="2"):
        script("--rounds", "0")
    with elsewhere(), pytest.raises(geo.GeometryError, match=r"python -m analysis\.gpu"):
        geo.experiments.BenchmarkStudy(device="cuda:0")


@pytest.mark.long
@pytest.mark.skipif(
    not cached_path(CATALOGUE["stories15m"]).exists(), reason="needs npm; run: concept-geometry fetch stories15m"
)
def test_every_part_of_a_model_has_its_rows() -> None:
    result = geo.experiments.run_benchmark("stories15m", rounds=1, every=60, widest=320, head_rows=2000, head_width=64)
    assert {row.subject for row in result.comparisons} == set(SUBJECTS)
    assert 0 < result.difference < 1e-6
    assert not result.broken  # nothing is promised of this model
    assert len(str(result).splitlines()) == len(result.comparisons) + 4


@pytest.mark.long
def test_a_gguf_file_is_read_in_part_and_in_whole() -> None:
    result = geo.experiments.run_benchmark("smollm2-135m", parts=("reading",))
    assert [row.unit for row in result.comparisons] == ["CPU s", "GB"]
    assert all(row.ratio > 1 for row in result.comparisons)
